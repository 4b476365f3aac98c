"""The body `http`: one call, judged by its status or by an expression over the answer."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.durations import parse_duration
from vapora.api.stepbodies import HttpBody
from vapora.core.calls import Answer, HttpCall, SecretRef
from vapora.core.conditions import cut
from vapora.core.expressions import ExpressionError, compile_expression
from vapora.core.procedures.answers import fail_call, read_body
from vapora.core.views import child, number, text
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Situation, Variables, know_nothing

DEFAULT_TIMEOUT = 30.0  # seconds
MAX_SHOWN_BYTES = 256  # of an answer, in a message
MAX_KEPT_BYTES = 4096  # of an answer that is no JSON, in the result
_TRACE = "traceparent"
# Timeouts, locks, limits: the same call may do later, and may have had its effect.
_PASSING = frozenset({408, 425, 429})


def call_http(situation: Situation) -> Next:
    """Makes the call and judges its answer.

    The result is {status, body}, with {contentType, text} where the answer is no JSON.
    """
    body = read_body(HttpBody, situation.body, "http")
    if isinstance(body, Failed):
        return body
    if situation.answer is None:
        return Ask(_build_call(body, situation))
    return judge_answer(situation.answer, body.expect, situation.variables)


def _build_call(body: HttpBody, situation: Situation) -> HttpCall:
    refs = {header.name: header.secret_key_ref for header in body.headers_from}
    has_own = any(name.lower() == _TRACE for name in (*body.headers, *refs))
    trace = {} if has_own or not situation.traceparent else {_TRACE: situation.traceparent}
    return HttpCall(
        method=body.method,
        url=body.url,
        key=situation.key,
        headers={**body.headers, **trace},
        secret_headers={name: SecretRef(ref.name, ref.key) for name, ref in refs.items()},
        body=body.body,
        timeout=DEFAULT_TIMEOUT if body.timeout is None else parse_duration(body.timeout),
    )


def judge_answer(answer: Answer, expect: str | None = None, variables: Variables = know_nothing) -> Finished | Failed:
    """Says whether an answer is a success: a status below 400, or what `expect` says of `response`."""
    if answer.is_failure:
        return fail_call(answer)
    response = answer.value if isinstance(answer.value, Mapping) else {}
    failure = _find_failure(response, expect, variables)
    if failure is None:
        return Finished(_build_result(response))
    if _is_passing(number(response, "status")):
        return Failed(Failure("HttpUnavailable", failure.message), is_definite=False)
    return Failed(failure)


def _find_failure(response: Json, expect: str | None, variables: Variables) -> Failure | None:
    status = number(response, "status")
    if expect is None:
        return None if status < 400 else Failure("HttpRefused", f"status {status}{_show(response)}")
    try:
        expression = compile_expression(expect)
        is_expected = expression.holds({**variables(expression), "response": response})
    except ExpressionError as problem:
        found = describe_no_json(_build_result(response)) or f"status {status}{_show(response)}"
        return Failure("HttpAnswerInvalid", cut(f"{found}; expect: {problem}"))
    return None if is_expected else Failure("HttpRefused", f"status {status}, expected {expect}{_show(response)}")


def _is_passing(status: int) -> bool:
    return status in _PASSING or status >= 500


def _show(response: Json) -> str:
    words = cut(text(response, "text").strip(), MAX_SHOWN_BYTES)
    return f": {words}" if words else ""


def _build_result(response: Json) -> Json:
    result = {"status": number(response, "status"), "body": response.get("body")}
    words = text(response, "text")
    if result["body"] is not None or words.strip() in {"", "null"}:
        return result
    if kind := text(child(response, "headers"), "content-type"):
        result["contentType"] = cut(kind, MAX_SHOWN_BYTES)
    return {**result, "text": cut(words, MAX_KEPT_BYTES)}


def describe_no_json(result: Json) -> str:
    """Says of the result of a call what the answer was that has no value in JSON; empty where it has one."""
    if result.get("body") is not None:
        return ""
    kind = text(result, "contentType") or "of no content type"
    found = f"no JSON ({kind})" if "text" in result else "empty"
    return f"status {number(result, 'status')}; the answer is {found}{_show(result)}"
