"""How the choice of a pool stands in the status, and back."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core.learning.assignment import Assignment
from vapora.core.learning.scoring import Score
from vapora.core.views import number, text


def encode_choice(choice: Assignment) -> dict[str, object]:
    """Returns what a status says of a choice beside the pool and the task type."""
    row: dict[str, object] = {
        "reason": choice.reason,
        "runnerUp": choice.runner_up,
        "runnerUpScore": choice.runner_up_score,
    }
    if (score := choice.score) is not None:
        row |= {
            "score": score.total,
            "base": score.base,
            "expertise": score.expertise,
            "confidence": score.confidence,
            "executions": score.executions,
        }
    return row


def decode_choice(row: Mapping[str, object]) -> Assignment | None:
    """Reads why a pool was chosen; None where a status does not say."""
    if not text(row, "reason"):
        return None
    total = _read_share(row, "score")
    return Assignment(
        pool=text(row, "pool"),
        reason=text(row, "reason"),
        score=None if total is None else _decode_score(row, total),
        runner_up=text(row, "runnerUp") or None,
        runner_up_score=_read_share(row, "runnerUpScore"),
    )


def _decode_score(row: Mapping[str, object], total: float) -> Score:
    return Score(
        total=total,
        base=_read_share(row, "base") or 0.0,
        expertise=_read_share(row, "expertise") or 0.0,
        confidence=_read_share(row, "confidence") or 0.0,
        executions=number(row, "executions"),
    )


def _read_share(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None
