"""GPU Jobs on simulated GPU nodes: what they ask for, what they wait for, and Kueue's part in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.gpu.logs import serve_logs
from tests.integration.gpu.queueing import PRIORITY, Kueue
from tests.integration.objects import Objects, run

KUEUE = ROOT / "tests" / "cluster" / "crds" / "kueue.yaml"
TRAINING = "Train a convolutional neural network on X-ray images"
INFERENCE = "Run inference with the trained model on new images"
FOREVER = {"duration": "forever"}


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(KUEUE))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(KUEUE))
    with operators_of(cluster, request) as started:
        yield started


@pytest.fixture(scope="module")
def operator(fleet: Operators) -> OperatorProcess:
    return fleet.start("operator", "--allow-simulate")


@pytest.fixture
def objects(operator: OperatorProcess, cluster: Cluster, namespace: str) -> Objects:
    return Objects(cluster, namespace)


def await_step(objects: Objects, name: str, step: str, **fields: str) -> dict:
    """Wait until fields of a step's row hold such texts."""

    def probe() -> dict | None:
        row = objects.step(name, step)
        return row if all(text in str(row.get(field, "")) for field, text in fields.items()) else None

    try:
        return wait_until(probe, f"{step} has {fields}", within=30)
    except TimeoutError as late:
        raise TimeoutError(f"{late}; its row is {objects.step(name, step)}") from None


def read_metric(metrics: list[str], name: str) -> float:
    return next(float(line.rpartition(" ")[2]) for line in metrics if line.startswith(name))


