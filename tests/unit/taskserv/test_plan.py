from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.taskserv.services import (
    KEY,
    NOW,
    build_observed,
    build_pod,
    carry_out,
    need,
    respec,
    say,
    settle,
    with_workload,
)

from vapora.core.plan import Apply, Create, Delete, Key, Plan
from vapora.core.taskserv.dependencies import Need
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.views import PodView

PULL = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "backend:0.1.0"'}


def kinds(plan: Plan) -> list[object]:
    return [action.manifest["kind"] for action in plan.actions if isinstance(action, Apply | Create)]


def test_a_new_service_is_deployed_and_says_so() -> None:
    plan = plan_taskserv(build_observed(), NOW)
    assert kinds(plan) == ["ControllerRevision", "Deployment", "Service"]
    assert plan.status["phase"] == "Deploying"
    assert plan.status["deployingSince"] == "2026-01-01T12:00:00Z"
    assert say(plan.status) == {
        "Ready": "False Deploying: 0 of 3 replicas are available",
        "Reconciling": "True Deploying: 0 of 3 replicas are available",
    }
    assert plan.requeue_after == 600


def test_a_service_whose_replicas_are_up_is_healthy() -> None:
    settled = settle(build_observed())
    conditions = settled.status["conditions"]
    assert {name: value for name, value in settled.status.items() if value is not conditions} == {
        "phase": "Healthy",
        "version": "0.1.0",
        "lastGoodVersion": "0.1.0",
        "lastGoodRevision": "1",
        "revisions": [
            {
                "revision": "1",
                "version": "0.1.0",
                "image": "backend:0.1.0",
                "at": "2026-01-01T12:00:00Z",
                "outcome": "Healthy",
            }
        ],
        "replicas": 3,
        "readyReplicas": 3,
        "observedGeneration": 1,
    }
    assert say(settled.status) == {"Ready": "True AllHealthy: 3 of 3 replicas are available"}


def test_a_service_without_replicas_is_healthy() -> None:
    assert settle(build_observed(replicas=0)).status["phase"] == "Healthy"


GATES = {
    "a required service that is not there": ([need("nats", None)], "nats", "waits for nats (not there)"),
    "a required service that is not healthy": (
        [need("nats", "Deploying", ready=True)],
        "nats",
        "waits for nats (Deploying)",
    ),
    "a required service that was just made": ([need("nats", "")], "nats", "waits for nats (Pending)"),
    "several": (
        [need("nats", None), need("redis", "Healthy"), need("surrealdb", "Degraded")],
        "nats, surrealdb",
        "waits for nats (not there), surrealdb (Degraded)",
    ),
    "a healthy service that is private to its namespace": (
        [need("nats", "Healthy", foreign=True, namespace="other")],
        "other/nats",
        "waits for other/nats (private to its namespace: its exposure must be internal)",
    ),
    "nobody, where all are healthy": ([need("nats", "Healthy")], None, None),
    "nobody, where Ready is enough": ([need("nats", "Deploying", ready=True, condition="Ready")], None, None),
    "nobody, where it is optional": ([need("redis", None, required=False)], None, None),
    "nobody, where another namespace is open": (
        [need("nats", "Healthy", foreign=True, exposed=True, namespace="other")],
        None,
        None,
    ),
}


@pytest.mark.parametrize(("needs", "waiting_on", "message"), GATES.values(), ids=GATES.keys())
def test_the_first_deploy_waits_for(needs: list[Need], waiting_on: str | None, message: str | None) -> None:
    plan = plan_taskserv(build_observed(*needs), NOW)
    assert plan.status.get("waitingOn") == waiting_on
    if waiting_on is None:
        assert plan.status["phase"] == "Deploying"
        return
    assert plan.actions == ()
    assert plan.status["phase"] == "Waiting"
    assert say(plan.status)["DependenciesReady"] == f"False WaitingForDependency: {message}"
    assert say(plan.status)["Reconciling"] == f"True WaitingForDependency: {message}"


def test_a_service_starts_when_what_it_waited_for_is_healthy() -> None:
    waiting = settle(build_observed(need("nats", None)))
    started = settle(replace(waiting, needs=(need("nats", "Healthy"),)))
    assert started.status["phase"] == "Healthy"
    assert say(started.status)["DependenciesReady"] == "True DependenciesHealthy: every required service is healthy"


@pytest.mark.parametrize("phase", [None, "Degraded", "Failed", "Waiting"])
def test_a_service_that_loses_a_required_one_is_degraded_and_stays(phase: str | None) -> None:
    settled = settle(build_observed(need("nats", "Healthy")))
    plan = plan_taskserv(replace(settled, needs=(need("nats", phase),)), NOW)
    assert plan.actions == ()
    assert plan.status["phase"] == "Degraded"
    assert plan.status["waitingOn"] == "nats"
    message = f"needs nats ({phase or 'not there'}); 3 of 3 replicas are available"
    assert say(plan.status) == {
        "Ready": f"False DependencyUnhealthy: {message}",
        "Degraded": f"True DependencyUnhealthy: {message}",
        "DependenciesReady": f"False DependencyUnhealthy: {message}",
    }
    assert {event.reason for event in plan.events} == {"DependencyUnhealthy"}


