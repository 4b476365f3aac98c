"""What a namespace can get of GPUs, memory and CPU: what is estimated is clamped to it, what is asked for is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from vapora.core.gpu.decision import GPU_RESOURCE, is_gpu_resource
from vapora.core.gpu.kueue import QueuePlace
from vapora.core.quantities import parse_quantity
from vapora.core.views import number, text

_TOLD = 6  # nodes named in one message
_PARTS = ("memory", "cpu")

Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Node:
    """Is what a node offers to pods, and what is told of its GPUs in labels; a cordoned one offers nothing."""

    name: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quota:
    """Is what a ResourceQuota allows at most, by the names that quotas give to resources."""

    name: str
    hard: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Capacity:
    """Is what a namespace can get; None is what could not be read.

    `refusals` says, by the uid of a Job, why its controller could make no Pod; `places` are by the uid of a Workload.
    """

    nodes: tuple[Node, ...] | None = None
    quotas: tuple[Quota, ...] | None = None
    has_kueue: bool = False
    refusals: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, QueuePlace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """Is what a step gets. `estimate` is {gpus, memory, cpu}; `limits` say what was clamped, and by what.

    `refusal` says why the step can never run as it asks; `absence` that no node offers a GPU now.
    """

    estimate: Object
    limits: tuple[str, ...] = ()
    refusal: str = ""
    absence: str = ""


def fit(estimate: Object, limits: Object, requests: Object, capacity: Capacity, *, resource: str = GPU_RESOURCE) -> Fit:
    """Fits an estimate into what there is. What the step itself asks for (`limits`, `requests`) is never changed."""
    own = {**requests, **limits}
    asked = {name: value for name, value in own.items() if is_gpu_resource(name)}
    fitted = Fit(estimate)
    if not asked:
        fitted = _clamp_gpus(fitted, resource, capacity)
        asked = {resource: number(fitted.estimate, "gpus")}
    refusal = next(filter(None, (_find_refusal(name, value, capacity) for name, value in {**own, **asked}.items())), "")
    absence = next(filter(None, (_find_absence(name, capacity) for name in asked)), "")
    fitted = replace(fitted, refusal=refusal, absence=absence)
    for part in _PARTS:
        if part not in own:
            fitted = _clamp_part(fitted, part, asked, capacity)
    return fitted


def describe_nodes(asked: Object, selector: Object, nodes: Sequence[Node] | None) -> str:
    """Says which nodes were looked at for GPUs, and what they have of them; empty where that is not known."""
    wanted = [name for name in asked if is_gpu_resource(name)]
    if nodes is None or not wanted:
        return ""
    said = []
    for name in wanted:
        offering = [node for node in nodes if _count(node, name)]
        if offering:
            listed = _enumerate([f"{node.name} ({_count(node, name)})" for node in offering])
            said.append(f"{name} is offered by {listed}")
        else:
            said.append(_tell_absence(name, nodes))
    for label, value in selector.items():
        known = sorted({node.labels[label] for node in nodes if label in node.labels})
        if value not in known and any(is_gpu_resource(name) for name in (label, *wanted)):
            said.append(f"no node has {label}={value}, there is {_enumerate(known) or 'no such label'}")
    return "; ".join(said)


def _clamp_gpus(fitted: Fit, resource: str, capacity: Capacity) -> Fit:
    """Asks for no more GPUs than the largest node has and the quota allows, but for one at least."""
    gpus = number(fitted.estimate, "gpus")
    most = [(_count(node, resource), f"node {node.name}") for node in capacity.nodes or () if _count(node, resource)]
    bounds = [max(most)] if most else []
    bounds += [(int(hard), by) for hard, by in _list_hard(resource, capacity)]
    least, by = min(bounds, default=(gpus, ""))
    if least >= gpus or least < 1:
        return fitted
    told = f"{least} of {gpus} GPUs, all that {by} has"
    return replace(fitted, estimate={**fitted.estimate, "gpus": least}, limits=(*fitted.limits, told))


def _clamp_part(fitted: Fit, part: str, asked: Object, capacity: Capacity) -> Fit:
    wanted = text(fitted.estimate, part)
    nodes = [node for node in capacity.nodes or () if all(_has(node, name, value) for name, value in asked.items())]
    offers = [(parse_quantity(node.allocatable[part]), node) for node in nodes if part in node.allocatable]
    bounds: list[tuple[Decimal, str, str]] = []
    if offers:
        size, node = max(offers, key=lambda offer: (offer[0], offer[1].name))
        bounds.append((size, node.allocatable[part], f"node {node.name}"))
    bounds += [(hard, f"{_write(hard)}", by) for hard, by in _list_hard(part, capacity) if hard > 0]
    size, written, by = min(bounds, default=(parse_quantity(wanted or "0"), wanted, ""))
    if not wanted or size >= parse_quantity(wanted):
        return fitted
    told = f"{part} {written} instead of {wanted}, all that {by} has"
    return replace(fitted, estimate={**fitted.estimate, part: written}, limits=(*fitted.limits, told))


def _find_refusal(name: str, value: object, capacity: Capacity) -> str:
    """Says which quota a request can never meet."""
    asked = parse_quantity(str(value))
    for hard, by in _list_hard(name, capacity):
        if asked > hard:
            return f"{by} allows {_write(hard)} of {name}, and the step asks for {value}"
    return ""


def _find_absence(name: str, capacity: Capacity) -> str:
    if capacity.nodes is None or any(_count(node, name) for node in capacity.nodes):
        return ""
    return _tell_absence(name, capacity.nodes)


def _tell_absence(name: str, nodes: Sequence[Node]) -> str:
    others = sorted({known for node in nodes for known in node.allocatable if is_gpu_resource(known)})
    looked = f"no node offers {name}; looked at {_enumerate([node.name for node in nodes]) or 'no node'}"
    return f"{looked}; offered are {_enumerate(others)}" if others else looked


def _list_hard(name: str, capacity: Capacity) -> list[tuple[Decimal, str]]:
    """Returns what quotas allow of a resource, each with the quota's name."""
    keys = (f"requests.{name}", f"limits.{name}", name)
    found = [(quota, quota.hard[key]) for quota in capacity.quotas or () for key in keys if key in quota.hard]
    return [(parse_quantity(hard), f"quota {quota.name}") for quota, hard in found]


def _has(node: Node, name: str, value: object) -> bool:
    return parse_quantity(node.allocatable.get(name, "0")) >= parse_quantity(str(value))


def _count(node: Node, name: str) -> int:
    return int(parse_quantity(node.allocatable.get(name, "0")))


def _write(quantity: Decimal) -> str:
    """Returns a quantity as Kubernetes writes it, in whole binary units where it is one."""
    for unit, size in (("Gi", Decimal(1024) ** 3), ("Mi", Decimal(1024) ** 2)):
        if quantity >= size and quantity % size == 0:
            return f"{quantity / size:f}{unit}"
    return f"{quantity.normalize():f}" if quantity % 1 == 0 else f"{quantity * 1000:.0f}m"


def _enumerate(names: Sequence[str]) -> str:
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")
