"""The load `ramp`: workflows that come at a rate, which rises from stage to stage."""

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.audit import Write, find, read_writes
from bench.client import LoadClient, connected
from bench.loads import Json, Load, build_one_step
from bench.rig import NAMESPACE, Rig
from bench.run import WORKFLOWS, Report, Shift, find_percentile, has_succeeded

RATES = (5, 10, 15, 20, 25, 30)  # workflows a second


async def run_ramp(rig: Rig, seconds: float) -> Report:
    """Create workflows at each rate for so many seconds, and tell how long each rate let them wait for their Pods."""
    counts = [round(rate * seconds) for rate in RATES]
    load = build_one_step(sum(counts))
    shift, since = Shift(rig), rig.cluster.audit_position()
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        started = time.monotonic()
        for rate, stage in zip(RATES, split(load.workflows, counts), strict=True):
            await _create_paced(client, stage, rate)
        await ended.wait_for(len(load.workflows))
        rig.cluster.control_plane.check()
        usage, objects = shift.usage(), await client.list_all(WORKFLOWS)
    uids = {str(obj["metadata"]["name"]): str(obj["metadata"]["uid"]) for obj in objects}
    writes = read_writes(rig.cluster.audit_events(since))
    found = find(writes, load, NAMESPACE, uids)
    return {
        "workflows": len(load.workflows),
        "duplicates": found.duplicates,
        "lost": len(load.workflows) - sum(has_succeeded(obj) for obj in objects) + found.lost,
        "seconds": ended.last_at - started,
        **measure_stages(writes, load, counts, uids),
        "others_cpu_share": usage.others,
    }


def split(workflows: Sequence[Json], counts: Sequence[int]) -> Iterator[Sequence[Json]]:
    """Yield so many workflows for each stage, in their order."""
    begin = 0
    for count in counts:
        yield workflows[begin : begin + count]
        begin += count


def measure_stages(writes: Sequence[Write], load: Load, counts: Sequence[int], uids: Mapping[str, str]) -> Report:
    """Return the milliseconds from a workflow's creation to that of its Pod, by the rate at which they came."""
    waits: dict[str, dict[str, float]] = {"p50_ready_to_child_ms": {}, "p99_ready_to_child_ms": {}}
    for rate, stage in zip(RATES, split(load.workflows, counts), strict=True):
        names = {str(obj["metadata"]["name"]) for obj in stage if isinstance(obj["metadata"], dict)}
        part = {name: uid for name, uid in uids.items() if name in names}
        found = find(writes, dataclasses.replace(load, workflows=stage), NAMESPACE, part)
        for percent in (50, 99):
            waits[f"p{percent}_ready_to_child_ms"][f"at {rate} a second"] = 1000 * find_percentile(found.waits, percent)
    return dict(waits)


async def _create_paced(client: LoadClient, workflows: Sequence[Json], rate: float) -> None:
    """Create one after the other at a rate; one that is answered late is not waited for."""
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, workflow in enumerate(workflows):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            group.create_task(client.create_all(WORKFLOWS, [workflow]))
