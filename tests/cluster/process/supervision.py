"""Starting processes through a supervisor, and following them."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

_ANSWER_SECONDS = 30.0
_PROGRAM = (sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")))


class ManagedProcess:
    """A process that the supervisor runs: in a session of its own, its output in a log file."""

    def __init__(self, supervisor: "Supervisor", name: str, pid: int, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.log = log
        self._supervisor = supervisor
        self._exited = threading.Event()
        self._exit_code: int | None = None

    @property
    def exit_code(self) -> int | None:
        """None while the process runs; minus the signal's number where a signal ended it."""
        return self._exit_code

    @property
    def is_running(self) -> bool:
        return not self._exited.is_set()

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it has started."""
        if self.is_running:
            self._supervisor.signal(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code; TimeoutError after `seconds`."""
        if not self._exited.wait(seconds):
            raise TimeoutError(f"{self.name} (process {self.pid}) still runs after {seconds} s")
        return self._exit_code if self._exit_code is not None else -1

    def stop(self, seconds: float = 10.0) -> int:
        """Send SIGTERM, after `seconds` SIGKILL, and return the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except TimeoutError:
            self.kill()
            return self.wait(_ANSWER_SECONDS)

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _ended(self, code: int) -> None:
        self._exit_code = code
        self._exited.set()


class Supervisor:
    """Starts processes that end when this one does, even by kill -9; its temporary folder goes with them.

    `program` is the command of the process that starts them, to which the folder is added.
    """

    def __init__(self, prefix: str = "vapora-", *, program: Sequence[str] = _PROGRAM) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self._ids = itertools.count()
        self._answers: dict[int, Future[dict[str, object]]] = {}
        self._processes: dict[int, tuple[ManagedProcess, Callable[[ManagedProcess], None] | None]] = {}
        self._early_exits: dict[int, int] = {}
        self._lock = threading.Lock()
        self._child = subprocess.Popen(
            [*program, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="supervisor", daemon=True)
        self._reader.start()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_exit: Callable[[ManagedProcess], None] | None = None,
    ) -> ManagedProcess:
        """Start a process; its output is appended to `<folder>/logs/<name>.log`.

        `env` is the whole environment (default: PATH and HOME alone). `on_exit` is called in the supervisor's thread
        and must not wait. OSError where the program cannot be run.
        """
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{name}.log"
        answer = self._ask(
            do="start",
            argv=list(argv),
            env=dict(env) if env is not None else {"PATH": os.defpath, "HOME": str(self.folder)},
            cwd=str(cwd or self.folder),
            log=str(log),
        )
        process = ManagedProcess(self, name, int(str(answer["pid"])), log)
        with self._lock:
            code = self._early_exits.pop(process.pid, None)
            if code is None:
                self._processes[process.pid] = (process, on_exit)
        if code is not None:
            self._announce(process, on_exit, code)
        return process

    def signal(self, pid: int, number: int) -> None:
        self._ask(do="signal", pid=pid, signal=number)

    def close(self) -> None:
        """Kill what still runs and remove the folder."""
        if self._child.stdin is None or self._child.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.wait()
        self._reader.join()
        shutil.rmtree(self.folder, ignore_errors=True)  # as the supervisor does, unless it was killed
        if self._child.stdout is not None:
            self._child.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, **command: object) -> dict[str, object]:
        if self._child.stdin is None or self._child.stdin.closed:
            raise OSError("the supervisor is closed")
        number = next(self._ids)
        future: Future[dict[str, object]] = Future()
        with self._lock:
            self._answers[number] = future
            self._child.stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
            self._child.stdin.flush()
        answer = future.result(_ANSWER_SECONDS)
        if "error" in answer:
            raise OSError(str(answer["error"]))
        return answer

    def _read(self) -> None:
        if self._child.stdout is None:
            return
        for line in self._child.stdout:
            message = json.loads(line)
            if "exited" in message:
                self._take_exit(message["exited"], message["code"])
            else:
                with self._lock:
                    future = self._answers.pop(message["id"])
                future.set_result(message)
        with self._lock:
            orphans = [future for future in self._answers.values() if not future.done()]
            running = list(self._processes)
        for future in orphans:
            future.set_exception(OSError("the supervisor has ended"))
        for pid in running:
            self._take_exit(pid, -signal.SIGKILL)

    def _take_exit(self, pid: int, code: int) -> None:
        with self._lock:
            known = self._processes.pop(pid, None)
            if known is None:
                self._early_exits[pid] = code
        if known is not None:
            self._announce(*known, code)

    @staticmethod
    def _announce(process: ManagedProcess, on_exit: Callable[[ManagedProcess], None] | None, code: int) -> None:
        process._ended(code)
        if on_exit is not None:
            on_exit(process)
