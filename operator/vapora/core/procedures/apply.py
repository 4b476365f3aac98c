"""The body `apply`: writes down what it will touch, applies it, and waits until all of it is ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from vapora.api.stepbodies import ApplyBody
from vapora.core import naming
from vapora.core.calls import Answer, ApplyCall, MergeCall, ObjectRef, ReadCall
from vapora.core.procedures.answers import fail, fail_call, name_object, read_body
from vapora.core.procedures.fields import join_fields
from vapora.core.procedures.inventory import Entry, build_entry, decode_inventory, encode_inventory, fill_uids
from vapora.core.procedures.ownership import find_tracker, is_former_run, read_fields
from vapora.core.procedures.readiness import Broken, NotYet, Ready, Unknown, judge_readiness
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation

Manifest = Mapping[str, object]
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 2.0, 10.0, 1.5  # seconds between two looks, and by what they grow
MAX_TOLD = 3  # objects that a sentence names


def apply(situation: Situation) -> Next:
    """Applies the manifests; the result is {objects: [{kind, name, uid}]}, the memory {inventory}.

    While it runs the memory also has `applying`, once the write was asked for, or `looks`, the number of looks since.
    """
    body = read_body(ApplyBody, situation.body, "apply")
    manifests = body if isinstance(body, Failed) else _complete(body, situation)
    if isinstance(manifests, Failed):
        return manifests
    memory, answer = situation.memory, situation.answer
    refs = tuple(_find_ref(manifest) for manifest in manifests)
    if answer is None:
        return Ask(ReadCall(refs), memory if "looks" in memory else _keep_inventory(memory))
    if "applying" in memory or "looks" in memory:
        return _judge(situation, answer, refs)
    return _prepare(situation, answer, manifests, refs)


def _judge(situation: Situation, answer: Answer, refs: tuple[ObjectRef, ...]) -> Next:
    """Reads the answer to the apply, or to a look since."""
    memory = situation.memory
    if answer.reason == "ApiUnavailable" and "looks" in memory:
        return Rest(situation.now + timedelta(seconds=FIRST_PAUSE), f"waits for the API: {answer.message}", memory)
    if answer.is_failure:  # with the inventory alone the next try applies again, and an undoing knows what may be there
        return fail_call(answer, _keep_inventory(memory))
    stored = answer.value if isinstance(answer.value, list) else []
    if "looks" not in memory:
        inventory = fill_uids(decode_inventory(memory), stored)
        memory = {"inventory": encode_inventory(inventory), "looks": 0}
    return _await_ready(situation, stored, refs, memory)


def _complete(body: ApplyBody, situation: Situation) -> tuple[Manifest, ...] | Failed:
    """Returns the manifests with namespace and label, or what is wrong with one."""
    completed: list[Manifest] = []
    for index, manifest in enumerate(body.manifests):
        meta, where = child(manifest, "metadata"), f"apply.manifests[{index}]"
        needed = {"apiVersion": manifest, "kind": manifest, "name": meta}
        missing = next((name for name, place in needed.items() if not text(place, name)), None)
        if missing:
            return fail("InvalidInput", f"{where}.{'metadata.' * (missing == 'name')}{missing}: a text is needed")
        labels = {**child(meta, "labels"), naming.LABEL_APPLIED_BY: situation.uid}
        namespace = text(meta, "namespace") or situation.namespace
        completed.append({**manifest, "metadata": {**meta, "namespace": namespace, "labels": labels}})
    refs = [_find_ref(manifest) for manifest in completed]
    twice = next((ref for index, ref in enumerate(refs) if ref in refs[:index]), None)
    if twice:
        return fail("InvalidInput", f"apply.manifests: {name_object(twice)} stands there twice")
    return tuple(completed)


def _find_ref(manifest: Manifest) -> ObjectRef:
    meta = child(manifest, "metadata")
    return ObjectRef(text(manifest, "apiVersion"), text(manifest, "kind"), text(meta, "namespace"), text(meta, "name"))


def _prepare(
    situation: Situation, answer: Answer, manifests: tuple[Manifest, ...], refs: tuple[ObjectRef, ...]
) -> Next:
    """Refuses what others track, takes over what former runs applied, then writes the inventory and applies."""
    memory, manager = situation.memory, naming.run_manager(situation.uid)
    if answer.reason == "Conflict" or isinstance(answer.value, Mapping):
        return Ask(ReadCall(refs), memory)  # somebody wrote meanwhile, or fields were taken over
    if answer.is_failure:
        return fail_call(answer, memory)
    stored = answer.value if isinstance(answer.value, list) else []
    found = {ref: manifest for ref, manifest in zip(refs, stored, strict=True) if isinstance(manifest, Mapping)}
    for ref, manifest in found.items():
        if tracker := find_tracker(manifest):
            return fail("ManagedElsewhere", f"{name_object(ref)} is tracked by {tracker}: change it in Git", memory)
    if leaving := [ref for ref, manifest in found.items() if "deletionTimestamp" in child(manifest, "metadata")]:
        why = f"waits until {_shorten([name_object(ref) for ref in leaving])} is deleted"
        return Rest(situation.now + timedelta(seconds=FIRST_PAUSE), why, memory)
    takeovers = (_plan_takeover(ref, manifest, manager) for ref, manifest in found.items())
    if takeover := next(filter(None, takeovers), None):
        return Ask(takeover, memory)
    inventory = _write_down(decode_inventory(memory), refs, found, manager)
    return Ask(ApplyCall(manifests, manager), {"inventory": encode_inventory(inventory), "applying": True})


def _write_down(
    former: Sequence[Entry], refs: Sequence[ObjectRef], found: Mapping[ObjectRef, Manifest], manager: str
) -> list[Entry]:
    """Returns the inventory; of what an earlier try has applied already, it keeps how that try had found it."""
    known = {entry.ref: entry for entry in former if read_fields(found.get(entry.ref, {}), manager)}
    return [known.get(ref) or build_entry(ref, found.get(ref), manager) for ref in refs]


def _plan_takeover(ref: ObjectRef, found: Manifest, manager: str) -> MergeCall | None:
    """Makes the fields that former runs applied this run's own; without that the next run would conflict with them."""
    meta = child(found, "metadata")
    entries = rows(meta, "managedFields")
    former = [
        row for row in entries if is_former_run(text(row, "manager"), manager) and row.get("operation") == "Apply"
    ]
    if not former:
        return None
    fields = read_fields(found, manager)
    for row in former:
        fields = join_fields(fields, child(row, "fieldsV1"))
    kept = [row for row in entries if row not in former and text(row, "manager") != manager]
    ours = {**former[-1], "manager": manager, "fieldsV1": fields}
    guard = {"resourceVersion": text(meta, "resourceVersion"), "uid": text(meta, "uid")}
    return MergeCall(ref, {"metadata": {**guard, "managedFields": [*kept, ours]}})


