"""Drives a procedure through its whole course in tests, also with a crash at every point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from vapora.core.calls import Account, Answer, Call
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Procedure, Rest, Situation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
KEY = f"{UID}/step/-1/1"
ACCOUNT = Account("default", "deployer")
MAX_TURNS = 60

World = Callable[[Call], Answer]


def situation(
    body: Mapping[str, object], answer: Answer | None = None, *, after: float = 0, **fields: object
) -> Situation:
    """A try that began at NOW and is asked about `after` seconds later."""
    now = NOW + timedelta(seconds=after)
    whole = Situation("default", "wf", UID, "step", KEY, ACCOUNT, body, NOW, now, answer=answer)
    return replace(whole, **fields)  # type: ignore[arg-type]


@dataclass
class Course:
    """What a procedure did: its calls, the sentences of its rests, its end."""

    calls: list[Call] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)
    end: Finished | Failed | None = None


def drive(procedure: Procedure, start: Situation, world: World, *, crash_at: int = -1, is_made: bool = True) -> Course:
    """Runs to the end. At the call number `crash_at` the operator dies: after it `is_made`, or before."""
    course, now = Course(), start
    for _ in range(MAX_TURNS):
        decided: Next = procedure(now)
        if isinstance(decided, Finished | Failed):
            course.end = decided
            return course
        if isinstance(decided, Rest):
            course.rests.append(decided)
            assert decided.until is not None
            assert decided.until > now.now, f"rests until now: {decided}"
            now = replace(now, now=decided.until, memory=decided.memory, answer=None)
            continue
        assert isinstance(decided, Ask)
        dies = len(course.calls) == crash_at
        course.calls.append(decided.call)
        answer = world(decided.call) if is_made or not dies else None
        now = replace(now, memory=decided.memory, answer=None if dies else answer)
    raise AssertionError(f"no end after {MAX_TURNS} turns: {course.calls[-2:]} {course.rests[-2:]}")


def finished(course: Course) -> object:
    assert isinstance(course.end, Finished), course.end
    return course.end.result


def failed(decided: Next | None) -> tuple[str, str]:
    """Reason and message of a failure."""
    assert isinstance(decided, Failed), decided
    return decided.failure.reason, decided.failure.message
