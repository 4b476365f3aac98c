"""The revision of the schemas."""

from vapora.api.kinds import KINDS
from vapora.api.revision import REVISION_ANNOTATION, SCHEMA_REVISION, find_outdated

CURRENT = {kind.crd_name: {REVISION_ANNOTATION: str(SCHEMA_REVISION)} for kind in KINDS}


def test_definitions_of_the_same_or_a_newer_revision_are_good() -> None:
    newer = {name: {REVISION_ANNOTATION: str(SCHEMA_REVISION + 1)} for name in CURRENT}
    assert find_outdated(CURRENT) == find_outdated(newer) == []


def test_a_missing_an_older_and_a_foreign_definition_are_named() -> None:
    found = {**CURRENT, "workflows.vapora.dev": {REVISION_ANNOTATION: "0"}, "taskservs.vapora.dev": {}}
    del found["providers.vapora.dev"]
    assert find_outdated(found) == ["providers.vapora.dev", "taskservs.vapora.dev", "workflows.vapora.dev"]
