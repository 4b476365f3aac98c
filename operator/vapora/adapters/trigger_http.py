"""The triggers prometheus and http: a number out of a JSON answer."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

import jmespath
from jmespath.exceptions import JMESPathError

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable
from vapora.core.conditions import cut
from vapora.core.views import child, number, rows, text

HttpGet = Callable[[str], Awaitable[Mapping[str, object]]]
_MOST_SHOWN = 200  # bytes of an answer
_MAX = 10**9


async def read_prometheus(get: HttpGet, probe: Probe) -> QueueDepth:
    """Runs an instant query, which must give one number; a series that is not there is unknown, not 0."""
    url = f"{probe.url.rstrip('/')}/api/v1/query?{urlencode({'query': probe.subject})}"
    answer = await get(url)
    body = child(answer, "body")
    if text(body, "status") != "success":
        raise TriggerUnreadable(text(body, "error") or _describe(answer))
    data = child(body, "data")
    if text(data, "resultType") == "scalar":
        return build_depth(_take_sample(data.get("result")))
    found = rows(data, "result")
    if len(found) != 1:
        raise TriggerUnreadable(f"the query gives {len(found)} series, and one is needed")
    return build_depth(_take_sample(found[0].get("value")))


async def read_json(get: HttpGet, probe: Probe) -> QueueDepth:
    """Looks with a JMESPath expression into the JSON that is answered."""
    answer = await get(probe.url)
    if number(answer, "status") >= 400 or answer.get("body") is None:
        raise TriggerUnreadable(_describe(answer))
    try:
        found = jmespath.search(probe.subject, answer["body"])
    except JMESPathError as problem:
        raise TriggerUnreadable(f"jmespath {probe.subject}: {_flatten(str(problem))}") from None
    return build_depth(found)


def build_depth(value: object) -> QueueDepth:
    """Takes a number of tasks that wait; what is at work the outside does not say."""
    try:
        read = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        read = math.nan
    if not math.isfinite(read) or read < 0:
        shown = "nothing" if value is None else cut(repr(value), _MOST_SHOWN)
        raise TriggerUnreadable(f"a number of at least 0 is needed, found {shown}")
    return QueueDepth(Known(min(math.ceil(read), _MAX)), Known(0))


def _take_sample(sample: object) -> object:
    """A sample is a time and a number as text."""
    return sample[1] if isinstance(sample, list) and len(sample) == 2 else None


def _describe(answer: Mapping[str, object]) -> str:
    words = cut(_flatten(text(answer, "text")), _MOST_SHOWN)
    kind = "" if answer.get("body") is not None else " is no JSON"
    return f"status {number(answer, 'status')}, the answer{kind}: {words or 'nothing'}"


def _flatten(words: str) -> str:
    return " ".join(words.split())