def _keep_inventory(memory: Json) -> Json:
    return {"inventory": memory["inventory"]} if "inventory" in memory else {}


def _await_ready(situation: Situation, stored: Sequence[object], refs: tuple[ObjectRef, ...], memory: Json) -> Next:
    looks = number(memory, "looks")
    waits: list[str] = []
    for ref, found in zip(refs, stored, strict=True):
        readiness = judge_readiness(found) if isinstance(found, Mapping) else Broken("it is gone")
        match readiness:
            case Broken(why):
                return fail("ObjectFailed", f"{name_object(ref)}: {why}", _keep_inventory(memory))
            case NotYet(why):
                waits.append(f"{name_object(ref)} ({why})")
            case Unknown() if looks == 0:  # its controller may write the status in a moment
                waits.append(f"{name_object(ref)} (it has no status yet)")
            case Ready() | Unknown():
                pass
    if not waits:
        return _finish(decode_inventory(memory))
    pause = timedelta(seconds=min(FIRST_PAUSE * GROWTH**looks, LONGEST_PAUSE))
    return Rest(situation.now + pause, f"waits for {_shorten(waits)}", {**memory, "looks": looks + 1})


def _finish(inventory: Sequence[Entry]) -> Finished:
    objects = [{"kind": entry.ref.kind, "name": entry.ref.name, "uid": entry.uid} for entry in inventory]
    return Finished({"objects": objects}, {"inventory": encode_inventory(inventory)})


def _shorten(told: Sequence[str]) -> str:
    more = len(told) - MAX_TOLD
    return ", ".join(told[:MAX_TOLD]) + (f" and {more} more" if more > 0 else "")
