"""Tasks that are forwarded to an HTTP endpoint."""

import asyncio

import pytest
from aiohttp import web
from tests.cluster.process import free_port
from tests.cluster.waiting import until
from tests.integration.agents.endpoint import Answer, answering, serving

from vapora.agent import ProviderChoice, Task, TaskResult, Tokens, build_http_agent

ID = "u/s/0/1"


async def forward(answer: Answer, *, is_result: bool = False) -> TaskResult:
    async with serving(answer) as endpoint:
        return await build_http_agent(endpoint.url, is_result=is_result).perform(Task(id=ID))


async def test_the_input_is_posted_and_the_answer_is_the_output() -> None:
    async with serving(answering({"approved": True})) as endpoint:
        task = Task(
            id=ID,
            input={"diff": "é"},
            task_type="code-review",
            provider=ProviderChoice(name="local", model="m"),
            traceparent="00-1-2-01",
        )
        result = await build_http_agent(f"{endpoint.url}/tasks").perform(task)
    assert (result.outcome, result.output) == ("success", {"approved": True})
    assert endpoint.bodies == [{"diff": "é"}]
    told = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert told["idempotency-key"] == ID
    assert told["traceparent"] == "00-1-2-01"
    assert (told["vapora-task-type"], told["vapora-provider"], told["vapora-model"]) == ("code-review", "local", "m")


async def test_an_answer_may_be_a_whole_result() -> None:
    said = {"output": 1, "quality": 0.5, "tokens": {"prompt": 3, "completion": 4}, "costCents": 0.2, "model": "m"}
    result = await forward(answering(said), is_result=True)
    assert (result.output, result.quality, result.tokens) == (1, 0.5, Tokens(prompt=3, completion=4))
    assert (result.cost_cents, result.model) == (0.2, "m")


async def say_nothing(_request: web.Request) -> web.Response:
    return web.Response(status=204)


async def test_nothing_is_the_output_null() -> None:
    result = await forward(say_nothing)
    assert (result.outcome, result.output) == ("success", None)


async def say_text(_request: web.Request) -> web.Response:
    return web.Response(text="well done")


async def say_much(_request: web.Request) -> web.Response:
    return web.Response(body=b"1" * (3 * 1024 * 1024))


async def redirect(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


FAILURES = {
    "a server that is busy may have time later": (answering("busy", 503), "HttpStatus", True),
    "a limit of rates passes": (answering("slowly", 429), "HttpStatus", True),
    "a bad request stays one": (answering("no", 400), "HttpStatus", False),
    "a redirection is not followed": (redirect, "HttpStatus", False),
    "an answer that is no JSON": (say_text, "InvalidOutput", False),
    "an answer without an end": (say_much, "OutputTooLarge", False),
}


@pytest.mark.parametrize(("answer", "code", "retryable"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_goes_wrong_has_a_name(answer: Answer, code: str, *, retryable: bool) -> None:
    result = await forward(answer)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (code, retryable)


async def test_an_answer_that_is_no_result_is_a_failure() -> None:
    result = await forward(answering({"output": 1, "quality": 7}), is_result=True)
    assert result.error is not None
    assert result.error.code == "InvalidOutput"
    assert "quality" in result.error.message


async def test_an_endpoint_that_is_not_there_may_come() -> None:
    result = await build_http_agent(f"http://127.0.0.1:{free_port()}").perform(Task(id=ID))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("HttpUnreachable", True)


async def test_a_task_that_is_cancelled_closes_its_connection() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        asked.set()
        await until(lambda: request.transport is None or request.transport.is_closing(), "the connection is closed")
        closed.set()
        return web.Response()

    async with serving(wait) as endpoint:
        agent = build_http_agent(endpoint.url)
        work = asyncio.create_task(agent.perform(Task(id=ID)))
        async with asyncio.timeout(20):
            await asked.wait()
            work.cancel()
            await closed.wait()
            await asyncio.wait({work})


@pytest.mark.parametrize("target", ["localhost:8080", "ftp://host/", "http://", "http://host:port/"])
def test_an_address_that_is_none_is_refused_at_once(target: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        build_http_agent(target)
