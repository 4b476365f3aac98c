"""Upgrades and rollbacks: which revision runs where, and why it goes back."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.taskserv.services import (
    NOW,
    build_observed,
    build_pod,
    carry_out,
    find_workload,
    need,
    respec,
    settle,
    wait_out,
    with_workload,
)

from vapora.core.plan import Apply, Delete, EventType, Plan
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.views import PodView, child, rows

PULL = {"reason": "ImagePullBackOff", "message": "no such image"}
LATER = NOW + timedelta(hours=1)
STEPS = {"strategy": "canary", "canary": {"steps": [25, 50], "every": "1m"}}
BLUE_GREEN = {"strategy": "bluegreen"}


def tell(observed: Observed) -> dict[str, str]:
    return {
        str(row["type"]): f"{row['status']} {row['reason']}: {row['message']}"
        for row in rows(observed.status, "conditions")
    }


def outcomes(observed: Observed) -> dict[object, object]:
    return {row["revision"]: row.get("outcome") for row in rows(observed.status, "revisions")}


def sizes(observed: Observed) -> dict[str, int]:
    """How many replicas each Deployment has."""
    names = ("backend", "backend-green")
    return {name: view.replicas for name in names if (view := find_workload(observed, name))}


def digest_of(observed: Observed, number: str) -> str:
    return next(view.meta.labels["vapora.dev/revision"] for view in observed.revisions if str(view.number) == number)


def failing(observed: Observed, number: str) -> PodView:
    return build_pod(name="p-new", revision=digest_of(observed, number), waiting=PULL)


def begin(observed: Observed, now: datetime = LATER, available: int | None = None) -> Observed:
    """Carries out one plan."""
    return carry_out(observed, plan_taskserv(observed, now), available=available)


def upgrade(**upgrade_: object) -> Observed:
    """A healthy service whose new version has just been asked for and rolls."""
    spec = {"upgrade": upgrade_}
    rolling = begin(respec(settle(build_observed(**spec)), version="0.2.0", **spec))
    return with_workload(rolling, updated=1, existing=4, available=3)


def test_a_revision_that_is_well_for_the_progress_deadline_is_good_for_ever() -> None:
    done, _ = wait_out(respec(settle(build_observed()), version="0.2.0"), 3600)
    assert outcomes(done) == {"2": "Healthy", "1": "Healthy"}
    assert (done.status["lastGoodRevision"], "rollout" in done.status) == ("2", False)


def test_a_version_without_progress_goes_back_at_its_deadline() -> None:
    stuck = upgrade(progressDeadline="5m")
    stuck = replace(stuck, pods=(failing(stuck, "2"),))
    stuck = begin(stuck, LATER + timedelta(minutes=4))
    assert (stuck.status["phase"], "pinnedRevision" in stuck.status) == ("Degraded", False)
    plan = plan_taskserv(stuck, LATER + timedelta(minutes=10))
    assert plan.status["phase"] == "RollingBack"
    assert (plan.status["pinnedRevision"], plan.status["lastGoodVersion"]) == ("1", "0.1.0")
    words = "0.2.0 (revision 2) failed: ImagePullBackOff: no such image; 0.1.0 (revision 1) runs until version or "
    back = carry_out(stuck, plan)
    assert tell(back)["RolledBack"] == f"True ImageFailing: {words}template change"
    assert tell(back)["Stalled"].startswith("True RolledBack: ")
    assert [(event.type, event.reason) for event in plan.events] == [(EventType.WARNING, "RolledBack")]
    assert outcomes(back)["2"] == "Failed: ImageFailing: ImagePullBackOff: no such image"


def test_progress_moves_the_deadline() -> None:
    rolling = upgrade(progressDeadline="5m")
    for minute in range(1, 12, 3):
        rolling = with_workload(rolling, updated=1 + minute)
        rolling = begin(rolling, LATER + timedelta(minutes=minute))
        rolling = with_workload(rolling, updated=1 + minute, existing=20, available=3)
    assert "pinnedRevision" not in rolling.status


def test_a_version_that_takes_the_service_down_goes_back_at_once() -> None:
    rolling = with_workload(upgrade(), available=1)
    plan = plan_taskserv(replace(rolling, pods=(failing(rolling, "2"),)), LATER)
    assert plan.status["pinnedRevision"] == "1"


def test_a_node_that_is_drained_takes_nothing_back() -> None:
    rolling = with_workload(upgrade(), available=1)
    assert "pinnedRevision" not in plan_taskserv(rolling, LATER).status


def test_a_version_that_was_well_and_is_lost_within_the_deadline_goes_back() -> None:
    well = settle(respec(settle(build_observed()), version="0.2.0"), LATER)
    hurt = with_workload(replace(well, pods=(failing(well, "2"),)), available=0)
    assert plan_taskserv(hurt, LATER + timedelta(minutes=9)).status["pinnedRevision"] == "1"
    after = plan_taskserv(hurt, LATER + timedelta(minutes=11)).status
    assert (after["phase"], "pinnedRevision" in after) == ("Degraded", False)


def fail() -> Observed:
    """A service that has gone back to its first revision, and is healthy there."""
    rolling = upgrade()
    rolling = replace(rolling, pods=(failing(rolling, "2"),))
    back = begin(with_workload(rolling, available=1))
    return settle(replace(back, pods=()), LATER)


def test_what_failed_is_not_tried_again_until_the_spec_changes() -> None:
    back = fail()
    assert (back.status["phase"], back.status["version"]) == ("Healthy", "0.1.0")
    assert settle(respec(back, version="0.2.0", replicas=5), LATER).status["pinnedRevision"] == "1"
    onward = settle(respec(back, version="0.3.0"), LATER)
    assert (onward.status["version"], "pinnedRevision" in onward.status) == ("0.3.0", False)
    again = settle(respec(onward, version="0.2.0"), LATER)
    assert (again.status["version"], outcomes(again)["2"]) == ("0.2.0", "Healthy")


def test_what_a_service_lacks_of_others_takes_nothing_back() -> None:
    well = settle(respec(settle(build_observed(need("nats", "Healthy"))), version="0.2.0"), LATER)
    lost = begin(replace(well, needs=(need("nats", None),)), LATER + timedelta(minutes=1))
    late = plan_taskserv(lost, LATER + timedelta(days=1))
    assert (late.status["phase"], "pinnedRevision" in late.status) == ("Degraded", False)


def test_a_first_version_has_nothing_to_go_back_to() -> None:
    first = replace(settle(build_observed(), available=0), pods=(build_pod(waiting=PULL),))
    late = plan_taskserv(first, LATER)
    assert (late.status["phase"], "pinnedRevision" in late.status) == ("Degraded", False)


def grow() -> Observed:
    """A service that was healthy in three versions."""
    grown = settle(build_observed())
    for version in ("0.2.0", "0.3.0"):
        grown, _ = wait_out(respec(grown, version=version), 3600)
    return grown


REQUESTS = {
    "the version before": ("rollback 1", "2"),
    "a version by its name": ("rollback/0.1.0 1", "1"),
    "a revision by its number": ("rollback/1 1", "1"),
}


@pytest.mark.parametrize(("asked", "want"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_goes_back_to(asked: str, want: str) -> None:
    plan = plan_taskserv(replace(grow(), asked=asked), LATER)
    assert (plan.status["pinnedRevision"], plan.status["handledRequest"]) == (want, asked)
    assert any(isinstance(action, Apply) for action in plan.actions)
    assert plan.status["phase"] == "RollingBack"


REFUSED = {
    "a revision that is not kept": ("rollback/9 1", "there is no version or revision 9; kept are 0.3.0 (revision 3), "),
    "another verb": ("pause 1", "there is no 'pause'; allowed is rollback, or rollback/ and a revision"),
}


@pytest.mark.parametrize(("asked", "want"), REFUSED.values(), ids=REFUSED.keys())
def test_a_request_is_refused_for(asked: str, want: str) -> None:
    plan = plan_taskserv(replace(grow(), asked=asked), LATER)
    (event,) = plan.events
    assert (event.reason, event.message[: len(want)]) == ("RequestRefused", want)
    assert "pinnedRevision" not in plan.status
    assert plan_taskserv(carry_out(replace(grow(), asked=asked), plan), LATER).events == ()


def test_a_request_for_another_object_of_that_name_is_not_heeded() -> None:
    asked = "rollback 11111111-2222-3333-4444-555555555555 1"
    assert "pinnedRevision" not in plan_taskserv(replace(grow(), asked=asked), LATER).status


def test_rollback_to_holds_until_the_version_changes_and_may_stay() -> None:
    back = settle(respec(grow(), version="0.3.0", rollbackTo="0.1.0"), LATER)
    assert (back.status["version"], back.status["pinnedRevision"]) == ("0.1.0", "1")
    assert "Stalled" not in tell(back)
    onward = settle(respec(back, version="0.4.0", rollbackTo="0.1.0"), LATER)
    assert (onward.status["version"], "pinnedRevision" in onward.status) == ("0.4.0", False)


def test_rollback_to_ends_when_it_is_taken_away() -> None:
    back = settle(respec(grow(), version="0.3.0", rollbackTo="1"), LATER)
    assert settle(respec(back, version="0.3.0"), LATER).status["version"] == "0.3.0"


def test_a_new_service_has_nothing_that_rollback_to_could_mean() -> None:
    made = settle(build_observed(rollbackTo="0.0.9"))
    assert (made.status["version"], "Stalled" in tell(made)) == ("0.1.0", False)


def test_no_more_revisions_are_kept_than_asked_for_but_for_those_in_use() -> None:
    pinned = settle(replace(grow(), asked="rollback/1 1"), LATER)
    kept = settle(respec(pinned, version="0.3.0", revisionHistory=1), LATER)
    assert sorted(outcomes(kept)) == ["1", "3"]


def test_the_size_and_the_exposure_are_no_part_of_a_revision() -> None:
    back = settle(replace(grow(), asked="rollback/1 1"), LATER)
    sized = settle(respec(back, version="0.3.0", replicas=5), LATER)
    assert (sizes(sized), sized.status["version"]) == ({"backend": 5}, "0.1.0")


def test_a_canary_takes_over_share_by_share() -> None:
    old = settle(build_observed(replicas=4, upgrade=STEPS))
    rolling = settle(respec(old, version="0.2.0", replicas=4, upgrade=STEPS), LATER)
    seen = [sizes(rolling)]
    for minute in (1, 2, 3):
        rolling = settle(rolling, LATER + timedelta(minutes=minute, seconds=minute))
        seen.append(sizes(rolling))
    assert seen == [
        {"backend": 3, "backend-green": 1},
        {"backend": 2, "backend-green": 2},
        {"backend": 0, "backend-green": 4},
        {"backend-green": 4},
    ]
    assert (rolling.status["phase"], rolling.status["version"]) == ("Healthy", "0.2.0")
    assert plan_taskserv(rolling, LATER + timedelta(minutes=3, seconds=3)).actions == ()


def test_the_next_canary_goes_the_other_way() -> None:
    done, _ = wait_out(respec(settle(build_observed(upgrade=STEPS)), version="0.2.0", upgrade=STEPS), 3600)
    again, _ = wait_out(respec(done, version="0.3.0", upgrade=STEPS), 3600)
    assert (sizes(done), sizes(again)) == ({"backend-green": 3}, {"backend": 3})


def test_the_former_replicas_stay_until_those_of_the_canary_are_there() -> None:
    old = settle(build_observed(replicas=4, upgrade=STEPS))
    rolling = respec(old, version="0.2.0", replicas=4, upgrade=STEPS)
    for _ in range(5):
        rolling = with_workload(begin(rolling), "backend-green", available=0, ready=0)
    assert sizes(rolling) == {"backend": 4, "backend-green": 1}


def test_a_canary_of_one_replica_stands_beside_it() -> None:
    old = settle(build_observed(replicas=1, upgrade=STEPS))
    rolling = settle(respec(old, version="0.2.0", replicas=1, upgrade=STEPS), LATER)
    assert sizes(rolling) == {"backend": 1, "backend-green": 1}


def test_a_canary_that_its_analysis_speaks_against_goes_back_at_once() -> None:
    watched = {**STEPS, "canary": {**STEPS["canary"], "analysis": "metrics.restarts == 0"}}
    old = settle(build_observed(upgrade=watched))
    rolling = settle(respec(old, version="0.2.0", upgrade=watched), LATER)
    restarted = build_pod(
        revision=digest_of(rolling, "2"), containerStatuses=[{"name": "main", "restartCount": 2, "state": {}}]
    )
    back = settle(replace(rolling, pods=(restarted,)), LATER)
    measured = "available 1, ready 0, replicas 1, restarts 2"
    want = f"True AnalysisFailed: 0.2.0 (revision 2) failed: metrics.restarts == 0 is false: {measured}; "
    assert tell(back)["RolledBack"].startswith(want)
    assert sizes(back) == {"backend": 3}


def test_blue_green_turns_the_service_round_when_all_of_the_new_version_is_there() -> None:
    old = settle(build_observed(upgrade=BLUE_GREEN))
    rolling = respec(old, version="0.2.0", upgrade=BLUE_GREEN)
    for _ in range(3):
        rolling = begin(rolling, available=1)
    rolling = with_workload(rolling, available=3)
    assert serves(rolling) == []
    whole = with_workload(rolling, "backend-green", available=3, ready=3)
    plan = plan_taskserv(whole, LATER)
    done = carry_out(whole, plan)
    assert (done.status["track"], serves(rolling, plan)) == ("green", ["green"])
    assert sizes(done) == {"backend": 3, "backend-green": 3}
    later = settle(done, LATER + timedelta(seconds=31))
    assert (sizes(later), later.status["phase"]) == ({"backend-green": 3}, "Healthy")


def serves(observed: Observed, plan: Plan | None = None) -> list[object]:
    """The tracks to which a plan turns the Service."""
    actions = (plan or plan_taskserv(observed, LATER)).actions
    services = [a.manifest for a in actions if isinstance(a, Apply) and a.manifest["kind"] == "Service"]
    return [child(service, "spec", "selector")["vapora.dev/track"] for service in services]


def test_an_upgrade_that_is_taken_back_before_its_end_leaves_nothing() -> None:
    old = settle(build_observed(upgrade=STEPS))
    rolling = settle(respec(old, version="0.2.0", upgrade=STEPS), LATER)
    back = settle(respec(rolling, upgrade=STEPS), LATER)
    assert (sizes(back), back.status["phase"], back.status["version"]) == ({"backend": 3}, "Healthy", "0.1.0")


def test_fewer_steps_than_are_done_are_no_trouble() -> None:
    old = settle(build_observed(upgrade=STEPS))
    rolling = settle(respec(old, version="0.2.0", upgrade=STEPS), LATER)
    rolling = settle(rolling, LATER + timedelta(minutes=1, seconds=1))
    short = {"strategy": "canary", "canary": {"steps": [100], "every": "1m"}}
    done, _ = wait_out(respec(rolling, version="0.2.0", upgrade=short), 600, start=LATER + timedelta(minutes=2))
    assert (sizes(done), done.status["version"]) == ({"backend-green": 3}, "0.2.0")


def test_a_job_runs_once_for_each_revision() -> None:
    job = {"type": "job", "ports": {}, "replicas": None}
    made = begin(build_observed(**job), NOW)
    (view,) = made.children
    done = settle(replace(made, children=(replace(view, is_complete=True),)))
    assert done.status["phase"] == "Healthy"
    forgotten = settle(replace(done, children=()))
    assert (forgotten.children, forgotten.status["phase"]) == ((), "Healthy")
    plan = plan_taskserv(respec(done, version="0.2.0", **job), LATER)
    assert [a.key for a in plan.actions if isinstance(a, Delete)] == [view.meta.key]
    assert plan.status["phase"] == "Deploying"


def test_a_job_that_fails_is_not_undone_by_another_one() -> None:
    job = {"type": "job", "ports": {}, "replicas": None}
    made = begin(build_observed(**job), NOW)
    (view,) = made.children
    done = settle(replace(made, children=(replace(view, is_complete=True),)))
    again = begin(respec(done, version="0.2.0", **job))
    views = (replace(again.children[0], is_failed=True, reason="BackoffLimitExceeded", message="too often"),)
    failed = settle(replace(again, children=views), LATER)
    assert (failed.status["phase"], "pinnedRevision" in failed.status) == ("Failed", False)
    assert tell(failed)["Stalled"] == "True Failed: BackoffLimitExceeded: too often"


STRATEGIES = {"rolling": {}, "canary": STEPS, "blue-green": BLUE_GREEN}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
@pytest.mark.parametrize("lost", range(8))
def test_an_upgrade_ends_as_it_would_have_whichever_status_is_lost(strategy: dict[str, object], lost: int) -> None:
    """The operator dies after the writes of one look and before it has said so."""
    observed, now = respec(settle(build_observed(upgrade=strategy)), version="0.2.0", upgrade=strategy), LATER
    for look in range(40):
        plan = plan_taskserv(observed, now)
        after = carry_out(observed, plan)
        observed = replace(after, status=observed.status) if look == lost else after
        is_woken = bool(plan.actions) or look == lost
        now += timedelta(seconds=1 if is_woken or plan.requeue_after is None else plan.requeue_after)
    assert (observed.status["phase"], observed.status["version"]) == ("Healthy", "0.2.0")
    assert outcomes(observed) == {"2": "Healthy", "1": "Healthy"}
    assert list(sizes(observed).values()) == [3]
