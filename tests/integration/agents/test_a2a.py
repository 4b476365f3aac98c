"""Tasks that are forwarded to an agent that speaks A2A: a real one, by the protocol's own package."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from a2a.helpers import get_data_parts, new_data_part, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, Message
from starlette.applications import Starlette
from tests.cluster.process import free_port

from vapora.agent import Task, TaskResult
from vapora.agent.bridges.a2a import build_a2a_agent

ID = "u/s/0/1"
Work = Callable[[Message, TaskUpdater], Awaitable[None]]


class Remote(AgentExecutor):
    """Does what the test says, and keeps what it was sent."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.messages: list[Message] = []
        self.cancelled = asyncio.Event()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.messages.append(context.message)
        await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        await self._work(context.message, updater)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.cancelled.set()
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


@asynccontextmanager
async def serving(remote: Remote, *, streams: bool) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = AgentCard(
        name="remote",
        description="Does what the test says",
        version="1",
        supported_interfaces=[AgentInterface(url=f"{url}/rpc", protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=AgentCapabilities(streaming=streams),
        default_input_modes=["application/json"],
        default_output_modes=["application/json"],
    )
    handler = DefaultRequestHandler(agent_executor=remote, task_store=InMemoryTaskStore(), agent_card=card)
    app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")])
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        try:
            yield url
        finally:
            server.should_exit = True


async def forward(work: Work, task: Task, *, streams: bool = True) -> tuple[TaskResult, Remote]:
    remote = Remote(work)
    async with serving(remote, streams=streams) as url:
        return await build_a2a_agent(url).perform(task), remote


async def approve(message: Message, updater: TaskUpdater) -> None:
    (given,) = get_data_parts(message.parts)
    await updater.add_artifact([new_data_part({"approved": True, "lines": given["lines"]})])
    await updater.complete()


async def say(_message: Message, updater: TaskUpdater) -> None:
    await updater.add_artifact([new_text_part("well")], artifact_id="a")
    await updater.add_artifact([new_text_part("done")], artifact_id="a", append=True)
    await updater.complete()


async def only_say(_message: Message, updater: TaskUpdater) -> None:
    await updater.complete(updater.new_agent_message([new_text_part("it is done")]))


async def fail(_message: Message, updater: TaskUpdater) -> None:
    await updater.failed(updater.new_agent_message([new_text_part("no such branch")]))


async def reject(_message: Message, updater: TaskUpdater) -> None:
    await updater.reject()


async def ask_back(_message: Message, updater: TaskUpdater) -> None:
    await updater.requires_input(updater.new_agent_message([new_text_part("which branch?")]))


async def go_on(_message: Message, _updater: TaskUpdater) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("streams", [True, False])
async def test_the_input_is_sent_as_data_and_the_artifact_is_the_output(*, streams: bool) -> None:
    task = Task(id=ID, title="Review", description="All of it.", input={"lines": 3})
    result, remote = await forward(approve, task, streams=streams)
    assert (result.outcome, result.output) == ("success", {"approved": True, "lines": 3})
    (message,) = remote.messages
    assert message.message_id == ID
    assert [part.text for part in message.parts if part.HasField("text")] == ["Review\n\nAll of it."]


WORDS = {"pieces of one artifact": (say, "well\ndone"), "a last message": (only_say, "it is done")}


@pytest.mark.parametrize(("work", "output"), WORDS.values(), ids=WORDS.keys())
async def test_without_data_the_text_is_the_output(work: Work, output: str) -> None:
    result, _ = await forward(work, Task(id=ID, input=[1]))
    assert (result.outcome, result.output) == ("success", output)


FAILURES = {
    "a failure may not be the last word": (fail, "A2aFailed", True, "no such branch"),
    "a rejection is": (reject, "A2aRejected", False, "rejected"),
    "nobody answers what it asks back": (ask_back, "A2aInputRequired", False, "which branch?"),
}


@pytest.mark.parametrize(("work", "code", "retryable", "told"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_goes_wrong_has_a_name(work: Work, code: str, told: str, *, retryable: bool) -> None:
    result, _ = await forward(work, Task(id=ID, title="t"))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (code, retryable)
    assert told in result.error.message


async def test_an_agent_that_is_not_there_may_come() -> None:
    result = await build_a2a_agent(f"http://127.0.0.1:{free_port()}").perform(Task(id=ID))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("A2aUnreachable", True)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_task_that_is_cancelled_here_is_cancelled_there(*, streams: bool) -> None:
    remote = Remote(go_on)
    async with serving(remote, streams=streams) as url, asyncio.timeout(20):
        known = asyncio.Event()

        async def report(_fraction: float, _message: str) -> None:
            known.set()

        work = asyncio.create_task(build_a2a_agent(url).perform(Task(id=ID, title="t", report=report)))
        await known.wait()
        work.cancel()
        await asyncio.wait({work})
        await remote.cancelled.wait()
