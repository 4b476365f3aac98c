"""Checking the cluster that the operator runs in, adapting its nodes, and giving them back what they had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vapora.api.cluster import ClusterDefinition
from vapora.core.calls import Answer, ListCall, Listing, MergeCall, ObjectRef, ReadCall, read_listed
from vapora.core.conditions import cut
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.provider.owncluster import Adaptation, compare_nodes, find_missing_classes, read_taints
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.procedure import Ask, Finished, Json, Next, Procedure, Situation

Manifest = Mapping[str, object]


def adapt_cluster(definition: ClusterDefinition, *, changes: bool) -> Procedure:
    """Returns a procedure that fails with all differences, else sets what labels and taints nodes lack.

    The memory is {changed: [{node, labels, taints}]}: what was set, durable before it is. Without `changes` what
    nodes lack is a difference too.
    """

    def adapt(situation: Situation) -> Next:
        answer, memory = situation.answer, situation.memory
        if answer is None or answer.reason == "Conflict":  # a node was changed meanwhile: all is looked at anew
            return Ask(ListCall((Listing("v1", "Node", ""),)), _keep(memory))
        if answer.is_failure:
            return fail_call(answer, _keep(memory))
        if "differences" in memory:
            return _conclude(definition, memory, answer)
        if isinstance(answer.value, list):
            return _compare(definition, read_listed(answer), memory, changes=changes)
        return Ask(ListCall((Listing("v1", "Node", ""),)), _keep(memory))

    return adapt


def _keep(memory: Json) -> Json:
    return {"changed": memory["changed"]} if "changed" in memory else {}


def _compare(definition: ClusterDefinition, nodes: Sequence[Manifest], memory: Json, *, changes: bool) -> Next:
    found = compare_nodes(definition, nodes)
    differences = list(found.differences)
    if not changes:
        differences += [_tell_lack(lack) for lack in found.adaptations]
    if differences or not found.adaptations:
        told = {"differences": differences, "nodes": len(nodes)}
        return Ask(ListCall((Listing("storage.k8s.io/v1", "StorageClass", ""),)), {**_keep(memory), **told})
    lack = found.adaptations[0]
    node = next(node for node in nodes if text(child(node, "metadata"), "name") == lack.node)
    changed = [*rows(memory, "changed"), {"node": lack.node, "labels": dict(lack.labels), "taints": list(lack.taints)}]
    merged = {"changed": [row for place, row in enumerate(changed) if row not in changed[:place]]}
    return Ask(_build_merge(node, lack.labels, [*read_taints(node), *lack.taints] if lack.taints else None), merged)


def _conclude(definition: ClusterDefinition, memory: Json, answer: Answer) -> Next:
    told = memory.get("differences")
    differences = [str(each) for each in told] if isinstance(told, list) else []
    differences += find_missing_classes(definition, read_listed(answer))
    if differences:
        words = cut(f"the cluster is not as {definition.name} is defined: {'; '.join(differences)}")
        return fail("ClusterDiffers", words, _keep(memory))
    changed = [text(row, "node") for row in rows(memory, "changed")]
    network, storage = definition.network.model_dump(exclude_none=True, by_alias=True), definition.storage.provider
    result = {
        "name": definition.name,
        "nodes": number(memory, "nodes"),
        "adapted": list(dict.fromkeys(changed)),
        "addons": list(definition.addons),
        "unchecked": {**network, **({"storage": storage} if storage else {})},
    }
    return Finished(result, _keep(memory))


def _tell_lack(lack: Adaptation) -> str:
    labels = [f"label {name}={value}" for name, value in lack.labels.items()]
    taints = [f"taint {text(taint, 'key')}:{text(taint, 'effect')}" for taint in lack.taints]
    return f"node {lack.node} lacks {', '.join([*labels, *taints])}"


def _build_merge(node: Manifest, labels: Mapping[str, object], taints: Sequence[Manifest] | None) -> MergeCall:
    meta = child(node, "metadata")
    guard = {"resourceVersion": text(meta, "resourceVersion"), "uid": text(meta, "uid")}
    body: dict[str, object] = {"metadata": {**guard, "labels": dict(labels)}}
    if taints is not None:
        body["spec"] = {"taints": [dict(taint) for taint in taints]}
    return MergeCall(ObjectRef("v1", "Node", "", text(meta, "name")), body)


def restore_nodes(changed: Sequence[Json]) -> Procedure:
    """Returns a procedure that takes off nodes what was set there, the last first, where it is still as it was set."""
    last_first = list(reversed(changed))

    def restore(situation: Situation) -> Next:
        answer, at = situation.answer, number(situation.memory, "at")
        if answer is not None and answer.is_failure and answer.reason != "Conflict":
            return fail_call(answer, situation.memory)
        if answer is not None and isinstance(answer.value, Mapping):
            at += 1
        elif answer is not None and isinstance(answer.value, list):
            merge = _plan_restore(answer.value[0], last_first[at])
            if merge is not None:
                return Ask(merge, {"at": at, "merging": True})
            at += 1
        if at == len(last_first):
            return Finished({"restored": [text(row, "node") for row in last_first]})
        return Ask(ReadCall((ObjectRef("v1", "Node", "", text(last_first[at], "node")),)), {"at": at})

    return restore


def _plan_restore(node: object, row: Json) -> MergeCall | None:
    """Returns the change; None where the node is gone or has nothing left of it."""
    if not isinstance(node, Mapping):
        return None
    labels, there = child(node, "metadata", "labels"), read_taints(node)
    gone = {name: None for name, value in child(row, "labels").items() if labels.get(name) == value}
    added = rows(row, "taints")
    kept = [taint for taint in there if taint not in added]
    if not gone and kept == there:
        return None
    return _build_merge(node, gone, kept if kept != there else None)
