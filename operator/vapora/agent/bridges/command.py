"""An agent that runs a command for every task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

from pydantic_core import to_json

from vapora.agent.agent import Agent
from vapora.agent.bridges.answers import read_answer
from vapora.agent.contract import MAX_OUTPUT_BYTES
from vapora.agent.task import Result, Task, TaskFailed

logger = logging.getLogger(__name__)

# Of sysexits.h: the data are wrong, and so they will be the next time.
DATA_ERROR = 65

_LONGEST_ANSWER = 2 * MAX_OUTPUT_BYTES
_CHUNK = 64 * 1024
_LONGEST_LINE = 2000
_GRACE_SECONDS = 5.0


def build_command_agent(command: Sequence[str], *, role: str = "command", is_result: bool = False) -> Agent:
    """Returns an agent that runs `command` for every task, of whatever type.

    The command finds the task's input as JSON on its standard input and writes the output as JSON to its standard
    output (see `read_answer` for `is_result`); what it writes to standard error is logged. VAPORA_TASK_ID,
    VAPORA_TASK_TYPE, VAPORA_TASK_TITLE, VAPORA_TASK_DESCRIPTION, VAPORA_ATTEMPT, VAPORA_PROVIDER, VAPORA_MODEL,
    VAPORA_OUTPUT_SCHEMA and TRACEPARENT tell the rest of the task. An exit code other than 0 is the failure `ExitCode`,
    which another try may mend, unless it is 65. When the task is cancelled or its time is over, the command and all
    that it started get SIGTERM, and SIGKILL five seconds later.

    ValueError where there is no command.

    >>> import asyncio
    >>> from vapora.agent import Agent, Task, build_command_agent
    >>> agent = build_command_agent(["cat"])
    >>> asyncio.run(agent.perform(Task(id="u/s/0/1", input={"lines": 3}))).output
    {'lines': 3}
    """
    if not command:
        raise ValueError("there is no command to run")
    agent = Agent(role=role)

    @agent.task()
    async def run(task: Task) -> Result:
        return await run_command(command, task, is_result=is_result)

    return agent


async def run_command(command: Sequence[str], task: Task, *, is_result: bool = False) -> Result:
    """Runs a command for one task; TaskFailed says what went wrong."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=_build_environment(task), start_new_session=True
        )
    except OSError as error:
        raise TaskFailed(f"{command[0]} cannot be run: {error.strerror}", code="CommandNotRun") from error
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(process, to_json(task.input)))
            answer = group.create_task(_read(process))
            last_words = group.create_task(_log(process))
            code = await process.wait()
    finally:
        await _end(process)
    if code != 0:
        told = f"{command[0]} ended with {_describe_exit(code)}: {last_words.result() or 'it said nothing'}"
        raise TaskFailed(told, code="ExitCode", retryable=code != DATA_ERROR)
    if len(answer.result()) > _LONGEST_ANSWER:
        raise TaskFailed(f"{command[0]} answered more than {_LONGEST_ANSWER} bytes", code="OutputTooLarge")
    return read_answer(answer.result(), command[0], is_result=is_result)


def _build_environment(task: Task) -> dict[str, str]:
    told = {
        "VAPORA_TASK_ID": task.id,
        "VAPORA_TASK_TYPE": task.task_type,
        "VAPORA_TASK_TITLE": task.title,
        "VAPORA_TASK_DESCRIPTION": task.description,
        "VAPORA_ATTEMPT": str(task.attempt),
        "VAPORA_PROVIDER": task.provider.name if task.provider else "",
        "VAPORA_MODEL": (task.provider.model or "") if task.provider else "",
        "VAPORA_OUTPUT_SCHEMA": to_json(task.output_schema).decode() if task.output_schema else "",
        "TRACEPARENT": task.traceparent or "",
    }
    # The broker's address may hold a password, and is nothing to the command.
    inherited = {name: value for name, value in os.environ.items() if name != "VAPORA_NATS_URL"}
    # A NUL would keep the command from being started at all.
    return inherited | {name: value.replace("\0", "") for name, value in told.items()}


async def _feed(process: Process, data: bytes) -> None:
    if process.stdin is None:
        return
    # A command may end, or close its input, without reading it.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: Process) -> bytes:
    """Returns what the command wrote, cut a little over the limit; the rest is read so that it can go on."""
    answer = bytearray()
    while process.stdout is not None and (chunk := await process.stdout.read(_CHUNK)):
        answer += chunk[: _LONGEST_ANSWER + 1 - len(answer)]
    return bytes(answer)


async def _log(process: Process) -> str:
    """Logs what the command writes to standard error, line by line, and returns the last line."""
    last, rest = "", b""
    while process.stderr is not None and (chunk := await process.stderr.read(_CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in (*lines, *([rest] if len(rest) > _LONGEST_LINE else [])):
            last = _tell(line) or last
        rest = b"" if len(rest) > _LONGEST_LINE else rest
    return _tell(rest) or last


def _tell(line: bytes) -> str:
    text = line.decode(errors="replace").strip()[:_LONGEST_LINE]
    if text:
        logger.info(text)
    return text


async def _end(process: Process) -> None:
    """Ends what is left of the command and of what it started."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await process.wait()
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()
    await asyncio.to_thread(_collect_orphans, process.pid)


def _collect_orphans(group: int) -> None:
    """Collects what the command left behind: in a container the agent is the first process, which inherits it."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)


def _signal(process: Process, number: signal.Signals) -> None:
    # The command leads a group of its own, which its children share even after it has ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _describe_exit(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"
