"""Workflows whose operator is killed before and after each of its writes: they end as they would have."""

import asyncio
from collections import Counter

import pytest
from tests.fakes.virtual_time import run_virtually
from tests.unit.controller.cluster import Cluster
from tests.unit.workflow.world import agent_step, run_step

from vapora.controller.ports import JsonObject

FAILING = {"exit_code": 3, "message": "no such table"}
STORIES: dict[str, list[JsonObject]] = {
    "one step": [run_step("a")],
    "a chain of three": [run_step("a"), run_step("b", dependsOn=["a"]), run_step("c", dependsOn=["b"])],
    "one task": [agent_step("t")],
    "a task between two steps": [
        run_step("a", outputs=["n"]),
        {"name": "t", "agent": {"role": "developer", "title": "x", "input": "${steps.a.outputs.n}"}, "outputs": ["n"]},
        run_step("b", dependsOn=["t"]),
    ],
    "tasks for each item": [agent_step("t", forEach={"items": [1, 2, 3], "maxParallel": 2})],
    "items": [run_step("a", forEach={"items": [1, 2, 3], "maxParallel": 2}), run_step("b", dependsOn=["a"])],
    "a step that fails and is tried again": [run_step("bad", retry={"maxAttempts": 2, "initialDelay": "1s"})],
    "a failure beside a step that runs on": [
        run_step("bad", retry={"maxAttempts": 1}),
        run_step("slow"),
        run_step("never", dependsOn=["bad", "slow"]),
    ],
}


class Pilot(Cluster):
    """Is a cluster in which everything takes its course: Pods of `bad` fail, those of `slow` run until deleted."""

    async def fly(self, steps: list[JsonObject]) -> None:
        self.submit(*steps)
        async with self.operated(), asyncio.TaskGroup() as group:
            nodes = group.create_task(self._take_its_course())
            await self.until(self._is_over)
            nodes.cancel()

    async def _take_its_course(self) -> None:
        while True:
            await self.clock.sleep(0.3)
            for pod in self.api.all("Pod"):
                if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
                    self._end(pod)
            for task in self.broker.tasks.keys() - self.answers.keys() - set(self.acknowledged):
                self.answer(task, output={"n": 1})

    def _end(self, pod: JsonObject) -> None:
        step, is_deleting = pod["metadata"]["labels"]["vapora.dev/step"], "deletionTimestamp" in pod["metadata"]
        if step == "slow" and not is_deleting:
            return
        code = 143 if is_deleting else 3 if step == "bad" else 0
        self.finish_pod(pod, code, "" if code else '{"n": 7}')

    def _is_over(self) -> bool:
        return self.condition("Recorded") == "True Recorded" and not self.held_pods() and not self.answers

    def tell(self) -> dict[str, object]:
        """All that must be the same however often the operator was killed."""
        return {
            "phase": self.phase,
            "steps": {
                name: {field: row.get(field) for field in ("state", "tries", "attempt", "reason", "outputs", "effect")}
                for name, row in self.status["steps"].items()
            },
            "pods": sorted(Counter(pod["metadata"]["name"] for pod in self.api.all("Pod")).items()),
            "tasks": sorted(self.broker.tasks),
            "executions": sorted(self.graph.outcomes()),
        }


def run(steps: list[JsonObject], kill_at: tuple[int, str] | None = None) -> Pilot:
    pilot = Pilot()
    pilot.kill_at = kill_at
    run_virtually(_fly(pilot, steps))
    return pilot


async def _fly(pilot: Pilot, steps: list[JsonObject]) -> None:
    await pilot.fly(steps)


@pytest.mark.parametrize("story", STORIES)
def test_killed_at_any_write_a_workflow_ends_as_it_would_have(story: str) -> None:
    undisturbed = run(STORIES[story])
    want, writes, hits = undisturbed.tell(), undisturbed.writes, 0
    for number in range(1, writes + 1):
        for when in ("before", "after"):
            killed = run(STORIES[story], (number, when))
            hits += killed.kill_at is None
            assert killed.tell() == want, f"killed {when} write {number}"
    assert hits >= 2 * writes - 4  # the last events may come after the end
