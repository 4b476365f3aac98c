"""The operator's way to the broker, on which the tasks that it publishes are seen."""

import asyncio
import json
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.chaos.gate import Fault, Freeze, Gate, Side, hold

_CHUNK = 65536
_END = b"\r\n"


class BrokerProxy:
    """Forwards connections of the NATS protocol, and lets the gate count publishes to the namespace's pools."""

    def __init__(self, port: int, gate: Gate) -> None:
        self._target = port
        self._gate = gate
        self._subjects = f"vapora.tasks.{gate.namespace}.".encode()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        link = _Link(self._gate, self._subjects)
        for work in (link.carry_there(reader, there_writer), link.carry_back(there_reader, writer)):
            carrying = asyncio.create_task(_until_broken(work, writer, there_writer))
            self._tasks.add(carrying)
            carrying.add_done_callback(self._tasks.discard)


async def _until_broken(
    work: Coroutine[Any, Any, None], writer: asyncio.StreamWriter, other: asyncio.StreamWriter
) -> None:
    try:
        await work
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        writer.transport.abort()
        other.transport.abort()


class _Link:
    """One connection, both ways."""

    def __init__(self, gate: Gate, subjects: bytes) -> None:
        self._gate = gate
        self._subjects = subjects
        self._awaited: tuple[bytes, Fault] | None = None

    async def carry_there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what the operator says, message by message."""
        while line := await reader.readline():
            words = line.split()
            if words and words[0].upper() in {b"PUB", b"HPUB"}:
                body = await reader.readexactly(int(words[-1]) + len(_END))
                line += body
                if words[1].startswith(self._subjects):
                    headers = int(words[-2]) if words[0].upper() == b"HPUB" else 0
                    await self._note(reply=words[2], task=json.loads(body[headers:]))
            writer.write(line)
            await writer.drain()

    async def _note(self, *, reply: bytes, task: dict[str, Any]) -> None:
        fault = self._gate.pass_through("publish", "task", task["workflow"])
        if isinstance(fault, Freeze):
            await hold(self._gate, fault)
        elif fault is not None and fault.side is Side.BEFORE:
            self._strike(fault)
        elif fault is not None:
            self._awaited = (reply, fault)  # there the broker says that it has the task

    async def carry_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what the broker says, until it answers a publish at which a fault is to strike."""
        withheld = b""
        while data := await reader.read(_CHUNK):
            if self._awaited is None:
                writer.write(data)
                await writer.drain()
                continue
            withheld += data
            subject, fault = self._awaited
            if subject in withheld:
                self._strike(fault)

    def _strike(self, fault: Fault) -> None:
        self._gate.strike(fault)
        raise ConnectionResetError
