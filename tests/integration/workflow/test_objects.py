"""Steps that wait for objects, size them and apply them, as the account of their workflow and with its rights alone."""

import sys

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.workflow.stage import ONCE, Stage, apply, config, deployment

OPERATOR = "system:serviceaccount:vapora-system:vapora-operator"
WORKER = {"image": "worker:1", "command": [sys.executable, "examples/agents/echo.py"]}


def until(expression: str, name: str = "flag", **fields: object) -> Json:
    """A step that waits for a ConfigMap."""
    flag = {"apiVersion": "v1", "kind": "ConfigMap", "name": name}
    return {"name": "wait", "wait": {"object": flag, "until": expression, "every": "200ms"}, **fields}


def test_a_time_passes_between_two_steps(here: Stage) -> None:
    here.workflow(
        "nap", run("a"), {"name": "nap", "wait": {"for": "1s"}, "dependsOn": ["a"]}, run("b", dependsOn=["nap"])
    )
    steps = here.ended("nap", "Succeeded")["steps"]
    assert steps["nap"]["finishedAt"] <= steps["b"]["startedAt"]
    assert steps["nap"]["startedAt"] < steps["nap"]["finishedAt"]


def test_a_step_waits_until_an_object_is_in_a_state_and_says_for_what(here: Stage) -> None:
    read = [{"name": "colour", "from": "result.object.data.colour"}]
    here.workflow("flag", until("object.data.state == 'up'", outputsFrom=read), serviceAccountName="builder")
    here.await_status(
        "Workflow",
        "flag",
        waitingOn="wait: waits for ConfigMap flag, which is not there: object.data.state == 'up' has no value yet",
    )
    here.kubectl("create", "configmap", "flag", "--from-literal=state=down", "--from-literal=colour=red")
    here.await_status(
        "Workflow", "flag", waitingOn="wait: waits for ConfigMap flag: object.data.state == 'up' is false"
    )
    here.patch("ConfigMap", "flag", {"data": {"state": "up"}})
    assert here.ended("flag", "Succeeded")["steps"]["wait"]["outputs"] == {"colour": "red"}


def test_a_wait_that_is_too_long_fails(here: Stage) -> None:
    here.workflow("late", until("has(object.data)", timeout="1s", retry=ONCE), serviceAccountName="builder")
    assert here.ended("late", "Failed")["steps"]["wait"]["reason"] == "TimedOut"


def test_a_pool_is_sized_and_gets_its_size_back(here: Stage) -> None:
    here.create("AgentPool", "crew", {"role": "crew", "replicas": 1, "template": WORKER})
    here.await_said("AgentPool", "crew", "Ready", "True")
    grow = {"name": "grow", "scale": {"pool": "crew", "replicas": 3}}
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["grow"])
    here.workflow("grow", grow, fails, onFailure="rollback", serviceAccountName="builder")
    status = here.ended("grow", "RolledBack")
    assert status["steps"]["grow"]["state"] == "Compensated"
    assert here.get("AgentPool", "crew")["spec"]["replicas"] == 1
    sizes = [row for row in here.writers("agentpools") if row[1] == "scale"]
    assert sizes == [(here.account("builder"), "scale")] * 2


def test_a_service_is_sized_and_gets_its_size_back(here: Stage) -> None:
    here.create("Taskserv", "web", {"image": "nginx:1", "replicas": 1, "ports": {"http": 8080}})
    grow = {"name": "grow", "scale": {"taskserv": "web", "replicas": 2}}
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["grow"])
    here.workflow("grow", grow, fails, onFailure="rollback", serviceAccountName="builder")
    here.ended("grow", "RolledBack")
    assert here.get("Taskserv", "web")["spec"]["replicas"] == 1
    assert here.writers("taskservs") == [(here.account("builder"), "")] * 2


