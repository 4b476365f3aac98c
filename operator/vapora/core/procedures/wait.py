"""The body `wait`: for a time, or until an object is in a state."""

from __future__ import annotations

import json
from datetime import timedelta

from vapora.api.durations import parse_duration
from vapora.api.stepbodies import WaitBody, WaitObject
from vapora.core.calls import Answer, ObjectRef, ReadCall
from vapora.core.conditions import cut
from vapora.core.expressions import Expression, ExpressionError, MissingKey, compile_expression
from vapora.core.procedures.answers import fail, fail_call, name_object, read_body
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation

DEFAULT_EVERY = 10.0  # seconds
MAX_SHOWN_BYTES = 128  # of a message of the API server, in a sentence
# Neither an API server that is away nor a kind that is not there yet says anything of the state.
_PASSING = frozenset({"ApiUnavailable", "NotFound"})


def wait(situation: Situation) -> Next:
    """Waits; with `until` the result is {object}, as it was when the expression held."""
    body = read_body(WaitBody, situation.body, "wait")
    if isinstance(body, Failed):
        return body
    if body.for_ is not None:
        return _wait_for(situation, parse_duration(body.for_))
    if body.object is None or body.until is None:
        return fail("InvalidInput", "wait: exactly one of for and until is needed")
    return _wait_until(situation, body, body.object, body.until)


def _wait_for(situation: Situation, seconds: float) -> Next:
    end = situation.started_at + timedelta(seconds=seconds)
    return Finished() if situation.now >= end else Rest(end, f"waits for {seconds:g} s")


def _wait_until(situation: Situation, body: WaitBody, target: WaitObject, until: str) -> Next:
    try:
        expression = compile_expression(until)
    except ExpressionError as problem:
        return fail("ExpressionFailed", f"wait.until: {problem}")
    ref = ObjectRef(target.api_version, target.kind, situation.namespace, target.name)
    if situation.answer is None:
        return Ask(ReadCall((ref,)))
    standing = _judge(situation.answer, ref, expression, situation.variables(expression))
    if not isinstance(standing, str):
        return standing
    every = DEFAULT_EVERY if body.every is None else parse_duration(body.every)
    return Rest(situation.now + timedelta(seconds=every), standing)


def _judge(answer: Answer, ref: ObjectRef, expression: Expression, variables: Json) -> Finished | Failed | str:
    """Returns the end, or the sentence that says why not yet."""
    if answer.reason in _PASSING:
        return f"waits for {name_object(ref)}: {cut(answer.message, MAX_SHOWN_BYTES)}"
    if answer.is_failure:
        return fail_call(answer)
    observed = answer.value[0] if isinstance(answer.value, list) and answer.value else None
    try:
        value = expression.evaluate({**variables, "object": observed})
    except ExpressionError as problem:
        return _explain(problem, ref, expression, is_there=observed is not None)
    if not isinstance(value, bool):
        shown = cut(json.dumps(value, default=str), MAX_SHOWN_BYTES)
        return fail("ExpressionFailed", f"wait.until: {expression.source!r} gave {shown}; it must give true or false")
    if value:
        return Finished({"object": observed})
    there = "" if observed is not None else ", which is not there"
    return f"waits for {name_object(ref)}{there}: {expression.source} is false"


def _explain(problem: ExpressionError, ref: ObjectRef, expression: Expression, *, is_there: bool) -> Failed | str:
    """Says what an expression without a value means: nothing yet where something is missing, else a mistake."""
    if not is_there:
        return f"waits for {name_object(ref)}, which is not there: {expression.source} has no value yet"
    if isinstance(problem, MissingKey) or isinstance(problem.__cause__, IndexError):
        return f"waits for {name_object(ref)}: {expression.source} has no value yet ({_name_missing(problem)})"
    return fail("ExpressionFailed", f"wait.until, on {name_object(ref)}: {problem}")


def _name_missing(problem: ExpressionError) -> str:
    return f"no field {problem.__cause__}" if isinstance(problem, MissingKey) else str(problem.__cause__)
