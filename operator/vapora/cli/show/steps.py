"""The steps of a workflow as people look at them: read from spec and status as they stand in the object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from vapora.cli.exits import is_final
from vapora.cli.show.spans import describe_between, describe_span
from vapora.core.interpolation import references, referred_step
from vapora.core.naming import APPROVE_ROLLBACK
from vapora.core.views import child, number, parse_time, rows, text
from vapora.core.workflow.ranges import parse_ranges

_WAITING = "Waiting"
_ENDED = frozenset({"Succeeded", "Skipped", "Failed", "Cancelled", "Compensated", "CompensationFailed"})
_TOLD_ITEMS = 3
_TOLD_EVIDENCE = 3
_MAX_OUTPUTS = 200  # characters of outputs that are shown
_RUN_ON = {"success": "follows success", "failure": "follows failure"}
_LOOKED_AT = re.compile(r"""\bsteps(?:\.(\w+)|\[\s*["']([^"']+)["']\s*\])""")


Part = Literal["steps", "rollback", "completion"]


@dataclass(frozen=True, slots=True)
class StepView:
    """Is one step, or what undoes one.

    `progress` is `37/40` for a forEach, `done_by` the child or the pool, `notes` say why and what.
    """

    name: str
    state: str
    progress: str = ""
    lasted: str = ""
    tries: int = 0
    done_by: str = ""
    notes: tuple[str, ...] = ()
    part: Part = "steps"

    @property
    def has_begun(self) -> bool:
        """Is true once anything was tried, or decided, about it."""
        return self.state != _WAITING


def list_steps(workflow: Mapping[str, object], now: datetime) -> list[StepView]:
    """Returns the steps in the order of the spec, those that only the status knows, what undoes them, what follows."""
    spec, status = child(workflow, "spec"), child(workflow, "status")
    found, wanted = child(status, "steps"), rows(spec, "steps")
    last = {text(step, "name"): step for step in rows(spec, "onCompletion")}
    names = [text(step, "name") for step in wanted]
    waits = dict(zip(names, _find_waits(spec, wanted, found), strict=True))
    names += [name for name in found if name not in waits and name not in last]
    room, said = _tell_room(workflow), _Said(workflow)
    views = [_read_step(name, child(found, name), waits.get(name, ()), room, said, now) for name in names]
    views += [
        replace(_read_step(name, row, (), "", said, now), name=_name_undoing(name), part="rollback")
        for name, row in _list_undoing(status)
    ]
    views += [
        replace(
            _read_step(name, child(found, name), (), _RUN_ON.get(text(step, "runOn"), ""), said, now), part="completion"
        )
        for name, step in last.items()
        if name in found or not is_final(workflow)
    ]
    return views


def _list_undoing(status: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields what undoes steps, the last step first; before all of it the question whether to."""
    found = child(status, "rollback", "steps")
    names = sorted(found, key=lambda name: name == APPROVE_ROLLBACK)
    for name in reversed(names):
        yield name, child(found, name)


def _name_undoing(name: str) -> str:
    return name if name == APPROVE_ROLLBACK else f"undo {name}"


def _tell_room(workflow: Mapping[str, object]) -> str:
    """Says what a step waits for that waits for no other step: while a run goes on, a place in it."""
    status = child(workflow, "status")
    if text(status, "phase") == "Paused":
        return "nothing starts while the workflow is paused"
    if text(status, "phase") != "Running" or text(status, "outcome"):
        return ""
    most = child(workflow, "spec").get("maxParallel", "")
    return f"waits for a free place: maxParallel {most}".rstrip()


class _Said:
    """Knows what people said of steps, and how they say it."""

    def __init__(self, workflow: Mapping[str, object]) -> None:
        self._words = rows(child(workflow, "status"), "approvals")
        self._name = text(child(workflow, "metadata"), "name")

    def tell(self, step: str, state: str) -> Iterator[str]:
        """Yields a note for each word on a step, and how to say one where it waits for that."""
        for word in self._words:
            if text(word, "step") == step:
                comment = text(word, "comment")
                done = "approved" if text(word, "decision") == "approve" else "rejected"
                when = " in an earlier run" if word.get("former") is True else ""
                yield f"{done} by {text(word, 'by')}{when}" + (f": {comment}" if comment else "")
        if state == "WaitingApproval":
            yield f"vapora workflow approve {self._name} {step}"


