"""What is foreseen of a workflow: its objects, path, time, agents, cost, and what the quotas make of it."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.cli.objects import build_step, build_workflow
from tests.unit.cli.snapshots import compare, draw

from vapora.cli.show.plans import build_steps, write_forecast
from vapora.cli.workflow.planning.command import judge_refusal
from vapora.cli.workflow.planning.forecast import Forecast, Trial, build_forecast
from vapora.cli.workflow.planning.history import History, read_history
from vapora.cli.workflow.planning.quota import judge_quota, measure_pod
from vapora.cli.workflow.planning.schedule import Span, find_peak
from vapora.cli.workflow.planning.steps import Intent, build_intents
from vapora.controller.ports import ApiError
from vapora.core.workflow.definition import Definition, read_definition
from vapora.core.workflow.status import Identity

Json = dict[str, Any]
IDENTITY = Identity("team", "release", "5a9f0a52-6f0c-4a52-9a3e-0d1b2c3d4e5f")
REVIEW = {"name": "review", "dependsOn": ["build"], "agent": {"role": "developer", "taskType": "code-review"}}
STEPS: list[Json] = [
    build_step("build", run={"image": "tool:1", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}}),
    REVIEW,
    {**REVIEW, "name": "second", "agent": {**REVIEW["agent"], "independentOf": ["review"]}},
    build_step("train", "build", description="fine-tune a transformer with pytorch on the GPU"),
    {"name": "grow", "scale": {"pool": "amber", "replicas": 5}},
    {"name": "each", "forEach": {"items": [1, 2, 3, 4, 5], "maxParallel": 2}, "run": {"image": "i:${item}"}},
    {"name": "gate", "dependsOn": ["review"], "approval": {"approvers": {"groups": ["sre"], "minimum": 2}}},
    build_step("ship", "gate", run={"image": "${steps.build.outputs.image}"}),
    build_step("tell", "gate", run={"image": "tell:${params.nobody}"}),
]


def define(*steps: Json, **spec: object) -> Definition:
    found = read_definition({"steps": list(steps), **spec})
    assert isinstance(found, Definition), found
    return found


def build_pool(name: str, **status: object) -> Json:
    ready = [{"type": "Ready", "status": "True"}]
    known = {"readyReplicas": 2, "queued": 0, "inFlight": 0, "conditions": ready, **status}
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"role": "developer"}, "status": known}


def done(state: str = "Succeeded", minutes: int = 1, cents: int = 0, task_type: str = "") -> Json:
    row: Json = {"state": state, "startedAt": "2026-03-04T11:00:00Z", "finishedAt": f"2026-03-04T11:{minutes:02}:00Z"}
    return {
        **row,
        "costCents": cents,
        **({"assignment": {"pool": "amber", "taskType": task_type}} if task_type else {}),
    }


PAST = [
    build_workflow(
        STEPS, {"steps": {"build": done(minutes=2), "review": done(minutes=4, cents=6, task_type="code-review")}}
    ),
    build_workflow(STEPS, {"steps": {"build": done(minutes=4), "review": done("Failed", minutes=9)}}),
]


def foresee(*steps: Json, trials: dict[str, list[Trial]] | None = None, quotas: list[Json] | None = None) -> Forecast:
    definition = define(*steps)
    intents = build_intents(definition, IDENTITY)
    pools = [build_pool("amber"), build_pool("birch", inFlight=1)]
    past = read_history(PAST)
    return build_forecast("team/release", definition, intents, trials or {}, pools, past, quotas)


def find(name: str) -> Intent:
    return next(intent for intent in build_intents(define(*STEPS), IDENTITY) if intent.step.name == name)


@pytest.mark.parametrize("width", [80, 160])
def test_a_plan_looks_as_it_did(width: int) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is drawn now."""
    trials = {"build": [Trial("Pod a", "create", "Pod")], "grow": [Trial("p", "change", "AgentPool amber: 2 to 5")]}
    compare(draw(build_steps(foresee(*STEPS, trials=trials), is_wide=False), width=width), f"plan-{width}")


