"""Which children may go: those whose outcome is durable in the status and in the knowledge graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from vapora.core import naming
from vapora.core.learning.execution import execution_id
from vapora.core.plan import Delete, Patch
from vapora.core.views import ChildView, JobView, PodView
from vapora.core.workflow.status import WAITING, Identity, State, StepStatus, WorkflowStatus


def find_settled(written: WorkflowStatus, children: Iterable[ChildView]) -> list[PodView | JobView]:
    """Returns the children that we still hold although the outcome of their try stands in the written status."""
    return [
        view
        for view in children
        if isinstance(view, (PodView, JobView))
        and naming.FINALIZER_ATTEMPT in view.meta.finalizers
        and is_settled(written, *read_labels(view))
    ]


def plan_release(
    identity: Identity, settled: Iterable[PodView | JobView], is_recorded: Callable[[str], bool], now: datetime
) -> list[Patch | Delete]:
    """Lets settled children go that are recorded, and first stops those whose try is over although they still run.

    A child is seen to run that has ended since, where what is seen is of the past: with its log, it must stay.
    """
    actions: list[Patch | Delete] = []
    for view in settled:
        if not is_finished(view) and not view.meta.is_deleting:
            actions.append(Delete(view.meta.key, view.meta.uid, if_unchanged=True))
        elif is_recorded(child_execution_id(identity, view)):
            actions.append(build_release(view, now))
    return actions


def is_finished(view: PodView | JobView) -> bool:
    """Returns whether nothing of the child runs any more."""
    return view.is_complete or view.is_failed if isinstance(view, JobView) else view.is_finished


def has_ended(view: ChildView, children: Iterable[ChildView]) -> bool:
    """Returns whether nothing more will ever be told of the child: one that is deleted before it ran never finishes.

    The Job controller says nothing of a Job that is being deleted, so its Pods are asked.
    """
    if not isinstance(view, (PodView, JobView)) or is_finished(view):
        return True
    if isinstance(view, PodView):
        return view.meta.is_deleting and not view.node
    pods = (pod for pod in children if isinstance(pod, PodView) and pod.meta.controller_uid == view.meta.uid)
    return view.meta.is_deleting and all(pod.is_finished for pod in pods)


def count_made(status: WorkflowStatus, children: Iterable[ChildView]) -> WorkflowStatus:
    """Counts the tries of children that were made by nobody's word; a name that was used is never used again."""
    found: dict[str, StepStatus] = {}
    for view in children:
        name, _, try_ = read_labels(view)
        known = found.get(name, status.steps.get(name, WAITING))
        if name and try_ > known.unit.tries:
            found[name] = replace(known, unit=replace(known.unit, tries=try_))
    return replace(status, steps={**status.steps, **found}) if found else status


def child_execution_id(identity: Identity, view: ChildView) -> str:
    """Returns the id under which the try of a child is recorded."""
    step, item, try_ = read_labels(view)
    return execution_id(identity.uid, step, None if item == naming.NO_ITEM else item, try_)


def read_labels(view: ChildView) -> tuple[str, int, int]:
    """Returns the step, item and try that a child does."""
    labels = view.meta.labels
    item = labels.get(naming.LABEL_ITEM, "")
    try_ = labels.get(naming.LABEL_TRY, "")
    return (
        labels.get(naming.LABEL_STEP, ""),
        int(item) if item.isdigit() else naming.NO_ITEM,
        int(try_) if try_.isdigit() else 0,
    )


def is_settled(written: WorkflowStatus, step: str, item: int, try_: int) -> bool:
    """Returns whether the outcome of one try stands in the written status."""
    status = written.step(step)
    if written.phase.is_final or status.state.is_final:
        return True
    if item == naming.NO_ITEM:
        unit = status.unit
    elif status.items is None:
        return False
    elif item in status.items.active:
        unit = status.items.active[item]
    else:
        return item in status.items.succeeded or item in status.items.failed or item in status.items.cancelled
    return try_ < unit.tries or (try_ == unit.tries and unit.state is State.RETRYING)


def build_release(view: PodView | JobView, now: datetime) -> Patch:
    """Builds the one patch that lets a child go, with the labels by which it is collected later."""
    has_failed = view.is_failed if isinstance(view, JobView) else view.phase != "Succeeded"
    labels = {
        naming.LABEL_RECORDED: "true",
        naming.LABEL_FINISHED: str(int(now.astimezone(UTC).timestamp()) // 60),
        naming.LABEL_OUTCOME: "failed" if has_failed else "succeeded",
    }
    # It is over: who set which field of it is of no use any more, and tracking that costs a tenth of a write.
    meta = {"uid": view.meta.uid, "labels": labels, "managedFields": [{}], **naming.WITHOUT_FINALIZER}
    return Patch(view.meta.key, {"metadata": meta})
