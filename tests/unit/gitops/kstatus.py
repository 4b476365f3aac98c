"""How kstatus (sigs.k8s.io/cli-utils) reads an object of a kind that it has no rules for."""

from typing import Any

Json = dict[str, Any]


def compute(obj: Json) -> str:
    """Terminating, InProgress, Failed or Current."""
    meta, status = obj["metadata"], obj.get("status", {})
    if meta.get("deletionTimestamp"):
        return "Terminating"
    if "generation" in meta and status.get("observedGeneration", meta["generation"]) != meta["generation"]:
        return "InProgress"
    conditions = status.get("conditions", [])
    for row in conditions:  # in their order: the first that holds decides
        if row["status"] == "True" and row["type"] in {"Reconciling", "Stalled"}:
            return "InProgress" if row["type"] == "Reconciling" else "Failed"
    ready = next((row["status"] for row in conditions if row["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
