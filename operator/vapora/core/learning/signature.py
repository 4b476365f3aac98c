"""What two errors have in common: their words without names, numbers and times of the one case; and what is known."""

from __future__ import annotations

import hashlib
import re

from vapora.core.learning.execution import Execution, KnownCause

_READ = 2000  # characters of a message that count
_LENGTH = 16

# In this order: what an earlier one finds would be something else to a later one.
_CHANGING = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"\x1b\[[0-9;]*[A-Za-z]", ""),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|\s?[+-]\d\d:?\d\d)?)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<address>"),
        (r"/(?:tmp|var/tmp|var/folders)/[^\s'\",:;)\]]+", "<temporary>"),
        (r"\b0x[0-9a-f]+\b", "<id>"),
        (r"\b(?=[0-9a-z-]*\d)(?=[0-9a-z-]*[a-z])[0-9a-z]+(?:-[0-9a-z]+)*-(?:[0-9a-f]{8,10}-)?[0-9a-z]{5,}\b", "<name>"),
        (r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b", "<id>"),
        (r"(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?", "<number>"),
        (r"\s+", " "),
    )
)


def normalise(message: str) -> str:
    """Returns a message with `<number>`, `<id>`, `<time>` and the like where two cases of an error differ."""
    words = message[:_READ]
    for pattern, word in _CHANGING:
        words = pattern.sub(word, words)
    return words.strip()


def compute_signature(reason: str, exit_code: int | None, message: str) -> str:
    """Returns the id of an error, the same for every case of it: of its reason, exit code and normalised message."""
    text = "\0".join((reason, "" if exit_code is None else str(exit_code), normalise(message)))
    return "e-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_LENGTH]


def describe_known_cause(cause: KnownCause, failed: Execution) -> str:
    """Says how often the error of a failed try was seen before and what solved it last; empty for a new one."""
    before = cause.seen - (cause.latest.id == failed.id)  # it may be recorded already
    if before < 1:
        return ""
    times = "once" if before == 1 else f"{before} times"
    said = f"seen {times} before, first on {cause.first_seen:%Y-%m-%d}"
    if cause.solved_by is None:
        return f"{said}; nothing has solved it yet"
    return f"{said}; solved last by {describe_solution(cause.solved_by)}"


def describe_solution(solver: Execution) -> str:
    """Says which try it was that succeeded after a failure, and who did it."""
    said = f"try {solver.try_} of step {solver.step} of {solver.workflow} on {solver.finished:%Y-%m-%d}"
    said += f", by pool {solver.pool}" if solver.pool else ""
    return said + (f" with model {solver.model}" if solver.model else "")
