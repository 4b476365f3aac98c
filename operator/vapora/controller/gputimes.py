"""What machine-learning steps cost: detections, GPU Jobs by outcome, how long they waited, and GPU seconds."""

from __future__ import annotations

from vapora.controller.ports import Clock, Meter
from vapora.core.naming import NO_ITEM
from vapora.core.plan import Key
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.detection import has_gpu
from vapora.core.workflow.status import Identity, State, StepStatus, Unit, WorkflowStatus

Try = tuple[str, str, int, int]  # the run's uid, the step, the item, the try

_NONE = StepStatus()


class GpuTimes:
    """Measures by what is written of a run; of a try that another process saw start, the time it ran is not known."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._running: dict[Key, dict[Try, float]] = {}

    def look(self, key: Key, identity: Identity, before: WorkflowStatus, after: WorkflowStatus) -> None:
        """Counts what is news in the rows of steps."""
        for name, step in after.steps.items():
            known = before.steps.get(name, _NONE)
            if step.ml and step is not known:
                if known.ml is None:
                    self._meter.ml_detected(text(step.ml, "class"), _find_source(step))
                self._look_at_step(key, (identity.uid, name), known, step)

    def forget(self, key: Key) -> None:
        """Lets go of a run that has ended."""
        self._running.pop(key, None)

    def _look_at_step(self, key: Key, where: tuple[str, str], before: StepStatus, after: StepStatus) -> None:
        gpus = _count(before) or _count(after)
        if not gpus:
            return
        for item in {**before.units, **after.units}:
            known, unit = before.units.get(item, Unit()), after.units.get(item)
            outcome = _judge(after, item, known, unit)
            unit = unit or known
            made = (*where, item, unit.tries)
            running = self._running.setdefault(key, {})
            if unit.state is State.RUNNING and made not in running and unit.started_at is not None:
                running[made] = self._clock.monotonic()
                self._meter.gpu_waited((self._clock.now() - unit.started_at).total_seconds())
            elif outcome and unit.started_at is not None:
                since = running.pop(made, None)
                used = 0.0 if since is None else self._clock.monotonic() - since
                asked = ((unit.finished_at or self._clock.now()) - unit.started_at).total_seconds()
                self._meter.gpu_job_ended(outcome, requested=gpus * max(asked, 0.0), used=gpus * used)


def _judge(step: StepStatus, item: int, before: Unit, after: Unit | None) -> str:
    """Returns how a try ended, empty where it goes on or had been seen to end; ended items have no row of their own."""
    if after is None:
        if item == NO_ITEM or step.items is None:
            return ""
        return "success" if item in step.items.succeeded else "cancelled" if item in step.items.cancelled else "failure"
    has_ended = after.tries > 0 and after.finished_at is not None and (after.state.is_final or _waits(after))
    if not has_ended or (before.tries, before.finished_at) == (after.tries, after.finished_at):
        return ""
    if after.state is State.SUCCEEDED:
        return "success"
    if after.reason == "GpuWaitOver":
        return "fallback"
    return "cancelled" if after.state is State.CANCELLED else "failure"


def _waits(unit: Unit) -> bool:
    return unit.state is State.RETRYING


def _count(step: StepStatus) -> int:
    ml = step.ml or {}
    return number(child(ml, "estimate"), "gpus") if has_gpu(ml) else 0


def _find_source(step: StepStatus) -> str:
    """Returns what decided: for a detection the field in which the strongest word stands."""
    ml = step.ml or {}
    source = text(ml, "source")
    evidence = rows(ml, "evidence")
    return text(evidence[0], "where") if source == "detection" and evidence else source
