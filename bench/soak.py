"""`python -m bench.soak`: an hour of mixed work, in which memory and queue must stay flat and what is over must go."""

import argparse
import asyncio
import dataclasses
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from bench.client import LoadClient, connected
from bench.loads import IMAGE, Json, build_chain, build_failures, build_fan_out, build_one_step
from bench.measure import Processes, compare, read_memory_mib
from bench.rig import NAMESPACE, Operator, Rig
from bench.run import PODS, WORKFLOWS, Report

POOLS = f"/apis/vapora.dev/v1alpha1/namespaces/{NAMESPACE}/agentpools"
AGENT = [sys.executable, "examples/agents/echo.py"]
POOL = "soaking"

_TTL = "60s"
_LOOK_SECONDS = 10.0
_COUNTED = 0.75  # of the time, at its end: before that caches fill
_FLAT = 0.02  # how much the trend may bring in the time that counts, as a share of the mean
_GONE_WITHIN = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What was seen `at` some second: the operator's memory, and how many keys waited."""

    at: float
    rss_mib: float
    depth: float


def measure_drift(times: Sequence[float], values: Sequence[float]) -> float:
    """Return how much the least-squares line rises from the first to the last time, as a share of the mean."""
    mean = statistics.fmean(values)
    return statistics.linear_regression(times, values).slope * (times[-1] - times[0]) / mean if mean else 0.0


def judge_looks(looks: Sequence[Look]) -> Report:
    """Return the drift of memory and queue in the last three quarters of the time."""
    counted = [look for look in looks if look.at >= looks[-1].at * (1 - _COUNTED)]
    times = [look.at for look in counted]
    return {
        "rss_mib_first": counted[0].rss_mib,
        "rss_mib_last": counted[-1].rss_mib,
        "rss_drift": measure_drift(times, [look.rss_mib for look in counted]),
        "queue_mean": statistics.fmean(look.depth for look in counted),
        "queue_most": max(look.depth for look in counted),
    }


def build_round(number: int) -> Iterator[Json]:
    """Yield what is created together: each kind of work once, under names of its own."""
    loads = [build_one_step(4), build_chain(1, 5), build_fan_out(20), build_failures(2)]
    agent = {"pool": POOL, "taskType": "general", "title": "say it again"}
    wait = {"name": "wait", "wait": {"for": "2s"}}
    tail = {"name": "tail", "run": {"image": IMAGE}, "dependsOn": ["wait"]}
    specs: list[object] = [
        {"steps": [{"name": "ask", "agent": agent}]},
        {"steps": [wait, tail]},
        *(workflow["spec"] for load in loads for workflow in load.workflows),
    ]
    for place, spec in enumerate(specs):
        if isinstance(spec, dict):
            metadata = {"generateName": f"soak-{number:05}-{place}-"}  # made for once, so it goes when it is over
            body = {**spec, "ttlAfterFinished": _TTL}
            yield {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": body}


async def soak(rig: Rig, seconds: float, every: float) -> Report:
    """Create a round of work again and again, look meanwhile, and wait in the end until all of it is gone."""
    operator = rig.start_operator("--nats-url", rig.cluster.nats.url)
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        await client.create_all(POOLS, [_build_pool()])
        processes = Processes(rig.processes(operator))
        before, started, looks = processes.sample(), time.monotonic(), list[Look]()
        looking = asyncio.create_task(_look(operator, started, looks))
        created = await _feed(client, started + seconds, every)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        usage = compare(before, processes.sample())
        left = await _wait_until_gone(client)
        rig.cluster.control_plane.check()
    return {
        "seconds": seconds,
        "workflows": created,
        "lost": created - len(ended.names),
        "left_workflows": left,
        "left_pods": len([pod for pod in await _list_pods(rig) if _is_of_a_workflow(pod)]),
        **judge_looks(looks),
        "operator_millicores": 1000 * usage.cpu["operator"] / usage.seconds,
        "looks": [dataclasses.astuple(look) for look in looks],
    }


async def _feed(client: LoadClient, deadline: float, every: float) -> int:
    created = 0
    for number in itertools.count():
        begun = time.monotonic()
        if begun >= deadline:
            return created
        objects = list(build_round(number))
        await client.create_all(WORKFLOWS, objects)
        created += len(objects)
        await asyncio.sleep(max(0.0, begun + every - time.monotonic()))
    raise AssertionError("never")


async def _look(operator: Operator, started: float, looks: list[Look]) -> None:
    while True:
        text = await asyncio.to_thread(operator.read_metrics)
        depth = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("vapora_workqueue_depth "))
        looks.append(Look(time.monotonic() - started, read_memory_mib(operator.process.pid, "VmRSS"), depth))
        await asyncio.sleep(_LOOK_SECONDS)


async def _wait_until_gone(client: LoadClient) -> int:
    """Wait until no workflow is left, or for five minutes; return how many are."""
    left = await client.list_all(WORKFLOWS)
    for _ in range(round(_GONE_WITHIN / _LOOK_SECONDS)):
        if not left:
            break
        await asyncio.sleep(_LOOK_SECONDS)
        left = await client.list_all(WORKFLOWS)
    return len(left)


async def _list_pods(rig: Rig) -> list[Json]:
    async with connected(rig.cluster) as client:
        return await client.list_all(PODS)


def _is_of_a_workflow(pod: Json) -> bool:
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences", []) if isinstance(metadata, dict) else []
    return any(owner["kind"] == "Workflow" for owner in owners)


def _build_pool() -> Json:
    spec = {"role": "echo", "replicas": 1, "maxConcurrent": 4, "template": {"image": IMAGE, "command": AGENT}}
    return {"apiVersion": "vapora.dev/v1alpha1", "kind": "AgentPool", "metadata": {"name": POOL}, "spec": spec}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two rounds of work (default 10)")
    chosen = parser.parse_args()
    with Rig("soak", agents=True) as rig:
        report = asyncio.run(soak(rig, 60 * chosen.minutes, chosen.every))
    print(json.dumps(report, indent=1))
    is_held = not (report["lost"] or report["left_workflows"] or report["left_pods"])
    return int(not is_held or abs(float(str(report["rss_drift"]))) > _FLAT)


if __name__ == "__main__":
    sys.exit(main())
