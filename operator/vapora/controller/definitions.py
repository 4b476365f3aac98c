"""Whether the cluster's definitions of our kinds are there and new enough to keep all that this operator writes."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.kinds import KINDS
from vapora.api.revision import find_outdated
from vapora.controller.ports import ApiError, JsonObject, KubeApi, NotFound
from vapora.core.plan import Key
from vapora.core.views import child, rows


async def find_obstacle(api: KubeApi) -> str | None:
    """Says why the operator must not start with these definitions; None where it may."""
    found: dict[str, Mapping[str, str]] = {}
    for kind in KINDS:
        try:
            definition = await api.get(Key("CustomResourceDefinition", "", kind.crd_name))
        except NotFound:
            continue
        except ApiError as problem:
            return f"the definition {kind.crd_name} cannot be read: {problem}"
        if not _is_established(definition):
            return f"the definition {kind.crd_name} is not established yet"
        annotations = child(definition, "metadata", "annotations")
        found[kind.crd_name] = {name: str(value) for name, value in annotations.items()}
    if missing := sorted({kind.crd_name for kind in KINDS} - set(found)):
        return f"the definitions {', '.join(missing)} are missing: apply the folder crds/ first"
    if outdated := find_outdated(found):
        return f"the definitions {', '.join(outdated)} are older than this operator: apply the folder crds/ first"
    return None


def _is_established(definition: JsonObject) -> bool:
    conditions = rows(child(definition, "status"), "conditions")
    return any(row.get("type") == "Established" and row.get("status") == "True" for row in conditions)