def test_a_pool_that_sizes_itself_is_not_sized(here: Stage) -> None:
    scaling = {"mode": "queue", "min": 1, "max": 2}
    here.create("AgentPool", "self", {"role": "self", "scaling": scaling, "template": WORKER})
    step = {"name": "grow", "scale": {"pool": "self", "replicas": 3}, "retry": ONCE}
    here.workflow("grow", step, serviceAccountName="builder")
    status = here.ended("grow", "Failed")
    assert "spec.scaling.mode queue" in status["steps"]["grow"]["message"]
    assert "replicas" not in here.get("AgentPool", "self")["spec"]


def test_objects_are_applied_as_the_account_and_waited_for(here: Stage) -> None:
    settings, web = config("settings", level="${level}"), deployment("web")
    web["spec"]["template"]["metadata"]["annotations"] = {"sim.vapora.dev/ready-delay": "1s"}
    step = apply("deploy", settings, web, outputsFrom=[{"name": "uid", "from": "result.objects[1].uid"}])
    last = run("last", dependsOn=["deploy"])
    here.workflow("deploy", step, last, params={"level": "debug"}, serviceAccountName="builder")
    here.await_status("Workflow", "deploy", currentStep="deploy")
    status = here.ended("deploy", "Succeeded")
    made = here.get("Deployment", "web")
    assert made["status"]["readyReplicas"] == 1
    assert status["steps"]["deploy"]["outputs"] == {"uid": made["metadata"]["uid"]}
    assert here.get("ConfigMap", "settings")["data"] == {"level": "debug"}
    uid = here.get("Workflow", "deploy")["metadata"]["uid"]
    assert made["metadata"]["labels"]["vapora.dev/applied-by"] == uid
    assert "ownerReferences" not in made["metadata"]
    assert set(here.writers("configmaps")) == {(here.account("builder"), "")}
    here.delete("Workflow", "deploy")
    wait_until(lambda: here.find("Workflow", "deploy") is None, "it is gone")
    assert here.find("Deployment", "web") is not None, "what was applied stays"


def test_a_deployment_that_cannot_start_fails_the_step_in_its_words(here: Stage) -> None:
    broken = deployment("broken", image="does-not-exist:1")
    broken["spec"]["progressDeadlineSeconds"] = 1
    here.workflow("broken", apply("deploy", broken, retry=ONCE), serviceAccountName="builder")
    step = here.ended("broken", "Failed")["steps"]["deploy"]
    assert (step["reason"], step["message"][:17]) == ("ObjectFailed", "Deployment broken")


def test_an_account_without_rights_can_do_nothing_even_what_the_operator_could(here: Stage) -> None:
    here.create("AgentPool", "crew", {"role": "crew", "replicas": 1, "template": WORKER})
    deeds = {
        "apply": apply("s", config("mine", a="1"))["apply"],
        "deploy": apply("s", deployment("mine"))["apply"],
        "scale": {"pool": "crew", "replicas": 3},
        "wait": until("true")["wait"],
    }
    kinds = {"deploy": "apply"}
    for name, body in deeds.items():
        here.workflow(name, {"name": "s", kinds.get(name, name): body})
    for name in deeds:
        step = here.ended(name, "Failed")["steps"]["s"]
        assert (step["reason"], step["tries"]) == ("AccountForbidden", 1)
        assert f'User "{here.account("default")}" cannot' in step["message"]
    assert here.find("ConfigMap", "mine") is None
    assert here.find("Deployment", "mine") is None
    assert here.get("AgentPool", "crew")["spec"]["replicas"] == 1


def test_what_is_in_another_namespace_is_out_of_the_accounts_reach(here: Stage) -> None:
    away = config("away")
    away["metadata"]["namespace"] = "default"
    here.workflow("away", apply("s", away), serviceAccountName="builder")
    assert here.ended("away", "Failed")["steps"]["s"]["reason"] == "AccountForbidden"


def test_where_the_operator_may_not_act_as_the_account_the_step_says_what_to_bind(here: Stage) -> None:
    here.kubectl("delete", "rolebinding", "vapora-tenant")
    here.workflow("alone", apply("s", config("mine")), serviceAccountName="builder")
    step = here.ended("alone", "Failed")["steps"]["s"]
    assert step["reason"] == "AccountForbidden"
    assert f"bind the ClusterRole vapora-tenant to the operator in namespace {here.namespace}" in step["message"]
