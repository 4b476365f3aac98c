"""The load `pools`: very many pools whose queues live, some of which cross a threshold now and then."""

import asyncio
import dataclasses
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

import nats
from bench.audit import Write, read_writes
from bench.client import LoadClient, Object, connected
from bench.loads import IMAGE, Json
from bench.measure import Processes, compare, read_memory_mib
from bench.rig import NAMESPACE, OPERATOR_USER, Rig
from bench.run import Report, find_percentile, settle
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from vapora.agent.contract import TASKS_STREAM, task_subject

POOLS = f"/apis/vapora.dev/v1alpha1/namespaces/{NAMESPACE}/agentpools"

_FIRST, _LOWEST, _HIGHEST = 5, 3, 9  # tasks of a queue that crosses no threshold: those are 2 and 10
_HIGH = 14
_MOVED_A_SECOND = 0.1  # of all queues, by one task each
_CROSSING_A_MINUTE = 0.05
_LATE_SECONDS = 15.0  # how long a decision is waited for after the last crossing
_READY_WITHIN = 300.0
_SEED = 7


@dataclasses.dataclass(frozen=True, slots=True)
class Crossing:
    """When the queue of a pool passed a threshold, and whether it grew."""

    pool: str
    at: float
    rises: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class PoolLoad:
    """So many pools for so many seconds. Of those whose queue will cross, every other one has an agent to lose."""

    pools: int
    seconds: float

    @property
    def crossings(self) -> int:
        return max(1, round(self.pools * _CROSSING_A_MINUTE * self.seconds / 60))

    def build(self) -> list[Json]:
        """Return the pools; each makes at most one step in the time of the load, and at once."""
        return [self._build_pool(number) for number in range(self.pools)]

    def falls(self, number: int) -> bool:
        """Whether the queue of a pool will run empty."""
        return number < self.crossings and number % 2 == 1

    def _build_pool(self, number: int) -> Json:
        scaling = {"min": 1, "max": 3, "interval": "60s", "scaleDownStabilization": "0s"}
        spec = {
            "role": "worker",
            "replicas": 2 if self.falls(number) else 1,
            "template": {"image": IMAGE},
            "scaling": scaling,
        }
        metadata = {"name": name_pool(number)}
        return {"apiVersion": "vapora.dev/v1alpha1", "kind": "AgentPool", "metadata": metadata, "spec": spec}


