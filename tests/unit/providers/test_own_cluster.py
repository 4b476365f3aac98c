"""The operator's own cluster against a definition: minimums, groups, what can be set and what cannot."""

import pytest

from vapora.api.cluster import ClusterDefinition
from vapora.core.provider.owncluster import Comparison, compare_nodes

MASTER = "node-role.kubernetes.io/control-plane"
TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def node(name: str, version: str = "v1.30.4", cpu: str = "8", **labels: str) -> dict[str, object]:
    status = {"nodeInfo": {"kubeletVersion": version}, "capacity": {"cpu": cpu, "memory": "16Gi"}}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def compare(*nodes: dict[str, object], version: str = "1.30", **group: object) -> Comparison:
    groups = [{"role": "worker", "count": 1, **group}]
    return compare_nodes(ClusterDefinition.model_validate({"name": "c", "version": version, "nodes": groups}), nodes)


DIFFERENCES: dict[str, tuple[Comparison, str]] = {
    "an old node": (compare(node("a", "v1.29.9")), "version: 1.30 is the least, but the oldest node has v1.29.9"),
    "too few": (compare(node("a"), count=2), "nodes[0]: 2 worker nodes are needed, there are 1"),
    "too small": (
        compare(node("a", cpu="2"), resources={"cpu": "4"}),
        "1 worker nodes of cpu 4 are needed, there are 0",
    ),
    "another role": (compare(node("a", **{MASTER: ""})), "1 worker nodes are needed, there are 0"),
    "a label with another value": (compare(node("a", disk="hdd"), labels={"disk": "ssd"}), "can be labelled disk=ssd"),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_what_cannot_be_set_is_told(case: str) -> None:
    found, words = DIFFERENCES[case]
    assert words in "; ".join(found.differences)


def test_a_newer_version_more_nodes_and_larger_ones_will_do() -> None:
    assert compare(node("a", "v1.31.0+k3s1"), node("b", cpu="16"), resources={"cpu": 4}) == Comparison((), ())


def test_the_node_that_lacks_least_is_taken_and_what_it_lacks_is_told() -> None:
    found = compare(node("a"), node("b", disk="ssd"), labels={"disk": "ssd"}, taints=[TAINT])
    assert [(lack.node, dict(lack.labels), lack.taints) for lack in found.adaptations] == [("b", {}, (TAINT,))]


def test_a_node_belongs_to_one_group() -> None:
    groups = [{"role": "worker", "count": 1}, {"role": "worker", "count": 1, "labels": {"disk": "ssd"}}]
    definition = ClusterDefinition.model_validate({"name": "c", "version": "1.30", "nodes": groups})
    assert compare_nodes(definition, [node("a", disk="ssd"), node("b")]) == Comparison((), ())
    assert len(compare_nodes(definition, [node("a", disk="ssd")]).differences) == 1
