"""The body `scale`: sets the size of a pool or a service, remembers the former one, and gives it back."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.stepbodies import ScaleBody
from vapora.core.calls import MergeCall, ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call, name_object, read_body
from vapora.core.procedures.ownership import find_tracker
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Situation

Manifest = Mapping[str, object]


def scale(situation: Situation) -> Next:
    """Sets the size; the result is {replicas, former}, the memory {replicas, preImage: {replicas}}."""
    body = read_body(ScaleBody, situation.body, "scale")
    if isinstance(body, Failed):
        return body
    if not isinstance(body.replicas, int):
        return fail("InvalidInput", f"scale.replicas: {body.replicas!r} is no count: allowed is a number from 0")
    answer, memory, ref = situation.answer, situation.memory, _find_target(situation, body)
    # After a conflict, as after a crash, the object is looked at afresh; what it was at first stays in mind.
    if answer is None or answer.reason == "Conflict":
        return Ask(ReadCall((ref,)), memory)
    if answer.is_failure:
        return fail_call(answer, memory)
    return _set_size(ref, answer.value[0], body.replicas, memory) if isinstance(answer.value, list) else _finish(memory)


def _set_size(ref: ObjectRef, found: object, wanted: int, memory: Json) -> Next:
    if not isinstance(found, Mapping):
        return fail("NotFound", f"{name_object(ref)} is not there", memory)
    if tracker := find_tracker(found):
        return fail("ManagedElsewhere", _explain_tracker(ref, tracker), memory)
    if owner := _find_size_owner(found, ref):
        return fail("ReplicasOwned", owner, memory)
    size = _read_size(found)
    kept = {
        "preImage": {"replicas": size},
        **memory,
        "replicas": wanted,
    }  # a retry finds what was set
    return _finish(kept) if size == wanted else Ask(_build_merge(ref, found, wanted, before=size), kept)


def undo_scale(situation: Situation) -> Next:
    """Gives back the former size, where the size is still the one that the step set."""
    undoes, answer = situation.undoes or {}, situation.answer
    body = read_body(ScaleBody, situation.body, "scale")
    if isinstance(body, Failed):
        return body
    if "preImage" not in undoes:
        return Finished({"note": "the size was not changed"})
    ref = _find_target(situation, body)
    if answer is None or answer.reason == "Conflict":
        return Ask(ReadCall((ref,)))
    if answer.is_failure:
        return fail_call(answer)
    if isinstance(answer.value, list):
        return _give_back(ref, answer.value[0], undoes)
    return Finished({"replicas": child(undoes, "preImage").get("replicas")})


def _give_back(ref: ObjectRef, found: object, undoes: Json) -> Next:
    former = child(undoes, "preImage").get("replicas")
    if not isinstance(found, Mapping):
        return Finished({"note": f"{name_object(ref)} is gone"})
    size = _read_size(found)
    if size == former:
        return Finished({"replicas": former})
    if size != undoes.get("replicas"):
        return Finished({"note": f"the size of {name_object(ref)} was changed since, to {size}; it stays"})
    tracker = find_tracker(found)
    if owner := _explain_tracker(ref, tracker) if tracker else _find_size_owner(found, ref):
        return Finished({"note": owner})
    return Ask(_build_merge(ref, found, former, before=size))


def _find_target(situation: Situation, body: ScaleBody) -> ObjectRef:
    kind = "AgentPool" if body.pool else "Taskserv"
    return ObjectRef(API_VERSION, kind, situation.namespace, body.pool or body.taskserv or "")


def _read_size(found: Manifest) -> int | None:
    spec = child(found, "spec")
    return number(spec, "replicas") if "replicas" in spec else None


def _build_merge(ref: ObjectRef, found: Manifest, size: object, *, before: int | None) -> MergeCall:
    """Writes through `scale` where the kind has it and both sizes are numbers, as the subresource knows no absence."""
    guard = {"resourceVersion": text(child(found, "metadata"), "resourceVersion")}
    has_scale = ref.kind == "AgentPool" and size is not None and before is not None
    return MergeCall(ref, {"metadata": guard, "spec": {"replicas": size}}, "scale" if has_scale else "")


def _finish(memory: Json) -> Finished:
    former = child(memory, "preImage").get("replicas")
    return Finished({"replicas": memory.get("replicas"), "former": former}, memory)


def _explain_tracker(ref: ObjectRef, tracker: str) -> str:
    return f"{name_object(ref)} is tracked by {tracker}: change its size in Git"


def _find_size_owner(found: Manifest, ref: ObjectRef) -> str:
    """Says what else sets the size, and what to change; empty where nothing does."""
    name, scaling = name_object(ref), child(found, "spec", "scaling")
    if ref.kind == "Taskserv":
        return f"an HPA sets the size of {name}: change spec.scaling.min and max, or remove spec.scaling" * bool(
            scaling
        )
    mode = (text(scaling, "mode") or "queue") if scaling else "none"
    if mode == "queue":
        return (
            f"the operator sets the size of {name} by its queue (spec.scaling.mode queue), so kubectl scale and scale "
            "steps change nothing: change spec.scaling.min and max, or set mode none"
        )
    if mode == "hpa":
        return (
            f"an HPA sets the size of {name} (spec.scaling.mode hpa): change spec.scaling.min and max, or set mode none"
        )
    refused = [row for row in rows(child(found, "status"), "conditions") if row.get("reason") == "ForeignAutoscaler"]
    return f"another autoscaler sets the size of {name}: {text(refused[0], 'message')}" if refused else ""