class Queues:
    """The queues of all pools: tasks that no agent takes, put there and taken away again."""

    def __init__(self, stream: JetStreamContext, count: int) -> None:
        self._stream = stream
        self._tasks: list[deque[int]] = [deque() for _ in range(count)]

    def depth(self, number: int) -> int:
        return len(self._tasks[number])

    async def set_depth(self, number: int, wanted: int) -> None:
        """Add tasks to a queue, or take the oldest away, until it has so many."""
        tasks = self._tasks[number]
        while len(tasks) < wanted:
            answer = await self._stream.publish(task_subject(NAMESPACE, name_pool(number)), b"{}", stream=TASKS_STREAM)
            tasks.append(answer.seq)
        while len(tasks) > wanted:
            await self._stream.delete_msg(TASKS_STREAM, tasks.popleft())

    async def fill(self) -> None:
        """Give every queue its first tasks, once the operator has made the stream."""
        await self._wait_for_stream()
        numbers = iter(range(len(self._tasks)))

        async def work() -> None:
            for number in numbers:
                await self.set_depth(number, _FIRST)

        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(work())

    async def _wait_for_stream(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    await self._stream.stream_info(TASKS_STREAM)
                except NotFoundError:
                    await asyncio.sleep(0.1)
                else:
                    return


async def run_pools(rig: Rig, load: PoolLoad) -> Report:
    """Measure what the operator needs for pools at work, and how soon it decides."""
    operator = rig.start_operator("--nats-url", rig.cluster.nats.url)
    broker = await nats.connect(rig.cluster.nats.url)
    queues = Queues(broker.jetstream(), load.pools)
    async with connected(rig.cluster) as client:
        await queues.fill()
        await client.create_all(POOLS, load.build())
        await _wait_until_ready(client, load.pools)
        await settle(operator)
        since = rig.cluster.audit_position()
        processes = Processes([*rig.processes(operator), ("nats", rig.cluster.nats.pid or 0)])
        before = processes.sample()
        crossings = await _live(queues, load)
        usage = compare(before, processes.sample())
        rss = read_memory_mib(operator.process.pid, "VmRSS")
        await asyncio.sleep(_LATE_SECONDS)
        rig.cluster.control_plane.check()
    await broker.close()
    writes = read_writes(rig.cluster.audit_events(since))
    return {
        "pools": load.pools,
        "seconds": usage.seconds,
        **judge_decisions(crossings, writes),
        "millicores": {name: 1000 * seconds / usage.seconds for name, seconds in usage.cpu.items()},
        "operator_millicores": 1000 * usage.cpu["operator"] / usage.seconds,
        "rss_mib": rss,
        "peak_rss_mib": read_memory_mib(operator.process.pid, "VmHWM"),
        "operator_writes": count_writes(writes),
        "others_cpu_share": usage.others,
    }


def judge_decisions(crossings: Sequence[Crossing], writes: Iterable[Write]) -> Report:
    """Return how long it took from each crossing until the Deployment had another size, and how many never had."""
    applied: dict[str, list[float]] = {}
    for write in writes:
        if write.user == OPERATOR_USER and (write.verb, write.resource) == ("patch", "deployments"):
            applied.setdefault(write.name, []).append(write.answered)
    waits: dict[Crossing, float] = {}
    for crossing in crossings:
        since = [at - crossing.at for at in applied.get(f"agentpool-{crossing.pool}", ()) if at >= crossing.at]
        if since:
            waits[crossing] = min(since)
    return {
        "crossings": len(crossings),
        "undecided": len(crossings) - len(waits),
        "p95_growth_seconds": find_percentile([wait for crossing, wait in waits.items() if crossing.rises], 95),
        "latest_decision_seconds": max(waits.values(), default=float("nan")),
    }


def count_writes(writes: Iterable[Write]) -> Mapping[str, int]:
    """Return how often the operator wrote what."""
    return dict(sorted(Counter(f"{w.verb} {w.resource}" for w in writes if w.user == OPERATOR_USER).items()))


def name_pool(number: int) -> str:
    """Return the name of a pool."""
    return f"pool-{number:04}"


async def _wait_until_ready(client: LoadClient, count: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while sum(_is_ready(pool) for pool in await client.list_all(POOLS)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} pools were not ready after {_READY_WITHIN:.0f} s")
        await asyncio.sleep(1)


def _is_ready(pool: Object) -> bool:
    status = pool.get("status", {})
    said = {row["type"]: row["status"] for row in status.get("conditions", [])}
    is_sized = status.get("readyReplicas") == status.get("desiredReplicas") == pool["spec"]["replicas"]
    return is_sized and said.get("MetricsAvailable") == "True"


async def _live(queues: Queues, load: PoolLoad) -> list[Crossing]:
    """Keep all queues moving for the time of the load, and let some cross a threshold."""
    crossings: list[Crossing] = []
    deadline = time.monotonic() + load.seconds

    async def cross() -> None:
        for number in range(load.crossings):
            crossings.append(
                Crossing(name_pool(number), time.time(), rises=not load.falls(number))
            )  # the threshold itself is passed a little later
            await queues.set_depth(number, 0 if load.falls(number) else _HIGH)
            await asyncio.sleep(load.seconds / load.crossings)

    async def move() -> None:
        chance = random.Random(_SEED)
        pause = 1 / max(1.0, load.pools * _MOVED_A_SECOND)
        while time.monotonic() < deadline:
            number = chance.randrange(load.crossings, load.pools)
            wanted = queues.depth(number) + chance.choice((-1, 1))
            await queues.set_depth(number, min(max(wanted, _LOWEST), _HIGHEST))
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        group.create_task(cross())
        group.create_task(move())
    return crossings
