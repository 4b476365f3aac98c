"""The revision of the schemas, by which the operator knows a CustomResourceDefinition older than itself."""

from collections.abc import Mapping

from vapora.api.kinds import KINDS

SCHEMA_REVISION = 1
"""Raised with each release that adds a field: an older definition would silently drop it from what is written."""
REVISION_ANNOTATION = "vapora.dev/schema-revision"


def find_outdated(annotations_by_crd: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the names of our definitions that are missing or older than this operator, sorted.

    The argument maps the name of each definition that exists to its annotations.
    """
    return sorted(
        kind.crd_name for kind in KINDS if _read_revision(annotations_by_crd.get(kind.crd_name, {})) < SCHEMA_REVISION
    )


def _read_revision(annotations: Mapping[str, str]) -> int:
    text = annotations.get(REVISION_ANNOTATION, "")
    return int(text) if text.isdecimal() else 0
