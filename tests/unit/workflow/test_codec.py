"""The status as JSON and back: what is written is all that a restarted operator knows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.workflow.world import START, UID, World, run_step

from vapora.api.workflowstatus import WorkflowStatus as StatusModel
from vapora.core import naming
from vapora.core.budget.grant import Grant
from vapora.core.learning.assignment import Assignment
from vapora.core.learning.scoring import Score
from vapora.core.workflow.codec import decode_status, encode_time
from vapora.core.workflow.ranges import Ranges
from vapora.core.workflow.status import Identity, ItemFailure, Items, Phase, State, StepStatus, Unit, WorkflowStatus
from vapora.core.workflow.summary import build_status

IDENTITY = Identity("default", "wf", UID)
OBSERVED = World({"steps": [run_step("a")]}).observe()

MOMENTS = st.integers(0, 10**11).map(lambda ms: START + timedelta(milliseconds=ms))
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
REASONS = st.sampled_from(["", "ExitCode", "TimedOut", "Cancelling", "NoMatchingPool"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.text("abc-_", min_size=1, max_size=4), JSON, min_size=1, max_size=3)
COUNTS = st.integers(0, 9)
GRANTS = st.builds(Grant, COUNTS, st.none() | COUNTS, WORDS, WORDS, WORDS).filter(lambda grant: grant != Grant())
SHARES = st.integers(0, 10_000).map(lambda parts: parts / 10_000)
STATES = st.sampled_from(State)
WORKING = st.sampled_from([State.STARTING, State.RUNNING, State.RETRYING])


@st.composite
def choices(draw: st.DrawFn, pool: str) -> Assignment:
    score = Score(*(draw(SHARES) for _ in range(4)), executions=draw(COUNTS))
    return Assignment(
        pool,
        draw(WORDS.filter(bool)),
        score=draw(st.none() | st.just(score)),
        runner_up=draw(st.none() | st.just("others")),
        runner_up_score=draw(st.none() | SHARES),
    )


@st.composite
def units(draw: st.DrawFn, step: str, item: int) -> Unit:
    """A unit as the planner may leave it; of an item, only what an item's row holds."""
    is_plain = item == naming.NO_ITEM
    tries = draw(st.integers(1, 9))
    pool = draw(st.sampled_from(["", "developers"]))
    unit = Unit(
        state=draw(STATES if is_plain else WORKING),
        tries=tries,
        attempt=draw(COUNTS),
        infrastructure_failures=draw(COUNTS),
        started_at=draw(st.none() | MOMENTS),
        until=draw(st.none() | MOMENTS),
        pending_until=draw(st.none() | MOMENTS),
        next_attempt_at=draw(st.none() | MOMENTS),
        reason=draw(REASONS),
        child=IDENTITY.child(draw(st.sampled_from(["Pod", "Job"])), step, item, tries) if draw(st.booleans()) else None,
        pool=pool,
        task_type=draw(WORDS) if pool else "",
        effect=draw(COUNTS),
    )
    if not is_plain:
        return unit
    return replace(
        unit,
        finished_at=draw(st.none() | MOMENTS),
        message=draw(WORDS),
        exit_code=draw(st.none() | st.integers(1, 255)),
        choice=draw(st.none() | choices(pool)) if pool else None,
        grant=draw(st.none() | GRANTS) if pool else None,
        cost_cents=draw(COUNTS),
    )


@st.composite
def items(draw: st.DrawFn, step: str) -> Items:
    total = draw(st.integers(0, 12))
    ranges = {name: Ranges() for name in ("succeeded", "failed", "cancelled", "active")}
    for index in range(total):
        kind = draw(st.sampled_from([*ranges, ""]))
        if kind:
            ranges[kind] = ranges[kind].add(index)
    active = {index: draw(units(step, index)) for index in ranges.pop("active")}
    failures = tuple(ItemFailure(index, draw(REASONS), draw(WORDS), draw(WORDS)) for index in ranges["failed"])
    pools = draw(st.sampled_from([(), ("developers", "juniors")]))
    return Items(total=total, failures=failures, active=active, pools=pools, **ranges)


@st.composite
def steps(draw: st.DrawFn, name: str) -> StepStatus:
    unit = draw(units(name, naming.NO_ITEM))
    optional = st.none() | OBJECTS
    return StepStatus(
        unit,
        draw(items(name)) if draw(st.integers(0, 2)) == 0 else None,
        outputs=draw(optional),
        operands=draw(optional),
        ml=draw(st.none() | st.just({"isMl": True, "class": "gpuRequired", "confidence": 0.5})),
    )


@st.composite
def statuses(draw: st.DrawFn) -> WorkflowStatus:
    names = draw(st.lists(st.text("abc", min_size=1, max_size=3), max_size=4, unique=True))
    return WorkflowStatus(
        phase=draw(st.sampled_from(Phase)),
        steps={name: draw(steps(name)) for name in names},
        started_at=draw(st.none() | MOMENTS),
        finished_at=draw(st.none() | MOMENTS),
        reason=draw(st.sampled_from(["Running", "ExitCode", "CancelRequested"])),
        message=draw(WORDS),
        ending=draw(st.none() | st.sampled_from([Phase.FAILED, Phase.CANCELLED])),
        revision=draw(st.sampled_from(["", "wf-0123456789"])),
        handled_request=draw(st.sampled_from(["", "cancel 1"])),
    )


def write(status: WorkflowStatus) -> dict[str, object]:
    raw: dict[str, object] = json.loads(json.dumps(build_status(OBSERVED, status, {}, START, is_recorded=False)))
    return raw


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(statuses())
def test_a_status_reads_back_as_it_was_written(status: WorkflowStatus) -> None:
    assert decode_status(IDENTITY, write(status)) == status


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(statuses())
def test_what_is_written_is_what_the_api_describes(status: WorkflowStatus) -> None:
    raw = write(status)
    read = StatusModel.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert sorted(read) == sorted(raw)
    assert {name: sorted(row) for name, row in read.get("steps", {}).items()} == {
        name: sorted(row) for name, row in raw.get("steps", {}).items()
    }


def test_an_empty_status_is_a_run_that_has_not_begun() -> None:
    assert decode_status(IDENTITY, {}) == WorkflowStatus()


def test_times_are_kept_to_the_millisecond_in_utc() -> None:
    moment = datetime(2026, 1, 1, 1, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert encode_time(moment) == "2026-01-01T00:00:00.123Z"
    assert encode_time(None) is None
    status = decode_status(IDENTITY, {"startedAt": "2026-01-01T00:00:00.123Z"})
    assert status.started_at == datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)


def test_a_row_says_nothing_that_says_nothing() -> None:
    raw = write(WorkflowStatus(phase=Phase.RUNNING, steps={"a": StepStatus(Unit(State.READY))}))
    assert raw["steps"] == {"a": {"state": "Ready"}}


def test_an_outcome_that_is_decided_while_siblings_still_end_survives_a_restart() -> None:
    status = WorkflowStatus(phase=Phase.RUNNING, ending=Phase.FAILED, reason="ExitCode", message="step a failed")
    read = decode_status(IDENTITY, write(status))
    assert (read.ending, read.reason, read.message) == (Phase.FAILED, "ExitCode", "step a failed")
