"""What Kueue's controller writes, as it does: a Workload for a suspended Job of a queue, and what it decides."""

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, Objects

QUEUE = "kueue.x-k8s.io/queue-name"


class Kueue:
    """Stands for Kueue in one namespace."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        objects.create("LocalQueue", "gpus", {"clusterQueue": "all"})

    def take(self, step: str, but: tuple[str, ...] = ()) -> Json:
        """Wait for the newest Job of a step, and make its Workload."""

        def probe() -> Json | None:
            found = self.objects.all("Job", f"vapora.dev/step={step}")
            return next((job for job in found if job["metadata"]["name"] not in but), None)

        job = wait_until(probe, f"the Job of {step} is there")
        assert job["spec"]["suspend"] is True
        assert job["metadata"]["labels"][QUEUE] == "gpus"
        meta = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        body = {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "Workload",
            "metadata": {
                "name": f"job-{meta['name']}",
                "labels": {"kueue.x-k8s.io/job-uid": meta["uid"]},
                "ownerReferences": [owner],
            },
            "spec": {
                "queueName": "gpus",
                "podSets": [{"name": "main", "count": 1, "template": job["spec"]["template"]}],
            },
        }
        self.objects.cluster.api.post(self.objects.path("Workload"), json=body).raise_for_status()
        return job

    def hold(self, job: Json, words: str) -> None:
        """Let it wait in the queue."""
        self._say(job, _condition("QuotaReserved", "False", "Pending", words))

    def admit(self, job: Json) -> None:
        """Reserve its quota, and let the Job go on."""
        reserved = _condition("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue all")
        self._say(job, reserved, _condition("Admitted", "True", "Admitted", "The workload is admitted"))
        self.objects.patch("Job", job["metadata"]["name"], {"spec": {"suspend": False}})

    def evict(self, job: Json, words: str) -> None:
        """Take its quota back, and suspend the Job again."""
        gone = _condition("QuotaReserved", "False", "Pending", words)
        self._say(job, gone, _condition("Evicted", "True", "Preempted", words))
        self.objects.patch("Job", job["metadata"]["name"], {"spec": {"suspend": True}})

    def _say(self, job: Json, *conditions: Json) -> None:
        name = f"job-{job['metadata']['name']}"
        self.objects.patch("Workload", name, {"status": {"conditions": list(conditions)}}, "status")


def _condition(kind: str, status: str, reason: str, message: str) -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
