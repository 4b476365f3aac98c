"""Tasks that are done by a command."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.cluster.waiting import until

from vapora.agent import ProviderChoice, Task, TaskResult, build_command_agent

ID = "u/s/0/1"


async def do(script: str, task: Task | None = None, *, is_result: bool = False) -> TaskResult:
    return await build_command_agent(["sh", "-c", script], is_result=is_result).perform(task or Task(id=ID))


async def test_the_input_is_on_stdin_and_the_output_on_stdout() -> None:
    result = await do("cat", Task(id=ID, input={"a": ["é", None]}))
    assert (result.outcome, result.output) == ("success", {"a": ["é", None]})


async def test_the_rest_of_the_task_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPORA_NATS_URL", "nats://user:secret@host")
    task = Task(
        id=ID,
        title="Look\0at it",
        task_type="t",
        attempt=2,
        provider=ProviderChoice(name="local", model="m"),
        traceparent="00-1-2-01",
        output_schema={"type": "object"},
    )
    told = "import json, os; print(json.dumps(dict(os.environ)))"
    result = await build_command_agent([sys.executable, "-c", told]).perform(task)
    found = result.output
    assert isinstance(found, dict)
    assert "VAPORA_NATS_URL" not in found
    assert {name: found[name] for name in found if name.startswith(("VAPORA_", "TRACE"))} == {
        "VAPORA_TASK_ID": ID,
        "VAPORA_TASK_TYPE": "t",
        "VAPORA_TASK_TITLE": "Lookat it",
        "VAPORA_TASK_DESCRIPTION": "",
        "VAPORA_ATTEMPT": "2",
        "VAPORA_PROVIDER": "local",
        "VAPORA_MODEL": "m",
        "VAPORA_OUTPUT_SCHEMA": '{"type":"object"}',
        "TRACEPARENT": "00-1-2-01",
    }


async def test_an_answer_may_be_a_whole_result() -> None:
    result = await do("""echo '{"output": [1], "quality": 0.5}'""", is_result=True)
    assert (result.output, result.quality) == ([1], 0.5)


async def test_a_command_need_not_read_its_input() -> None:
    result = await do("echo 1", Task(id=ID, input="x" * 1_000_000))
    assert result.output == 1


async def test_what_it_says_beside_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await do("echo one >&2; printf two >&2; echo null")
    assert [record.getMessage() for record in caplog.records] == ["one", "two"]


FAILURES = {
    "an exit code": ("echo 'no such branch' >&2; exit 3", "ExitCode", True, "exit code 3: no such branch"),
    "data that are wrong stay wrong": ("exit 65", "ExitCode", False, "it said nothing"),
    "a signal": ("kill -9 $$", "ExitCode", True, "signal 9"),
    "an output that is no JSON": ("echo hello", "InvalidOutput", False, "hello"),
    "an output without an end": ("head -c 5000000 /dev/zero", "OutputTooLarge", False, "bytes"),
}


@pytest.mark.parametrize(("script", "code", "retryable", "told"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_goes_wrong_has_a_name(script: str, code: str, told: str, *, retryable: bool) -> None:
    result = await do(script)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (code, retryable)
    assert told in result.error.message


async def test_a_command_that_is_not_there_is_said_so() -> None:
    result = await build_command_agent(["there-is-no-such-command"]).perform(Task(id=ID))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("CommandNotRun", False)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Killed and not yet collected by whoever inherited it.
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


async def test_a_task_that_is_cancelled_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $$ $! > {pids}.tmp; mv {pids}.tmp {pids}; wait"
    work = asyncio.create_task(do(script))
    await until(pids.exists, "the command runs")
    work.cancel()
    await asyncio.wait({work})
    for pid in pids.read_text().split():
        await until(lambda pid=int(pid): not is_alive(pid), f"process {pid} is gone")


async def test_a_command_that_does_not_care_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vapora.agent.bridges.command._GRACE_SECONDS", 0.1)
    pid = tmp_path / "pid"
    work = asyncio.create_task(do(f"trap '' TERM; echo $$ > {pid}.tmp; mv {pid}.tmp {pid}; sleep 600; sleep 600"))
    await until(pid.exists, "the command runs")
    work.cancel()
    await asyncio.wait({work})
    assert not is_alive(int(pid.read_text()))


LEAVES_PROCESSES_BEHIND = """
import asyncio, ctypes
from pathlib import Path
from vapora.agent import Task, build_command_agent

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
command = ["sh", "-c", "(sleep 600 > /dev/null 2>&1 &); echo 1"]
asyncio.run(build_command_agent(command).perform(Task(id="u/s/0/1")))
print(Path("/proc/self/task").joinpath(Path("/proc/self").resolve().name, "children").read_text())
"""


async def test_the_first_process_of_a_container_collects_what_commands_leave_behind() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEAVES_PROCESSES_BEHIND, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert (process.returncode, out.split()) == (0, [])


def test_no_command_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no command"):
        build_command_agent([])