def test_of_a_run_step_the_very_object_is_tried() -> None:
    [pod] = find("build").creates
    assert pod["kind"] == "Pod"
    [job] = find("train").creates
    limits = job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]  # type: ignore[index,call-overload]
    assert (job["kind"], limits["nvidia.com/gpu"]) == ("Job", "1")


def test_what_outputs_decide_is_known_later_and_what_nobody_gives_is_a_mistake() -> None:
    assert "steps.build" in find("ship").open or "known when it starts" in find("ship").open
    assert "nobody" in find("tell").mistake


def test_a_for_each_counts_its_items_and_tries_the_first() -> None:
    each = find("each")
    assert (each.items, each.width) == (5, 2)
    assert each.creates[0]["spec"]["containers"][0]["image"] == "i:1"  # type: ignore[index]


def test_the_past_tells_how_long_and_how_costly_steps_are_and_failures_do_not_count() -> None:
    past = read_history(PAST)
    assert past.durations.steps == {("build", "run"): 180.0, ("review", "code-review"): 240.0}
    assert past.task_types == {"code-review": 6.0}
    assert read_history([]) == History()


def test_time_path_and_cost_follow_from_the_past() -> None:
    plan = write_forecast(foresee(STEPS[0], REVIEW))
    assert (plan["seconds"], plan["criticalPath"], plan["costCents"]) == (420.0, ["build", "review"], 6.0)


def test_without_a_past_time_is_not_known() -> None:
    plan = foresee(build_step("other"))
    assert plan.seconds is None


def test_whoever_must_not_judge_its_own_work_gets_another_pool() -> None:
    pools = {step.intent.step.name: step.pool for step in foresee(*STEPS).steps if step.pool}
    assert pools == {"review": "amber", "second": "birch"}


REFUSALS = {
    "what you may not do": (
        403,
        'pods is forbidden: User "ann" cannot create resource "pods"',
        "unknown",
    ),
    "what a quota has no room for now": (403, 'pods "a" is forbidden: exceeded quota: small, used: pods=1', "create"),
    "what an admission refuses": (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', "refused"),
    "what is invalid": (422, "Pod is invalid: spec.containers[0].image: Required value", "refused"),
}


@pytest.mark.parametrize(("status", "message", "effect"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_judged(status: int, message: str, effect: str) -> None:
    assert judge_refusal("Pod a", ApiError(message, status=status, reason="x")).effect == effect


def build_quota(**hard: str) -> Json:
    return {"metadata": {"name": "q"}, "status": {"hard": hard, "used": {"pods": "1"}}}


QUOTAS = {
    "no quota": ([], "none"),
    "everything fits": ([build_quota(pods="9")], "fits"),
    "steps wait for each other": ([build_quota(pods="2")], "waits"),
    "a step can never run": ([build_quota(**{"requests.cpu": "250m"})], "never"),
}


@pytest.mark.parametrize(("quotas", "verdict"), QUOTAS.values(), ids=QUOTAS)
def test_quotas_are_judged(quotas: list[Json], verdict: str) -> None:
    plan = foresee(STEPS[0], build_step("beside"), quotas=quotas)
    assert plan.quota.verdict == verdict, plan.quota


def test_quotas_that_may_not_be_read_are_unknown() -> None:
    assert foresee(STEPS[0]).quota.verdict == "unknown"


def test_a_pod_takes_what_it_requests_and_where_it_requests_nothing_its_limits() -> None:
    pod = {"spec": {"containers": [{"resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "1"}}}, {}]}}
    assert measure_pod(pod) == {
        "pods": 1,
        "requests.cpu": 1,
        "requests.memory": 2**30,
        "limits.memory": 2**30,
    }
    assert judge_quota([build_quota(memory="512Mi")], {"a": measure_pod(pod)}, {}).verdict == "never"


def test_only_what_overlaps_adds_up() -> None:
    one = {"pods": Decimal(1)}
    assert find_peak([Span(0, 1), Span(0, 2), Span(1, 3)], [one, one, one]) == {"pods": 2}
