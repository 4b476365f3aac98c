"""What is done to the objects that a Provider's things are: deleted, made again, looked at, waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from vapora.core.calls import DeleteCall, ListCall, Listing, ObjectRef, ReadCall, read_listed
from vapora.core.naming import LABEL_PROVIDER
from vapora.core.procedures.answers import fail, fail_call, name_object
from vapora.core.procedures.apply import FIRST_PAUSE, GROWTH, LONGEST_PAUSE, apply
from vapora.core.procedures.inventory import build_entry, decode_inventory, encode_inventory, is_ours
from vapora.core.procedures.ownership import find_tracker
from vapora.core.procedures.readiness import Broken, NotYet, Readiness, Ready, judge_readiness
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Procedure, Rest, Situation

Manifest = Mapping[str, object]
_READY = frozenset({"Ready", "Available"})
_OTHERS = frozenset({"ownerReferences", "finalizers"})  # of whoever will have to do with the new object


def find_ref(manifest: Manifest, namespace: str) -> ObjectRef:
    """Names the object that a manifest describes."""
    meta = child(manifest, "metadata")
    return ObjectRef(text(manifest, "apiVersion"), text(manifest, "kind"), namespace, text(meta, "name"))


def apply_objects(*manifests: Manifest) -> Procedure:
    """Returns a procedure that applies manifests as the body `apply` does."""
    return lambda situation: apply(replace(situation, body={"manifests": list(manifests)}))


def look_for(manifest: Manifest, *, is_needed: bool) -> Procedure:
    """Returns a procedure that looks whether an object is there; the memory is {exists}."""

    def look(situation: Situation) -> Next:
        ref, answer = find_ref(manifest, situation.namespace), situation.answer
        if answer is None:
            return Ask(ReadCall((ref,)))
        if answer.is_failure:
            return fail_call(answer)
        exists = isinstance(answer.value, list) and isinstance(answer.value[0], Mapping)
        if is_needed and not exists:
            return fail("NotFound", f"{name_object(ref)} is not there")
        return Finished(None, {"exists": exists})

    return look


def check_object(manifest: Manifest, *, says_ready: bool) -> Procedure:
    """Returns a procedure that fails where an object is not there or not ready, and changes nothing."""

    def check(situation: Situation) -> Next:
        ref, answer = find_ref(manifest, situation.namespace), situation.answer
        if answer is None:
            return Ask(ReadCall((ref,)))
        if answer.is_failure:
            return fail_call(answer)
        found = answer.value[0] if isinstance(answer.value, list) else None
        if not isinstance(found, Mapping):
            return fail("NotFound", f"{name_object(ref)} is not there")
        standing = judge_object(found, says_ready=says_ready)
        if isinstance(standing, Ready):
            return Finished({"name": ref.name, "state": "Ready"})
        why = standing.why if isinstance(standing, NotYet | Broken) else "it has no status"
        return fail("ObjectFailed", f"{name_object(ref)}: {why}")

    return check


def await_object(manifest: Manifest) -> Procedure:
    """Returns a procedure that waits until an object's own controller says that it is ready; the memory is {looks}."""

    def wait(situation: Situation) -> Next:
        ref, answer, looks = (
            find_ref(manifest, situation.namespace),
            situation.answer,
            number(situation.memory, "looks"),
        )
        if answer is None:
            return Ask(ReadCall((ref,)), situation.memory)
        if answer.is_failure and answer.reason != "ApiUnavailable":
            return fail_call(answer)
        found = answer.value[0] if isinstance(answer.value, list) else None
        standing: Readiness = NotYet(answer.message)
        if not answer.is_failure:
            is_there = isinstance(found, Mapping)
            standing = judge_object(found, says_ready=True) if is_there else Broken("it is gone")  # type: ignore[arg-type]  # is_there says so
        if isinstance(standing, Ready):
            return Finished({"name": ref.name, "state": "Ready"})
        if isinstance(standing, Broken):
            return fail("ObjectFailed", f"{name_object(ref)}: {standing.why}")
        pause = timedelta(seconds=min(FIRST_PAUSE * GROWTH**looks, LONGEST_PAUSE))
        why = standing.why if isinstance(standing, NotYet) else "it has no status yet"
        return Rest(situation.now + pause, f"waits for {name_object(ref)} ({why})", {"looks": looks + 1})

    return wait


