"""Pools whose agents are pods, at tasks that reach them by the broker in the cluster."""

from tests.cluster.waiting import wait_until
from tests.e2e.world import DEVELOPER, ROOT, World
from tests.integration.objects import Json

SCALING: Json = {
    "mode": "queue",
    "min": 1,
    "max": 4,
    "scaleUpAbove": 2,
    "scaleDownBelow": 1,
    "interval": "1s",
    "scaleDownStabilization": "3s",
}
RESOURCES: Json = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}}


def test_a_pool_grows_under_load_and_drains_to_its_least(here: World) -> None:
    template = {"image": DEVELOPER, "resources": RESOURCES}
    here.create("AgentPool", "developer", {"role": "worker", "template": template, "scaling": SCALING})
    here.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "agentpool/developer")
    items = [{"number": number} for number in range(30)]
    task = {"role": "worker", "taskType": "general", "title": "Work", "input": {"seconds": 2}}
    here.workflow("load", {"name": "tasks", "forEach": {"items": items, "maxParallel": 30}, "agent": task})
    sizes: set[int] = set()

    def is_over() -> bool:
        sizes.add(len(here.all("Pod", "vapora.dev/pool=developer")))
        return here.status("Workflow", "load").get("phase") in {"Succeeded", "Failed"}

    wait_until(is_over, "the tasks are done", within=240, every=0.5)
    status = here.status("Workflow", "load")
    assert status["steps"]["tasks"]["items"]["succeeded"] == "0-29", status
    assert max(sizes) >= 3
    wait_until(lambda: here.status("AgentPool", "developer").get("replicas") == 1, "the pool has shrunk", within=120)
    wait_until(lambda: len(here.all("Pod", "vapora.dev/pool=developer")) == 1, "the pods are gone", within=120)


def test_the_small_model_is_trained_by_an_agent(here: World) -> None:
    text = (ROOT / "manifests" / "samples" / "training.yaml").read_text()
    here.cluster.kubectl("apply", "-n", here.namespace, "-f", "-", input=text)
    wait_until(lambda: here.step("training", "small").get("state") == "Succeeded", "the model is trained", within=180)
    outputs = here.step("training", "small")["outputs"]
    assert outputs["accuracy"] > outputs["baseline"]
    here.vapora("workflow", "cancel", "training")


def test_the_small_model_is_trained_as_a_job(here: World) -> None:
    script = (
        "import json, sys; sys.path.insert(0, '/'); import agent; found = agent.run({'rows': 1000, 'epochs': 10}); "
    )
    script += "print(found['accuracy']); json.dump(found, open('/dev/termination-log', 'w'))"
    body = {
        "image": "vapora/agents:trainer-0.1.0",
        "command": ["python", "-c", script],
        "executor": "Job",
        "ml": "never",
    }
    here.workflow("model", {"name": "train", "run": body, "outputs": ["accuracy", "baseline"]})
    outputs = here.succeeded("model", within=180)["steps"]["train"]["outputs"]
    assert outputs["accuracy"] > outputs["baseline"]
    assert len(here.all("Job")) == 1
