"""The parts of a GPU Job, checked against the Kubernetes schema."""

import kubernetes_validate
import pytest

from vapora.core.gpu.job import GpuSettings, build_gpu_job, build_job_policy


def status(profile="large", gpus=1):
    return {"isMl": True, "class": "gpuRequired", "profile": profile, "estimate": {"gpus": gpus}}


def build_manifest(job):
    container = {
        "name": "main",
        "image": "pytorch/pytorch:2.4.0",
        "resources": job.resources,
        "volumeMounts": job.volume_mounts,
    }
    pod = {"restartPolicy": "Never", "containers": [container], "tolerations": job.tolerations, "volumes": job.volumes}
    if job.runtime_class:
        pod["runtimeClassName"] = job.runtime_class
    if job.affinity:
        pod["affinity"] = job.affinity
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train"},
        "spec": {**job.spec, "template": {"spec": pod}},
    }


@pytest.mark.parametrize("profile", ["medium", "large", "xlarge", "2xlarge", "4xlarge"])
def test_the_job_is_one_that_kubernetes_takes(profile):
    job = build_gpu_job(
        status(profile, 2),
        600.0,
        settings=GpuSettings(runtime_class="nvidia", node_labels={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}),
    )
    kubernetes_validate.validate(build_manifest(job), "1.33", strict=True)


def test_requests_and_limits_are_the_profiles():
    want = {"nvidia.com/gpu": "1", "memory": "16Gi", "cpu": "4"}
    assert build_gpu_job(status(), None).resources == {"limits": want, "requests": want}


def test_what_the_step_asks_for_itself_is_left_as_it_is():
    job = build_gpu_job(status(), None, limits={"nvidia.com/mig-1g.10gb": 1}, requests={"memory": "64Gi"})
    assert job.resources == {
        "limits": {"cpu": "4", "nvidia.com/mig-1g.10gb": 1},
        "requests": {"cpu": "4", "memory": "64Gi"},
    }


def test_shared_memory_comes_with_the_profile():
    job = build_gpu_job(status("medium"), None)
    assert job.volumes[0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert job.volume_mounts[0]["mountPath"] == "/dev/shm"


def test_a_step_with_shared_memory_of_its_own_keeps_it():
    job = build_gpu_job(status(), None, mounts=[{"name": "mine", "mountPath": "/dev/shm"}])
    assert not job.volumes
    assert not job.volume_mounts


def test_the_tainted_nodes_of_gpus_are_tolerated():
    assert build_gpu_job(status(), None).tolerations == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_a_step_without_a_gpu_gets_nothing():
    job = build_gpu_job({"isMl": True, "class": "cpuOnly", "estimate": {"gpus": 0}}, 60.0)
    assert not job.resources
    assert not job.tolerations


def test_the_job_makes_one_pod_and_tells_disruptions_apart():
    spec = build_job_policy(active_deadline_seconds=90)
    assert spec["backoffLimit"] == 0
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert spec["activeDeadlineSeconds"] == 90
    rules = spec["podFailurePolicy"]["rules"]
    assert rules == [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]


def test_a_job_without_a_timeout_has_no_deadline():
    assert "activeDeadlineSeconds" not in build_job_policy()


def test_a_timeout_of_part_of_a_second_is_a_second():
    assert build_gpu_job(status(), 0.2).spec["activeDeadlineSeconds"] == 1
