"""Steps that want a GPU: what they get, what they wait for, and what becomes of those that only prefer one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.workflow.world import DETECTOR, World, agent_step, pool, run_step

from vapora.core import naming
from vapora.core.gpu.capacity import Capacity, Node, Quota
from vapora.core.gpu.job import GpuSettings
from vapora.core.gpu.kueue import QueuePlace
from vapora.core.plan import Key
from vapora.core.views import JobView, KueueView, project
from vapora.core.workflow.observed import Surroundings

GPU_NODE = Node("gpu-0", {"nvidia.com/gpu": "8", "memory": "256Gi", "cpu": "64"})
PLAIN_NODE = Node("plain-0", {"memory": "256Gi", "cpu": "64"})
PLENTY = Capacity(nodes=(GPU_NODE, PLAIN_NODE), quotas=())
TRAINING = "Train a convolutional neural network on images"
INFERENCE = "Run inference with the trained model on new images"


def world_with(capacity: Capacity | None, *steps: Mapping[str, object], **surroundings: Any) -> World:
    """A world whose namespace can get that much; None where it is yet to be read."""
    world = World({"steps": list(steps)})
    capacities = {} if capacity is None else {"default": capacity}
    world.surroundings = Surroundings(DETECTOR, capacities=capacities, **surroundings)
    world.settle()
    return world


def learn(world: World, capacity: Capacity) -> None:
    world.surroundings = replace(world.surroundings, capacities={"default": capacity})
    world.settle()


def gpus_of(world: World, place: int = -1) -> object:
    template = world.manifests[place]["spec"]
    spec = template["template"]["spec"] if "template" in template else template
    return spec["containers"][0].get("resources", {}).get("limits", {}).get("nvidia.com/gpu")


def kueue(world: World, step: str, **status: object) -> None:
    """Lets Kueue say something of a step's Job, as it writes its Workload."""
    job = world.children[world.child(step)]
    template = world.manifests[-1]["spec"]["template"]
    manifest = {
        "metadata": {
            "name": f"job-{job.meta.key.name}",
            "namespace": "default",
            "uid": "w",
            "ownerReferences": [{"uid": job.meta.uid, "controller": True}],
        },
        "spec": {"podSets": [{"template": {"metadata": template["metadata"]}}]},
        "status": status,
    }
    view = project(manifest, "Workload")
    assert isinstance(view, KueueView)
    assert view.meta.owner_uid == world.identity.uid
    world.children[view.meta.key] = view
    world.plan(changed=frozenset({view.meta.key.name}))
    world.settle()


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_nothing_starts_before_it_is_known_what_there_is() -> None:
    world = world_with(None, run_step("train", description=TRAINING))
    assert (world.created, world.step("train").unit.reason) == ([], "WaitingForCapacity")
    assert world.decided.wants_capacity
    learn(world, PLENTY)
    assert world.child("train").kind == "Job"


def test_a_job_that_nobody_wrote_down_keeps_its_place_until_it_can_be_taken_over() -> None:
    world = World({"maxParallel": 1, "steps": [run_step("train", description=TRAINING), run_step("later")]})
    world.surroundings = Surroundings(DETECTOR, capacities={"default": PLENTY})
    world.plan(write=False)
    world.surroundings = Surroundings(DETECTOR, capacities={})
    world.restart()
    world.settle()
    assert len(world.created) == 1
    world.restart()
    learn(world, PLENTY)
    assert (len(world.created), world.states()) == (1, {"train": "Starting"})


def test_a_step_without_a_gpu_asks_nobody() -> None:
    world = world_with(None, run_step("build"))
    assert world.child("build").kind == "Pod"
    assert not world.decided.wants_capacity


ESTIMATES = {
    "a small node": (
        Capacity(nodes=(Node("small", {"nvidia.com/gpu": "1", "memory": "8Gi", "cpu": "2"}),), quotas=()),
        {"gpus": 1, "memory": "8Gi", "cpu": "2"},
        "memory 8Gi instead of 16Gi, all that node small has, cpu 2 instead of 4, all that node small has",
    ),
    "a quota of memory": (
        Capacity(nodes=(GPU_NODE,), quotas=(Quota("team", {"limits.memory": "12Gi"}),)),
        {"gpus": 1, "memory": "12Gi", "cpu": "4"},
        "memory 12Gi instead of 16Gi, all that quota team has",
    ),
    "nodes that could not be read": (Capacity(), {"gpus": 1, "memory": "16Gi", "cpu": "4"}, ""),
}


