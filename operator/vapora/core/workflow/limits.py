"""How much each row of a status says: all of it has to stay under 256 KiB, however many rows have something to tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vapora.core.conditions import cut
from vapora.core.workflow.status import StepStatus

LONG_ROWS = 50  # rows that may all say as much as they like
SHORT = 128  # bytes of a message where more have one
LEAST = 32  # a message cut shorter says nothing
_FOR_MESSAGES = 20 * 1024
_FAILURES = 500  # items of all steps whose failures are told one by one
_DENSE = 250  # rows with something to tell, beyond which each keeps only what decisions rest on


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds bytes of a message (0 for none), how many failed items a step tells of, and what is left out."""

    message: int = 1024
    failures: int = 100
    has_explanations: bool = True  # operands, evidence, why a pool was chosen
    is_dense: bool = False

    def cut(self, text: str) -> str:
        """Shortens a message to what it may have."""
        return cut(text, self.message) if self.message else ""


def find_limits(steps: Iterable[StepStatus]) -> Limits:
    """Returns the limits that keep these rows small enough."""
    rows = list(steps)
    failures = [len(step.items.failures) for step in rows if step.items is not None and step.items.failures]
    told = sum(bool(step.unit.message) for step in rows) + min(sum(failures), _FAILURES)
    kept = sum(bool(step.outputs or step.unit.memory) for step in rows)
    active = sum(len(step.items.active) for step in rows if step.items is not None)
    explained = sum(bool(step.operands or step.ml or step.unit.pool or step.unit.known_cause) for step in rows)
    return Limits(
        message=_share_out(told),
        failures=100 if sum(failures) <= _FAILURES else max(1, _FAILURES // len(failures)),
        has_explanations=explained <= LONG_ROWS,
        is_dense=max(told, explained, kept, active) > _DENSE,
    )


def _share_out(told: int) -> int:
    if told <= LONG_ROWS:
        return 1024
    share = min(SHORT, _FOR_MESSAGES // told)
    return share if share >= LEAST else 0


FULL = Limits()
