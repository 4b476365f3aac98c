"""Running one load on its rig: create, watch, let it settle, count."""

import asyncio
import dataclasses
import json
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from bench.audit import Findings, find, read_writes
from bench.client import Ended, LoadClient, Object, connected
from bench.loads import Load, build_bare_pods
from bench.measure import Processes, Usage, compare, read_memory_mib
from bench.rig import NAMESPACE, Operator, Rig

Report = dict[str, object]

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
WORKFLOWS = f"/apis/vapora.dev/v1alpha1/namespaces/{NAMESPACE}/workflows"

_SETTLE_SECONDS = 60.0
_QUIET_SECONDS = 2.0
_READS = {"get", "list", "watch"}
_LOOK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one load came to. `seconds` is from the first create until a watch has seen the last end."""

    load: Load
    seconds: float
    usage: Usage
    findings: Findings
    unfinished: int
    unrecorded: int
    reads: Mapping[str, int]
    status_bytes: Sequence[int]
    peak_mib: float
    has_settled: bool

    def report(self) -> Report:
        """Return the figures that all loads share; what is `per_step` is divided by the number of units."""
        steps, found = self.load.steps, self.findings
        cpu = {name: 1000 * seconds / steps for name, seconds in self.usage.cpu.items()}
        return {
            "steps": steps,
            "pods": found.pods,
            "seconds": self.seconds,
            "settled_seconds": self.usage.seconds,
            "has_settled": self.has_settled,
            "duplicates": found.duplicates,
            "lost": self.unfinished + found.lost,
            "unrecorded": self.unrecorded,
            "operator_writes": {name: count / steps for name, count in sorted(found.writes.items())},
            "operator_writes_per_step": sum(found.writes.values()) / steps,
            "operator_writes_refused": dict(sorted(found.refused.items())),
            "operator_reads": dict(sorted(self.reads.items())),
            "operator_cpu_seconds": self.usage.cpu["operator"],
            "operator_peak_rss_mib": self.peak_mib,
            "cpu_ms_per_step": cpu,
            "steps_per_minute_if_cpu_were_all": 120_000 / sum(cpu.values()),
            "others_cpu_share": self.usage.others,
            "p50_ready_to_child_ms": find_percentile(found.waits, 50) * 1000,
            "p99_ready_to_child_ms": find_percentile(found.waits, 99) * 1000,
            "status_bytes_mean": statistics.fmean(self.status_bytes),
            "status_bytes_max": max(self.status_bytes),
        }


class Shift:
    """The operator that works on a load, and what it and those before it used."""

    def __init__(self, rig: Rig, *flags: str) -> None:
        self.operator = rig.start_operator(*flags)
        self._rig = rig
        self._processes = Processes(rig.processes(self.operator))
        self._before, self._asked = self._processes.sample(), self.operator.requests()
        self._since = rig.cluster.audit_position()
        self._peak_mib = 0.0
        self._gone: Counter[tuple[str, str]] = Counter()

    def restart(self) -> None:
        """End the operator by kill -9 and return when another one works in its place."""
        self._gone += self.operator.requests()
        self._peak_mib = self.read_peak()
        self._processes.note_end("operator")
        self.operator.kill()
        self.operator = self._rig.start_operator()
        self._processes.replace("operator", self.operator.process.pid)

    def conclude(
        self, load: Load, objects: Sequence[Object], usage: Usage, seconds: float, *, settled: bool
    ) -> Outcome:
        """Count what came of the load."""
        uids = {str(obj["metadata"]["name"]): str(obj["metadata"]["uid"]) for obj in objects}
        asked = self._gone + self.operator.requests() - self._asked
        return Outcome(
            load=load,
            seconds=seconds,
            usage=usage,
            findings=find(read_writes(self._rig.cluster.audit_events(self._since)), load, NAMESPACE, uids),
            unfinished=len(load.workflows) - sum(has_succeeded(obj) for obj in objects),
            unrecorded=len(load.workflows) - sum(is_recorded(obj) for obj in objects),
            reads={f"{verb} {kind}": count for (verb, kind), count in asked.items() if verb in _READS},
            status_bytes=[measure_status(obj) for obj in objects],
            peak_mib=self.read_peak(),
            has_settled=settled,
        )

    def usage(self) -> Usage:
        """Return what was used since the beginning."""
        return compare(self._before, self._processes.sample())

    def read_peak(self) -> float:
        """Return the most memory, in MiB, that an operator of this shift had."""
        return max(self._peak_mib, read_memory_mib(self.operator.process.pid, "VmHWM"))


async def run_load(rig: Rig, load: Load) -> Outcome:
    """Run a load of Workflows to its end."""
    shift = Shift(rig)
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        seconds = await _run(rig, client, load, ended)
        return await _conclude(shift, client, load, seconds)


async def run_killed(rig: Rig, load: Load) -> Report:
    """Run a load with the operator ended by kill -9 when all is created and a third is over, and started again."""
    shift = Shift(rig)
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        started = time.monotonic()
        await client.create_all(WORKFLOWS, load.workflows)
        await ended.wait_for(len(load.workflows) // 3)
        killed, over = time.monotonic(), len(ended.names)
        await asyncio.to_thread(shift.restart)
        works = time.monotonic()
        await ended.wait_for(len(load.workflows))
        rig.cluster.control_plane.check()
        outcome = await _conclude(shift, client, load, ended.last_at - started)
    return {
        "over_at_the_kill": over,
        "seconds_until_another_works": works - killed,
        "seconds_to_catch_up": ended.last_at - killed,  # from the kill until the last has ended
        **outcome.report(),
    }


async def run_watched(rig: Rig, load: Load) -> Report:
    """Run a load of one Workflow, and look at its status every half second to see how large it gets."""
    shift = Shift(rig)
    peak = 0
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:

        async def look() -> None:
            nonlocal peak
            while True:
                peak = max(peak, *(measure_status(obj) for obj in await client.list_all(WORKFLOWS)), 0)
                await asyncio.sleep(_LOOK_SECONDS)

        looking = asyncio.create_task(look())
        try:
            seconds = await _run(rig, client, load, ended)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
        outcome = await _conclude(shift, client, load, seconds)
    return {"status_bytes_peak": max(peak, *outcome.status_bytes), **outcome.report()}


async def _run(rig: Rig, client: LoadClient, load: Load, ended: Ended) -> float:
    """Create a load and wait until a watch has seen all end; return the seconds."""
    started = time.monotonic()
    await client.create_all(WORKFLOWS, load.workflows)
    await ended.wait_for(len(load.workflows))
    rig.cluster.control_plane.check()
    return ended.last_at - started


async def _conclude(shift: Shift, client: LoadClient, load: Load, seconds: float) -> Outcome:
    settled = await settle(shift.operator)
    usage = shift.usage()
    return shift.conclude(load, await client.list_all(WORKFLOWS), usage, seconds, settled=settled)


def measure_status(obj: Object) -> int:
    """Return the bytes of a status as JSON."""
    return len(json.dumps(obj.get("status", {}), separators=(",", ":")))


async def run_bare_pods(rig: Rig, count: int, prefix: str = "bare") -> Report:
    """Measure what the machine can do at best: as many Pods that nobody looks after."""
    processes = Processes(rig.processes(None))
    before = processes.sample()
    async with connected(rig.cluster) as client, client.watching(PODS, "Succeeded") as ended:
        started = time.monotonic()
        await client.create_all(PODS, build_bare_pods(count, prefix))
        await ended.wait_for(count)
        rig.cluster.control_plane.check()
    usage, seconds = compare(before, processes.sample()), ended.last_at - started
    return {
        "pods": count,
        "lost": count - len(ended.names),
        "seconds": seconds,
        "per_minute": 60 * len(ended.names) / seconds,
        "cpu_ms_per_pod": {name: 1000 * cpu / count for name, cpu in usage.cpu.items()},
        "others_cpu_share": usage.others,
    }


def find_percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)] if ordered else float("nan")


async def settle(operator: Operator) -> bool:
    """Wait until the operator has written nothing for a while; return whether that came to be."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        written = _count_writes(operator.requests())
        if written != last:
            last, since = written, time.monotonic()
        elif time.monotonic() >= since + _QUIET_SECONDS:
            return True
        await asyncio.sleep(_QUIET_SECONDS / 4)
    return False


def _count_writes(requests: Counter[tuple[str, str]]) -> int:
    return sum(count for (verb, kind), count in requests.items() if verb not in _READS and kind != "Lease")


def has_succeeded(obj: Object) -> bool:
    """Whether a Workflow has ended well."""
    return obj.get("status", {}).get("phase") == "Succeeded"


def is_recorded(obj: Object) -> bool:
    """Whether the knowledge graph has all of a Workflow."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Recorded" and condition["status"] == "True" for condition in conditions)
