"""What the operator sees is not what is so: watches that died without a word, and lists of what was before."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from tests.chaos.draw import Draw
from tests.chaos.gate import Write
from tests.chaos.launcher import PROGRAM
from tests.chaos.outcome import compare
from tests.chaos.stage import Stage, Undisturbed
from tests.cluster.waiting import wait_until

KINDS = ("step", "chain", "agent", "outside")
PASTS_DRAWN = 6
BEGUN = {Write("create", "pods", 1), Write("publish", "task", 1), Write("call", "tell", 1)}
# Which lists lag: all of them, or those of one kind while the others are of now.
LAGS = {"everything": "", "workflows": "workflows", "pods": "pods"}


@pytest.fixture(scope="module")
def program() -> Sequence[str]:
    return PROGRAM


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> Undisturbed:
    return Undisturbed({kind: stage.perform_undisturbed(kind).outcome for kind in KINDS}, {})


def await_begun(stage: Stage) -> None:
    wait_until(lambda: BEGUN & set(stage.gate.writes), "its work has begun", every=0.01)


def stop(stage: Stage) -> None:
    """Kill the operator; the stage starts no other before it is told to."""
    process = stage.operator.process
    stage.end_all()
    stage.gate.killed.append(process)


def restart_in_the_past(stage: Stage, version: str, plural: str = "") -> None:
    """Have a new operator act on what was so at a version, and then see what has happened since."""
    stop(stage)
    stage.view.go_back(version, plural)
    try:
        stage.ensure_operator()
        wait_until(stage.operator.is_ready, "it has seen everything, as it was")
        wait_until(lambda: "working" in {line["message"] for line in stage.operator.logs}, "it works")
        wait_until(lambda: has_looked(stage), "it has looked at a workflow")
    finally:
        stage.view.catch_up()


def has_looked(stage: Stage) -> bool:
    return any(line.startswith('vapora_reconcile_total{kind="Workflow"') for line in stage.operator.metrics())


@pytest.mark.parametrize("workflow", KINDS)
def test_it_ends_the_same_where_the_watches_die_without_a_word(workflow: str, stage: Stage, undisturbed: Undisturbed):
    def deafen(name: str) -> None:
        await_begun(stage)
        stage.view.deafen()

    before = stage.view.streams
    run = stage.perform(workflow, meanwhile=deafen)
    assert compare(run.outcome, undisturbed.outcomes[workflow]) == ""
    # Work outside the cluster ends by itself, so this may be later than its end.
    wait_until(lambda: stage.view.streams > before, "the dead watches are opened anew")


def test_a_workflow_made_while_the_watches_are_dead_is_found(stage: Stage, undisturbed: Undisturbed):
    wait_until(stage.operator.is_ready, "the operator sees everything")
    stage.view.deafen()
    run = stage.perform("step")
    assert compare(run.outcome, undisturbed.outcomes["step"]) == ""


@dataclass(frozen=True, slots=True)
class Past:
    """Which workflow is seen as it was when it was made, by what lists, and how far it has come meanwhile."""

    workflow: str
    lagging: str
    moment: str

    def __str__(self) -> str:
        return f"{self.workflow} {self.moment}, {self.lagging} as before"


PASTS = [Past(*each) for each in itertools.product(KINDS, LAGS, ("begun", "ended"))]


def test_it_ends_the_same_where_a_new_operator_sees_what_was_so_before(
    stage: Stage, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests
):
    for past in draw.choose(PASTS, PASTS_DRAWN):

        def restart(name: str, past: Past = past) -> None:
            version = stage.objects.get("Workflow", name)["metadata"]["resourceVersion"]
            if past.moment == "begun":
                await_begun(stage)
            else:
                stage.objects.finished(name)
            restart_in_the_past(stage, version, LAGS[past.lagging])

        with subtests.test(msg=str(past)):
            run = stage.perform(past.workflow, meanwhile=restart)
            assert compare(run.outcome, undisturbed.outcomes[past.workflow]) == ""
