"""How Flux evaluates health check expressions (fluxcd/pkg, runtime/cel)."""

from pathlib import Path
from typing import Any

import cel
import yaml

Json = dict[str, Any]
COMPONENT = Path(__file__).parents[3] / "kustomize" / "components" / "flux"
_ORDER = (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current"))


def load_checks() -> list[Json]:
    """The health checks that the component adds to each Kustomization."""
    [operation] = yaml.safe_load((COMPONENT / "health-checks.yaml").read_text())
    return list(operation["value"])


def evaluate(obj: Json) -> str:
    """InProgress, Failed or Current; Unknown where an expression cannot be evaluated, which Flux waits on."""
    check = next(row for row in load_checks() if (row["apiVersion"], row["kind"]) == (obj["apiVersion"], obj["kind"]))
    generation = obj["metadata"]["generation"]
    if obj.get("status", {}).get("observedGeneration", generation) != generation:
        return "InProgress"
    for field, status in _ORDER:
        if field not in check:
            continue
        try:
            value = cel.compile(check[field]).execute(obj)
        except (KeyError, RuntimeError, ValueError):
            return "Unknown"
        assert isinstance(value, bool)
        if value:
            return status
    return "InProgress"
