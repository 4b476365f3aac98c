"""Conditions as Kubernetes reads them: one per type, sorted by type, moving their time only when the status turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

MAX_MESSAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """Says one thing about an object: True, False or Unknown, why, and what would change it."""

    type: str
    status: str
    reason: str
    message: str = ""


def cut(text: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Shortens `text` to `limit` bytes of UTF-8, ending with an ellipsis where something was left out."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return raw[: limit - 3].decode(errors="ignore") + "…"


def timestamp(moment: datetime) -> str:
    """Writes an aware UTC time in whole seconds, as `metav1.Time` does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_conditions(
    before: Iterable[Mapping[str, object]], wanted: Sequence[Condition], *, generation: int, now: datetime
) -> list[dict[str, object]]:
    """Returns the conditions to publish: exactly the `wanted` types, keeping the time of those that did not turn."""
    former = {str(row.get("type")): row for row in before}
    merged = []
    for condition in sorted(wanted, key=lambda c: c.type):
        old = former.get(condition.type)
        since = old.get("lastTransitionTime") if old and old.get("status") == condition.status else None
        merged.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": cut(condition.message),
                "observedGeneration": generation,
                "lastTransitionTime": since or timestamp(now),
            }
        )
    return merged
