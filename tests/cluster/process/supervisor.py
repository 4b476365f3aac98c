"""The supervisor process: starts others for its parent, and ends them all when the parent is gone, however it went.

It is run as a script, with the standard library alone, and speaks JSON lines: commands on stdin, answers and exits on
stdout. The parent's death shows as the end of stdin or as a new parent id. Should the supervisor itself be killed, the
kernel kills its children (Linux).
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_SECONDS = 1.0


class Supervisor:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._parent = os.getppid()
        self._self = os.getpid()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def run(self) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        pending = b""
        while not stopped and os.getppid() == self._parent:
            ready, _, _ = select.select([0, wake_read], [], [], _PARENT_CHECK_SECONDS)
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
            if 0 in ready:
                data = os.read(0, 65536)
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
            self._report_exits()
        self._end_all()

    def _obey(self, command: dict[str, Any]) -> None:
        try:
            answer = self._start(command) if command["do"] == "start" else self._signal(command)
        except OSError as error:
            answer = {"error": str(error)}
        self._say({"id": command["id"], **answer})

    def _start(self, command: dict[str, Any]) -> dict[str, object]:
        with open(command["log"], "ab") as log:  # noqa: PTH123  (pathlib would double the start time of the script)
            child = subprocess.Popen(
                command["argv"],
                env=command["env"],
                cwd=command["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._die_with_supervisor,  # noqa: PLW1509  (there is one thread)
            )
        self._children[child.pid] = child
        return {"pid": child.pid}

    def _signal(self, command: dict[str, Any]) -> dict[str, object]:
        pid: int = command["pid"]
        if pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, command["signal"])
        return {"pid": pid}

    def _die_with_supervisor(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._self:
            os._exit(1)

    def _report_exits(self) -> None:
        for pid, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                del self._children[pid]
                self._say({"exited": pid, "code": code})

    def _end_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        for child in self._children.values():
            child.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, message: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # the parent is gone: the loop sees it next
            os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    Supervisor(sys.argv[1]).run()
