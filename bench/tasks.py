"""The load `tasks`: many tasks for agents, some of which are killed, as the broker is once."""

import asyncio
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.client import connected
from bench.loads import IMAGE, Json
from bench.rig import NAMESPACE, Rig
from bench.run import WORKFLOWS, Report, Shift, has_succeeded
from tests.cluster import wait_until

POOLS = f"/apis/vapora.dev/v1alpha1/namespaces/{NAMESPACE}/agentpools"
POOL = "workers"

_WORKFLOWS = 5
_KILLS = 5  # of agents
_STALL_SECONDS = 180.0
_LOOK_SECONDS = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class TaskLoad:
    """So many tasks, the items of a few workflows, for so many agents."""

    tasks: int
    agents: int

    @property
    def items(self) -> int:
        return self.tasks // _WORKFLOWS

    def build_pool(self, work_log: Path) -> Json:
        """Return the pool whose agents write down in a file what they did."""
        template = {
            "image": IMAGE,
            "command": [sys.executable, "examples/agents/worker.py"],
            "env": {"VAPORA_WORK_LOG": str(work_log)},
        }
        spec = {"role": "worker", "replicas": self.agents, "maxConcurrent": 2, "template": template}
        metadata = {"name": POOL}
        return {"apiVersion": "vapora.dev/v1alpha1", "kind": "AgentPool", "metadata": metadata, "spec": spec}

    def build_workflows(self) -> list[Json]:
        """Return the workflows."""
        each = {"items": list(range(self.items)), "maxParallel": 1000}
        steps = [{"name": "each", "forEach": each, "agent": {"pool": POOL, "taskType": "general", "title": "work"}}]
        spec = {"maxParallel": 1000, "steps": steps}
        return [
            {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": f"tasks-{n}"}, "spec": spec}
            for n in range(_WORKFLOWS)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What the agents wrote down. `two_ids` are tasks that were done under more than one id."""

    done: int
    two_ids: int
    repeated: int


async def run_tasks(rig: Rig, load: TaskLoad) -> Report:
    """Run the load; agents are killed one after the other as the work goes on, and the broker between them."""
    work_log = rig.cluster.folder / "work.log"
    shift = Shift(rig, "--nats-url", rig.cluster.nats.url)
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        await client.create_all(POOLS, [load.build_pool(work_log)])
        await asyncio.to_thread(
            wait_until,
            lambda: len(rig.cluster.agents.running(NAMESPACE, POOL)) == load.agents,
            "all agents run",
            within=120,
        )
        started = time.monotonic()
        await client.create_all(WORKFLOWS, load.build_workflows())
        killed = await _disturb(rig, work_log, load.tasks)
        await ended.wait_for(_WORKFLOWS, stall=_STALL_SECONDS)
        rig.cluster.control_plane.check()
        usage, workflows = shift.usage(), await client.list_all(WORKFLOWS)
    uids = [str(workflow["metadata"]["uid"]) for workflow in workflows]
    work = count_work(_read_lines(work_log), uids, load.items)
    seconds = ended.last_at - started
    return {
        "tasks": load.tasks,
        "lost": load.tasks - work.done + sum(not has_succeeded(workflow) for workflow in workflows),
        "two_ids": work.two_ids,
        "repeated": work.repeated,
        "agents_killed": killed,
        "seconds": seconds,
        "tasks_per_minute": 60 * load.tasks / seconds,
        "cpu_ms_per_task": {name: 1000 * cpu / load.tasks for name, cpu in usage.cpu.items()},
        "operator_peak_rss_mib": shift.read_peak(),
    }


def count_work(lines: Iterable[str], uids: Sequence[str], items: int) -> Work:
    """Judge the agents' own file: each line begins with the id of a task, `<uid>/<step>/<item>/<effect>`."""
    times = Counter(line.split()[0] for line in lines if line.strip())
    ids = Counter(task.rpartition("/")[0] for task in times)
    wanted = {f"{uid}/each/{item}" for uid in uids for item in range(items)}
    return Work(
        done=sum(task in ids for task in wanted),
        two_ids=sum(count > 1 for count in ids.values()),
        repeated=sum(count - 1 for count in times.values()),
    )


async def _disturb(rig: Rig, work_log: Path, tasks: int) -> int:
    """Kill an agent after each seventh of the work, and the broker after the middle one; return how many agents."""
    killed = 0
    for turn in range(1, _KILLS + 2):
        await _wait_for_work(work_log, tasks * turn // (_KILLS + 2))
        if turn == (_KILLS + 2) // 2:
            rig.cluster.nats.kill()
            await asyncio.to_thread(rig.cluster.nats.start)
            continue
        running = rig.cluster.agents.running(NAMESPACE, POOL)
        agent = running[turn % len(running)]
        if agent.process is not None:
            agent.process.kill()
            killed += 1
    return killed


async def _wait_for_work(work_log: Path, count: int) -> None:
    deadline = time.monotonic() + _STALL_SECONDS
    while len(_read_lines(work_log)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(_read_lines(work_log))} of {count} tasks were done in time")
        await asyncio.sleep(_LOOK_SECONDS)


def _read_lines(work_log: Path) -> list[str]:
    return work_log.read_text().splitlines() if work_log.exists() else []
