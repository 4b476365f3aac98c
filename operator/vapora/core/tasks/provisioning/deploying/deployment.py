"""Deploying by name: what is there is kept or changed, what is not is made of its definition, all is waited for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from vapora.core import naming
from vapora.core.calls import Answer, ObjectRef, ReadCall
from vapora.core.procedures.answers import fail_call, name_object
from vapora.core.procedures.apply import FIRST_PAUSE, apply
from vapora.core.procedures.inventory import decode_inventory
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.tasks.provisioning.deploying.changing import build_change, is_changed
from vapora.core.tasks.provisioning.deploying.definitions import Target, Wanted, resolve
from vapora.core.tasks.provisioning.deploying.health import Judge, await_health, judge_health
from vapora.core.tasks.provisioning.deploying.lookup import decode_refs, encode_refs
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, rows, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation

Manifest = Mapping[str, object]


class Wish(ABC):
    """Is one name that a step deploys."""

    @property
    @abstractmethod
    def wanted(self) -> Wanted:
        """Says what the name may stand for."""

    @abstractmethod
    def build_spec(self, spec: Manifest) -> Manifest | Failed:
        """Returns the spec of an object that is made of a definition's."""

    @abstractmethod
    def build_change(self, spec: Manifest) -> Manifest | Failed:
        """Returns what is changed of the spec of an object that is there; empty where it is kept."""


class Deployment(TaskType):
    """Is a task that deploys names; its rollback undoes what it made and changed, the last object first."""

    @abstractmethod
    def list_wishes(self) -> Sequence[Wish]:
        """Returns what is deployed."""

    def plan(self, situation: Situation) -> Next:
        """Goes on where its memory says that it stands."""
        return deploy(situation, self.list_wishes())

    def observe(self, situation: Situation) -> Next:
        """Reads the answer."""
        return deploy(situation, self.list_wishes())

    def compensate(self, situation: Situation) -> Next:
        """Deletes what was made, and gives what was changed its former values."""
        return undo_apply(situation)


def deploy(situation: Situation, wishes: Sequence[Wish]) -> Next:
    """Finds the objects, applies those that are made or changed, and waits until all do well.

    The result is {objects: [{kind, name, uid}], kept: [name]}, the memory {inventory}. While it runs the memory also
    has {search}, then {manifests, kept}, then {kept, looks}.
    """
    if (going := go_on(situation)) is not None:
        return going
    targets = resolve(situation, [wish.wanted for wish in wishes], keep_inventory(situation.memory))
    if not isinstance(targets, tuple):
        return targets
    return _begin(situation, wishes, targets)


def keep_inventory(memory: Json) -> Json:
    """Returns what a later try, and an undoing, must know of this one."""
    return {"inventory": memory["inventory"]} if "inventory" in memory else {}


def _begin(situation: Situation, wishes: Sequence[Wish], targets: Sequence[Target]) -> Next:
    """Decides which objects are written, and how."""
    inventory = keep_inventory(situation.memory)
    written = {entry.ref: entry.existed_before for entry in decode_inventory(inventory)}
    manifests: list[Manifest] = []
    kept: list[ObjectRef] = []
    for wish, target in zip(wishes, targets, strict=True):
        is_made = written.get(target.ref) is False
        is_new = target.live is None or is_made or "deletionTimestamp" in child(target.live, "metadata")
        decided = _build(wish, target) if is_new and target.definition else _change(situation, wish, target)
        if isinstance(decided, Failed):
            return replace(decided, memory=inventory)
        # What an earlier try has changed is written again, or it would not be undone.
        if decided is None or (target.ref not in written and not is_changed(target.live, decided)):
            kept.append(target.ref)
        else:
            manifests.append(decided)
    return begin_writing(situation, sort_by_needs(manifests), kept)


def begin_writing(situation: Situation, manifests: Sequence[Manifest], kept: Sequence[ObjectRef]) -> Next:
    """Writes the manifests, then waits for them and for the objects that are kept as they are."""
    memory = {**keep_inventory(situation.memory), "manifests": list(manifests), "kept": encode_refs(kept)}
    return _write(replace(situation, memory=memory, answer=None))


