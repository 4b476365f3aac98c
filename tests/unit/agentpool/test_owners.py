"""Who sets the size of a pool, and how one owner hands over to another."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.agentpool.pools import KEY, NOW, SCALING, build_observed, build_spec, carry_out
from tests.unit.agentpool.test_plan import replicas, respec, say, settle

from vapora.core.agentpool.autoscaler import Aim, list_aims, read_aim
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known, Unknown
from vapora.core.agentpool.forecast import Forecast
from vapora.core.agentpool.observed import Observed
from vapora.core.agentpool.plan import plan_pool
from vapora.core.agentpool.readings import Foreseen, Reading
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.agentpool.triggers import Probe, list_probes
from vapora.core.naming import SIZE_MANAGER
from vapora.core.plan import Apply, Delete
from vapora.core.views import child

HPA = {
    "scaling": {"mode": "hpa", "min": 0, "max": 12, "cpuTargetPercent": 60},
    "template": {"image": "agents:1", "resources": {"requests": {"cpu": "1"}}},
}
QUEUE = {"scaling": SCALING, "template": HPA["template"]}


def resize(observed: Observed, size: int) -> Observed:
    """Sets the size as somebody else does."""
    return replace(observed, workload=replace(observed.workload, replicas=size, existing=size, ready=size))


def sizes(observed: Observed) -> list[object]:
    """Returns the sizes that are applied now."""
    actions = plan_pool(observed, NOW).actions
    return [
        child(action.manifest, "spec")["replicas"]
        for action in actions
        if isinstance(action, Apply) and action.manager == SIZE_MANAGER
    ]


def test_a_size_set_from_outside_is_brought_back_by_force() -> None:
    observed = resize(settle(build_observed(queued=5)), 50)
    (action,) = plan_pool(observed, NOW).actions
    assert (action.force, child(action.manifest, "spec")) == (True, {"replicas": 5})


def test_nothing_is_forced_before_it_is_known_whether_an_autoscaler_owns_the_size() -> None:
    observed = resize(settle(build_observed(queued=5)), 50)
    (action,) = plan_pool(replace(observed, foreign=None), NOW).actions
    assert not action.force


def test_an_autoscaler_of_somebody_else_has_the_size() -> None:
    observed = resize(replace(settle(build_observed(queued=50)), foreign="keda-hpa-developer"), 11)
    plan = plan_pool(observed, NOW)
    assert plan.actions == ()
    assert [(event.type, event.reason) for event in plan.events] == [("Warning", "ForeignAutoscaler")]
    assert plan_pool(replace(observed, status=plan.status), NOW).events == ()
    assert plan.status["desiredReplicas"] == 11
    assert say(plan.status)["ScalingActive"] == (
        "False ForeignAutoscaler: HPA keda-hpa-developer sets the size of its agents: "
        "remove that, or set scaling.mode none"
    )


def test_the_queue_goes_on_from_the_size_that_an_autoscaler_left() -> None:
    taken = resize(replace(settle(build_observed(queued=5)), foreign="other"), 11)
    taken = carry_out(taken, plan_pool(taken, NOW))
    told = plan_pool(replace(taken, foreign=""), NOW).events
    assert [(event.type, event.reason) for event in told] == [("Normal", "ScalingByQueue")]
    back = settle(replace(taken, foreign=""))
    assert replicas(back) == 11
    assert say(back.status)["ScalingActive"].startswith("True ScalingByQueue")


def test_mode_hpa_makes_an_autoscaler_and_never_sets_the_size() -> None:
    settled = settle(build_observed(**HPA))
    assert settled.autoscaler is not None
    assert replicas(settled) == 1
    assert sizes(resize(settled, 7)) == []
    said = say(plan_pool(resize(settled, 7), NOW).status)
    assert said["ScalingActive"] == "False ScalingByOther: an HPA sets the size"
    assert said["Ready"] == "True AsExpected: 7 of 7 agents are ready"
    assert plan_pool(resize(settled, 7), NOW).events == ()


def test_the_autoscaler_is_built_from_the_spec() -> None:
    observed = settle(build_observed(**QUEUE))
    changed = plan_pool(respec(observed, **HPA), NOW)
    (hpa,) = [action.manifest for action in changed.actions]
    assert hpa["metadata"]["name"] == "agentpool-developer"
    assert hpa["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agentpool-developer"},
        "minReplicas": 1,
        "maxReplicas": 12,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
            }
        ],
    }


def test_no_hand_over_loses_an_agent() -> None:
    observed = settle(replace(build_observed(replicas=9, **QUEUE), depth=QueueDepth(Known(5), Known(0))))
    with_hpa = settle(respec(observed, **HPA))
    assert replicas(with_hpa) == 9
    grown = resize(with_hpa, 12)
    grown = carry_out(grown, plan_pool(grown, NOW))
    asked = respec(grown, **QUEUE)
    (going,) = plan_pool(asked, NOW).actions
    assert isinstance(going, Delete)
    assert sizes(asked) == []
    back = settle(asked)
    assert (back.autoscaler, replicas(back)) == (None, 12)
    assert replicas(settle(respec(back, scaling=None, template=HPA["template"]))) == 12


IGNORED = {
    "the first size is no scaling": ({"replicas": 7}, {"replicas": 7}, False),
    "another size later is": ({"replicas": 7}, {"replicas": 9}, True),
    "a size where there was none is": ({}, {"replicas": 9}, True),
    "with mode none it is what is wanted": ({"replicas": 7}, {"replicas": 9, "scaling": None}, False),
}


@pytest.mark.parametrize(("first", "later", "want"), IGNORED.values(), ids=IGNORED.keys())
def test_kubectl_scale_changes_nothing_where_the_queue_decides(
    first: dict[str, object], later: dict[str, object], want: bool
) -> None:
    observed = settle(build_observed(queued=5, **first))
    after = settle(respec(observed, **later))
    assert ("ScaleIgnored" in say(after.status)) is want
    if want:
        assert replicas(after) == replicas(observed)


def test_where_an_autoscaler_is_in_the_way() -> None:
    meta = build_observed().meta
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "agentpool-developer"}}
    on_deployment = read_aim({"metadata": {"namespace": KEY.namespace}, "spec": spec})
    on_pool = Aim(KEY.namespace, "AgentPool", "developer")
    assert list_aims(meta, read_pool_spec(build_spec()).scaling) == (on_deployment, on_pool)
    assert list_aims(meta, None) == (on_deployment,)


TRIGGERS = {
    "type": "redisList",
    "params": {"url": "redis://cache:6379/1", "list": "jobs"},
    "authRef": {"name": "cache"},
}
FIELDS = {"scaling": {**SCALING, "triggers": [TRIGGERS]}}


def test_a_trigger_outside_is_read_as_its_params_say() -> None:
    spec = read_pool_spec(build_spec(scaling={**SCALING, "triggers": [TRIGGERS, {"type": "nats"}]}))
    assert list_probes(spec) == (
        Probe(trigger="redisList", type="redisList", url="redis://cache:6379/1", subject="jobs", secret="cache"),
    )


def test_triggers_of_one_type_are_told_apart() -> None:
    spec = read_pool_spec(build_spec(scaling={**SCALING, "triggers": [{"type": "nats"}, TRIGGERS, TRIGGERS]}))
    assert [probe.trigger for probe in list_probes(spec)] == ["redisList[1]", "redisList[2]"]


def read(depth: int | str) -> Reading:
    known = Unknown(depth) if isinstance(depth, str) else Known(depth)
    return Reading("redisList", QueueDepth(known, Known(0) if isinstance(known, Known) else known))


def test_the_trigger_that_decides_is_named_with_its_arithmetic() -> None:
    observed = replace(settle(build_observed(queued=5, **FIELDS)), readings=(read(40),))
    plan = plan_pool(observed, NOW)
    decision = plan.status["lastDecision"]
    assert (decision["trigger"], decision["queue"]) == ("redisList", 40)
    assert [event.message for event in plan.events] == ["5 -> 7 agents: redisList 40 > 10: 5 + 2 = 7"]


def test_a_trigger_that_cannot_be_read_is_named_and_nothing_is_scaled_on_it() -> None:
    observed = replace(settle(build_observed(queued=5, **FIELDS)), readings=(read("its Secret cache has no password"),))
    plan = plan_pool(observed, NOW + timedelta(hours=1))
    assert plan.actions == ()
    said = say(plan.status)
    assert said["MetricsAvailable"] == "False MetricsUnavailable: redisList: its Secret cache has no password"
    assert said["Ready"].startswith("True")


def test_a_pool_with_triggers_outside_needs_no_broker() -> None:
    alone = replace(build_observed(finalizers=(), **FIELDS), nats_url=None, broker_problem="no broker is configured")
    unread = QueueDepth(Unknown("no broker is configured"), Unknown("no broker is configured"))
    settled = settle(replace(alone, depth=unread, readings=(read(5),)))
    assert say(settled.status)["MetricsAvailable"].startswith("True")
    assert sizes(replace(settled, readings=(read(11),))) == [7]


def test_steps_that_wait_for_the_pool_count_without_a_broker() -> None:
    unread = QueueDepth(Unknown("connection refused"), Unknown("connection refused"))
    settled = settle(replace(build_observed(), depth=unread, broker_problem="connection refused"))
    plan = plan_pool(replace(settled, waiting=12), NOW)
    assert plan.status["lastDecision"]["reason"] == "workflow 12 > 10: 5 + 2 = 7"
    assert plan.status["lastDecision"]["trigger"] == "workflow"


WRONG = {
    "an unknown param": (
        {"type": "redisList", "params": {"url": "redis://h", "list": "l", "group": "g"}},
        "params.group: there is no such param; redisList takes url, list",
    ),
    "a param that is no text": (
        {"type": "redisList", "params": {"url": "redis://h", "list": 7}},
        "params.list: a text is needed, found 7; redisList takes url, list",
    ),
    "a scheme of something else": (
        {"type": "postgres", "params": {"url": "redis://h", "query": "select 1"}},
        "params.url: a URL is needed such as postgres://host",
    ),
    "a password in the open": (
        {"type": "postgres", "params": {"url": "postgres://me:hidden@h/db", "query": "select 1"}},
        "params.url: it holds a password, which belongs into a Secret (authRef)",
    ),
    "a port that is none": (
        {"type": "http", "params": {"url": "http://h:port", "jmespath": "a"}},
        "params.url: a URL is needed such as http://host",
    ),
    "params of what takes none": (
        {"type": "workflow", "params": {"name": "x"}},
        "params.name: there is no such param; workflow takes none",
    ),
}


@pytest.mark.parametrize(("trigger", "want"), WRONG.values(), ids=WRONG.keys())
def test_wrong_params_are_refused_with_their_place(trigger: dict[str, object], want: str) -> None:
    problem = read_pool_spec(build_spec(scaling={"triggers": [trigger]}))
    assert problem.message == f"spec.scaling.triggers[0].{want}"


def test_a_forecast_that_can_be_trusted_starts_agents_and_is_published_with_its_error() -> None:
    settled = settle(build_observed(queued=5, scaling={**SCALING, "predict": True}))
    trusted = replace(settled, forecast=Forecast(Foreseen(20, 12.0), 0.2))
    plan = plan_pool(trusted, NOW)
    assert plan.status["forecast"] == {"tasks": 20, "withinSeconds": 12, "error": 0.2, "used": True}
    assert plan.status["lastDecision"]["reason"] == "20 tasks foreseen within 12 s / 2 = 10"
    assert sizes(trusted) == [10]


@pytest.mark.parametrize("error", [None, 0.51])
def test_a_forecast_that_cannot_be_trusted_is_published_and_not_acted_on(error: float | None) -> None:
    settled = settle(build_observed(queued=5, scaling={**SCALING, "predict": True}))
    untrusted = replace(settled, forecast=Forecast(Foreseen(20, 12.0), error))
    assert sizes(untrusted) == []
    assert plan_pool(untrusted, NOW).status["forecast"]["used"] is False
