"""Getting the result of a try that succeeded: its Pod's words, else what is read where those hold none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from vapora.core.views import JobView, PodView
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.launch import read_run
from vapora.core.workflow.readings import Reading, Source
from vapora.core.workflow.standing import Done, Underway
from vapora.core.workflow.status import Unit
from vapora.core.workflow.tries import find_child, find_job_pod

PATIENCE = timedelta(minutes=1)  # a node that does not answer may come back
AGAIN = timedelta(seconds=5)


def fetch_result(draft: Draft, place: Place, unit: Unit, done: Done) -> Done | Underway:
    """Returns the end of a try with its result, or that it is yet to be read, which the plan then asks for."""
    if not draft.step(place[0]).outputs or isinstance(done.result, Mapping):
        return done
    body = read_run(draft, place)
    pod = _find_pod(draft, unit)
    if pod is None or (done.result is not None and body.result_config_map is None):
        return done
    reading = draft.observed.readings.get(pod.meta.uid)
    ended = done.at or unit.started_at or draft.now
    if reading is None or (reading.is_passing and draft.now < ended + PATIENCE):
        if reading is not None:
            draft.wake_at(draft.now + AGAIN)
        draft.unread[pod.meta.uid] = Source(pod.meta.key, body.result_config_map or "", pod.meta.created_at)
        return Underway(is_running=True, why=_tell(reading), reason="ResultUnread")
    return replace(done, result=done.result if reading.result is None else reading.result, lack=reading.problem)


def _find_pod(draft: Draft, unit: Unit) -> PodView | None:
    view = find_child(draft.observed, unit.child) if unit.child is not None else None
    if isinstance(view, JobView):
        return find_job_pod(draft.observed, view)
    return view if isinstance(view, PodView) else None


def _tell(reading: Reading | None) -> str:
    return "it has ended; its result is being read" if reading is None else f"it has ended, but {reading.problem}"