@pytest.mark.parametrize("case", ESTIMATES)
def test_an_estimate_is_clamped_to_what_there_is(case: str) -> None:
    capacity, estimate, words = ESTIMATES[case]
    world = world_with(capacity, run_step("train", description=TRAINING))
    ml = world.step("train").ml or {}
    assert (ml["estimate"], words in str(ml["sentence"])) == (estimate, True), ml["sentence"]


def test_more_gpus_than_any_node_has_are_clamped_where_they_are_an_estimate() -> None:
    capacity = replace(PLENTY, nodes=(replace(GPU_NODE, allocatable={**GPU_NODE.allocatable, "nvidia.com/gpu": "2"}),))
    world = world_with(capacity, run_step("train", description=f"{TRAINING} with 4 GPUs"))
    assert gpus_of(world) == "2"
    assert "2 of 4 GPUs, all that node gpu-0 has" in str((world.step("train").ml or {})["sentence"])


REFUSED = {
    "detected work": run_step("train", description=TRAINING),
    "what the step asks for": run_step("train", run={"image": "x", "resources": {"limits": {"nvidia.com/gpu": 1}}}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_quota_of_zero_fails_the_step_at_once_with_its_name(case: str) -> None:
    capacity = replace(PLENTY, quotas=(Quota("none", {"requests.nvidia.com/gpu": "0"}),))
    world = world_with(capacity, REFUSED[case])
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason, world.created) == ("Failed", "QuotaExceeded", [])
    assert unit.message == "quota none allows 0 of nvidia.com/gpu, and the step asks for 1"


def test_a_quota_of_zero_leaves_a_step_that_only_prefers_a_gpu_to_the_cpu() -> None:
    capacity = replace(PLENTY, quotas=(Quota("none", {"requests.nvidia.com/gpu": "0"}),))
    world = world_with(capacity, run_step("predict", description=INFERENCE))
    assert (world.child("predict").kind, gpus_of(world)) == ("Pod", None)


def test_a_step_that_only_prefers_a_gpu_runs_at_once_without_where_no_node_has_one() -> None:
    world = world_with(Capacity(nodes=(PLAIN_NODE,), quotas=()), run_step("predict", description=INFERENCE))
    assert (world.child("predict").kind, gpus_of(world)) == ("Pod", None)
    assert "no node offers nvidia.com/gpu; looked at plain-0" in str((world.step("predict").ml or {})["sentence"])


def test_a_gpu_that_is_preferred_is_waited_for_and_then_done_without() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE))
    assert (world.child("predict").kind, gpus_of(world)) == ("Job", "1")
    world.pass_time(299)
    assert len(world.created) == 1
    world.pass_time(1)
    assert (world.child("predict").kind, gpus_of(world)) == ("Pod", None)
    unit = world.step("predict").unit
    assert (unit.tries, unit.attempt, unit.infrastructure_failures) == (2, 1, 0)
    assert (world.step("predict").ml or {})["estimate"]["gpus"] == 0
    assert "GpuWaitOver" in {event.reason for event in world.events}
    world.finish("predict")
    assert str(world.status.phase) == "Succeeded"


def test_how_long_a_gpu_is_waited_for_can_be_said() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE, run={"image": "x", "gpuWait": "10s"}))
    world.pass_time(10)
    assert world.child("predict").kind == "Pod"


def test_a_gpu_that_came_in_time_is_kept() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE))
    run_pod(world, "predict")
    world.pass_time(1000)
    assert (len(world.created), str(world.step("predict").state)) == (1, "Running")


def run_pod(world: World, step: str) -> None:
    """Makes the Pod of a step's Job, which runs."""
    job = world.children[world.child(step)]
    manifest = world.manifests[-1]["spec"]["template"]
    meta = {
        **manifest["metadata"],
        "name": f"{job.meta.key.name}-pod",
        "namespace": "default",
        "uid": "pod",
        "ownerReferences": [{"uid": job.meta.uid, "controller": True}],
    }
    pod = project({"metadata": meta, "status": {"phase": "Running"}}, "Pod")
    world.children[pod.meta.key] = pod
    world.settle()


