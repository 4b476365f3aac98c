"""The API server refuses, connections break, the broker dies, operators race: every workflow still ends the same."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.chaos.counting import Count, assert_struck
from tests.chaos.draw import Draw
from tests.chaos.gate import Cut, Expire, Fault, Freeze, Kill, Refuse, Reset, Side, Write
from tests.chaos.outcome import has_ended
from tests.chaos.stage import SETTLED_WITHIN, Performance, Stage, Undisturbed
from tests.chaos.stages import Stages
from tests.chaos.workflows import WORKFLOWS
from tests.cluster.waiting import wait_until

DRAWN = 40
RACES_DRAWN = 3
FREEZES_DRAWN = 6

WEATHER: dict[str, Fault] = {
    "a conflict instead of": Refuse(409, "Conflict"),
    "too many requests instead of": Refuse(429, "TooManyRequests", retry_after=1),
    "an internal error instead of": Refuse(500, "InternalError"),
    "a reset before": Reset(Side.BEFORE),
    "a reset after": Reset(Side.AFTER),
    "the end of all connections after": Cut(),
    "410 Gone for every watch after": Expire(),
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """What happens to which write."""

    workflow: str
    write: Write
    words: str

    def __str__(self) -> str:
        return f"{self.workflow}: {self.words} {self.write}"


def list_clouds(undisturbed: Undisturbed) -> Iterator[Cloud]:
    for workflow, writes in undisturbed.writes.items():
        for write in writes:
            if write.verb == "call":
                continue  # what a step calls may fail it, and is then tried again: that is no weather
            for words, fault in WEATHER.items():
                if can_meet(write, fault):
                    yield Cloud(workflow, write, words)


def can_meet(write: Write, fault: Fault) -> bool:
    if write.verb == "publish":
        return isinstance(fault, Reset)  # a broker refuses nothing by a number
    # To who applies or deletes an object, a conflict is an answer: that a field or the name is another's.
    return write.target != "configmaps" or not (isinstance(fault, Refuse) and fault.status == 409)


def test_it_ends_the_same_whatever_a_write_meets(
    stages: Stages, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests, count: Count
):
    def play(stage: Stage, cloud: Cloud) -> Performance:
        return stage.perform_until_struck(cloud.workflow, {cloud.write: WEATHER[cloud.words]})

    runs = stages.perform(draw.choose(list(list_clouds(undisturbed)), DRAWN), play)
    for cloud, run in runs:
        with subtests.test(msg=str(cloud)):
            assert undisturbed.compare(cloud.workflow, count(run.result())) == ""
    assert_struck(runs)


def test_it_ends_the_same_where_two_operators_race_for_the_lease(
    stages: Stages, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests
):
    def play(stage: Stage, kind: str) -> Performance:
        rival = stage.start_race()

        def count_leaders() -> None:
            assert sorted((rival.is_leader, stage.operator.is_leader)) == [False, True]

        try:
            return stage.perform(kind, afterwards=count_leaders)
        finally:
            stage.end_all(rival)

    for kind, run in stages.perform(draw.choose(list(WORKFLOWS), RACES_DRAWN), play):
        with subtests.test(msg=kind):
            assert undisturbed.compare(kind, run.result()) == ""


def test_it_ends_the_same_where_the_broker_is_away_when_the_task_is_to_be_given_out(
    stages: Stages, undisturbed: Undisturbed
):
    [stage, *_] = stages.all

    def wait_for_word(name: str) -> None:
        wait_until(
            lambda: stage.objects.step(name, "ask").get("reason") == "BrokerUnavailable",
            "the step says what it waits for",
        )
        stage.nats.start()

    stage.nats.kill()
    try:
        run = stage.perform("agent", meanwhile=wait_for_word)
    finally:
        stage.nats.start()
    assert undisturbed.compare("agent", run) == ""


def test_it_ends_the_same_where_the_broker_dies_while_an_agent_works(stages: Stages, undisturbed: Undisturbed):
    [stage, *_] = stages.all

    def restart(name: str) -> None:
        wait_until(lambda: Write("publish", "task", 1) in stage.gate.writes, "the task is given out", every=0.01)
        stage.nats.kill()
        stage.nats.start()

    assert undisturbed.compare("agent", stage.perform("agent", meanwhile=restart)) == ""


def test_a_standby_ends_what_a_killed_leader_began(stages: Stages, undisturbed: Undisturbed):
    [stage, *_] = stages.all
    stage.add_standby()
    run = stage.perform("chain", {Write("create", "pods", 1): Kill(Side.AFTER)})
    assert run.struck
    assert undisturbed.compare("chain", run) == ""


def test_a_leader_that_hung_and_wakes_after_the_end_changes_nothing(
    stages: Stages, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests, count: Count
):
    """Its write is on its way all the time, and arrives when another operator has done the work.

    What a step applies or calls is left out: nothing fences a request that makes an object, or leaves the cluster, from
    one that a hung operator had sent (docs/workflows.md says so).
    """

    def play(stage: Stage, point: tuple[str, Write]) -> Performance:
        return hang(stage, *point)

    points = [
        (kind, write)
        for kind, writes in undisturbed.writes.items()
        for write in writes
        if write.verb != "call" and write.target not in {"configmaps", "agentpools", "agentpools/scale"}
    ]
    runs = stages.perform(draw.choose(points, FREEZES_DRAWN), play)
    for (kind, write), run in runs:
        with subtests.test(msg=f"{kind}: hung at {write}"):
            assert undisturbed.compare(kind, count(run.result())) == ""
    assert_struck(runs)


def hang(stage: Stage, kind: str, write: Write) -> Performance:
    """Let the leader hang at a write and a standby do the work; then let the leader find out that it leads no more.

    It wakes when the workflow has ended, and before that is recorded: it may have hung while it held the graph's file.
    """
    leader, frost = stage.add_standby(), Freeze()

    def wake(name: str) -> None:
        wait_until(lambda: has_ended(stage.objects, name), f"{name} has ended", within=SETTLED_WITHIN)
        for fault in stage.gate.struck:
            if isinstance(fault, Freeze):
                wait_until(lambda: stage.operator.is_leader, "the standby has taken over", within=SETTLED_WITHIN)
                fault.thaw()
                wait_until(lambda: "lost the lease" in {line["message"] for line in leader.logs}, "it knows that")

    try:
        return stage.perform_until_struck(kind, {write: frost}, meanwhile=wake)
    finally:
        stage.end_all(leader)
        frost.thawed.set()
