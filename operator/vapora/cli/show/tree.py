"""A workflow as a tree for people: each step with its state, how far it is, who does it, and why it does not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from vapora.cli.exits import find_refusal
from vapora.cli.show.spans import describe_between, describe_span
from vapora.cli.show.steps import Part, StepView, list_steps, tidy
from vapora.core.views import child, parse_time, rows, text

_NAME_WIDTH = 24
_UNSEEN_SECONDS = 10  # an operator that runs has looked at a new workflow by then
_LOOKS: Mapping[str, tuple[str, str, str]] = {  # by state or phase: glyph, the same in ASCII, style
    "Waiting": ("○", ".", "dim"),
    "Pending": ("○", ".", "dim"),
    "Ready": ("◌", "o", "yellow"),
    "Starting": ("◔", ">", "cyan"),
    "Running": ("●", ">", "cyan"),
    "Retrying": ("↻", "~", "yellow"),
    "Paused": ("‖", "=", "yellow"),
    "WaitingApproval": ("?", "?", "yellow"),
    "RollingBack": ("↶", "<", "magenta"),
    "Compensating": ("↶", "<", "magenta"),
    "Compensated": ("↶", "<", "magenta"),
    "RolledBack": ("↶", "<", "magenta"),
    "Succeeded": ("✓", "+", "green"),
    "Skipped": ("»", "-", "dim"),
    "Failed": ("✗", "x", "red"),
    "CompensationFailed": ("✗", "x", "red"),
    "Cancelled": ("⊘", "!", "dim"),
}
_NOTES: Mapping[str, str] = {
    "Failed": "red",
    "CompensationFailed": "red",
    "Retrying": "yellow",
    "Ready": "yellow",
    "WaitingApproval": "yellow",
}
_UNKNOWN = ("·", ".", "")
# Which steps are shown where not all can be: those that need a look first.
_INTEREST = (
    "WaitingApproval",
    "Failed",
    "CompensationFailed",
    "Retrying",
    "Compensating",
    "Running",
    "Starting",
    "Ready",
    "Waiting",
    "Cancelled",
    "Skipped",
    "Compensated",
    "Succeeded",
)


def build_tree(workflow: Mapping[str, object], now: datetime, *, limit: int | None = None) -> RenderableType:
    """Builds the tree of a workflow as the API returns it; with a `limit` only that many steps, the others counted."""
    return _WorkflowTree(workflow, now, limit)


class _WorkflowTree:
    """Renders when the console is known: where it has only ASCII, glyphs are ASCII too."""

    def __init__(self, workflow: Mapping[str, object], now: datetime, limit: int | None) -> None:
        self._workflow = workflow
        self._now = now
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _draw(self._workflow, self._now, self._limit, is_ascii=options.ascii_only)


def _draw(workflow: Mapping[str, object], now: datetime, limit: int | None, *, is_ascii: bool) -> Tree:
    steps = list_steps(workflow, now)
    shown = _choose(steps, limit)
    tree = Tree(Group(*_describe_workflow(workflow, now, is_ascii=is_ascii)), guide_style="dim", highlight=False)
    widths = _measure(shown)
    places = {"steps": tree}
    for step in shown:
        if step.part not in places:
            places[step.part] = tree.add(_describe_part(step.part, workflow, now))
        places[step.part].add(_draw_step(step, widths, is_ascii=is_ascii))
    if left := Counter(step.state for step in steps if step not in shown):
        counts = ", ".join(f"{count} {state}" for state, count in sorted(left.items()))
        tree.add(Text(f"and {left.total()} more: {counts}", style="dim"))
    return tree


def _describe_part(part: Part, workflow: Mapping[str, object], now: datetime) -> Text:
    status = child(workflow, "status")
    if part == "completion":
        return Text("after the end", style="bold")
    rollback = child(status, "rollback")
    left = rollback.get("notUndone")
    lasted = describe_between(parse_time(rollback.get("startedAt")), parse_time(rollback.get("finishedAt")) or now)
    told = Text("  ".join(filter(None, ("rollback", text(rollback, "reason"), lasted))), style="bold")
    if isinstance(left, list) and left:
        told.append(f"  nothing undoes {', '.join(map(str, left))}", style="yellow")
    return told


def _choose(steps: Sequence[StepView], limit: int | None) -> Sequence[StepView]:
    if limit is None or len(steps) <= limit:
        return steps
    ranked = sorted(range(len(steps)), key=lambda place: (_rank(steps[place].state), place))
    return [steps[place] for place in sorted(ranked[: max(0, limit)])]


def _rank(state: str) -> int:
    return _INTEREST.index(state) if state in _INTEREST else 0


def _look(state: str, *, is_ascii: bool) -> tuple[str, str]:
    glyph, plain, style = _LOOKS.get(state, _UNKNOWN)
    return plain if is_ascii else glyph, style


def _describe_workflow(workflow: Mapping[str, object], now: datetime, *, is_ascii: bool) -> Iterator[RenderableType]:
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    phase = text(status, "phase") or "Pending"
    glyph, style = _look(phase, is_ascii=is_ascii)
    lasted = describe_between(parse_time(status.get("startedAt")), parse_time(status.get("finishedAt")) or now)
    title = Text(f"{glyph} ", style=style)
    title.append(f"{text(meta, 'namespace')}/{text(meta, 'name')}", style="bold")
    title.append(f"  {phase}", style=style)
    title.append("".join(f"  {word}" for word in (text(status, "progress"), lasted) if word))
    yield title
    for note, look in _list_notes(workflow, now):
        yield Padding(Text(tidy(note), style=look, overflow="fold"), (0, 0, 0, 2), expand=False)


def _list_notes(workflow: Mapping[str, object], now: datetime) -> Iterator[tuple[str, str]]:
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    finished = parse_time(status.get("finishedAt"))
    if refusal := find_refusal(workflow):
        yield refusal, "red"
        return
    if finished is None and (waiting := text(status, "waitingOn")):
        yield f"waits on {waiting}", "yellow"
    succeeded = next((row for row in rows(status, "conditions") if row.get("type") == "Succeeded"), {})
    if outcome := text(status, "outcome"):
        yield f"will end {outcome}: {text(succeeded, 'message')}", "yellow"
    if succeeded.get("status") == "False":
        yield _join(text(succeeded, "reason"), text(succeeded, "message")), "red"
    deadline = parse_time(status.get("deadlineAt"))
    if deadline and finished is None:
        yield f"must end within {describe_span((deadline - now).total_seconds())}", "dim"
    created = parse_time(meta.get("creationTimestamp"))
    if not status and created and (now - created).total_seconds() > _UNSEEN_SECONDS:
        yield "no operator has looked at it yet", "yellow"


def _measure(steps: Sequence[StepView]) -> tuple[int, int, int]:
    """Returns the widths of the columns that all steps share: name, standing, time."""
    return (
        min(_NAME_WIDTH, max((len(step.name) for step in steps), default=0)),
        max((len(_stand(step)) for step in steps), default=0),
        max((len(step.lasted) for step in steps), default=0),
    )


def _stand(step: StepView) -> str:
    return f"{step.state} {step.progress}".rstrip()


def _draw_step(step: StepView, widths: tuple[int, int, int], *, is_ascii: bool) -> RenderableType:
    glyph, style = _look(step.state, is_ascii=is_ascii)
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=1)
    row.add_column(width=widths[0], overflow="fold")
    row.add_column(width=widths[1])
    row.add_column(width=widths[2], justify="right")
    row.add_column(overflow="fold")
    name = Text(step.name, style="" if step.has_begun else "dim")
    done_by = ", ".join(filter(None, (step.done_by, f"try {step.tries}" if step.tries > 1 else "")))
    row.add_row(Text(glyph, style=style), name, Text(_stand(step), style=style), step.lasted, Text(done_by))
    look = _NOTES.get(step.state, "dim")
    notes = [Padding(Text(note, style=look, overflow="fold"), (0, 0, 0, 3), expand=False) for note in step.notes]
    return Group(row, *notes) if notes else row


def _join(reason: str, message: str) -> str:
    return f"{reason}: {message}" if reason and message else reason or message
