"""Kueue: a Job that waits in one of its queues is made suspended, and Kueue lets it go on."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core.views import child

LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
LABEL_PRIORITY = "kueue.x-k8s.io/priority-class"
LABEL_JOB = "kueue.x-k8s.io/job-uid"  # of each Workload that Kueue makes of a Job


def build_queueing(queue: str, pod_template: Mapping[str, object] | None) -> dict[str, str]:
    """Builds the labels by which Kueue takes a Job; a priority class of Kueue that the step gives its pod goes along.

    Kubernetes' own priority class stands in the pod, where Kueue reads it itself.
    """
    priority = child(pod_template or {}, "metadata", "labels").get(LABEL_PRIORITY)
    return {LABEL_QUEUE: queue, **({LABEL_PRIORITY: priority} if isinstance(priority, str) else {})}
