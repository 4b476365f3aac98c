"""`python -m bench.profiler FILE COMMAND...`: runs `vapora COMMAND...` and writes where its CPU time went.

It samples the main thread's stack by a timer of CPU time, every 4 ms on most kernels, which costs about one part in a
hundred. (A tracing profiler would double the cost of small functions and so hide that of large ones.) FILE holds
folded stacks, as flame graphs are made of; beside it stands a table, FILE with the suffix `.txt`.
"""

import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from vapora.cli import main

_INTERVAL = 0.002
_ROWS = 70
_OTHERS = {"site-packages/": "", "/operator/": "", "/lib/python": "python"}


class Sampler:
    """Counts stacks, outermost function first."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _take(self, _: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(_name(frame))
            frame = frame.f_back
        self.stacks[tuple(reversed(names))] += 1


def render(stacks: Mapping[tuple[str, ...], int]) -> str:
    """Return tables of shares in percent: of packages, of functions with what they call, of functions alone."""
    packages: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for stack, count in stacks.items():
        packages[_package(stack[-1])] += count
        own[stack[-1]] += count
        for name in set(stack):
            totals[name] += count
    tables = {"packages, by themselves": packages, "functions, with what they call": totals, "by themselves": own}
    samples = packages.total()
    lines = [f"{samples} samples"]
    for title, counts in tables.items():
        lines += ["", title, *(f"{100 * n / samples:6.1f}  {name}" for name, n in counts.most_common(_ROWS))]
    return "\n".join(lines) + "\n"


def _name(frame: FrameType) -> str:
    code = frame.f_code
    path = code.co_filename
    for marker, instead in _OTHERS.items():
        before, found, after = path.rpartition(marker)
        path = instead + after if found and before else path
    return f"{path}:{code.co_qualname}".replace(";", ",").replace(" ", "")


def _package(name: str) -> str:
    parts = name.partition(":")[0].removesuffix(".py").split("/")
    return "/".join(parts[: 2 if parts[0].startswith(("vapora", "python")) else 1])


def run(out: Path, command: list[str]) -> None:
    sampler = Sampler()
    sys.argv = ["vapora", *command]
    sampler.start()
    try:
        main()
    finally:
        sampler.stop()
        out.write_text("".join(f"{';'.join(stack)} {count}\n" for stack, count in sampler.stacks.items()))
        out.with_suffix(".txt").write_text(render(sampler.stacks))


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
