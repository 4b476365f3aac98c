"""What a try that does not run yet waits for, and what becomes of one that waited long enough for a GPU."""

from __future__ import annotations

from dataclasses import replace

from vapora.api.durations import parse_duration
from vapora.api.stepbodies import RunBody
from vapora.core.conditions import cut
from vapora.core.gpu.capacity import Capacity, describe_nodes
from vapora.core.gpu.decision import is_gpu_resource
from vapora.core.interpolation import interpolate
from vapora.core.plan import Delete, EventType
from vapora.core.views import ChildView, JobView, KueueView
from vapora.core.workflow.detection import find_capacity, has_gpu, may_fall_back, without_gpu
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.executions import record
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.standing import Broken, Underway
from vapora.core.workflow.status import State, Unit
from vapora.core.workflow.tries import find_child, find_workload

GPU_WAIT = 300.0  # seconds, unless the step says otherwise
_WORDS = 900  # bytes of Kueue's, so that a message has room for the place in the queue


def find_gpu_wait(draft: Draft, place: Place, body: RunBody) -> float | None:
    """Returns how long a step waits for a GPU that it only prefers; None where it needs one, or none."""
    if not may_fall_back(draft.status(place[0]).ml):
        return None
    return GPU_WAIT if body.gpu_wait is None else parse_duration(interpolate(body.gpu_wait, draft.scope(place[0])))


def name_queue(draft: Draft, place: Place) -> str:
    """Returns the queue of Kueue that a step's Jobs are to wait in; empty for none."""
    body, default = draft.step(place[0]).spec.run, draft.observed.surroundings.gpu.queue
    return (body.queue_name if body else None) or (default if has_gpu(draft.status(place[0]).ml) else "")


def explain_wait(draft: Draft, place: Place, unit: Unit, standing: Underway) -> tuple[bool, str, str]:
    """Returns whether a try runs, what it waits for, and that in a word.

    Of a Job is added why it has no Pod, where it stands in its queue, or which nodes were looked at for its GPU.
    """
    capacity = None
    if not standing.is_running and unit.child is not None and unit.child.kind == "Job":
        capacity = find_capacity(draft)
    if capacity is not None:
        standing = _explain_job(draft, place, unit, standing, capacity)
    return standing.is_running, standing.why, standing.reason


def _explain_job(draft: Draft, place: Place, unit: Unit, standing: Underway, capacity: Capacity) -> Underway:
    view = find_child(draft.observed, unit.child) if unit.child else None
    if standing.is_podless and view is not None and (words := capacity.refusals.get(view.meta.uid)):
        reason = "QuotaExceeded" if "exceeded quota" in words else "WaitingForCapacity"
        return replace(standing, reason=reason, why=cut(words))
    if isinstance(view, JobView) and capacity.has_kueue and (queue := name_queue(draft, place)):
        standing = _explain_queue(standing, find_workload(draft.observed, view), queue, capacity)
    if not has_gpu(draft.status(place[0]).ml) or standing.reason != "Unschedulable":
        return standing
    body = draft.step(place[0]).spec.run
    asked = _list_gpus(body) or {draft.observed.surroundings.gpu.resource: 1}
    wanted = {**draft.observed.surroundings.gpu.node_labels, **(body.node_selector if body else {})}
    nodes = describe_nodes(asked, wanted, capacity.nodes)
    return replace(standing, why=cut(f"{standing.why} ({nodes})" if nodes else standing.why))


def _explain_queue(standing: Underway, workload: KueueView | None, queue: str, capacity: Capacity) -> Underway:
    if workload is None and standing.is_podless:
        return replace(standing, reason="Queued", why=f"Kueue has not taken the Job into queue {queue} yet")
    where = capacity.places.get(workload.meta.uid) if workload is not None else None
    if where is None or standing.reason != "Queued":
        return standing
    return replace(standing, why=f"{cut(standing.why, _WORDS)} ({where})")


def _list_gpus(body: RunBody | None) -> dict[str, object]:
    """Returns the GPUs that a step itself asks for, by resource."""
    if body is None:
        return {}
    own = {**body.resources.requests, **body.resources.limits}
    return {name: value for name, value in own.items() if is_gpu_resource(name)}


def falls_back(draft: Draft, place: Place, unit: Unit, standing: Broken) -> bool:
    """Returns whether a try waited for a GPU as long as it was to, and not for as long as any try may wait."""
    if standing.failure.reason != "PendingTimeout":
        return False
    step, ml = draft.step(place[0]), draft.status(place[0]).ml
    if not may_fall_back(ml) or unit.started_at is None:
        return False
    return step.pending_timeout is None or (draft.now - unit.started_at).total_seconds() < step.pending_timeout


def fall_back(draft: Draft, place: Place, unit: Unit, stopped: ChildView | None) -> None:
    """Starts a try anew without a GPU; that costs neither budget, and holds for all items of the step."""
    status = draft.status(place[0])
    waited = (draft.now - (unit.started_at or draft.now)).total_seconds()
    why = f"none was free within {waited:.0f} s"
    draft.set_status(place[0], replace(status, ml=without_gpu(status.ml or {}, why)))
    if stopped is not None:
        draft.actions.append(Delete(stopped.meta.key, stopped.meta.uid))
    ended = replace(unit, finished_at=draft.now, until=None, pending_until=None, reason="GpuWaitOver", message=why)
    record(draft, place, ended, "cancelled", None)
    draft.put_unit(place, replace(ended, state=State.RETRYING, next_attempt_at=draft.now))
    draft.tell(EventType.NORMAL, "GpuWaitOver", f"step {draft.graph.names[place[0]]} runs without a GPU: {why}")