def _find_waits(
    spec: Mapping[str, object], steps: Sequence[Mapping[str, object]], found: Mapping[str, object]
) -> Iterator[list[str]]:
    """Yields for each step the names of the steps that it waits for and that have not ended."""
    before = ""
    for step in steps:
        depends = step.get("dependsOn")
        names = [str(name) for name in depends] if isinstance(depends, list) else []
        names += [text(edge, "name") for edge in rows(step, "edges")]
        names += [producer for name in references(dict(step)) if (producer := referred_step(name, {}))]
        names += [dotted or quoted for dotted, quoted in _LOOKED_AT.findall(text(step, "when"))]
        if before and spec.get("type") == "sequential":
            names.append(before)
        before = text(step, "name")
        yield [name for name in dict.fromkeys(names) if text(child(found, name), "state") not in _ENDED]


def _read_step(
    name: str, row: Mapping[str, object], waits: Sequence[str], room: str, said: _Said, now: datetime
) -> StepView:
    state = text(row, "state") or _WAITING
    items = child(row, "items")
    notes = list(_list_notes(state, row, items, now)) if row else [f"waits for {', '.join(waits)}" if waits else room]
    notes += said.tell(name, state)
    return StepView(
        name=name,
        state=state,
        progress=f"{_count_ended(items)}/{number(items, 'total')}" if items else "",
        lasted=describe_between(parse_time(row.get("startedAt")), parse_time(row.get("finishedAt")) or now),
        tries=number(row, "tries"),
        done_by=_find_worker(row, items),
        notes=tuple(tidy(note) for note in notes if note),
    )


def tidy(said: str) -> str:
    """Returns what somebody else said as one line without control characters, which a terminal would obey."""
    return " ".join("".join(char if char.isprintable() else " " for char in said).split())


def _count_ended(items: Mapping[str, object]) -> int:
    return sum(len(parse_ranges(text(items, name))) for name in ("succeeded", "failedIndices", "cancelled"))


def _find_worker(row: Mapping[str, object], items: Mapping[str, object]) -> str:
    """Names the child or the pool that does the work; of a forEach the pools of the items that run."""
    if pool := text(child(row, "assignment"), "pool"):
        return f"pool {pool}"
    if doing := child(row, "child"):
        return f"{text(doing, 'kind')} {text(doing, 'name')}"
    pools = Counter(text(child(item, "assignment"), "pool") for item in rows(items, "active"))
    return ", ".join(f"{count} in pool {pool}" for pool, count in sorted(pools.items()) if pool)


def _list_notes(state: str, row: Mapping[str, object], items: Mapping[str, object], now: datetime) -> Iterator[str]:
    yield _tell_reason(state, row, now)
    yield text(row, "knownCause")
    yield from _tell_items(items)
    yield _tell_ml(child(row, "ml"))
    yield _tell_assignment(state, child(row, "assignment"))
    yield _tell_outputs(child(row, "outputs"))
    if ref := text(row, "outputRef"):
        yield f"outputs stand in ConfigMap {ref}"


def _tell_reason(state: str, row: Mapping[str, object], now: datetime) -> str:
    if state == "Succeeded":
        return ""
    reason, message = text(row, "reason"), text(row, "message")
    said = f"{reason}: {message}" if reason and message and message != reason else reason or message
    due = parse_time(row.get("nextAttemptAt"))
    if due is None or state != "Retrying":
        return said
    return f"{said}; next try in {describe_span((due - now).total_seconds())}"


def _tell_items(items: Mapping[str, object]) -> Iterator[str]:
    failed, active = rows(items, "failed"), rows(items, "active")
    count = len(parse_ranges(text(items, "failedIndices")))
    for item in failed[:_TOLD_ITEMS]:
        said = f"item {number(item, 'i')} failed: {text(item, 'reason')}: {text(item, 'message')}"
        yield f"{said} ({known})" if (known := text(item, "knownCause")) else said
    if count > min(len(failed), _TOLD_ITEMS):
        yield f"{count} items failed: {text(items, 'failedIndices')}"
    if waiting := Counter(text(item, "reason") for item in active if text(item, "state") == "Retrying"):
        yield "; ".join(f"{number_} to be tried again after {reason}" for reason, number_ in sorted(waiting.items()))


def _tell_ml(ml: Mapping[str, object]) -> str:
    """Names the class and the strongest words that decided it; without any, the decision's sentence."""
    if not ml:
        return ""
    speaking = [found for found in rows(ml, "evidence") if not found.get("negated")]
    words = [f"{text(found, 'term')} ({text(found, 'where')})" for found in speaking[:_TOLD_EVIDENCE]]
    return f"{text(ml, 'class')}: {', '.join(words) or text(ml, 'sentence')}"


def _tell_assignment(state: str, assignment: Mapping[str, object]) -> str:
    return text(assignment, "reason") if state not in _ENDED else ""


def _tell_outputs(outputs: Mapping[str, object]) -> str:
    told = ", ".join(f"{name} = {value}" for name, value in outputs.items())
    return told if len(told) <= _MAX_OUTPUTS else f"{told[: _MAX_OUTPUTS - 1]}…"
