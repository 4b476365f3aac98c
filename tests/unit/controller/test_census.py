"""What there is now, counted from the store."""

from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.census import Census
from vapora.controller.domain_meter import PoolCount
from vapora.controller.store import Store


class World:
    def __init__(self) -> None:
        self.store, self.clock, self.version = Store(), VirtualClock(), 0
        self.census = Census(self.store, self.clock)

    def put(self, kind: str, name: str, status: dict[str, object], spec: dict[str, object] | None = None) -> None:
        self.version += 1
        meta = {"namespace": "team", "name": name, "uid": name, "resourceVersion": str(self.version)}
        self.store.put(kind, {"kind": kind, "metadata": meta, "spec": spec or {}, "status": status})

    def run(self, name: str, phase: str, **states: str) -> None:
        self.put(
            "Workflow", name, {"phase": phase, "steps": {step: {"state": state} for step, state in states.items()}}
        )


@in_virtual_time
async def test_workflows_count_by_phase_and_the_steps_of_those_that_go_on_by_state() -> None:
    world = World()
    world.run("one", "Running", a="Succeeded", b="Running")
    world.run("two", "Running", a="Running")
    world.run("three", "Failed", a="Failed")
    world.put("Workflow", "new", {})
    counts = world.census.count()
    assert {phase: count for phase, count in counts.workflows.items() if count} == {
        "Running": 2,
        "Failed": 1,
        "Pending": 1,
    }
    assert {state: count for state, count in counts.steps.items() if count} == {"Succeeded": 1, "Running": 2}
    assert counts.workflows["Cancelled"] == 0


@in_virtual_time
async def test_the_longest_idle_workflow_is_the_one_of_which_nothing_runs() -> None:
    world = World()
    world.run("busy", "Running", a="Running")
    world.run("asking", "WaitingApproval", a="WaitingApproval")
    world.run("waiting", "Running", a="Starting")
    world.census.count()
    await world.clock.sleep(100)
    assert world.census.count().idle_seconds == 100
    world.run("waiting", "Running", a="Running")
    assert world.census.count().idle_seconds == 0


@in_virtual_time
async def test_a_pool_is_saturated_at_its_largest_size_with_tasks_waiting() -> None:
    world = World()
    most = {"scaling": {"mode": "queue", "min": 0, "max": 3}}
    status = {"replicas": 3, "desiredReplicas": 3, "queued": 4, "busy": 2}
    world.put("AgentPool", "full", status, most)
    world.put("AgentPool", "idle", {**status, "queued": 0}, most)
    world.put("AgentPool", "growing", {**status, "desiredReplicas": 2}, most)
    world.put("AgentPool", "fixed", status, {"replicas": 3})
    counts = world.census.count()
    assert counts.saturated == 1
    assert PoolCount("team", "full", replicas=3, queue=4, busy=2) in counts.pools


@in_virtual_time
async def test_what_is_gone_counts_no_more() -> None:
    world = World()
    world.run("one", "Running", a="Running")
    world.census.count()
    (key,) = world.store.keys("Workflow")
    world.store.remove(key, "one")
    assert sum(world.census.count().workflows.values()) == 0
