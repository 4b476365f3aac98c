"""Small procedures for tests: one call, a look and then a write, a rest, a question; and how a write is undone."""

from __future__ import annotations

from datetime import timedelta

from vapora.core.calls import ApplyCall, DeleteCall, HttpCall, ObjectRef, ReadCall
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Rest, Situation


def call_once(situation: Situation) -> Next:
    """Sends one request and takes any answer."""
    answer = situation.answer
    if answer is None:
        return Ask(HttpCall("POST", str(situation.body.get("url", "")), situation.key))
    if answer.is_failure:
        return Failed(Failure(answer.reason, answer.message), is_definite=answer.is_definite)
    return Finished(answer.value)


def look_then_write(situation: Situation) -> Next:
    """Reads an object, keeps in mind how it was, and writes it."""
    answer, memory = situation.answer, situation.memory
    ref = ObjectRef("v1", "ConfigMap", situation.namespace, "c")
    if answer is None:
        return Ask(ReadCall((ref,)), memory if "before" in memory else {})
    if answer.is_failure:
        return Failed(Failure(answer.reason, answer.message), memory, is_definite=answer.is_definite)
    if "before" not in memory:
        return Ask(ApplyCall((), situation.key), {"before": answer.value})
    if isinstance(answer.value, list):  # it has read anew what an earlier process may have written
        return Ask(ApplyCall((), situation.key), memory)
    return Finished({"v": answer.value}, memory)


def rest(situation: Situation) -> Next:
    """Waits as many seconds as the body says."""
    until = situation.started_at + timedelta(seconds=float(str(situation.body["for"])))
    return Finished() if situation.now >= until else Rest(until, "waits for the time")


def ask_people(situation: Situation) -> Next:
    """Waits for one person's word."""
    for decision in situation.decisions:
        if not decision.is_approval:
            return Failed(Failure("ApprovalRejected", f"rejected by {decision.user}"))
    if situation.decisions:
        return Finished({"by": situation.decisions[0].user})
    return Rest(None, f"waits for an approval: {situation.body['message']}")


def delete_what_was_written(situation: Situation) -> Next:
    """Undoes `look_then_write`, by what that kept in mind."""
    if situation.answer is None:
        assert situation.undoes is not None
        return Ask(DeleteCall(((ObjectRef("v1", "ConfigMap", "", str(situation.undoes.get("before"))), ""),)))
    if situation.answer.is_failure:
        answer = situation.answer
        return Failed(Failure(answer.reason, answer.message), is_definite=answer.is_definite)
    return Finished()


PROCEDURES = {
    "http": call_once,
    "apply": look_then_write,
    "wait": rest,
    "approval": ask_people,
    "task": call_once,
    "scale": look_then_write,
}
UNDOINGS = {"apply": delete_what_was_written, "scale": delete_what_was_written, "task": call_once}
