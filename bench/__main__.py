"""`python -m bench`: how much the operator carries, beside what the machine could carry without it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

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
from bench.report import Report, average, judge, measure_noise, print_tables
from bench.rig import Rig
from bench.run import run_bare_pods, run_killed, run_live, run_load, run_watched
from bench.tasks import TaskLoad, run_tasks

OUT = Path(__file__).with_name("out")
LOADS = ("one_step", "chain", "fan_out", "live", "diamond", "failures", "kill", "items", "pools", "tasks")
_SHORT_LOADS = ("one_step", "chain", "fan_out", "live", "kill")
_RUNS = 3
_WARM_UP = 300  # bare Pods: an API server that has seen little gives its watches short queues, and breaks them off


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
        sizes = self._sizes
        await run_bare_pods(rig, _WARM_UP, "warm-up")
        match name:
            case "bare_pods":
                return await run_bare_pods(rig, sizes.burst)
            case "live":
                return await run_live(rig, build_live(sizes.burst))
            case "kill":
                return with_rate("", await run_killed(rig, build_failures(sizes.killed, name)))
            case "pools" | "tasks":
                return await self._run_agents(rig, name)
            case "items":
                return with_rate("steps", await run_watched(rig, build_items(sizes.many_items)))
            case _:
                report = (await run_load(rig, self._build(name))).report()
                return with_rate({"failures": "", "chain": "steps", "diamond": "steps"}.get(name), report)

    async def _run_agents(self, rig: Rig, name: str) -> Report:
        sizes = self._sizes
        if name == "pools":
            return await run_pools(rig, PoolLoad(sizes.pools, sizes.pool_seconds))
        return await run_tasks(rig, TaskLoad(sizes.tasks, sizes.agents))

    def _build(self, name: str) -> Load:
        sizes = self._sizes
        match name:
            case "one_step":
                return build_one_step(sizes.burst)
            case "chain":
                return build_chain(sizes.chains, sizes.links)
            case "diamond":
                return build_diamond(sizes.diamonds, sizes.width)
            case "failures":
                return build_failures(sizes.fallible)
            case _:
                return build_fan_out(sizes.items)


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
