"""Numbers out of what Prometheus and other servers answer."""

from collections.abc import Mapping
from typing import Any

import pytest

from vapora.adapters.trigger_http import read_json, read_prometheus
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable

JSON = Probe("http", "http", "http://queue/state?all=1", "jobs[?state=='new'] | length(@)")
SERIES = Probe("prometheus", "prometheus", "http://prometheus:9090/", 'sum(queue{name="a b"})')


class Server:
    def __init__(self, body: object, *, status: int = 200, text: str = "") -> None:
        self.asked: list[str] = []
        self._answer = {"status": status, "headers": {}, "body": body, "text": text}

    async def get(self, url: str) -> Mapping[str, object]:
        self.asked.append(url)
        return self._answer


def answer_with(*values: object, kind: str = "vector") -> dict[str, object]:
    rows: object = [{"metric": {}, "value": [1.5, value]} for value in values]
    return {"status": "success", "data": {"resultType": kind, "result": rows if kind == "vector" else [1.5, *values]}}


async def test_a_number_is_found_by_jmespath() -> None:
    server = Server({"jobs": [{"state": "new"}, {"state": "old"}, {"state": "new"}]})
    assert await read_json(server.get, JSON) == QueueDepth(Known(2), Known(0))
    assert server.asked == ["http://queue/state?all=1"]


@pytest.mark.parametrize(("answer", "want"), [(answer_with("11.2"), 12), (answer_with("0", kind="scalar"), 0)], ids=str)
async def test_a_query_of_prometheus_gives_one_number(answer: dict[str, object], want: int) -> None:
    server = Server(answer)
    assert await read_prometheus(server.get, SERIES) == QueueDepth(Known(want), Known(0))
    assert server.asked == ["http://prometheus:9090/api/v1/query?query=sum%28queue%7Bname%3D%22a+b%22%7D%29"]


UNREADABLE: Mapping[str, tuple[Any, Probe, Server, str]] = {
    "nothing found": (read_json, JSON, Server({"jobs": None}), "jmespath jobs"),
    "a text that is no number": (
        read_json,
        Probe("http", "http", "http://q", "state"),
        Server({"state": "many"}),
        "a number of at least 0 is needed, found 'many'",
    ),
    "nothing at all": (
        read_json,
        Probe("http", "http", "http://q", "state"),
        Server({}),
        "a number of at least 0 is needed, found nothing",
    ),
    "a truth value": (
        read_json,
        Probe("http", "http", "http://q", "state"),
        Server({"state": True}),
        "a number of at least 0 is needed, found True",
    ),
    "less than nothing": (
        read_json,
        Probe("http", "http", "http://q", "n"),
        Server({"n": -1}),
        "a number of at least 0 is needed, found -1",
    ),
    "a wrong expression": (read_json, Probe("http", "http", "http://q", "jobs["), Server({}), "jmespath jobs["),
    "an error page": (
        read_json,
        JSON,
        Server(None, status=503, text="out\nof order"),
        "status 503, the answer is no JSON: out of order",
    ),
    "an empty answer": (read_json, JSON, Server(None), "status 200, the answer is no JSON: nothing"),
    "no series": (read_prometheus, SERIES, Server(answer_with()), "the query gives 0 series, and one is needed"),
    "several series": (
        read_prometheus,
        SERIES,
        Server(answer_with("1", "2")),
        "the query gives 2 series, and one is needed",
    ),
    "a number that is none": (
        read_prometheus,
        SERIES,
        Server(answer_with("NaN")),
        "a number of at least 0 is needed, found 'NaN'",
    ),
    "a query that Prometheus refuses": (
        read_prometheus,
        SERIES,
        Server({"status": "error", "error": "parse error: unclosed"}, status=400),
        "parse error: unclosed",
    ),
    "something else than Prometheus": (
        read_prometheus,
        SERIES,
        Server(None, status=404, text="not found"),
        "status 404, the answer is no JSON: not found",
    ),
}


@pytest.mark.parametrize(("read", "probe", "server", "want"), UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_no_number_is_unknown_and_says_why(read: Any, probe: Probe, server: Server, want: str) -> None:
    with pytest.raises(TriggerUnreadable) as caught:
        await read(server.get, probe)
    assert str(caught.value).startswith(want)
