from datetime import timedelta

import pytest
from tests.unit.controller.builders import Engine, build_workflow, workflow_key

from vapora.controller.inbox import Inbox, Letterbox
from vapora.core.agentpool.broker import Delivery
from vapora.core.plan import Key


class World(Engine):
    """Is the engine with a letterbox and one workflow."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox()
        self.woken: list[Key] = []
        self.acked: list[str] = []
        self.letterbox = Letterbox(self.store, self.inbox, self.woken.append, self.meter, self.clock)
        self.uid = self.add(build_workflow("w", steps=[]))["metadata"]["uid"]

    async def take(self, task: str, namespace: str, **claims: object) -> None:
        async def ack() -> None:
            self.acked.append(task)

        await self.letterbox.take(Delivery({"id": task, "outcome": "success", **claims}, task, None, ack, namespace))


async def test_a_result_wakes_its_workflow_and_is_not_acknowledged_yet() -> None:
    world = World()
    await world.take(f"{world.uid}/s/0/1", "default")
    assert world.woken == [workflow_key("w")]
    assert list(world.inbox.results(world.uid)) == [f"{world.uid}/s/0/1"]
    assert world.acked == []


DROPPED = {
    "a result of a workflow that is not there": ("gone/s/0/1", "default", "workflow"),
    "a result that an agent of another namespace gives": ("{uid}/s/0/1", "elsewhere", "namespace"),
    "a message that names no task": ("", "default", "unreadable"),
}


@pytest.mark.parametrize(("task", "namespace", "cause"), DROPPED.values(), ids=DROPPED.keys())
async def test_dropped_and_counted(task: str, namespace: str, cause: str) -> None:
    world = World()
    task = task.format(uid=world.uid)
    await world.take(task, namespace)
    assert world.meter.seen["result dropped", cause] == 1
    assert (world.woken, world.acked) == ([], [task])
    assert not world.inbox.has(world.uid)


async def test_claims_that_cannot_be_are_counted() -> None:
    world = World()
    tokens, tomorrow = {"prompt": 2, "completion": -1}, (world.clock.now() + timedelta(days=1)).isoformat()
    wrong = {"quality": 7, "costCents": -3, "tokens": tokens, "finishedAt": tomorrow}
    await world.take(f"{world.uid}/s/0/1", "default", **wrong)
    ended = world.clock.now().isoformat()
    await world.take(f"{world.uid}/s/0/2", "default", quality=1, costCents=3, tokens={"prompt": 2}, finishedAt=ended)
    clamped = {key: count for key, count in world.meter.seen.items() if key[0] == "clamped"}
    assert clamped == {("clamped", field): 1 for field in ("quality", "tokens", "cost_cents", "finished")}


async def test_what_tasks_took_of_a_model_is_counted_once_however_often_an_answer_comes():
    world = World()
    said = {"model": "m", "costCents": 3, "tokens": {"prompt": 20, "completion": 5}, "llmSeconds": [0.5, 2]}
    await world.take(f"{world.uid}/s/0/1", "default", **said)
    await world.take(f"{world.uid}/s/0/1", "default", **said)
    assert world.meter.seen == {
        ("cents", "m"): 3,
        ("tokens", "m", "prompt"): 20,
        ("tokens", "m", "completion"): 5,
        ("llm", "m"): 2,
    }


async def test_of_the_times_that_requests_to_models_took_only_what_can_be_is_counted() -> None:
    world = World()
    await world.take(f"{world.uid}/s/0/1", "default", model="m", llmSeconds=[1, -1, "2", True, None, float("inf"), 0.5])
    await world.take(f"{world.uid}/s/0/2", "default", model="n", llmSeconds=3)
    await world.take(f"{world.uid}/s/0/3", "default", model="n", llmSeconds=[10**400])
    assert world.meter.seen == {("llm", "m"): 2}
