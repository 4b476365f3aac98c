"""What a run keeps beside its status: made before the status refers to it, read back before the first plan."""

import json

from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import Cluster
from tests.unit.workflow.world import run_step

from vapora.core.plan import Key

LARGE = "x" * 9000
STEPS = [
    run_step("a", outputs=["big"]),
    run_step("b", dependsOn=["a"], when="size(steps.a.outputs.big) == 9000"),
    run_step("c", dependsOn=["b"], run={"image": "busybox", "args": ["${steps.a.outputs.big}"]}),
]


@in_virtual_time
async def test_a_large_output_stands_apart_and_is_used_like_any_other() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(*STEPS)
        await cluster.end_pod("a", message=json.dumps({"big": LARGE}))
        await cluster.until(lambda: cluster.step("a").get("outputRef"))
        assert "outputs" not in cluster.step("a")
        await cluster.restart()
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.api.all("Pod", "vapora.dev/step=c"))
        [pod] = cluster.api.all("Pod", "vapora.dev/step=c")
        assert pod["spec"]["containers"][0]["args"] == [LARGE]
        await cluster.end_pod("c")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        [keepsake] = cluster.api.all("ConfigMap")
        assert (keepsake["metadata"]["name"], keepsake["immutable"]) == (cluster.step("a")["outputRef"], True)


@in_virtual_time
async def test_it_is_made_before_the_status_refers_to_it_and_once() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(*STEPS)
        await cluster.end_pod("a", message=json.dumps({"big": LARGE}))
        await cluster.end_pod("b")
        await cluster.end_pod("c")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.count("create", "ConfigMap") == 1
        assert cluster.count("get", "ConfigMap") == 0
        first = cluster.requests.index(("create", "ConfigMap"))
        assert ("patch", "Workflow") in cluster.requests[first:]


@in_virtual_time
async def test_a_run_whose_keepsake_is_gone_says_so_and_starts_nothing() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(*STEPS)
        await cluster.end_pod("a", message=json.dumps({"big": LARGE}))
        await cluster.until(lambda: cluster.step("a").get("outputRef"))
        name = cluster.step("a")["outputRef"]
        await cluster.kill()
        cluster.api.remove(Key("ConfigMap", "default", name))
        cluster.start()
        await cluster.until(lambda: cluster.condition("Stalled") == "True KeepsakeLost")
        assert cluster.step("a")["outputRef"] == name, "what cannot be read stays as it was written"
        assert cluster.count("create", "Pod") == 2


@in_virtual_time
async def test_a_parent_is_given_the_large_outputs_of_its_child() -> None:
    async with Cluster().operated() as cluster:
        cluster.api.put(
            {
                "apiVersion": "vapora.dev/v1alpha1",
                "kind": "WorkflowTemplate",
                "metadata": {"name": "t", "namespace": "default"},
                "spec": {"workflow": {"steps": [run_step("a", outputs=["big"])]}},
            }
        )
        took = [{"name": "size", "from": "size(result.steps.a.big)"}]
        cluster.operator.store.put("WorkflowTemplate", cluster.api.find("WorkflowTemplate", "t"))
        cluster.submit({"name": "call", "workflow": {"templateRef": {"name": "t"}}, "outputsFrom": took})
        await cluster.end_pod("a", message=json.dumps({"big": LARGE}))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.step("call")["outputs"] == {"size": 9000}


@in_virtual_time
async def test_a_workflow_that_is_deleted_takes_its_keepsakes_along() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a", outputs=["big"]))
        await cluster.end_pod("a", message=json.dumps({"big": LARGE}))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        cluster.api.remove(Key("Workflow", "default", "w"))
        assert cluster.api.all("ConfigMap") == []
