"""The trace that a run has with everybody who works for it: one span for the run, each step, each try.

Every id is a function of what it names (W3C Trace Context), so nothing has to be remembered, and whoever leads next
goes on with the same trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vapora.core.learning.execution import FAILURE, execution_id
from vapora.core.workflow.milestones import Milestones, RunEnd, StepEnd, TryEnd
from vapora.core.workflow.status import Identity, Phase


@dataclass(frozen=True, slots=True)
class Span:
    """Is one span that has ended; `problem` says why what it is about failed, empty where it did not."""

    name: str
    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    parent_id: str  # empty for the run's own
    started: datetime
    finished: datetime
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    problem: str = ""


def build_trace_id(uid: str) -> str:
    """Returns the id of a run's trace."""
    return _hash(uid)[:32]


def build_span_id(*path: str) -> str:
    """Returns the id of the span of a run (its uid), of a step of it, or of one of its tries (the execution's id)."""
    return _hash("/".join(("span", *path)))[:16]


def build_traceparent(uid: str, step: str, item: int | None, try_: int) -> str:
    """Returns the header that makes what is done for a try a part of the try's span."""
    return f"00-{build_trace_id(uid)}-{build_span_id(execution_id(uid, step, item, try_))}-01"


def build_spans(identity: Identity, found: Milestones) -> list[Span]:
    """Builds the spans of what ended."""
    spans = [_build_try(identity, ended) for ended in found.tries]
    spans += [_build_step(identity, ended) for ended in found.steps]
    return spans if found.run is None else [*spans, _build_run(identity, found.run)]


def _build_run(identity: Identity, ended: RunEnd) -> Span:
    return Span(
        name="workflow",
        trace_id=build_trace_id(identity.uid),
        span_id=build_span_id(identity.uid),
        parent_id="",
        started=ended.started,
        finished=ended.finished,
        attributes={**_identify(identity), "vapora.phase": str(ended.phase)},
        problem=ended.reason if ended.phase in {Phase.FAILED, Phase.ROLLED_BACK} else "",
    )


def _build_step(identity: Identity, ended: StepEnd) -> Span:
    return Span(
        name=f"step {ended.name}",
        trace_id=build_trace_id(identity.uid),
        span_id=build_span_id(identity.uid, ended.name),
        parent_id=build_span_id(identity.uid),
        started=ended.started or ended.finished,
        finished=ended.finished,
        attributes={
            **_identify(identity),
            "vapora.step": ended.name,
            "vapora.type": ended.kind,
            "vapora.outcome": ended.outcome,
        },
        problem=ended.reason if ended.outcome == FAILURE else "",
    )


def _build_try(identity: Identity, ended: TryEnd) -> Span:
    done = ended.execution
    told: dict[str, str | int | float | None] = {
        "vapora.step": done.step,
        "vapora.item": done.item,
        "vapora.attempt": done.try_,
        "vapora.type": ended.kind,
        "vapora.outcome": done.outcome,
        "vapora.pool": done.pool or None,
        "gen_ai.request.model": done.model or None,
    }
    return Span(
        name=f"attempt {done.step}",
        trace_id=build_trace_id(identity.uid),
        span_id=build_span_id(done.id),
        parent_id=build_span_id(identity.uid, done.step),
        started=done.started,
        finished=done.finished,
        attributes={**_identify(identity), **{name: value for name, value in told.items() if value is not None}},
        problem=done.reason if done.outcome == FAILURE else "",
    )


def _identify(identity: Identity) -> dict[str, str]:
    return {"k8s.namespace.name": identity.namespace, "vapora.workflow": identity.name, "vapora.uid": identity.uid}


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
