"""Tells what became of a run once it is written: to the meter, to the tracer, and one line to the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from vapora.controller.domain_meter import DomainMeter
from vapora.controller.runs import Run
from vapora.core.workflow.milestones import Milestones, StepEnd, find_milestones, judge_approval
from vapora.core.workflow.status import Identity, Phase
from vapora.core.workflow.tracing import Span, build_spans, build_trace_id

log = logging.getLogger(__name__)


class Tracer(Protocol):
    """Takes spans that have ended. No call may fail or take time."""

    def take(self, spans: Sequence[Span]) -> None:
        """Sends them some time."""
        ...


class Herald:
    """Compares each written status of a run with the one before; without a tracer no span is built."""

    def __init__(self, meter: DomainMeter, tracer: Tracer | None = None) -> None:
        self._meter = meter
        self._tracer = tracer

    def tell(self, run: Run, created_at: datetime) -> None:
        """Tells what is news in `run.status` beside `run.written`; the tries that ended are told once."""
        ended, run.ended = run.ended, []
        found = find_milestones(run.definition, created_at, run.written, run.status, ended)
        self._count(found)
        if self._tracer is not None and (found.run or found.steps or found.tries):
            self._tracer.take(build_spans(run.identity, found))
        _log(run.identity, found)
        if run.status.phase is not run.written.phase:
            _log_turn(run.identity, run.status.phase, run.status.reason)

    def _count(self, found: Milestones) -> None:
        meter = self._meter
        for waited in found.waits:
            meter.step_started(waited)
        for ended in found.tries:
            seconds = ended.execution.latency.total_seconds()
            if ended.is_task:
                meter.task_ended(ended.execution.outcome, seconds)
            if ended.failure_class:
                meter.try_failed(ended.kind, ended.failure_class, is_retried=ended.is_retried)
        for step in found.steps:
            self._count_step(step)
        for decision in found.decisions:
            meter.approval_decided(decision)
        if found.rollback:
            meter.rolled_back(found.rollback)
        if found.run is not None:
            meter.run_ended(found.run.phase, _seconds(found.run.started, found.run.finished))

    def _count_step(self, step: StepEnd) -> None:
        seconds = None if step.started is None else _seconds(step.started, step.finished)
        self._meter.step_ended(step.kind, step.outcome, seconds)
        if step.kind == "approval" and seconds is not None:
            self._meter.approval_waited(judge_approval(step), seconds)


def _seconds(started: datetime, finished: datetime) -> float:
    """Returns how long something took; clocks of different machines may say that it ended before it began."""
    return max((finished - started).total_seconds(), 0.0)


def _log(identity: Identity, found: Milestones) -> None:
    """Tells of each try and step that ended, where somebody wants to know as much."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    for done in (ended.execution for ended in found.tries):
        told = {"step": done.step, "item": done.item, "attempt": done.try_, "outcome": done.outcome}
        log.debug("an attempt ended", extra={**_name(identity), **told, "reason": done.reason})
    for step in found.steps:
        log.debug("a step ended", extra={**_name(identity), "step": step.name, "outcome": step.outcome})


def _log_turn(identity: Identity, phase: Phase, reason: str) -> None:
    if log.isEnabledFor(logging.INFO):
        extra = {**_name(identity), "phase": str(phase)} | ({"reason": reason} if reason else {})
        log.info("the workflow turned", extra=extra)


def _name(identity: Identity) -> dict[str, object]:
    return {
        "workflow": identity.name,
        "namespace": identity.namespace,
        "trace_id": build_trace_id(identity.uid),
    }
