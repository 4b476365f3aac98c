"""Plays ranges of seeds: `python -m tests.simulation --seeds 0-200000 --resume FILE`, or one with its story."""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.simulation.judge import judge
from tests.simulation.report import Report, play_range
from tests.simulation.run import Run, draw_plot

CHUNK = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_read_range, default=range(10_000), help="first-last, the last not included")
    parser.add_argument("--resume", type=Path, help="a file that keeps what is done; what stands in it is not played")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--story", type=int, metavar="SEED", help="plays one seed and tells what happened")
    given = parser.parse_args()
    if given.story is not None:
        return tell_story(given.story)
    started = time.monotonic()
    report = play_all(given.seeds, given.processes, given.resume)
    print(report.render(time.monotonic() - started))
    for seed, words in sorted(report.failures.items()):
        print(f"seed {seed}: {words}")
    return 1 if report.failures else 0


def tell_story(seed: int) -> int:
    """Plays one seed; prints its workflow, its weather and every write."""
    run = Run(seed, draw_plot(seed), tells=True)
    print(json.dumps(run.plot.drawn.spec, indent=1), run.plot.weather, sep="\n")
    try:
        run.play()
        judge(run)
    except Exception as problem:  # noqa: BLE001  # told below, whatever it is
        run.tell(f"{type(problem).__name__}: {problem}")
        return 1
    finally:
        print("\n".join(run.trace or ()))
    return 0


def play_all(seeds: range, processes: int, memory: Path | None) -> Report:
    """Plays the seeds chunk by chunk; each chunk that is done becomes a line of `memory`."""
    total, done = Report(), set()
    if memory is not None and memory.exists():
        for line in memory.read_text().splitlines():
            row = json.loads(line)
            done.add((row["first"], row["last"]))
            total += Report.from_json(row)
    chunks = [(first, min(first + CHUNK, seeds.stop)) for first in range(seeds.start, seeds.stop, CHUNK)]
    with ProcessPoolExecutor(processes) as pool:
        pending = {pool.submit(play_range, range(*chunk)): chunk for chunk in chunks if chunk not in done}
        for future in as_completed(pending):
            report, (first, last) = future.result(), pending[future]
            total += report
            print(f"{first}-{last}: {len(report.failures)} failed, {report.seconds:.0f} s", file=sys.stderr, flush=True)
            if memory is not None:
                with memory.open("a") as file:
                    file.write(json.dumps({"first": first, "last": last, **report.to_json()}) + "\n")
    return total


def _read_range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last))


if __name__ == "__main__":
    sys.exit(main())
