"""The operator's clock jumps by an hour, both ways, while workflows run; docs/workflows.md says what that does."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.chaos.gate import Write
from tests.chaos.launcher import PROGRAM
from tests.chaos.outcome import compare
from tests.chaos.stage import Stage, Undisturbed
from tests.cluster.waiting import wait_until
from tests.integration.objects import Objects, run

KINDS = ("step", "chain", "agent", "outside")
HOUR = 3600.0
JUMPS = {"forward": HOUR, "back": -HOUR}
ENDLESS = {"duration": "1h"}

Clock = Callable[[float], None]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clock") / "seconds"


@pytest.fixture(scope="module")
def program(file: Path) -> Iterator[Sequence[str]]:
    file.write_text("0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAOS_CLOCK", str(file))
        yield PROGRAM


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> Undisturbed:
    return Undisturbed({kind: stage.perform_undisturbed(kind).outcome for kind in KINDS}, {})


@pytest.fixture
def set_clock(file: Path, stage: Stage) -> Iterator[Clock]:
    """Sets the operator's clock to so many seconds from everybody else's; it is right again after the test."""
    wait_until(lambda: stage.operator.is_ready() and stage.operator.is_leader, "the operator leads")

    def set_to(seconds: float) -> None:
        if float(file.read_text()) == seconds:
            return
        before, fresh = count_told(stage), file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.rename(file)
        wait_until(lambda: count_told(stage) > before, "the operator has noticed the jump")

    yield set_to
    set_to(0.0)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("workflow", KINDS)
def test_it_ends_the_same_where_the_clock_jumps_while_it_runs(
    workflow: str, jump: str, stage: Stage, undisturbed: Undisturbed, set_clock: Clock
):
    def leap(name: str) -> None:
        first = {Write("create", "pods", 1), Write("publish", "task", 1), Write("call", "tell", 1)}
        wait_until(lambda: first & set(stage.gate.writes), "its work has begun", every=0.01)
        set_clock(JUMPS[jump])

    run_of_it = stage.perform(workflow, meanwhile=leap)
    assert compare(run_of_it.outcome, undisturbed.outcomes[workflow]) == ""


def test_a_try_whose_time_is_over_by_the_jump_is_tried_again_once(stage: Stage, set_clock: Clock):
    retry = {"initialDelay": "100ms", "maxAttempts": 2}
    stage.objects.workflow("late", run("a", ends=ENDLESS, timeout="30m", retry=retry))
    stage.objects.workflow("early", run("a", ends=ENDLESS, timeout="90m", retry=retry))
    for name in ("late", "early"):
        wait_until(lambda n=name: stage.objects.step(n, "a").get("state") == "Running", f"{name} runs")
    set_clock(HOUR)
    wait_until(lambda: stage.objects.step("late", "a").get("tries") == 2, "the next try has begun")
    wait_until(lambda: stage.objects.step("late", "a").get("state") == "Running", "the next try runs")
    set_clock(0.0)
    again, still = stage.objects.step("late", "a"), stage.objects.step("early", "a")
    assert (still["state"], still["tries"]) == ("Running", 1)
    assert count_created(stage.objects, "late-") == 2
    assert again["attempt"] == 2


def test_a_wait_ends_by_the_clock_as_it_is_set(stage: Stage, set_clock: Clock):
    rest = {"name": "rest", "wait": {"for": "30m"}}
    stage.objects.workflow("waiting", rest, run("then", dependsOn=["rest"]))
    wait_until(lambda: stage.objects.step("waiting", "rest").get("state") == "Running", "it waits")
    set_clock(-HOUR)
    assert stage.objects.step("waiting", "rest")["state"] == "Running"
    set_clock(HOUR)
    assert stage.objects.finished("waiting")["status"]["phase"] == "Succeeded"
    assert count_created(stage.objects, "waiting-") == 1


def test_a_deadline_is_over_by_the_clock_as_it_is_set(stage: Stage, set_clock: Clock):
    stage.objects.workflow("bounded", run("a", ends=ENDLESS), deadline="30m")
    wait_until(lambda: stage.objects.step("bounded", "a").get("state") == "Running", "it runs")
    set_clock(HOUR)
    status = stage.objects.finished("bounded")["status"]
    assert status["phase"] == "Failed"
    stage.objects.await_said("Workflow", "bounded", "Succeeded", "False DeadlineExceeded")


def test_a_slot_of_a_schedule_has_one_run_however_the_clock_jumps(stage: Stage, set_clock: Clock):
    schedule = {"cron": "0 * * * *", "keep": {"succeeded": 0}}
    stage.objects.create("WorkflowTemplate", "hourly", {"workflow": {"steps": [run("only")]}, "schedule": schedule})
    noted = stage.objects.await_said("WorkflowTemplate", "hourly", "Ready", "True")
    assert noted
    for jump in (HOUR, 0.0, HOUR, -HOUR, HOUR):
        set_clock(jump)
        slot = f"hourly-{int((datetime.now(UTC).timestamp() + HOUR) // HOUR * 60)}"
        wait_until(lambda slot=slot: slot in stage.objects.created("workflows"), "the slot has its run")
    runs = Counter(name for name in stage.objects.created("workflows") if name.startswith("hourly-"))
    assert set(runs.values()) == {1}
    stage.objects.delete("WorkflowTemplate", "hourly")


def test_no_jump_has_cost_the_operator_its_lease(stage: Stage, set_clock: Clock):
    for seconds in (HOUR, -HOUR):
        set_clock(seconds)
        renewed = read_renewal(stage)
        wait_until(lambda renewed=renewed: read_renewal(stage) != renewed, "the lease is renewed")
    assert stage.operator.is_leader
    assert not [line for line in stage.operator.logs if line["message"] == "lost the lease"]


def count_created(objects: Objects, start: str) -> int:
    return sum(name.startswith(start) for name in objects.created("pods"))


def count_told(stage: Stage) -> int:
    """How many jumps the operator has told of."""
    return sum(line["message"] == "the clock was set" for line in stage.operator.logs)


def read_renewal(stage: Stage) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{stage.objects.namespace}-lease/leases/vapora-operator"
    return str(stage.objects.cluster.api.get(path).raise_for_status().json()["spec"]["renewTime"])
