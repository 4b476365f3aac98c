"""The supervisor of the operators: it has read all their code, and forks them, so that each starts at once.

Nothing but imports has happened before the fork: an operator knows no more of the world than one that is executed.
It is run as `python -m tests.chaos.forking <folder>`, and speaks as every supervisor does.
"""

import gc
import os
import signal
import sys
from typing import Any, NoReturn

from tests.cluster.process.supervisor import Supervisor

import vapora.app
from vapora.cli import main

PROGRAM = (sys.executable, "-m", "tests.chaos.forking")
_COMMAND = 4  # the words before an operator's flags: python -m vapora operator


class _Forked:
    """A child that was forked, waited for as subprocess.Popen does."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


class ForkingSupervisor(Supervisor):
    """Knows one program: the operator."""

    def _start(self, command: dict[str, Any]) -> dict[str, object]:
        pid = os.fork()
        if pid == 0:
            self._be_operator(command)
        os.setpgid(pid, pid)  # by both, so that it is done whoever comes first
        self._children[pid] = _Forked(pid)
        return {"pid": pid}

    def _be_operator(self, command: dict[str, Any]) -> NoReturn:
        os.setpgid(0, 0)
        self._die_with_supervisor()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(command["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for target, source in enumerate((nothing, log, log)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(command["env"])
        os.chdir(command["cwd"])
        flags = command["argv"][_COMMAND:]
        sys.exit(main(["operator", *flags]))


if __name__ == "__main__":
    assert vapora.app  # read for the operators' sake
    gc.freeze()
    ForkingSupervisor(sys.argv[1]).run()
