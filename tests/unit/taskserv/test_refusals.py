"""Services that are refused: by us, for what their spec says, and by the API server."""

from dataclasses import replace

import pytest
from tests.unit.taskserv.services import (
    NOW,
    build_observed,
    respec,
    say,
    settle,
    with_workload,
)

from vapora.core.plan import Apply, Plan, Problem
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.plan import plan_taskserv

REFUSED = {
    "no image": ({"image": None}, "InvalidSpec: spec.image: Input should be a valid string, found null"),
    "a version that the image asks for": (
        {"version": None},
        "InvalidSpec: spec.image: ${version} needs spec.version",
    ),
    "storage without type stateful": (
        {"storage": {"size": "1Gi"}},
        "InvalidSpec: spec.storage: a volume that each replica keeps needs type stateful",
    ),
    "a port that has no name": (
        {"healthCheck": {"path": "/", "port": "metrics"}},
        "InvalidSpec: spec.healthCheck.port: metrics is no name in ports",
    ),
    "a check without a port": (
        {"healthCheck": {"tcp": True}, "ports": {}},
        "InvalidSpec: spec.healthCheck: needs a port",
    ),
    "a secret that is a plain value too": (
        {"environment": {"A": "b"}, "secrets": {"A": {"name": "s", "key": "k"}}},
        "InvalidSpec: spec.secrets.A: stands in environment too",
    ),
    "a job that serves": (
        {"type": "job", "replicas": 1},
        "InvalidSpec: spec.ports: makes no sense with type job",
    ),
    "an HPA that has nothing to reckon with": (
        {"scaling": {"max": 3}},
        "InvalidSpec: spec.scaling: a share of cpu needs resources.requests.cpu",
    ),
    "a canary of a store": (
        {"type": "stateful", "upgrade": {"strategy": "canary"}},
        "InvalidSpec: spec.upgrade.strategy: canary needs type service",
    ),
    "a canary whose shares do not grow": (
        {"upgrade": {"strategy": "canary", "canary": {"steps": [50, 20]}}},
        "InvalidSpec: spec.upgrade.canary.steps: must grow, found 50, 20",
    ),
    "a canary by replica count of a size that an HPA owns": (
        {
            "upgrade": {"strategy": "canary"},
            "scaling": {"max": 3},
            "resources": {"requests": {"cpu": "1"}},
            "replicas": None,
        },
        "InvalidSpec: spec.upgrade.strategy: a canary by replica count needs a fixed size; give a gateway, or leave "
        "out scaling",
    ),
    "an analysis of what nobody measures": (
        {"upgrade": {"strategy": "canary", "canary": {"analysis": "metrics.errorRate < 0.01"}}},
        "InvalidSpec: spec.upgrade.canary.analysis: metrics.errorRate cannot be measured; there are metrics.available, "
        "metrics.ready, metrics.replicas, metrics.restarts",
    ),
    "an analysis that is no condition": (
        {"upgrade": {"strategy": "canary", "canary": {"analysis": "metrics.ready"}}},
        "InvalidSpec: spec.upgrade.canary.analysis: 'metrics.ready' gave 1; a condition must give true or false; it "
        "looks at metrics.available, metrics.ready, metrics.replicas, metrics.restarts",
    ),
    "a canary's settings without a canary": (
        {"upgrade": {"canary": {}}},
        "InvalidSpec: spec.upgrade.canary: needs upgrade.strategy canary",
    ),
    "a public address without a host": ({"exposure": "public"}, "InvalidSpec: spec.exposure: public needs hosts"),
    "hosts of a private service": ({"hosts": ["a.b"]}, "InvalidSpec: spec.hosts: needs exposure public"),
    "a certificate beside a Gateway": (
        {"exposure": "public", "hosts": ["a.b"], "gateway": {"name": "g"}, "tls": {"secretName": "s"}},
        "InvalidSpec: spec.tls: the certificate of a Gateway's hosts belongs to its listener; leave out tls, or the "
        "gateway",
    ),
    "a condition on a version that is none": (
        {"dependencies": [{"name": "nats", "version": "at least 2"}]},
        "InvalidSpec: spec.dependencies[nats].version: 'at least 2' is no condition on a version: allowed are such as "
        ">=1.2 and >=1.2,<2",
    ),
    "a version of a plain Service": (
        {"dependencies": [{"name": "nats", "kind": "Service", "version": ">=2"}]},
        "InvalidSpec: spec.dependencies[nats].version: a Service has no version",
    ),
}


@pytest.mark.parametrize(("fields", "want"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_place(fields: dict[str, object], want: str) -> None:
    plan = plan_taskserv(build_observed(**fields), NOW)
    assert plan.actions == ()
    assert plan.status["phase"] == "Failed"
    assert say(plan.status) == {"Ready": f"False {want}", "Stalled": f"True {want}"}


def refuse(observed: Observed, reason: str, message: str, *, permanent: bool) -> Plan:
    actions = plan_taskserv(observed, NOW).actions
    refused = next(action for action in actions if isinstance(action, Apply))
    problems = (Problem(refused, reason, message, is_permanent=permanent),)
    return plan_taskserv(replace(observed, problems=problems), NOW)


def test_a_deployment_that_is_refused_fails_the_service_in_the_api_servers_words() -> None:
    plan = refuse(build_observed(), "Invalid", "spec.template: too odd", permanent=True)
    assert plan.status["phase"] == "Failed"
    assert say(plan.status)["Stalled"] == "True AdmissionRefused: Deployment: spec.template: too odd"
    assert plan.requeue_after == 30


def test_an_api_server_that_is_away_fails_nothing() -> None:
    plan = refuse(build_observed(), "ServiceUnavailable", "no answer", permanent=False)
    assert plan.status["phase"] == "Pending"
    assert say(plan.status)["Reconciling"] == "True ApiUnavailable: Deployment: no answer"


def test_a_field_that_someone_else_owns_is_left_and_said() -> None:
    words = 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
    taken = with_workload(settle(build_observed()), replicas=1, existing=1, available=1, updated=1, ready=1)
    plan = refuse(taken, "Conflict", words, permanent=False)
    assert say(plan.status)["Stalled"] == f"True FieldConflict: Deployment: {words}"
    assert say(plan.status)["FieldConflict"] == f"True FieldConflict: Deployment: {words}"


def test_a_size_that_someone_else_owns_holds_up_nothing_else() -> None:
    taken = with_workload(settle(build_observed()), replicas=1, existing=1, available=1, updated=1, ready=1)
    template, size = (a for a in plan_taskserv(respec(taken, version="0.2.0"), NOW).actions if isinstance(a, Apply))
    assert (template.manager, "replicas" in template.manifest["spec"]) == ("vapora", False)
    assert (size.manager, size.force, size.manifest["spec"]) == ("vapora-size", False, {"replicas": 3})


def test_a_new_version_that_is_refused_is_not_taken_for_a_good_one() -> None:
    plan = refuse(
        respec(settle(build_observed()), version="0.2.0"), "Invalid", "spec.template: too odd", permanent=True
    )
    assert (plan.status["version"], plan.status["lastGoodRevision"]) == ("0.1.0", "1")
    assert say(plan.status)["Stalled"] == "True AdmissionRefused: Deployment: spec.template: too odd"
