"""The loads of what is there and does nothing: workflows that all run on, and workflows that are all over."""

import asyncio
import re
import time

from bench.audit import find, read_writes
from bench.client import connected
from bench.loads import Load
from bench.measure import Processes, compare, read_memory_mib
from bench.rig import NAMESPACE, Operator, Rig
from bench.run import PODS, WORKFLOWS, Report, Shift, settle
from tests.cluster import until

_CALM_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_RECONCILED_WITHIN = 300.0
_RECONCILED = re.compile(r'vapora_reconcile_total\{kind="Workflow",[^}]*\} (\S+)')
_WAITING = re.compile(r"^vapora_workqueue_depth (\S+)", re.MULTILINE)


async def run_live(rig: Rig, load: Load) -> Report:
    """Measure the operator's memory while all workflows run, and how soon another has looked at them all."""
    shift, since = Shift(rig), rig.cluster.audit_position()
    idle = read_memory_mib(shift.operator.process.pid, "VmRSS")
    async with connected(rig.cluster) as client, client.watching(PODS, "Running") as running:
        await client.create_all(WORKFLOWS, load.workflows)
        await running.wait_for(load.steps)
        rig.cluster.control_plane.check()
        await asyncio.sleep(_CALM_SECONDS)
        live = {
            "workflows": len(running.names),
            "rss_mib": read_memory_mib(shift.operator.process.pid, "VmRSS"),
            "peak_rss_mib": shift.read_peak(),
            "idle_rss_mib": idle,
        }
        started = time.monotonic()
        await asyncio.to_thread(shift.restart)
        await until(
            lambda: _count_reconciled(shift.operator) >= len(load.workflows),
            "every workflow is looked at",
            within=_RECONCILED_WITHIN,
        )
        seconds = time.monotonic() - started
        await settle(shift.operator)
        objects = await client.list_all(WORKFLOWS)
    uids = {str(obj["metadata"]["name"]): str(obj["metadata"]["uid"]) for obj in objects}
    found = find(read_writes(rig.cluster.audit_events(since)), load, NAMESPACE, uids)
    return {**live, "seconds_to_look_at_all_again": seconds, "duplicates": found.duplicates, "lost": found.lost}


async def run_idle(rig: Rig, load: Load) -> Report:
    """Run a load to its end, and measure what the operator needs when all of it is over and stays there."""
    shift = Shift(rig)
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        started = time.monotonic()
        await client.create_all(WORKFLOWS, load.workflows)
        await ended.wait_for(len(load.workflows))
        seconds = ended.last_at - started
    rig.cluster.control_plane.check()
    await settle(shift.operator)
    processes = Processes([("operator", shift.operator.process.pid)])
    before = processes.sample()
    await asyncio.sleep(_IDLE_SECONDS)
    usage = compare(before, processes.sample())
    return {
        "workflows": len(ended.names),
        "lost": len(load.workflows) - len(ended.names),
        "per_minute": 60 * len(ended.names) / seconds,
        "operator_millicores": 1000 * usage.cpu["operator"] / usage.seconds,
        "rss_mib": read_memory_mib(shift.operator.process.pid, "VmRSS"),
        "peak_rss_mib": shift.read_peak(),
    }


def _count_reconciled(operator: Operator) -> int:
    """Return how often the operator has looked at a workflow, once nothing waits for it; 0 before."""
    metrics = operator.read_metrics()
    waiting = _WAITING.search(metrics)
    if waiting is None or float(waiting[1]):
        return 0
    return int(sum(float(value) for value in _RECONCILED.findall(metrics)))
