"""What Kueue's controller writes, as it does: a Workload for a suspended Job of a queue, and what it decides.

The conditions, their reasons and the order of the writes are those of Kueue's job reconciler and scheduler: quota is
reserved, then admitted, then the Job goes on; an eviction stands first, then the Job is suspended, and the quota is
given back once its pods are gone.
"""

from datetime import UTC, datetime

from tests.cluster.waiting import wait_until
from tests.integration.objects import MERGE, Json, Objects

QUEUE = "kueue.x-k8s.io/queue-name"
JOB = "kueue.x-k8s.io/job-uid"
PRIORITY = "kueue.x-k8s.io/priority-class"
PRIORITIES = {"": 0, "urgent": 1000}  # the WorkloadPriorityClasses there are


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
        priority = meta["labels"].get(PRIORITY, "")
        self._make(f"job-{meta['name']}", priority, {JOB: meta["uid"]}, [owner], job["spec"]["template"])
        return job

    def bring(self, name: str, priority: str = "") -> None:
        """Make the Workload of somebody else's Job, which waits in the same queue."""
        self._make(name, priority, {JOB: f"uid-of-{name}"}, [], {"spec": {"containers": []}})

    def hold(self, job: Json, words: str) -> None:
        """Let it wait in the queue."""
        self._say(job, _condition("QuotaReserved", "False", "Pending", words))

    def check(self, job: Json, words: str) -> None:
        """Reserve its quota, and let a check wait, such as that of an autoscaler."""
        self._say(job, _RESERVED, checks=[{"name": "provisioning", "state": "Pending", "message": words}])

    def admit(self, job: Json) -> None:
        """Reserve its quota, and let the Job go on."""
        self._say(job, _RESERVED)
        self._say(job, _RESERVED, _condition("Admitted", "True", "Admitted", "The workload is admitted"))
        self._suspend(job, is_suspended=False)

    def evict(self, job: Json, words: str) -> None:
        """Take its quota back, and suspend the Job again, as far as it is still there."""
        evicted = _condition("Evicted", "True", "Preempted", words)
        preempted = _condition("Preempted", "True", "InClusterQueue", words)
        admitted = _condition("Admitted", "True", "Admitted", "The workload is admitted")
        self._say(job, _RESERVED, admitted, evicted, preempted)
        self._suspend(job, is_suspended=True)
        gone = _condition("QuotaReserved", "False", "Pending", words)
        unadmitted = _condition("Admitted", "False", "NoReservation", "The workload has no reservation")
        requeued = _condition("Requeued", "True", "Preempted", words)
        self._say(job, gone, unadmitted, evicted, preempted, requeued)

    def _make(self, name: str, priority: str, labels: Json, owners: list[Json], template: Json) -> None:
        source = {"priorityClassName": priority, "priorityClassSource": "kueue.x-k8s.io/workloadpriorityclass"}
        body = {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "Workload",
            "metadata": {"name": name, "labels": labels, "ownerReferences": owners},
            "spec": {
                "active": True,
                "queueName": "gpus",
                "priority": PRIORITIES[priority],
                **(source if priority else {}),
                "podSets": [{"name": "main", "count": 1, "template": template}],
            },
        }
        self.objects.cluster.api.post(self.objects.path("Workload"), json=body).raise_for_status()

    def _suspend(self, job: Json, *, is_suspended: bool) -> None:
        self._patch("Job", job["metadata"]["name"], {"spec": {"suspend": is_suspended}})

    def _say(self, job: Json, *conditions: Json, checks: list[Json] | None = None) -> None:
        status = {"conditions": list(conditions), "admissionChecks": checks or []}
        self._patch("Workload", f"job-{job['metadata']['name']}", {"status": status}, "status")

    def _patch(self, kind: str, name: str, body: Json, subresource: str = "") -> None:
        """Patch an object; one that is gone is nobody's business any more, as for Kueue."""
        path = self.objects.path(kind, name, subresource)
        answer = self.objects.cluster.api.patch(path, json=body, headers=MERGE)
        assert answer.status_code in {200, 404}, answer.text


def _condition(kind: str, status: str, reason: str, message: str) -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}


_RESERVED = _condition("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue all")
