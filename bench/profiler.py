"""`python -m bench.profiler FILE COMMAND...`: runs `vapora COMMAND...` and writes where its CPU time went.

It samples the main thread's stack by a timer of CPU time, which costs the program about one part in a hundred. (A
tracing profiler would double the cost of small functions and hide that of large ones.)
"""

import collections
import signal
import sys
from pathlib import Path
from types import FrameType

from vapora.cli import main

_INTERVAL = 0.002
_ROWS = 80


class Sampler:
    """Counts, for each function, the samples in which it ran itself, and those in which it was on the stack."""

    def __init__(self) -> None:
        self.samples = 0
        self._own: collections.Counter[str] = collections.Counter()
        self._total: collections.Counter[str] = collections.Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def render(self) -> str:
        """Return a table: the share of the samples of each function, with what it called and by itself."""
        lines = [f"{self.samples} samples", f"{'total %':>8} {'own %':>7}  function"]
        for name, count in self._total.most_common(_ROWS):
            lines.append(f"{100 * count / self.samples:8.1f} {100 * self._own[name] / self.samples:7.1f}  {name}")
        lines += ["", f"{'own %':>8}  function"]
        lines += [f"{100 * count / self.samples:8.1f}  {name}" for name, count in self._own.most_common(_ROWS)]
        return "\n".join(lines) + "\n"

    def _take(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        names = []
        while frame is not None:
            names.append(_name(frame))
            frame = frame.f_back
        if names:
            self._own[names[0]] += 1
            self._total.update(set(names))


def _name(frame: FrameType) -> str:
    code = frame.f_code
    path = code.co_filename.rpartition("site-packages/")[2].rpartition("/operator/")[2]
    return f"{path}:{code.co_firstlineno} {code.co_qualname}"


def run(out: Path, command: list[str]) -> None:
    sampler = Sampler()
    sys.argv = ["vapora", *command]
    sampler.start()
    try:
        main()
    finally:
        sampler.stop()
        out.write_text(sampler.render())


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
