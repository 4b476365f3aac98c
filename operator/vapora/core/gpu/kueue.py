"""Kueue: a Job that waits in one of its queues is made suspended, and Kueue lets it go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vapora.core.views import child, number, rows, text

LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
LABEL_PRIORITY = "kueue.x-k8s.io/priority-class"
LABEL_JOB = "kueue.x-k8s.io/job-uid"  # of each Workload that Kueue makes of a Job

_ORDERED_ANEW = "PodsReadyTimeout"  # the eviction by which a Workload goes to the end of the queue

Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Is where a Workload stands among those that wait in its LocalQueue, the next one first: from 1."""

    queue: str
    place: int
    of: int

    def __str__(self) -> str:
        return f"about place {self.place} of {self.of} in queue {self.queue}"


def build_queueing(queue: str, pod_template: Mapping[str, object] | None) -> dict[str, str]:
    """Builds the labels by which Kueue takes a Job; a priority class of Kueue that the step gives its pod goes along.

    Kubernetes' own priority class stands in the pod, where Kueue reads it itself.
    """
    priority = child(pod_template or {}, "metadata", "labels").get(LABEL_PRIORITY)
    return {LABEL_QUEUE: queue, **({LABEL_PRIORITY: priority} if isinstance(priority, str) else {})}


def rank_workloads(workloads: Iterable[Object]) -> Mapping[str, QueuePlace]:
    """Returns, by uid, the places of a namespace's Workloads that wait, in the order in which Kueue looks at them.

    That is by priority, then by age, or by the end of a start that took too long. An estimate: Kueue passes over what
    does not fit, other LocalQueues share the ClusterQueue, and its settings can change the order.
    """
    queues: dict[str, list[Object]] = {}
    for workload in workloads:
        if _is_waiting(workload):
            queues.setdefault(text(child(workload, "spec"), "queueName"), []).append(workload)
    return {
        text(child(workload, "metadata"), "uid"): QueuePlace(queue, place, len(waiting))
        for queue, waiting in queues.items()
        for place, workload in enumerate(sorted(waiting, key=_order), start=1)
    }


def _is_waiting(workload: Object) -> bool:
    met = {text(row, "type") for row in _conditions(workload) if row.get("status") == "True"}
    is_active = child(workload, "spec").get("active") is not False
    return is_active and met.isdisjoint({"QuotaReserved", "Finished"})


def _order(workload: Object) -> tuple[int, str, str]:
    meta = child(workload, "metadata")
    evicted = next((row for row in _conditions(workload) if row.get("type") == "Evicted"), {})
    is_later = evicted.get("status") == "True" and evicted.get("reason") == _ORDERED_ANEW
    since = text(evicted, "lastTransitionTime") if is_later else text(meta, "creationTimestamp")
    return -number(child(workload, "spec"), "priority"), since, text(meta, "name")


def _conditions(workload: Object) -> list[Object]:
    return rows(child(workload, "status"), "conditions")