def test_a_change_is_still_carried_out_while_a_required_service_is_lost() -> None:
    settled = settle(build_observed(need("nats", "Healthy")))
    lost = replace(respec(settled, version="0.2.0"), needs=(need("nats", None),))
    assert kinds(plan_taskserv(lost, NOW)) == ["ControllerRevision", "Deployment"]


def test_a_required_service_that_rolls_out_is_not_lost() -> None:
    settled = settle(build_observed(need("nats", "Healthy")))
    plan = plan_taskserv(replace(settled, needs=(need("nats", "Deploying"),)), NOW)
    assert plan.status["phase"] == "Healthy"


def test_a_circle_is_refused_with_its_path() -> None:
    cycle = (KEY, Key("Taskserv", "system", "nats"), KEY)
    plan = plan_taskserv(replace(build_observed(need("nats", None)), cycle=cycle), NOW)
    assert plan.actions == ()
    assert plan.status["phase"] == "Failed"
    assert say(plan.status)["Stalled"] == "True DependencyCycle: needs itself: backend -> nats -> backend"


def container(state: Mapping[str, object], last: Mapping[str, object] | None = None) -> dict[str, object]:
    restarts = 1 if last else 0
    return {"containerStatuses": [{"state": state, "lastState": last or {}, "restartCount": restarts}]}


