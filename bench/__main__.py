"""`python -m bench`: how much the operator carries, beside what the machine could carry without it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bench.failover import run_failover
from bench.loads import (
    FULL,
    SHORT,
    Load,
    Sizes,
    build_chain,
    build_diamond,
    build_failures,
    build_fan_out,
    build_items,
    build_live,
    build_one_step,
)
from bench.measure import describe_machine
from bench.pools import PoolLoad, run_pools
from bench.ramp import run_ramp
from bench.report import Report, average, judge, measure_noise, print_tables
from bench.rig import Rig
from bench.run import run_bare_pods, run_killed, run_load, run_watched
from bench.standing import run_idle, run_live
from bench.tasks import TaskLoad, run_tasks

OUT = Path(__file__).with_name("out")
_SHORT_LOADS = ("one_step", "chain", "fan_out", "live", "kill")
_RUNS = 3
_WARM_UP = 300  # bare Pods: an API server that has seen little gives its watches short queues, and breaks them off


async def _run_counted(rig: Rig, load: Load, what: str | None = None) -> Report:
    return with_rate(what, (await run_load(rig, load)).report())


async def _run_killed(rig: Rig, sizes: Sizes) -> Report:
    return with_rate("", await run_killed(rig, build_failures(sizes.killed, "kill")))


async def _run_items(rig: Rig, sizes: Sizes) -> Report:
    return with_rate("steps", await run_watched(rig, build_items(sizes.many_items)))


_LOADS: Mapping[str, Callable[[Rig, Sizes], Awaitable[Report]]] = {
    "bare_pods": lambda rig, sizes: run_bare_pods(rig, sizes.burst),
    "one_step": lambda rig, sizes: _run_counted(rig, build_one_step(sizes.burst)),
    "chain": lambda rig, sizes: _run_counted(rig, build_chain(sizes.chains, sizes.links), "steps"),
    "fan_out": lambda rig, sizes: _run_counted(rig, build_fan_out(sizes.items)),
    "diamond": lambda rig, sizes: _run_counted(rig, build_diamond(sizes.diamonds, sizes.width), "steps"),
    "failures": lambda rig, sizes: _run_counted(rig, build_failures(sizes.fallible), ""),
    "items": _run_items,
    "ramp": lambda rig, sizes: run_ramp(rig, sizes.ramp_seconds),
    "idle": lambda rig, sizes: run_idle(rig, build_one_step(sizes.standing)),
    "live": lambda rig, sizes: run_live(rig, build_live(sizes.standing)),
    "kill": _run_killed,
    "failover": lambda rig, sizes: run_failover(rig, sizes.rounds),
    "pools": lambda rig, sizes: run_pools(rig, PoolLoad(sizes.pools, sizes.pool_seconds)),
    "tasks": lambda rig, sizes: run_tasks(rig, TaskLoad(sizes.tasks, sizes.agents)),
}
LOADS = tuple(name for name in _LOADS if name != "bare_pods")


class Runs:
    """Runs loads, each on a cluster of its own."""

    def __init__(self, sizes: Sizes, profile: Path | None) -> None:
        self._sizes = sizes
        self._profile = profile

    def run_once(self, wanted: Sequence[str]) -> dict[str, Report]:
        """Run every wanted load once; bare Pods come with the burst, as what it is compared to."""
        found: dict[str, Report] = {}
        for name in (each for load in wanted for each in (("bare_pods", load) if load == "one_step" else (load,))):
            print(f"{name} ...", file=sys.stderr)
            with Rig(name, agents=name == "tasks", profile=self._profile) as rig:
                found[name] = asyncio.run(self._run(rig, name))
        if "one_step" in found:
            found["one_step"] = compare_to_bare_pods(found["one_step"], found["bare_pods"])
        return found

    async def _run(self, rig: Rig, name: str) -> Report:
        await run_bare_pods(rig, _WARM_UP, "warm-up")
        return await _LOADS[name](rig, self._sizes)


def compare_to_bare_pods(report: Report, bare: Report) -> Report:
    """Return a burst's report with its rate beside that of bare Pods."""
    rate, limit = per_minute(report), float(str(bare["per_minute"]))
    cpu = report["cpu_ms_per_step"]
    return {
        "per_minute": rate,
        "bare_pods_per_minute": limit,
        "ratio_to_bare_pods": rate / limit,
        "operator_writes_per_workflow": report["operator_writes_per_step"],
        "operator_cpu_ms_per_workflow": cpu["operator"] if isinstance(cpu, dict) else None,
        **report,
    }


def per_minute(report: Report) -> float:
    """Return how many steps a minute a load came to."""
    return 60 * float(str(report["steps"])) / float(str(report["seconds"]))


def with_rate(what: str | None, report: Report) -> Report:
    """Return a report that begins with how many a minute ended: steps, or (an empty word) Workflows."""
    return report if what is None else {f"{what}_per_minute".lstrip("_"): per_minute(report), **report}


def summarize(runs: Sequence[dict[str, Report]]) -> dict[str, object]:
    """Return the means of the runs, what they were measured on, and each run."""
    means = average(runs)
    return {
        **(means if isinstance(means, dict) else {}),
        "machine": describe_machine(),
        "noise": measure_noise(runs),
        "runs": len(runs),
        "each_run": list(runs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small run, judged by counts alone")
    parser.add_argument("--runs", type=int, help=f"how many runs to take the mean of (default {_RUNS})")
    parser.add_argument("--only", help=f"which loads, with commas between: {', '.join(LOADS)}")
    parser.add_argument("--profile", action="store_true", help="write where the operator's CPU time goes to bench/out")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",") if chosen.only else (_SHORT_LOADS if chosen.short else LOADS)
    if unknown := set(wanted) - set(LOADS):
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    OUT.mkdir(exist_ok=True)
    runs = Runs(SHORT if chosen.short else FULL, OUT if chosen.profile else None)
    reports = [runs.run_once(wanted) for _ in range(chosen.runs or (1 if chosen.short else _RUNS))]
    summary = summarize(reports)
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    verdicts = judge(summary, only_counts=chosen.short)
    print_tables(summary, verdicts)
    return int(any(verdict == "BROKEN" for _, _, verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
