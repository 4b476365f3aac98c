"""`vapora agent dev`: an agent at a terminal, with a broker of its own or one that runs already."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from nats.aio.client import Client
from tests.cluster.binaries import locate_tool
from tests.cluster.nats import NatsServer
from tests.integration.queue.fleet import EXAMPLES

from vapora.agent.contract import TASKS_STREAM

AGENT = """
from vapora.agent import Agent, Result, TaskFailed

agent = Agent(role="r")

@agent.task("double")
async def double(task):
    if task.input is None:
        raise TaskFailed("nothing to double", code="Nothing")
    return Result(output=task.input * 2)
"""


async def develop(*arguments: str, given: str) -> tuple[int, list[dict[str, object]], str]:
    """Return the exit code, the results by input order, and what was logged."""
    path = f"{locate_tool('nats-server').parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vapora", "agent", "dev", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": path},
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate(given.encode())
    results = [json.loads(line) for line in out.decode().splitlines()]
    return process.returncode or 0, sorted(results, key=lambda result: result["id"]), err.decode()


async def test_each_line_is_a_task_and_each_task_a_line() -> None:
    code, results, log = await develop(str(EXAMPLES / "echo.py"), given='{"a": 1}\n\n[2]\n')
    assert (code, [result["output"] for result in results]) == (0, [{"a": 1}, [2]]), log


async def test_a_task_that_fails_is_told_and_is_the_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "doubling.py"
    file.write_text(AGENT)
    code, results, _ = await develop(str(file), "--type", "double", given="21\nnull\n")
    assert (code, [result["outcome"] for result in results]) == (1, ["success", "failure"])
    assert results[0]["output"] == 42
    assert results[1]["error"]["code"] == "Nothing"


async def test_a_line_that_is_no_json_is_passed_over_and_is_the_exit_code() -> None:
    code, results, log = await develop(str(EXAMPLES / "echo.py"), given="hello\n1\n")
    assert (code, [result["output"] for result in results]) == (1, [1])
    assert "a line of stdin is no JSON" in log


async def test_a_schema_is_held(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "string"}')
    code, results, _ = await develop(str(EXAMPLES / "echo.py"), "--output-schema", str(schema), given="1\n")
    assert (code, results[0]["error"]["code"]) == (1, "OutputInvalid")


async def test_a_large_output_is_shown_in_full() -> None:
    _, results, _ = await develop(str(EXAMPLES / "echo.py"), given=json.dumps("x" * 50_000))
    assert results[0]["output"] == "x" * 50_000


async def test_a_broker_that_runs_already_is_left_as_it_was(server: NatsServer, client: Client) -> None:
    code, results, log = await develop(str(EXAMPLES / "echo.py"), "--nats-url", server.url, given="1\n")
    assert (code, results[0]["output"]) == (0, 1), log
    assert await client.jetstream().consumers_info(TASKS_STREAM) == []


NOWHERE = {"no agent": ("nowhere.py",), "no broker": (str(EXAMPLES / "echo.py"), "--nats-url", "nats://127.0.0.1:1")}


@pytest.mark.parametrize("arguments", NOWHERE.values(), ids=NOWHERE.keys())
async def test_what_is_not_there_is_said_so(arguments: tuple[str, ...]) -> None:
    code, results, log = await develop(*arguments, given="1\n")
    assert (code, results) == (2, [])
    assert "vapora agent dev: " in log
    assert "Traceback" not in log
