"""`python callbacks.py FILE COMMAND...`: runs `vapora COMMAND...` and tells of its long callbacks.

Each line of FILE is JSON: how many milliseconds of CPU one callback of the event loop took, and where it was most of
the time. It is CPU time of the loop's own thread, so a busy machine adds nothing; the place comes from a timer of CPU
time.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from vapora.cli import main

TOLD = 0.02  # seconds from which a callback is told of
_EVERY = 0.005


class Watch:
    """Measures every callback of the process's event loops."""

    def __init__(self, out: Path) -> None:
        self._out = out.open("a", buffering=1)
        self._places: Counter[str] = Counter()

    def start(self) -> None:
        run = asyncio.Handle._run  # type: ignore[attr-defined]  # the one place that every callback passes

        def measured(handle: asyncio.Handle) -> None:
            self._places.clear()
            began = time.thread_time()
            run(handle)
            if (took := time.thread_time() - began) >= TOLD:
                self._tell(took)

        asyncio.Handle._run = measured  # type: ignore[attr-defined]
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        found: list[str] = []
        while frame is not None:
            if "/vapora/" in (path := frame.f_code.co_filename):
                found.append(f"{Path(path).stem}.{frame.f_code.co_name}")
            frame = frame.f_back
        self._places[" < ".join(found[:6])] += 1

    def _tell(self, seconds: float) -> None:
        where = [place for place, _ in self._places.most_common(2)]
        self._out.write(json.dumps({"ms": round(1000 * seconds), "where": where}) + "\n")


def run(out: Path, command: list[str]) -> None:
    sys.argv = ["vapora", *command]
    Watch(out).start()
    main()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