def test_a_pending_timeout_that_is_shorter_than_the_wait_fails_the_try() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE, pendingTimeout="1m"))
    world.pass_time(60)
    unit = world.step("predict").unit
    assert (unit.reason, unit.infrastructure_failures) == ("PendingTimeout", 1)


def test_the_fallback_survives_a_restart() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE))
    world.restart()
    world.pass_time(300)
    world.restart()
    world.settle()
    assert (len(world.created), world.child("predict").kind) == (2, "Pod")


def test_a_job_that_an_operator_before_made_is_kept_whatever_the_nodes_are_now() -> None:
    world = world_with(PLENTY, run_step("predict", description=INFERENCE))
    world.status = world.written = type(world.status)()
    world.frontier = world._rebuild()
    learn(world, Capacity(nodes=(PLAIN_NODE,), quotas=()))
    assert len(world.created) == 1
    assert world.step("predict").unit.child == world.child("predict")


def test_what_the_job_controller_says_of_a_quota_stands_in_the_step() -> None:
    words = 'pods "x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: 2, limited: 2'
    world = world_with(PLENTY, run_step("train", description=TRAINING))
    job = world.children[world.child("train")]
    learn(world, replace(PLENTY, refusals={job.meta.uid: words}))
    unit = world.step("train").unit
    assert (unit.reason, unit.message) == ("QuotaExceeded", words)
    assert str(unit.state) == "Starting"


def test_the_scheduler_and_the_nodes_that_were_looked_at_stand_in_the_step() -> None:
    step = run_step("train", run={"image": "x", "resources": {"limits": {"nvidia.com/mig-3g.20gb": 1}}})
    world = world_with(PLENTY, step)
    job = world.children[world.child("train")]
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/mig-3g.20gb."
    meta = {"name": "p", "namespace": "default", "ownerReferences": [{"uid": job.meta.uid, "controller": True}]}
    labels = {naming.LABEL_WORKFLOW: world.identity.uid, naming.LABEL_STEP: "train", naming.LABEL_TRY: "1"}
    conditions = [condition("PodScheduled", "False", "Unschedulable", words)]
    pod = project({"metadata": {**meta, "labels": labels}, "status": {"conditions": conditions}}, "Pod")
    world.children[pod.meta.key] = pod
    world.settle()
    unit = world.step("train").unit
    assert unit.reason == "Unschedulable"
    assert unit.message == (
        f"{words} (no node offers nvidia.com/mig-3g.20gb; looked at gpu-0, plain-0; offered are nvidia.com/gpu)"
    )


QUEUED = run_step("train", description=TRAINING, run={"image": "x", "queueName": "gpus"})
KUEUE = replace(PLENTY, has_kueue=True)


def test_with_kueue_the_job_is_made_suspended_in_its_queue() -> None:
    world = world_with(KUEUE, QUEUED)
    job = world.manifests[-1]
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"


def test_without_kueue_the_job_is_a_plain_one_and_that_is_told() -> None:
    world = world_with(PLENTY, QUEUED)
    assert "suspend" not in world.manifests[-1]["spec"]
    assert "KindMissing" in {event.reason for event in world.events}