def go_on(situation: Situation, judge: Judge = judge_health) -> Next | None:
    """Goes on with writing or waiting; None where that has not begun."""
    if "looks" in situation.memory:
        return _watch(situation, judge)
    return _write(situation) if "manifests" in situation.memory else None


def _build(wish: Wish, target: Target) -> Manifest | Failed:
    definition = target.definition or {}
    spec = wish.build_spec(child(definition, "spec"))
    if isinstance(spec, Failed):
        return spec
    meta = {**child(definition, "metadata"), "name": target.ref.name, "namespace": target.ref.namespace}
    return {**definition, "apiVersion": target.ref.api_version, "kind": target.ref.kind, "metadata": meta, "spec": spec}


def _change(situation: Situation, wish: Wish, target: Target) -> Manifest | Failed | None:
    live = target.live or {}
    change = wish.build_change(child(live, "spec"))
    if isinstance(change, Failed):
        return change
    return build_change(live, {"spec": change}, naming.run_manager(situation.uid)) if change else None


def sort_by_needs(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Sorts Taskservs so that each comes after those it needs, in the given order where that leaves a choice.

    They are applied at once, as the operator itself holds back the first deploy of what has to wait; but a rollback
    takes them back in reverse order. Those in a circle keep their order: the operator refuses them.
    """
    waiting = {text(child(manifest, "metadata"), "name"): manifest for manifest in manifests}
    needs = {name: _list_needs(manifest) & waiting.keys() - {name} for name, manifest in waiting.items()}
    ordered: list[Manifest] = []
    while waiting:
        ready = [name for name in waiting if not needs[name] & waiting.keys()] or list(waiting)
        ordered += [waiting.pop(name) for name in ready]
    return ordered


def _list_needs(manifest: Manifest) -> set[str]:
    return {text(row, "name") for row in rows(child(manifest, "spec"), "dependencies")}


def _write(situation: Situation) -> Next:
    """Has the manifests applied; from the first look on they are waited for here, together with what was kept."""
    memory = dict(situation.memory)
    manifests, kept = memory.pop("manifests"), memory.pop("kept", [])
    if not manifests:
        return _watch(replace(situation, memory={**memory, "kept": kept, "looks": 0}, answer=None))
    decided = apply(replace(situation, body={"manifests": manifests}, memory=memory))
    match decided:
        case Ask():
            return replace(decided, memory={**decided.memory, "manifests": manifests, "kept": kept})
        case Rest():
            mine = {} if "looks" in decided.memory else {"manifests": manifests}
            return replace(decided, memory={**decided.memory, **mine, "kept": kept})
        case Finished():
            written = {**decided.memory, "kept": kept, "looks": 0}
            return _watch(replace(situation, memory=written, answer=None))
        case Failed():
            return decided


def _watch(situation: Situation, judge: Judge = judge_health) -> Next:
    memory, answer = situation.memory, situation.answer
    refs = [*(entry.ref for entry in decode_inventory(memory)), *decode_refs(memory, "kept")]
    if answer is None:
        return Ask(ReadCall(tuple(refs)), memory)
    if answer.is_failure:
        return rest_or_fail(situation, answer, keep_inventory(memory))
    found = answer.value if isinstance(answer.value, list) else []
    waiting = await_health(situation, list(zip(refs, found, strict=True)), memory, judge, bears_degraded=True)
    if isinstance(waiting, Failed):
        return replace(waiting, memory=keep_inventory(memory))
    return waiting or _finish(memory)


def rest_or_fail(situation: Situation, answer: Answer, kept: Json) -> Rest | Failed:
    """Waits for an API server that is away, however long; any other refusal ends the try."""
    if answer.reason == "ApiUnavailable":
        until = situation.now + timedelta(seconds=FIRST_PAUSE)
        return Rest(until, f"waits for the API: {answer.message}", situation.memory)
    return fail_call(answer, kept)


def _finish(memory: Json) -> Finished:
    entries = decode_inventory(memory)
    objects = [{"kind": entry.ref.kind, "name": entry.ref.name, "uid": entry.uid} for entry in entries]
    kept = [name_object(ref) for ref in decode_refs(memory, "kept")]
    return Finished({"objects": objects, "kept": kept}, keep_inventory(memory))
