"""Whether a namespace's quotas have room for a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from vapora.cli.workflow.planning.schedule import Needs
from vapora.core.quantities import parse_quantity
from vapora.core.views import child, rows, text

Object = Mapping[str, object]
_SAME = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}  # two names for one thing


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is what quotas make of a run: `waits` where steps will wait for each other, `never` where one can never run."""

    verdict: Literal["none", "fits", "waits", "never", "unknown"]
    message: str


def measure_pod(manifest: Object) -> dict[str, Decimal]:
    """Returns what a Pod, or that of a Job, takes of quotas."""
    spec = child(manifest, "spec")
    pod = child(spec, "template", "spec") if "template" in spec else spec
    found: dict[str, Decimal] = {"pods": Decimal(1)}
    for container in rows(pod, "containers"):
        limits = child(container, "resources", "limits")
        requests = {**limits, **child(container, "resources", "requests")}
        for kind, amounts in (("requests", requests), ("limits", limits)):
            for name, amount in amounts.items():
                key = f"{kind}.{name}"
                found[key] = found.get(key, Decimal(0)) + parse_quantity(str(amount))
    return found


def judge_quota(quotas: Sequence[Object], largest: Mapping[str, Needs], peak: Needs) -> Verdict:
    """Judges by all quotas of the namespace; `largest` is what one Pod of each step takes."""
    if not quotas:
        return Verdict("none", "the namespace has no quota")
    never = [word for quota in quotas for word in _list_never(quota, largest)]
    if never:
        return Verdict("never", "; ".join(never))
    short = [word for quota in quotas for word in _list_short(quota, peak)]
    if short:
        return Verdict("waits", "; ".join(short))
    return Verdict("fits", f"all that runs at once fits into {', '.join(sorted(map(_name, quotas)))}")


def _list_never(quota: Object, largest: Mapping[str, Needs]) -> Iterator[str]:
    for resource, hard, _ in _list_limits(quota):
        for step, needs in largest.items():
            if needs.get(resource, 0) > hard:
                yield f"step {step} asks for {needs[resource]:f} {resource}, quota {_name(quota)} has {hard:f} in all"


def _list_short(quota: Object, peak: Needs) -> Iterator[str]:
    for resource, hard, used in _list_limits(quota):
        if peak.get(resource, 0) > hard - used:
            words = f"{hard - used:f} of {hard:f} {resource} are free in quota {_name(quota)}"
            yield f"up to {peak[resource]:f} are wanted at once, {words}"


def _list_limits(quota: Object) -> Iterator[tuple[str, Decimal, Decimal]]:
    status = child(quota, "status")
    used = child(status, "used")
    for name, hard in (child(status, "hard") or child(quota, "spec", "hard")).items():
        yield _SAME.get(name, name), parse_quantity(str(hard)), parse_quantity(str(used.get(name, 0)))


def _name(quota: Object) -> str:
    return text(child(quota, "metadata"), "name")
