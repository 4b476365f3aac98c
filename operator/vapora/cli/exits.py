"""What the command line's exit codes mean, and which one an outcome is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from vapora.core.views import child, rows, text


class Exit(IntEnum):
    """Is an exit code; scripts rely on the numbers."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    TIMEOUT = 5


_FINAL = {
    "Succeeded": Exit.DONE,
    "Failed": Exit.FAILED,
    "RolledBack": Exit.FAILED,
    "Cancelled": Exit.FAILED,
}


def is_final(workflow: Mapping[str, object]) -> bool:
    """Returns whether a workflow has ended."""
    return text(child(workflow, "status"), "phase") in _FINAL


def find_exit(workflow: Mapping[str, object]) -> Exit | None:
    """Returns the exit code of a workflow that has ended or that the operator refuses to run; None while it goes on."""
    phase = text(child(workflow, "status"), "phase")
    if phase in _FINAL:
        return _FINAL[phase]
    return Exit.REFUSED if find_refusal(workflow) else None


def find_refusal(workflow: Mapping[str, object]) -> str:
    """Returns why the operator does not run a workflow at all, as `<reason>: <message>`; empty where it does."""
    status = child(workflow, "status")
    if text(status, "phase") in _FINAL:
        return ""
    stalled = next((row for row in rows(status, "conditions") if row.get("type") == "Stalled"), {})
    return f"{text(stalled, 'reason')}: {text(stalled, 'message')}" if stalled.get("status") == "True" else ""
