"""What changed between two looks at a workflow, as plain lines: for logs and pipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from vapora.cli.exits import find_refusal
from vapora.cli.show.steps import StepView, list_steps, tidy
from vapora.core.views import child, rows, text


def tell_changes(before: Mapping[str, object] | None, after: Mapping[str, object], now: datetime) -> list[str]:
    """Returns a line for each step that moved, with its notes, and last one for the workflow where its phase turned."""
    known = {step.name: step for step in list_steps(before, now)} if before else {}
    moved = [step for step in list_steps(after, now) if step.has_begun and _moved(known.get(step.name), step)]
    lines = [line for step in moved for line in _tell_step(step)]
    if before is None or _standing(before) != _standing(after):
        lines += _tell_workflow(after)
    return [f"{now:%H:%M:%S} {line}" for line in lines]


def _moved(before: StepView | None, after: StepView) -> bool:
    return before is None or (before.state, before.progress, before.tries) != (after.state, after.progress, after.tries)


def _tell_step(step: StepView) -> Iterator[str]:
    words = (step.name, step.state, step.progress, step.lasted, f"try {step.tries}" if step.tries > 1 else "")
    yield "  ".join(filter(None, (*words, step.done_by)))
    if step.state in {"Failed", "Retrying", "Ready", "Skipped", "WaitingApproval"}:
        yield from (f"  {note}" for note in step.notes)


def _standing(workflow: Mapping[str, object]) -> tuple[str, str]:
    return text(child(workflow, "status"), "phase"), find_refusal(workflow)


def _tell_workflow(workflow: Mapping[str, object]) -> Iterator[str]:
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    words = (text(status, "phase") or "Pending", text(status, "progress"))
    yield "  ".join(filter(None, (f"{text(meta, 'namespace')}/{text(meta, 'name')}", *words)))
    succeeded = next((row for row in rows(status, "conditions") if row.get("type") == "Succeeded"), {})
    if refusal := find_refusal(workflow):
        yield f"  {tidy(refusal)}"
    elif succeeded.get("status") == "False":
        yield f"  {tidy(text(succeeded, 'reason') + ': ' + text(succeeded, 'message'))}"
