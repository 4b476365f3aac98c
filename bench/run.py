"""Running one load on its rig: create, watch, let it settle, count."""

import asyncio
import dataclasses
import json
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from bench.audit import Findings, find, read_writes
from bench.client import LoadClient, Object, connected
from bench.loads import Load, build_bare_pods
from bench.measure import Processes, Usage, compare, read_memory_mib
from bench.rig import NAMESPACE, Operator, Rig

Report = dict[str, object]

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
WORKFLOWS = f"/apis/vapora.dev/v1alpha1/namespaces/{NAMESPACE}/workflows"

_SETTLE_SECONDS = 60.0
_QUIET_SECONDS = 2.0
_READS = {"get", "list", "watch"}
_LIVE_SECONDS = 5.0


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
        """Return the figures that all loads share; what is `per_step` is divided by the number of Pods to be made."""
        steps, found = self.load.steps, self.findings
        cpu = {name: 1000 * seconds / steps for name, seconds in self.usage.cpu.items()}
        return {
            "steps": steps,
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


async def run_load(rig: Rig, load: Load) -> Outcome:
    """Run a load of Workflows to its end."""
    operator = rig.start_operator()
    since, processes = rig.cluster.audit_position(), Processes(rig.processes(operator))
    asked, before = operator.requests(), processes.sample()
    async with connected(rig.cluster) as client:
        seconds = (await _create_and_wait(rig, client, WORKFLOWS, load.workflows, "Succeeded"))[0]
        has_settled = await _settle(operator)
        after, asked = processes.sample(), operator.requests() - asked
        objects = await client.list_all(WORKFLOWS)
    uids = {str(obj["metadata"]["name"]): str(obj["metadata"]["uid"]) for obj in objects}
    return Outcome(
        load=load,
        seconds=seconds,
        usage=compare(before, after),
        findings=find(read_writes(rig.cluster.audit_events(since)), load, NAMESPACE, uids),
        unfinished=len(load.workflows) - sum(_has_succeeded(obj) for obj in objects),
        unrecorded=len(load.workflows) - sum(_is_recorded(obj) for obj in objects),
        reads={f"{verb} {kind}": count for (verb, kind), count in asked.items() if verb in _READS},
        status_bytes=[len(json.dumps(obj.get("status", {}), separators=(",", ":"))) for obj in objects],
        peak_mib=read_memory_mib(operator.process.pid, "VmHWM"),
        has_settled=has_settled,
    )


async def run_bare_pods(rig: Rig, count: int, prefix: str = "bare") -> Report:
    """Measure what the machine can do at best: as many Pods that nobody looks after."""
    processes = Processes(rig.processes(None))
    before = processes.sample()
    async with connected(rig.cluster) as client:
        seconds, ended = await _create_and_wait(rig, client, PODS, build_bare_pods(count, prefix), "Succeeded")
    usage = compare(before, processes.sample())
    return {
        "pods": count,
        "lost": count - ended,
        "seconds": seconds,
        "per_minute": 60 * ended / seconds,
        "cpu_ms_per_pod": {name: 1000 * cpu / count for name, cpu in usage.cpu.items()},
        "others_cpu_share": usage.others,
    }


async def run_live(rig: Rig, load: Load) -> Report:
    """Measure the operator's memory while every workflow of a load runs."""
    operator = rig.start_operator()
    idle = read_memory_mib(operator.process.pid, "VmRSS")
    async with connected(rig.cluster) as client, client.watching(PODS, "Running") as running:
        await client.create_all(WORKFLOWS, load.workflows)
        await running.wait_for(load.steps)
    rig.cluster.control_plane.check()
    await asyncio.sleep(_LIVE_SECONDS)
    return {
        "workflows": len(running.names),
        "rss_mib": read_memory_mib(operator.process.pid, "VmRSS"),
        "peak_rss_mib": read_memory_mib(operator.process.pid, "VmHWM"),
        "idle_rss_mib": idle,
    }


def find_percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)] if ordered else float("nan")


async def _create_and_wait(
    rig: Rig, client: LoadClient, path: str, objects: Sequence[object], phase: str
) -> tuple[float, int]:
    """Create objects and wait until a watch has seen all in a phase; return the seconds and how many got there."""
    async with client.watching(path, phase) as ended:
        started = time.monotonic()
        await client.create_all(path, objects)
        await ended.wait_for(len(objects))
        rig.cluster.control_plane.check()
        return ended.last_at - started, len(ended.names)


async def _settle(operator: Operator) -> bool:
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


def _has_succeeded(obj: Object) -> bool:
    return obj.get("status", {}).get("phase") == "Succeeded"


def _is_recorded(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Recorded" and condition["status"] == "True" for condition in conditions)