def test_gpu_jobs_go_to_the_default_queue_and_others_do_not() -> None:
    steps = (run_step("build"), run_step("train", description=TRAINING))
    world = world_with(KUEUE, *steps, gpu=GpuSettings(queue="all"))
    made = {manifest["kind"]: manifest for manifest in world.manifests}
    assert made["Job"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "all"
    assert "kueue.x-k8s.io/queue-name" not in made["Pod"]["metadata"]["labels"]


def test_a_priority_class_of_kueue_goes_along() -> None:
    template = {"metadata": {"labels": {"kueue.x-k8s.io/priority-class": "urgent"}}}
    world = world_with(KUEUE, run_step("a", run={"image": "x", "queueName": "gpus", "podTemplate": template}))
    assert world.manifests[-1]["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"


def test_what_kueue_says_stands_in_the_step_as_it_says_it() -> None:
    world = world_with(KUEUE, QUEUED)
    words = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a100"
    kueue(world, "train", conditions=[condition("QuotaReserved", "False", "Pending", words)])
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason, unit.message) == ("Starting", "Queued", f"Kueue: Pending: {words}")
    kueue(world, "train", conditions=[condition("QuotaReserved", "True", "QuotaReserved", "in gpus")])
    assert world.step("train").unit.reason == ""


def test_a_job_that_kueue_has_not_taken_says_so() -> None:
    world = world_with(KUEUE, QUEUED)
    unit = world.step("train").unit
    assert (unit.reason, unit.message) == ("Queued", "Kueue has not taken the Job into queue gpus yet")


def test_the_place_in_the_queue_follows_kueues_words() -> None:
    world = world_with(KUEUE, QUEUED)
    kueue(world, "train", conditions=[condition("QuotaReserved", "False", "Pending", "no quota")])
    learn(world, replace(KUEUE, places={"w": QueuePlace("gpus", 2, 5)}))
    assert world.step("train").unit.message == "Kueue: Pending: no quota (about place 2 of 5 in queue gpus)"
    kueue(world, "train", conditions=[condition("QuotaReserved", "False", "Pending", "x" * 2000)])
    assert world.step("train").unit.message.endswith("… (about place 2 of 5 in queue gpus)")


@pytest.mark.parametrize(
    ("reason", "want"), [("Preempted", "Preempted"), ("PodsReadyTimeout", "Evicted"), ("", "Evicted")]
)
def test_an_eviction_is_an_infrastructure_failure(reason: str, want: str) -> None:
    world = world_with(KUEUE, QUEUED)
    kueue(world, "train", conditions=[condition("Evicted", "True", reason, "a more urgent one came")])
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason, unit.infrastructure_failures) == ("Retrying", want, 1)
    assert "a more urgent one came" in unit.message
    assert world.children[world.child("train")].meta.is_deleting
    world.pass_time(60)
    assert (world.step("train").unit.tries, world.step("train").unit.attempt) == (2, 1)


def test_a_disruption_that_failed_the_job_is_an_infrastructure_failure() -> None:
    world = world_with(PLENTY, run_step("train", description=TRAINING))
    key = world.child("train")
    view = world.children[key]
    assert isinstance(view, JobView)
    world.children[key] = replace(view, is_failed=True, reason="PodFailurePolicy", message="DisruptionTarget")
    world.settle()
    assert world.step("train").unit.infrastructure_failures == 1


SIMULATED = run_step("train", description=TRAINING, run={"image": "x", "executor": "simulate"})


def test_a_simulated_step_runs_nothing_and_says_so_everywhere() -> None:
    world = world_with(PLENTY, SIMULATED, run_step("use", dependsOn=["train"]), may_simulate=True)
    row = world.step("train")
    assert (str(row.state), row.unit.reason) == ("Succeeded", "Simulated")
    assert [key.name for key in world.children] == [world.child("use").name]
    conditions = {row["type"]: row for row in world.published_status()["conditions"]}
    assert (conditions["Simulated"]["status"], "train" in conditions["Simulated"]["message"]) == ("True", True)
    assert "Simulated" in {event.reason for event in world.events}
    assert not world.executions
    world.finish("use")
    assert str(world.status.phase) == "Succeeded"
    assert "Simulated" in {row["type"] for row in world.published_status()["conditions"]}


def test_simulation_must_be_allowed() -> None:
    world = world_with(PLENTY, SIMULATED)
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason) == ("Failed", "SimulationForbidden")


def test_a_correction_decides_and_is_recorded() -> None:
    world = World({"steps": [run_step("train", description=TRAINING)]})
    world.words["vapora.dev/ml-class"] = "train=cpuOnly"
    world.settle()
    ml = world.step("train").ml or {}
    assert (ml["class"], ml["source"], world.child("train").kind) == ("cpuOnly", "override", "Pod")