def judge_object(found: Manifest, *, says_ready: bool) -> Readiness:
    """Says how an object stands; one with a controller is not ready before that has said so."""
    standing = judge_readiness(found)
    types = {text(row, "type") for row in rows(child(found, "status"), "conditions")}
    if isinstance(standing, Ready) and says_ready and not types & _READY:
        return NotYet("its controller has not said that it is ready")
    return standing


def delete_object(manifest: Manifest) -> Procedure:
    """Returns a procedure that deletes an object and waits until it is gone; the memory is {inventory}."""

    def delete(situation: Situation) -> Next:
        answer, memory = situation.answer, situation.memory
        ref = find_ref(manifest, situation.namespace)
        inventory = decode_inventory(memory)
        if answer is None:
            doomed = tuple((entry.ref, entry.uid) for entry in inventory if "deleting" in memory)
            return Ask(DeleteCall(doomed) if doomed else ReadCall((ref,)), memory)
        if answer.is_failure:
            return fail_call(answer, {name: memory[name] for name in ("inventory",) if name in memory})
        if not isinstance(answer.value, list):
            return Ask(ReadCall((ref,)), {"inventory": memory["inventory"]})
        found = answer.value[0]
        return _await_gone(situation, found) if inventory else _begin_deletion(ref, found)

    return delete


def _begin_deletion(ref: ObjectRef, found: object) -> Next:
    if not isinstance(found, Mapping):
        return Finished({"note": f"{name_object(ref)} is not there"})
    if tracker := find_tracker(found):
        return fail("ManagedElsewhere", f"{name_object(ref)} is tracked by {tracker}: delete it in Git")
    entry = build_entry(ref, found, "")
    kept: Json = {"inventory": encode_inventory([entry]), "deleting": True}
    return Ask(DeleteCall(((entry.ref, entry.uid),)), kept)


def _await_gone(situation: Situation, found: object) -> Next:
    [entry] = decode_inventory(situation.memory)
    kept: Json = {"inventory": situation.memory["inventory"]}
    if not isinstance(found, Mapping) or not is_ours(entry, found, situation.uid):
        return Finished({"deleted": [name_object(entry.ref)]}, kept)
    if "deletionTimestamp" not in child(found, "metadata"):  # an earlier try did not get that far
        return Ask(DeleteCall(((entry.ref, entry.uid),)), {**kept, "deleting": True})
    until = situation.now + timedelta(seconds=FIRST_PAUSE)
    return Rest(until, f"waits until {name_object(entry.ref)} is gone", kept)


def make_again(deleted: Json) -> Procedure:
    """Returns a procedure that makes what was deleted as it was."""
    manifests = []
    for entry in decode_inventory(deleted):
        former = entry.pre_image or {}
        meta = {name: value for name, value in child(former, "metadata").items() if name not in _OTHERS}
        manifests.append({**former, "metadata": meta})
    return apply_objects(*manifests)


def unless_used(provider: str, counts: Callable[[Manifest], bool], manifests: Sequence[Manifest]) -> Procedure:
    """Returns a procedure that deletes objects of a Provider once none is left that `counts` as a user of them."""

    def decide(situation: Situation) -> Next:
        answer, memory = situation.answer, situation.memory
        if "doomed" not in memory:
            if answer is None:
                return Ask(ListCall((Listing("v1", "ConfigMap", situation.namespace, f"{LABEL_PROVIDER}={provider}"),)))
            if answer.is_failure:
                return fail_call(answer)
            found = read_listed(answer)
            names = {text(child(manifest, "metadata"), "name") for manifest in manifests}
            doomed = [row for row in found if text(child(row, "metadata"), "name") in names]
            if not doomed or any(counts(row) for row in found):
                return Finished()
            memory = {"doomed": [[text(child(row, "metadata"), each) for each in ("name", "uid")] for row in doomed]}
            return Ask(_build_deletion(situation, memory), memory)
        if answer is None:
            return Ask(_build_deletion(situation, memory), memory)
        return Failed(fail_call(answer).failure, memory) if answer.is_failure else Finished()

    return decide


def _build_deletion(situation: Situation, memory: Json) -> DeleteCall:
    doomed = memory.get("doomed")
    pairs = [pair for pair in doomed if isinstance(pair, list)] if isinstance(doomed, list) else []
    return DeleteCall(
        tuple((ObjectRef("v1", "ConfigMap", situation.namespace, str(name)), str(uid)) for name, uid in pairs)
    )