def test_training_has_its_profile_its_evidence_and_its_result(objects: Objects, operator: OperatorProcess):
    ends = {"message": '{"accuracy": 0.91}'}
    objects.workflow("learn", run("train", ends=ends, description=TRAINING, outputs=["accuracy"]))
    row = objects.finished("learn")["status"]["steps"]["train"]
    assert row["outputs"] == {"accuracy": 0.91}
    assert (row["ml"]["class"], row["ml"]["source"], row["ml"]["profile"]) == ("gpuRequired", "detection", "large")
    (pod,) = objects.pods()
    spec = pod["spec"]
    assert spec["nodeName"].startswith("gpu-")
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "16Gi", "cpu": "4"}
    assert {"name": "vapora-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}} in spec["volumes"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    (job,) = objects.all("Job")
    assert (job["spec"]["backoffLimit"], job["spec"]["ttlSecondsAfterFinished"]) == (0, 3600)
    metrics = operator.metrics()
    assert 'vapora_ml_detections_total{ml_class="gpuRequired",source="description"} 1.0' in metrics
    assert 'vapora_gpu_jobs_total{outcome="success"} 1.0' in metrics


def test_a_job_that_was_seen_to_run_is_counted_with_what_it_waited_and_used(
    objects: Objects, operator: OperatorProcess
):
    objects.workflow("counted", run("train", ends=FOREVER, description=TRAINING))
    await_step(objects, "counted", "train", state="Running")
    objects.patch("Workflow", "counted", {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})
    objects.finished("counted")
    metrics = operator.metrics()
    assert read_metric(metrics, "vapora_gpu_wait_seconds_count") >= 1
    assert read_metric(metrics, 'vapora_gpu_jobs_total{outcome="cancelled"}') >= 1
    assert all(read_metric(metrics, f'vapora_gpu_seconds_total{{kind="{kind}"}}') > 0 for kind in ("requested", "used"))


def test_a_result_comes_from_a_config_map_that_the_step_names(objects: Objects):
    body = {"resultConfigMap": "${params.name}-told"}
    step = run("train", ends={"duration": "2s"}, description=TRAINING, run=body, outputs=["accuracy", "model"])
    objects.workflow("tells", step, params={"name": "tells"})
    await_step(objects, "tells", "train", state="Running")
    told = {"metadata": {"name": "tells-told"}, "data": {"accuracy": "0.93", "model": "resnet"}}
    objects.cluster.api.post(objects.path("ConfigMap"), json=told).raise_for_status()
    row = objects.finished("tells")["status"]["steps"]["train"]
    assert row["outputs"] == {"accuracy": 0.93, "model": "resnet"}


def test_a_result_comes_from_the_last_lines_of_the_log(objects: Objects, tmp_path: Path):
    with serve_logs(objects.cluster, tmp_path, 'epoch 1\n{"accuracy": 0.95}\n') as node:
        there = {"nodeSelector": {"kubernetes.io/hostname": node}}
        objects.workflow("logs", run("train", description=TRAINING, run=there, outputs=["accuracy"]))
        row = objects.finished("logs")["status"]["steps"]["train"]
    assert (row["outputs"], row["child"]["kind"]) == ({"accuracy": 0.95}, "Job")


def test_a_quota_of_zero_fails_the_step_at_once_and_names_it(objects: Objects):
    objects.create("ResourceQuota", "no-gpus", {"hard": {"requests.nvidia.com/gpu": "0"}})
    objects.workflow("none", run("train", description=TRAINING))
    row = objects.finished("none")["status"]["steps"]["train"]
    assert row["reason"] == "QuotaExceeded"
    assert row["message"] == "quota no-gpus allows 0 of nvidia.com/gpu, and the step asks for 1"
    assert objects.created("jobs") == []


def test_a_quota_that_is_used_up_is_said_in_its_own_words(objects: Objects):
    objects.create("ResourceQuota", "one", {"hard": {"requests.nvidia.com/gpu": "1"}})
    wait_until(lambda: objects.status("ResourceQuota", "one").get("used"), "the quota counts")
    objects.workflow("first", run("train", ends=FOREVER, description=TRAINING))
    await_step(objects, "first", "train", state="Running")
    objects.workflow("second", run("train", description=TRAINING))
    row = await_step(objects, "second", "train", reason="QuotaExceeded")
    assert "exceeded quota: one, requested: requests.nvidia.com/gpu=1" in row["message"]
    assert row["state"] == "Starting"


BAD = {
    "a type that no node has": ({"nvidia.com/mig-3g.20gb": 1}, "no node offers nvidia.com/mig-3g.20gb"),
    "more than any node has": ({"nvidia.com/gpu": 512}, "nvidia.com/gpu is offered by gpu-0 (8), gpu-1 (8)"),
}


REFUSED = {
    "a MIG name that is none": (
        {"resources": {"limits": {"nvidia.com/mig-huge": 1}}},
        "spec.steps[train].run: nvidia.com/mig-huge is no MIG resource; allowed are such as nvidia.com/mig-1g.5gb",
    ),
    "ml never with a GPU in resources": (
        {"ml": "never", "resources": {"limits": {"nvidia.com/gpu": 1}}},
        "spec.steps[train].run: ml: never contradicts the 1 GPU in resources; remove one of them",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused_at_once_with_its_step(objects: Objects, case: str):
    body, words = REFUSED[case]
    objects.workflow("wrong", run("train", run=body))
    assert objects.await_said("Workflow", "wrong", "Stalled", "True InvalidSpec") == f"True InvalidSpec: {words}"
    assert (objects.created("pods"), objects.created("jobs")) == ([], [])


@pytest.mark.parametrize("case", BAD)
def test_what_no_node_has_is_said_with_the_nodes_that_were_looked_at(objects: Objects, case: str):
    limits, words = BAD[case]
    objects.workflow("vast", run("train", run={"resources": {"limits": limits}}))
    row = await_step(objects, "vast", "train", reason="Unschedulable", message=words)
    assert "nodes are available" in row["message"]


def test_a_product_that_no_node_has_is_said_with_those_that_there_are(objects: Objects):
    selector = {"nvidia.com/gpu.product": "H200"}
    objects.workflow("product", run("train", description=TRAINING, run={"nodeSelector": selector}))
    words = "no node has nvidia.com/gpu.product=H200, there is NVIDIA-A100-SXM4-80GB"
    await_step(objects, "product", "train", message=words)


def test_a_gpu_that_is_only_preferred_is_done_without_after_a_while(objects: Objects):
    objects.create("ResourceQuota", "one", {"hard": {"requests.nvidia.com/gpu": "1"}})
    wait_until(lambda: objects.status("ResourceQuota", "one").get("used"), "the quota counts")
    objects.workflow("holds", run("train", ends=FOREVER, description=TRAINING))
    await_step(objects, "holds", "train", state="Running")
    objects.workflow("predicts", run("predict", description=INFERENCE, run={"gpuWait": "2s"}))
    row = objects.finished("predicts")["status"]["steps"]["predict"]
    assert (row["state"], row["tries"], row["child"]["kind"]) == ("Succeeded", 2, "Pod")
    assert "It runs without a GPU: none was free within" in row["ml"]["sentence"]


def test_kueue_admits_a_job_and_says_meanwhile_why_it_waits(objects: Objects):
    kueue = Kueue(objects)
    objects.workflow("queued", run("train", description=TRAINING, run={"queueName": "gpus"}))
    job = kueue.take("train")
    words = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a100"
    kueue.hold(job, words)
    row = await_step(objects, "queued", "train", reason="Queued", message=words)
    assert row["message"].startswith(f"Kueue: Pending: {words}")
    assert words in objects.status("Workflow", "queued")["waitingOn"]
    kueue.check(job, "no node of the kind has come yet")
    await_step(
        objects, "queued", "train", message="Kueue: AdmissionCheck: provisioning is Pending: no node of the kind"
    )
    kueue.admit(job)
    assert objects.finished("queued")["status"]["phase"] == "Succeeded"


def test_what_kueue_evicts_is_tried_again_on_the_budget_of_the_cluster(objects: Objects):
    kueue = Kueue(objects)
    step = run("train", ends=FOREVER, description=TRAINING, run={"queueName": "gpus"}, retry={"initialDelay": "1s"})
    objects.workflow("evicted", step)
    job = kueue.take("train")
    kueue.admit(job)
    await_step(objects, "evicted", "train", state="Running")
    kueue.evict(job, "Preempted to accommodate a workload (UID: 1) due to prioritization in the ClusterQueue")
    again = kueue.take("train", but=(job["metadata"]["name"],))
    kueue.admit(again)
    row = await_step(objects, "evicted", "train", state="Running", tries="2")
    assert (row["attempt"], row["infrastructureAttempt"]) == (1, 1)


def test_a_job_says_where_it_stands_in_its_queue_by_its_priority_class(objects: Objects):
    kueue = Kueue(objects)
    kueue.bring("before")
    kueue.bring("an-urgent-one", "urgent")
    for name, template in (("late", {}), ("first", {"metadata": {"labels": {PRIORITY: "urgent"}}})):
        objects.workflow(name, run(name, description=TRAINING, run={"queueName": "gpus", "podTemplate": template}))
        kueue.hold(kueue.take(name), "insufficient unused quota")
    await_step(objects, "late", "late", message="insufficient unused quota (about place 4 of 4 in queue gpus)")
    await_step(objects, "first", "first", message="insufficient unused quota (about place 2 of 4 in queue gpus)")


def test_a_simulated_step_is_never_silent(objects: Objects):
    objects.workflow("pretends", run("train", description=TRAINING, run={"executor": "simulate"}))
    status = objects.finished("pretends")["status"]
    assert status["steps"]["train"]["reason"] == "Simulated"
    assert objects.said("Workflow", "pretends")["Simulated"].startswith("True Simulated: nothing ran in train")
    assert (objects.created("pods"), objects.created("jobs")) == ([], [])


def test_another_operator_takes_the_result_of_a_job_whose_time_is_over_and_queues_the_next_by_its_settings(
    objects: Objects, operator: OperatorProcess, fleet: Operators, tmp_path: Path
):
    ends = {"message": '{"accuracy": 0.97}', "duration": "2s"}
    objects.workflow("away", run("train", ends=ends, description=TRAINING, outputs=["accuracy"]))
    await_step(objects, "away", "train", state="Running")
    assert operator.process.stop(10) == 0
    (job,) = objects.all("Job")
    objects.patch("Job", job["metadata"]["name"], {"spec": {"ttlSecondsAfterFinished": 0}})
    wait_until(
        lambda: "deletionTimestamp" in objects.get("Job", job["metadata"]["name"])["metadata"], "its TTL is over"
    )
    settings = tmp_path / "gpu.json"
    settings.write_text(json.dumps({"queueName": "gpus"}))
    fleet.start("after", "--gpu-settings", str(settings))
    assert objects.finished("away")["status"]["steps"]["train"]["outputs"] == {"accuracy": 0.97}
    wait_until(lambda: objects.all("Job") == [], "the Job is let go")
    kueue = Kueue(objects)
    objects.workflow("queued", run("train", description=TRAINING))
    kueue.admit(kueue.take("train"))
    assert objects.finished("queued")["status"]["phase"] == "Succeeded"
