"""Whether any node is large enough: said before a pod waits for one that is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapora.api.reasons import Reason
from vapora.api.taskserv import MinimumResources
from vapora.core.conditions import Condition
from vapora.core.quantities import parse_quantity

_RESOURCES = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}


@dataclass(frozen=True, slots=True)
class NodeSize:
    """Is what a node can give to pods, by resource, as quantities."""

    name: str
    allocatable: Mapping[str, str]


def judge_capacity(minimum: MinimumResources | None, nodes: Sequence[NodeSize] | None) -> Condition | None:
    """Says whether one node offers all that is needed; None where nothing is asked for or the nodes are not known."""
    needed = {name: quantity for name in _RESOURCES if minimum and (quantity := getattr(minimum, name)) is not None}
    if not needed or nodes is None:
        return None
    if any(all(_offers(node, name, quantity) for name, quantity in needed.items()) for node in nodes):
        return Condition("ResourcesSufficient", "True", Reason.AsExpected, "a node offers the minimum")
    asked = ", ".join(f"{name} {quantity}" for name, quantity in needed.items())
    largest = ", ".join(_tell_largest(name, nodes) for name in needed)
    message = f"no node offers {asked}; at most there is {largest}"
    return Condition("ResourcesSufficient", "False", Reason.NodesTooSmall, message)


def _offers(node: NodeSize, name: str, quantity: int | str) -> bool:
    return parse_quantity(node.allocatable.get(_RESOURCES[name], 0)) >= parse_quantity(quantity)


def _tell_largest(name: str, nodes: Sequence[NodeSize]) -> str:
    offered = [node.allocatable.get(_RESOURCES[name], "0") for node in nodes]
    return f"{name} {max(offered, key=parse_quantity, default='0')}"
