"""`python -m bench`: how much the operator carries, beside what the machine could carry without it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.loads import FULL, SHORT, Sizes, build_chain, build_fan_out, build_live, build_one_step
from bench.measure import describe_machine
from bench.report import Report, average, judge, measure_noise, print_tables
from bench.rig import Rig
from bench.run import run_bare_pods, run_live, run_load

OUT = Path(__file__).with_name("out")
LOADS = ("one_step", "chain", "fan_out", "live")
_RUNS = 3
_WARM_UP = 300  # bare Pods: an API server that has seen little gives its watches short queues, and breaks them off


async def run_one_step(rig: Rig, sizes: Sizes) -> dict[str, Report]:
    """Bare Pods and a burst of one-step workflows, and how the two compare."""
    bare = await run_bare_pods(rig, sizes.burst)
    common = (await run_load(rig, build_one_step(sizes.burst))).report()
    rate, limit = 60 * sizes.burst / float(str(common["seconds"])), float(str(bare["per_minute"]))
    figures: Report = {
        "per_minute": rate,
        "bare_pods_per_minute": limit,
        "ratio_to_bare_pods": rate / limit,
        "operator_writes_per_workflow": common["operator_writes_per_step"],
        "operator_cpu_ms_per_workflow": 1000 * float(str(common["operator_cpu_seconds"])) / sizes.burst,
    }
    return {"bare_pods": bare, "one_step": {**figures, **common}}


async def run_once(rig: Rig, sizes: Sizes, wanted: Sequence[str]) -> dict[str, Report]:
    """Every wanted load once."""
    found: dict[str, Report] = {}
    for name in wanted:
        match name:
            case "one_step":
                found |= await run_one_step(rig, sizes)
            case "chain":
                report = (await run_load(rig, build_chain(sizes.chains, sizes.links))).report()
                rate = 60 * sizes.chains * sizes.links / float(str(report["seconds"]))
                found["chain"] = {"steps_per_minute": rate, **report}
            case "fan_out":
                found["fan_out"] = (await run_load(rig, build_fan_out(sizes.items))).report()
            case "live":
                found["live"] = await run_live(rig, build_live(sizes.burst))
        print(json.dumps({name: found[name]}), file=sys.stderr)
    return found


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
    parser.add_argument("--only", default=",".join(LOADS), help="which loads, with commas between")
    parser.add_argument("--profile", action="store_true", help="write where the operator's CPU time goes to bench/out")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",")
    if unknown := set(wanted) - set(LOADS):
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    OUT.mkdir(exist_ok=True)
    runs = []
    with Rig(profile=OUT if chosen.profile else None) as rig:
        asyncio.run(run_bare_pods(rig, _WARM_UP))
        for number in range(chosen.runs or (1 if chosen.short else _RUNS)):
            print(f"run {number + 1}", file=sys.stderr)
            runs.append(asyncio.run(run_once(rig, SHORT if chosen.short else FULL, wanted)))
    summary = summarize(runs)
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    verdicts = judge(summary, only_counts=chosen.short)
    print_tables(summary, verdicts)
    return int(any(verdict == "BROKEN" for _, _, verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