ENDED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such table: users\n"}}
CRASH = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
CAUSES: dict[str, tuple[list[PodView], str]] = {
    "an image that cannot be pulled": (
        [build_pod(waiting=PULL)],
        'ImageFailing: 0 of 3 replicas are available; ImagePullBackOff: Back-off pulling image "backend:0.1.0"',
    ),
    "a container that ends again and again, with its last words": (
        [build_pod(**container(CRASH, ENDED))],
        "ContainerCrashing: 0 of 3 replicas are available; CrashLoopBackOff: back-off 10s restarting failed container "
        "(exit code 1: no such table: users)",
    ),
    "a container killed for its memory": (
        [build_pod(**container(ENDED | {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))],
        "OOMKilled: 0 of 3 replicas are available; OOMKilled, exit code 137",
    ),
    "a Secret that is not there": (
        [build_pod(waiting={"reason": "CreateContainerConfigError", "message": 'secret "s" not found'})],
        'ConfigMissing: 0 of 3 replicas are available; CreateContainerConfigError: secret "s" not found',
    ),
    "the oldest pod with a cause": (
        [build_pod(name="p-2", waiting={"reason": "CreateContainerError"}), build_pod(waiting=PULL)],
        'ImageFailing: 0 of 3 replicas are available; ImagePullBackOff: Back-off pulling image "backend:0.1.0"',
    ),
}


@pytest.mark.parametrize(("pods", "want"), CAUSES.values(), ids=CAUSES.keys())
def test_a_failing_service_is_degraded_with_the_first_cause(pods: list[PodView], want: str) -> None:
    observed = replace(settle(build_observed(), available=0), pods=tuple(pods))
    plan = plan_taskserv(observed, NOW)
    assert plan.status["phase"] == "Degraded"
    assert plan.status["message"] == want.partition(": ")[2]
    assert say(plan.status)["Degraded"] == f"True {want}"


def test_a_quota_is_said_in_the_words_of_the_api_server() -> None:
    words = 'pods "backend-x" is forbidden: exceeded quota: small'
    observed = with_workload(settle(build_observed(), available=0), stalled="FailedCreate", message=words)
    plan = plan_taskserv(observed, NOW)
    want = f"True QuotaExceeded: 0 of 3 replicas are available; FailedCreate: {words}"
    assert say(plan.status)["Degraded"] == want


UNSCHEDULABLE = build_pod(
    conditions=[
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    ]
)


def test_what_a_rollout_may_show_for_a_moment_fails_it_only_at_its_deadline() -> None:
    observed = replace(settle(build_observed(), available=0), pods=(UNSCHEDULABLE,))
    plan = plan_taskserv(observed, NOW + timedelta(minutes=9))
    assert plan.status["phase"] == "Deploying"
    assert plan.status["message"] == "0 of 3 replicas are available; unschedulable: 0/3 nodes are available"
    assert plan.requeue_after == 60
    late = plan_taskserv(observed, NOW + timedelta(minutes=10))
    assert late.status["phase"] == "Degraded"
    assert say(late.status)["Ready"].startswith("False Unschedulable: ")


def test_a_rollout_that_moves_nothing_fails_at_its_deadline() -> None:
    observed = settle(build_observed(upgrade={"progressDeadline": "20s"}), available=1)
    late = plan_taskserv(observed, NOW + timedelta(seconds=20))
    want = "False ProgressDeadlineExceeded: 1 of 3 replicas are available"
    assert say(late.status)["Ready"] == want


def test_a_healthy_service_that_loses_a_replica_is_degraded_and_recovers() -> None:
    settled = settle(build_observed())
    hurt = with_workload(settled, available=2, ready=2)
    plan = plan_taskserv(hurt, NOW)
    assert say(plan.status)["Ready"] == "False ReplicasNotReady: 2 of 3 replicas are available"
    recovered = settle(with_workload(carry_out(hurt, plan), available=3, ready=3))
    assert recovered.status["phase"] == "Healthy"


def test_a_new_version_rolls_while_the_old_one_serves() -> None:
    settled = settle(build_observed())
    plan = plan_taskserv(respec(settled, version="0.2.0"), NOW + timedelta(hours=1))
    assert kinds(plan) == ["ControllerRevision", "Deployment"]
    assert plan.status["phase"] == "Deploying"
    assert plan.status["version"] == "0.1.0"
    assert say(plan.status)["Ready"] == "True Deploying: 3 of 3 replicas are available"
    done = settle(respec(settled, version="0.2.0"))
    assert (done.status["version"], done.status["lastGoodVersion"]) == ("0.2.0", "0.2.0")


def test_a_new_version_that_fails_is_degraded_and_keeps_the_last_good_one() -> None:
    rolling = respec(settle(build_observed()), version="0.2.0")
    rolling = carry_out(rolling, plan_taskserv(rolling, NOW))
    failing = replace(with_workload(rolling, updated=1, existing=4), pods=(build_pod(waiting=PULL),))
    plan = plan_taskserv(failing, NOW)
    assert plan.status["phase"] == "Degraded"
    assert (plan.status["version"], plan.status["lastGoodVersion"]) == ("0.1.0", "0.1.0")


def test_what_is_not_wanted_any_more_goes() -> None:
    settled = settle(build_observed())
    plan = plan_taskserv(respec(settled, ports={}), NOW)
    assert [action.key.kind for action in plan.actions if isinstance(action, Delete)] == ["Service"]


def test_a_service_waits_until_what_its_deleted_namesake_has_left_is_gone() -> None:
    before = settle(build_observed())
    leftovers = tuple(view.meta for view in before.children)
    anew = replace(build_observed(), meta=replace(before.meta, uid="uid-2"), leftovers=leftovers)
    plan = plan_taskserv(anew, NOW)
    assert plan.actions == ()
    assert plan.requeue_after == 1
    assert plan.status["phase"] == "Pending"
    message = "waits until what others own is gone: Deployment backend, Service backend"
    assert say(plan.status)["Reconciling"] == f"True NameConflict: {message}"


def test_another_type_takes_the_place_of_the_former_workload() -> None:
    settled = settle(build_observed())
    plan = plan_taskserv(respec(settled, type="stateful"), NOW)
    assert kinds(plan) == ["ControllerRevision", "StatefulSet"]
    assert [a.key.kind for a in plan.actions if isinstance(a, Delete)] == ["Service", "Deployment"]
    assert settle(respec(settled, type="stateful")).status["phase"] == "Healthy"


@pytest.mark.parametrize("fields", [{}, {"type": "stateful", "storage": {"size": "1Gi"}}, {"ports": {}}])
def test_the_plan_of_a_plan_that_was_carried_out_is_empty(fields: dict[str, object]) -> None:
    settled = settle(build_observed(need("nats", "Healthy"), **fields))
    plan = plan_taskserv(settled, NOW)
    assert (plan.actions, plan.events, plan.status) == ((), (), settled.status)


@pytest.mark.parametrize(("before", "after"), [("service", "stateful"), ("stateful", "service")])
def test_a_service_whose_type_changes_gets_another_address_in_two_steps(before: str, after: str) -> None:
    observed = build_observed(type=before)
    observed = carry_out(observed, plan_taskserv(observed, NOW))
    observed = respec(observed, type=after)
    observed = carry_out(observed, plan_taskserv(observed, NOW))
    assert [view for view in observed.children if view.meta.key.kind == "Service"] == []
    observed = carry_out(observed, plan_taskserv(observed, NOW))
    workload = "StatefulSet" if after == "stateful" else "Deployment"
    made = {view.meta.key.kind: getattr(view, "is_headless", None) for view in observed.children}
    assert made == {"Service": after == "stateful", workload: None}
    assert plan_taskserv(observed, NOW).actions == ()
