"""Templates on a real API server, with the operator as a process."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import Operators, install_definitions, operators, operators_of
from tests.integration.objects import Json, Objects, run

LABEL = "vapora.dev/template"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def operator(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        started.start()
        yield started


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: Operators) -> Objects:
    return Objects(cluster, namespace)


def create(here: Objects, name: str, *parameters: Json, ends: dict[str, str] | None = None, **schedule: object) -> Json:
    spec: Json = {"parameters": list(parameters), "workflow": {"steps": [run("work", ends=ends)]}}
    return here.create("WorkflowTemplate", name, {**spec, "schedule": schedule} if schedule else spec)


def make_overdue(here: Objects, name: str, since: datetime) -> None:
    """Have the operator believe that it has been away since an instant, for a schedule that it has looked at."""
    wait_until(lambda: "nextScheduledAt" in here.status("WorkflowTemplate", name), "it is looked at")
    here.patch("WorkflowTemplate", name, {"status": {"nextScheduledAt": write(since)}}, "status")


def write(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def slots(here: Objects) -> list[datetime]:
    """The slots that were run, also of runs that are deleted."""
    made = [name for name in here.created("workflows") if name[-8:].isdecimal()]
    return [datetime.fromtimestamp(int(name[-8:]) * 60, UTC) for name in made]


def test_a_template_runs_when_its_minute_comes(here: Objects) -> None:
    created = create(here, "often", cron="* * * * *")
    here.await_said("WorkflowTemplate", "often", "Ready", "True AsExpected")
    coming = datetime.fromisoformat(here.status("WorkflowTemplate", "often")["nextScheduledAt"])
    assert coming > datetime.fromisoformat(created["metadata"]["creationTimestamp"])
    wait_until(lambda: here.all("Workflow", LABEL), "it has run", within=70)
    made = here.all("Workflow", LABEL)[0]
    assert made["metadata"]["name"] == f"often-{int(coming.timestamp()) // 60}"
    assert made["metadata"]["labels"][LABEL] == created["metadata"]["uid"]
    assert made["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
    status = here.await_status("WorkflowTemplate", "often", lastScheduledAt=write(coming))
    assert status["nextScheduledAt"] == write(coming + timedelta(minutes=1))
    columns = here.kubectl("get", "workflowtemplate", "often", "--no-headers").split()
    assert (columns[0], columns[-2]) == ("often", status["nextScheduledAt"])
    here.delete("WorkflowTemplate", "often")
    wait_until(lambda: here.all("Workflow", LABEL) == [], "its runs went with it", within=40)


def test_after_an_absence_the_latest_slot_runs_once_and_is_told_of(here: Objects) -> None:
    create(here, "yearly", cron="0 0 1 1 *", timeZone="Europe/Berlin")
    make_overdue(here, "yearly", LONG_AGO - timedelta(days=730, hours=1))
    wait_until(lambda: slots(here), "it has run")
    latest = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC) - timedelta(hours=1)
    status = here.await_status("WorkflowTemplate", "yearly", lastScheduledAt=write(latest))
    assert datetime.fromisoformat(status["nextScheduledAt"]) > datetime.now(UTC)
    assert slots(here) == [latest]
    reasons = ("get", "events", "-o", "jsonpath={.items[*].reason}")
    wait_until(lambda: {"RunMissed", "RunStarted"} <= set(here.kubectl(*reasons).split()), "it is told")


def test_the_next_run_takes_the_place_of_the_one_before(here: Objects) -> None:
    create(here, "fresh", ends={"duration": "forever"}, cron="0 0 1 1 *", concurrency="Replace")
    make_overdue(here, "fresh", LONG_AGO)
    first = wait_until(lambda: here.all("Workflow", LABEL), "it has run")[0]["metadata"]["name"]
    here.await_status("WorkflowTemplate", "fresh", lastScheduledAt=write(LONG_AGO))
    february = LONG_AGO + timedelta(days=31)
    here.patch("WorkflowTemplate", "fresh", {"spec": {"schedule": {"cron": "0 0 1 2 *"}}})
    here.await_status("WorkflowTemplate", "fresh", observedGeneration=2)
    make_overdue(here, "fresh", february)
    here.await_status("WorkflowTemplate", "fresh", lastScheduledAt=write(february))
    wait_until(lambda: here.find("Workflow", first) is None, "the first run is gone", within=40)
    assert slots(here) == [LONG_AGO, february]


def test_a_template_that_is_wrong_is_stalled_and_says_where(here: Objects) -> None:
    create(here, "wrong", cron="61 * * * *")
    here.await_said("WorkflowTemplate", "wrong", "Stalled", "True InvalidSpec: spec.schedule.cron: found '61 * * * *'")
    here.patch("WorkflowTemplate", "wrong", {"spec": {"schedule": {"cron": "0 * * * *", "suspend": True}}})
    here.await_said("WorkflowTemplate", "wrong", "Ready", "True AsExpected")
    assert set(here.said("WorkflowTemplate", "wrong")) == {"Ready", "Suspended"}


def test_a_new_leader_starts_what_came_due_while_nobody_led_once(cluster: Cluster, namespace: str) -> None:
    here = Objects(cluster, namespace)
    with operators(cluster, namespace) as fleet:
        first = fleet.start("first")
        create(here, "away", cron="0 0 1 1 *")
        wait_until(lambda: "nextScheduledAt" in here.status("WorkflowTemplate", "away"), "it is looked at")
        assert first.process.stop(10) == 0
        late = {"status": {"nextScheduledAt": write(LONG_AGO)}}
        here.patch("WorkflowTemplate", "away", late, "status")
        fleet.start("second")
        here.await_status("WorkflowTemplate", "away", lastScheduledAt=write(LONG_AGO))
    assert slots(here) == [LONG_AGO]