def test_a_correction_that_is_none_is_told() -> None:
    world = World({"steps": [run_step("train", description=TRAINING)]})
    world.words["vapora.dev/ml-class"] = "gpu"
    world.settle()
    assert world.step("train").unit.reason == "InvalidInput"
    assert "allowed are cpuOnly, gpuRequired, gpuOptional" in world.step("train").unit.message


def test_settings_say_where_gpu_jobs_run() -> None:
    settings = GpuSettings(runtime_class="nvidia", node_labels={"nvidia.com/gpu.product": "H100"})
    world = world_with(PLENTY, run_step("train", description=TRAINING), gpu=settings)
    pod = world.manifests[-1]["spec"]["template"]["spec"]
    assert pod["runtimeClassName"] == "nvidia"
    assert "H100" in str(pod["affinity"])
    assert {volume["name"] for volume in pod["volumes"]} == {"vapora-shm"}


def test_a_label_of_the_settings_that_no_node_has_is_said() -> None:
    settings = GpuSettings(node_labels={"nvidia.com/gpu.product": "H200"})
    labelled = replace(GPU_NODE, labels={"nvidia.com/gpu.product": "A100"})
    world = world_with(Capacity(nodes=(labelled,), quotas=()), run_step("train", description=TRAINING), gpu=settings)
    job = world.children[world.child("train")]
    meta = {"name": "p", "namespace": "default", "ownerReferences": [{"uid": job.meta.uid, "controller": True}]}
    labels = {naming.LABEL_WORKFLOW: world.identity.uid, naming.LABEL_STEP: "train", naming.LABEL_TRY: "1"}
    conditions = [condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")]
    pod = project({"metadata": {**meta, "labels": labels}, "status": {"conditions": conditions}}, "Pod")
    world.children[pod.meta.key] = pod
    world.settle()
    assert "no node has nvidia.com/gpu.product=H200, there is A100" in world.step("train").unit.message


def test_items_of_one_step_share_what_was_found_out() -> None:
    step = run_step("train", description=TRAINING, forEach={"items": [1, 2]})
    world = world_with(None, step)
    assert world.created == []
    learn(world, PLENTY)
    assert {key.kind for key in world.children} == {"Job"}
    assert len(world.created) == 2
    assert isinstance(next(iter(world.children)), Key)


def test_the_task_of_an_agent_says_what_it_is_and_by_which_words() -> None:
    task = {"role": "developer", "title": "Train the ranking model", "description": "Fine-tune LLaMA on the tickets"}
    world = World({"steps": [agent_step("learn", agent=task)]}, pools=(pool("devs"),))
    world.settle()
    ml = world.step("learn").ml or {}
    assert (ml["class"], ml["source"], "profile" in ml) == ("gpuRequired", "detection", False)
    found = {(row["term"], row["where"]) for row in ml["evidence"]}
    assert {("Fine-tune", "description"), ("LLaMA", "description")} <= found
    assert world.published_status()["steps"]["learn"]["ml"]["evidence"]
    world.answer("learn")
    assert str(world.status.phase) == "Succeeded"


def test_an_agents_task_that_is_no_machine_learning_says_nothing() -> None:
    task = {"role": "developer", "title": "Write the landing page", "description": "with a contact form"}
    world = World({"steps": [agent_step("write", agent=task)]}, pools=(pool("devs"),))
    world.settle()
    assert "ml" not in world.published_status()["steps"]["write"]


def test_the_annotation_corrects_an_agents_task_too() -> None:
    task = {"role": "developer", "title": "Fine-tune LLaMA"}
    world = World({"steps": [agent_step("learn", agent=task)]}, pools=(pool("devs"),))
    world.words["vapora.dev/ml-class"] = "learn=cpuOnly"
    world.settle()
    ml = world.step("learn").ml or {}
    assert (ml["class"], ml["source"]) == ("cpuOnly", "override")


def test_an_agents_task_never_waits_for_a_gpu() -> None:
    task = {"role": "developer", "title": INFERENCE}
    world = World({"steps": [agent_step("predict", agent=task, timeout="20m")]}, pools=(pool("devs"),))
    world.settle()
    world.pass_time(600)
    assert (world.step("predict").unit.tries, str(world.step("predict").state)) == (1, "Running")
    assert not world.decided.wants_capacity
