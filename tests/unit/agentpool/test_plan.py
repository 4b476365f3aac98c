from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.agentpool.pools import KEY, NOW, SCALING, build_observed, build_pod, build_spec, carry_out

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known, Unknown
from vapora.core.agentpool.observed import Observed, QueueState
from vapora.core.agentpool.plan import plan_pool
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.naming import FINALIZER_CLEANUP
from vapora.core.plan import Apply, EnsureQueue, Patch, Plan, Problem, RemoveQueue
from vapora.core.views import child

UNREAD = QueueDepth(Unknown("no answer"), Unknown("no answer"))


def settle(observed: Observed, now: datetime = NOW, *, ready: bool = True) -> Observed:
    """Plans and carries out until nothing is left to do."""
    for _ in range(10):
        plan = plan_pool(observed, now)
        after = carry_out(observed, plan, ready=ready)
        if after == observed:
            return observed
        observed = after
    raise AssertionError(f"never settles: {plan}")


def say(status: Mapping[str, object]) -> dict[str, str]:
    return {row["type"]: f"{row['status']} {row['reason']}: {row['message']}" for row in status["conditions"]}


def applied(plan: Plan) -> Mapping[str, object]:
    (action,) = [action for action in plan.actions if isinstance(action, Apply)]
    return action.manifest


def replicas(observed: Observed) -> object:
    return observed.workload.replicas if observed.workload else None


def test_the_finalizer_comes_before_the_queue() -> None:
    observed = build_observed(finalizers=("other/finalizer",))
    plan = plan_pool(observed, NOW)
    (patch,) = plan.actions
    assert isinstance(patch, Patch)
    assert patch.body == {
        "metadata": {
            "uid": "uid-1",
            "resourceVersion": "7",
            "finalizers": ["other/finalizer", FINALIZER_CLEANUP],
        }
    }
    assert plan.requeue_after == 0
    after = plan_pool(carry_out(observed, plan), NOW)
    assert EnsureQueue(KEY, 5) in after.actions


def test_a_new_pool_gets_its_first_size_and_says_so() -> None:
    new = build_observed(replicas=7)
    plan = plan_pool(new, NOW)
    assert plan.status["desiredReplicas"] == 7
    assert plan.requeue_after == 0
    assert replicas(carry_out(carry_out(new, plan), plan_pool(carry_out(new, plan), NOW))) == 7
    assert say(plan.status) == {
        "Ready": "False AgentsNotReady: 0 of 7 agents are ready",
        "Reconciling": "True Progressing: 0 of 7 agents are ready",
        "ScalingActive": "True ScalingByQueue: the queue sets the size between 5 and 20",
        "MetricsAvailable": "True MetricsRead: the queue's depth was read",
    }


def test_a_pool_whose_agents_are_up_is_ready_and_current() -> None:
    settled = settle(build_observed(queued=3, in_flight=4))
    assert say(settled.status) == {
        "Ready": "True AsExpected: 5 of 5 agents are ready",
        "ScalingActive": "True ScalingByQueue: the queue sets the size between 5 and 20",
        "MetricsAvailable": "True MetricsRead: the queue's depth was read",
    }
    numbers = {name: value for name, value in settled.status.items() if isinstance(value, int | str)}
    assert numbers == {
        "observedGeneration": 1,
        "replicas": 5,
        "readyReplicas": 5,
        "desiredReplicas": 5,
        "busy": 4,
        "queued": 3,
        "inFlight": 4,
        "selector": "vapora.dev/owner=uid-1",
    }


def test_the_deployment_belongs_to_the_pool_and_tells_its_agents_where_they_work() -> None:
    manifest = applied(plan_pool(build_observed(drain={"timeout": "90s"}, template={"image": "agents:1"}), NOW))
    metadata, spec = child(manifest, "metadata"), child(manifest, "spec")
    assert metadata["name"] == "agentpool-developer"
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "vapora",
        "vapora.dev/owner": "uid-1",
        "vapora.dev/pool": "developer",
    }
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "vapora.dev/v1alpha1",
            "kind": "AgentPool",
            "name": "developer",
            "uid": "uid-1",
            "controller": True,
        }
    ]
    assert spec["selector"] == {"matchLabels": {"vapora.dev/owner": "uid-1"}}
    pod = child(spec, "template", "spec")
    assert pod["terminationGracePeriodSeconds"] == 90
    assert pod["containers"][0]["env"] == [
        {"name": "VAPORA_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "VAPORA_NAMESPACE", "value": "agents"},
        {"name": "VAPORA_POOL", "value": "developer"},
        {"name": "VAPORA_MAX_CONCURRENT", "value": "2"},
        {"name": "VAPORA_DRAIN_SECONDS", "value": "90"},
        {"name": "VAPORA_NATS_URL", "value": "nats://nats:4222"},
    ]


def read_env(observed: Observed) -> Mapping[str, object]:
    pod = child(applied(plan_pool(observed, NOW)), "spec", "template", "spec")
    return {row["name"]: row.get("value") or row["valueFrom"] for row in pod["containers"][0]["env"]}


def test_agents_are_told_the_broker_but_not_the_operators_password() -> None:
    observed = replace(build_observed(), nats_url="nats://vapora:s3cr3t@a:4222,tls://t0k3n@b:4222")
    assert read_env(observed)["VAPORA_NATS_URL"] == "nats://a:4222,tls://b:4222"
    own = build_observed(template={"image": "agents:1", "env": {"VAPORA_NATS_URL": "secret:nats:url"}})
    assert read_env(own)["VAPORA_NATS_URL"] == {"secretKeyRef": {"name": "nats", "key": "url"}}


def test_a_deep_queue_grows_the_pool_step_by_step_and_each_step_says_why() -> None:
    observed = settle(build_observed())
    observed = replace(observed, depth=QueueDepth(Known(14), Known(10)))
    plan = plan_pool(observed, NOW)
    assert child(applied(plan), "spec")["replicas"] == 7
    assert plan.status["lastDecision"] == {
        "at": "2026-01-01T12:00:00Z",
        "action": "scale_up",
        "from": 5,
        "to": 7,
        "reason": "queue 14 > 10: 5 + 2 = 7",
        "queue": 14,
        "trigger": "nats",
    }
    assert [(event.reason, event.message) for event in plan.events] == [
        ("ScaledUp", "5 -> 7 agents: queue 14 > 10: 5 + 2 = 7")
    ]
    assert 5 <= plan.requeue_after < 5.5
    observed = carry_out(observed, plan)
    assert plan_pool(observed, NOW + timedelta(seconds=1)).actions == ()
    again = NOW + timedelta(seconds=plan.requeue_after)
    assert replicas(carry_out(observed, plan_pool(observed, again))) == 9


def test_pools_that_step_together_do_not_stay_together() -> None:
    first = replace(settle(build_observed()), depth=QueueDepth(Known(14), Known(0)))
    others = [replace(first, meta=replace(first.meta, uid=f"uid-{number}")) for number in range(2, 12)]
    pauses = {plan_pool(observed, NOW).requeue_after for observed in (first, *others)}
    assert len(pauses) == 11
    assert all(5 <= pause < 5.5 for pause in pauses)


def test_a_pool_stays_ready_while_it_grows() -> None:
    observed = replace(settle(build_observed()), depth=QueueDepth(Known(14), Known(10)))
    grown = carry_out(observed, plan_pool(observed, NOW))
    grown = replace(grown, workload=replace(grown.workload, ready=5, available=5))
    said = say(plan_pool(grown, NOW).status)
    assert said["Ready"] == "True AsExpected: 5 of 7 agents are ready"
    assert said["Reconciling"] == "True Progressing: 5 of 7 agents are ready"


def test_the_low_time_survives_a_restart_in_the_status() -> None:
    observed = replace(settle(build_observed()), depth=QueueDepth(Known(30), Known(0)))
    observed = carry_out(observed, plan_pool(observed, NOW))
    idle = replace(observed, depth=QueueDepth(Known(0), Known(0)))
    idle = carry_out(idle, plan_pool(idle, NOW + timedelta(seconds=10)))
    assert idle.status["lowSince"] == "2026-01-01T12:00:10.000Z"
    restarted = replace(idle, depth=None, queue=QueueState.UNTOUCHED)
    restarted = carry_out(restarted, plan_pool(restarted, NOW + timedelta(seconds=60)))
    assert restarted.status["lowSince"] == "2026-01-01T12:00:10.000Z"
    later = replace(restarted, depth=QueueDepth(Known(0), Known(0)))
    assert replicas(carry_out(later, plan_pool(later, NOW + timedelta(seconds=69)))) == 7
    assert replicas(carry_out(later, plan_pool(later, NOW + timedelta(seconds=70)))) == 6


def test_a_restart_says_nothing_new_about_the_queue() -> None:
    settled = settle(build_observed(queued=3))
    restarted = replace(settled, depth=None)
    assert plan_pool(restarted, NOW).status == settled.status


def test_a_queue_that_cannot_be_read_moves_nothing_and_is_said() -> None:
    observed = replace(settle(build_observed(queued=3)), depth=UNREAD)
    plan = plan_pool(observed, NOW + timedelta(hours=1))
    assert plan.actions == ()
    said = say(plan.status)
    assert said["MetricsAvailable"] == "False MetricsUnavailable: nats: no answer"
    assert said["ScalingActive"] == "False MetricsUnavailable: a queue that cannot be read moves nothing"
    assert said["Ready"].startswith("True")
    assert "queued" not in plan.status
    assert [event.reason for event in plan.events] == ["MetricsUnavailable"]


def test_without_a_broker_the_pool_still_deploys() -> None:
    observed = replace(build_observed(finalizers=()), broker_problem="no broker is configured", depth=UNREAD)
    settled = settle(observed)
    assert replicas(settled) == 5
    said = say(settled.status)
    assert said["Ready"] == "True AsExpected: 5 of 5 agents are ready"
    assert said["MetricsAvailable"] == "False BrokerUnavailable: nats: no broker is configured"
    assert settled.meta.finalizers == ()


def test_the_queue_is_made_when_the_broker_comes_back() -> None:
    down = settle(replace(build_observed(finalizers=()), broker_problem="connection refused", depth=UNREAD))
    back = settle(replace(down, broker_problem=None, depth=QueueDepth(Known(0), Known(0))))
    assert back.meta.finalizers == (FINALIZER_CLEANUP,)
    assert back.queue is QueueState.MADE


SIZES = {
    "mode none takes spec.replicas": ({"scaling": None, "replicas": 3}, 3),
    "mode none without replicas starts with one": ({"scaling": {"mode": "none"}}, 1),
    "mode none may be nothing": ({"scaling": None, "replicas": 0}, 0),
    "mode queue starts with spec.replicas": ({"replicas": 8}, 8),
    "mode queue starts with min": ({}, 5),
    "the first size is brought inside the limits": ({"replicas": 50}, 20),
}


@pytest.mark.parametrize(("fields", "want"), SIZES.values(), ids=SIZES.keys())
def test_the_first_size(fields: dict[str, object], want: int) -> None:
    settled = settle(build_observed(queued=5, **fields))
    assert replicas(settled) == want
    assert settled.status["desiredReplicas"] == want


def respec(observed: Observed, **fields: object) -> Observed:
    spec = read_pool_spec(build_spec(**fields))
    return replace(observed, spec=spec, meta=replace(observed.meta, generation=observed.meta.generation + 1))


def test_the_queue_gives_its_size_over_to_mode_none() -> None:
    grown = settle(replace(build_observed(replicas=9), depth=QueueDepth(Known(5), Known(0))))
    assert replicas(settle(respec(grown, scaling=None))) == 9
    assert replicas(settle(respec(grown, scaling=None, replicas=4))) == 4


def test_a_paused_pool_keeps_its_size() -> None:
    paused = settle(respec(settle(build_observed()), paused=True))
    plan = plan_pool(replace(paused, depth=QueueDepth(Known(50), Known(0))), NOW)
    assert plan.actions == ()
    said = say(plan.status)
    assert said["Paused"] == "True Paused: its agents get no new task"
    assert said["ScalingActive"] == "False Paused: a paused pool keeps its size"


REFUSED = {
    "a missing image is invalid with its place": (
        {"template": {}},
        "InvalidSpec: spec.template.image: Field required",
    ),
    "an HPA needs a request of cpu to reckon with": (
        {"scaling": {"mode": "hpa"}},
        "InvalidSpec: spec.template.resources.requests: scaling.mode hpa needs a request of cpu",
    ),
    "a trigger without its params is invalid with its place": (
        {"scaling": {"triggers": [{"type": "nats"}, {"type": "redisList"}]}},
        "InvalidSpec: spec.scaling.triggers[1].params.url: a text is needed, found nothing; redisList takes url, list",
    ),
    "thresholds that overlap are invalid": (
        {"scaling": {**SCALING, "scaleUpAbove": 0, "scaleDownBelow": 2}},
        "InvalidSpec: spec.scaling: scaleDownBelow 2 and scaleUpAbove 0 ask for both at a queue of 1",
    ),
    "limits the wrong way round are invalid": (
        {"scaling": {"min": 5, "max": 3}},
        "InvalidSpec: spec.scaling: min 5 is above max 3",
    ),
    "a pod field in the wrong place is invalid": (
        {"template": {"image": "i", "podTemplate": {"nodeSelector": {}}}},
        "InvalidSpec: spec.template.podTemplate.nodeSelector: allowed are metadata and spec",
    ),
}


@pytest.mark.parametrize(("fields", "want"), REFUSED.values(), ids=REFUSED.keys())
def test_a_spec_that_cannot_be_carried_out_is_refused_with_its_place(fields: dict[str, object], want: str) -> None:
    plan = plan_pool(build_observed(**fields), NOW)
    assert plan.actions == ()
    assert say(plan.status) == {"Ready": f"False {want}", "Stalled": f"True {want}"}


def test_a_spec_broken_later_leaves_the_agents_alone() -> None:
    settled = settle(build_observed(queued=3))
    plan = plan_pool(respec(settled, template={}), NOW)
    assert plan.actions == ()
    assert (plan.status["desiredReplicas"], plan.status["readyReplicas"]) == (5, 5)


def test_what_keeps_agents_from_running_is_said_in_their_own_words() -> None:
    observed = settle(build_observed(queued=3), ready=False)
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "agents:1"'}
    plan = plan_pool(replace(observed, pods=(build_pod(waiting=waiting),)), NOW)
    want = 'False ImageFailing: 0 of 5 agents are ready; ImagePullBackOff: Back-off pulling image "agents:1"'
    assert say(plan.status)["Ready"] == want
    assert [event.reason for event in plan.events] == ["ImageFailing"]


def refuse(observed: Observed, reason: str, message: str, *, permanent: bool) -> Plan:
    plan = plan_pool(observed, NOW)
    problems = tuple(
        Problem(action, reason, message, is_permanent=permanent) for action in plan.actions if isinstance(action, Apply)
    )
    return plan_pool(replace(observed, problems=problems), NOW)


def test_a_field_that_someone_else_owns_is_left_and_said() -> None:
    observed = settle(build_observed())
    taken = replace(observed, workload=replace(observed.workload, replicas=2))
    words = 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
    plan = refuse(taken, "Conflict", words, permanent=False)
    said = say(plan.status)
    assert said["Stalled"] == f"True NameConflict: Deployment: {words}"
    assert said["ScalingActive"] == f"False ForeignAutoscaler: Deployment: {words}"


def test_a_size_that_was_refused_is_not_counted_as_had() -> None:
    observed = replace(settle(build_observed()), depth=QueueDepth(Known(30), Known(0)))
    plan = refuse(observed, "Forbidden", "policy says no", permanent=True)
    assert plan.status["desiredReplicas"] == 5
    assert say(plan.status)["Stalled"] == "True AdmissionRefused: Deployment: policy says no"
    assert plan.requeue_after == 30


def test_a_pool_waits_until_its_deleted_namesakes_deployment_is_gone() -> None:
    before = settle(build_observed())
    anew = replace(build_observed(), meta=replace(before.meta, uid="uid-2"), leftovers=(before.workload.meta,))
    plan = plan_pool(anew, NOW)
    assert plan.actions == ()
    assert plan.requeue_after == 1
    message = "waits until what others own is gone: Deployment agentpool-developer"
    assert say(plan.status)["Reconciling"] == f"True NameConflict: {message}"


def test_a_pool_that_is_deleted_removes_its_queue_and_then_goes() -> None:
    settled = settle(build_observed())
    going = replace(settled, meta=replace(settled.meta, is_deleting=True), deleted_at=NOW)
    plan = plan_pool(going, NOW)
    assert plan.actions == (RemoveQueue(KEY),)
    assert plan.requeue_after == 0
    gone = carry_out(carry_out(going, plan), plan_pool(carry_out(going, plan), NOW))
    assert gone.meta.finalizers == ()
    assert plan_pool(gone, NOW) == Plan()


def test_a_pool_that_is_deleted_waits_ten_minutes_for_a_broker_that_is_gone() -> None:
    settled = replace(settle(build_observed()), broker_problem="connection refused")
    going = replace(settled, meta=replace(settled.meta, is_deleting=True), deleted_at=NOW)
    plan = plan_pool(going, NOW + timedelta(minutes=4))
    assert plan.actions == ()
    assert plan.requeue_after == 360
    assert say(plan.status)["Ready"] == ("False BrokerUnavailable: its queue cannot be removed yet: connection refused")
    late = plan_pool(going, NOW + timedelta(minutes=10))
    assert carry_out(going, late).meta.finalizers == ()


def test_only_numbers_may_wait_for_their_turn() -> None:
    settled = settle(build_observed(queued=3))
    assert not plan_pool(replace(settled, depth=QueueDepth(Known(4), Known(1))), NOW).urgent
    assert plan_pool(replace(settled, depth=QueueDepth(Known(40), Known(1))), NOW).urgent
    assert plan_pool(replace(settled, depth=UNREAD), NOW).urgent


@pytest.mark.parametrize(
    "field", [{}, {"scaling": None}, {"scaling": {**SCALING, "rule": "target", "targetPerReplica": 3}}]
)
@pytest.mark.parametrize("queued", [0, 5, 11, 500])
def test_the_plan_of_a_plan_that_was_carried_out_is_empty(field: dict[str, object], queued: int) -> None:
    settled = settle(build_observed(queued=queued, **field))
    plan = plan_pool(settled, NOW)
    assert (plan.actions, plan.events, plan.status) == ((), (), settled.status)
