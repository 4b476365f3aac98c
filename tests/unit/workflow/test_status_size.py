"""A status stays small enough to be written often, however much a thousand rows have to say."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.world import START, World, run_step

from vapora.core.learning.assignment import Assignment
from vapora.core.learning.scoring import Score
from vapora.core.plan import Key
from vapora.core.workflow.codec import decode_status
from vapora.core.workflow.keepsakes import keep_apart, put_back
from vapora.core.workflow.ranges import Ranges
from vapora.core.workflow.status import (
    Approval,
    Identity,
    ItemFailure,
    Items,
    Rollback,
    State,
    StepStatus,
    Unit,
    WorkflowStatus,
)
from vapora.core.workflow.summary import build_status, encode_steps

RUN = Identity("default", "nightly-report", "11111111-2222-3333-4444-555555555555")
LIMIT = 256 * 1024
LONG = "no such table: " + "x" * 1000
ENDED = Unit(
    State.SUCCEEDED,
    tries=1,
    attempt=1,
    started_at=START,
    finished_at=START + timedelta(seconds=3),
    child=Key("Pod", "default", "nightly-report-7e428ed05f"),
)
FAILED = replace(ENDED, state=State.FAILED, reason="ExitCode", message=LONG, exit_code=1)
RETRYING = replace(FAILED, state=State.RETRYING, next_attempt_at=START)
CHOICE = Assignment(
    "developers",
    "developers scores most at coding, 0.82: base 0.91, expertise 0.88, confidence 0.55 from 11 executions; next x",
    score=Score(0.8213, 0.9124, 0.8811, 0.55, 11),
    runner_up="developers-overseas",
    runner_up_score=0.7712,
)
ANSWERED = replace(ENDED, child=None, effect=1, pool="developers", choice=CHOICE, task_type="coding")
ML = {
    "isMl": True,
    "class": "gpuRequired",
    "confidence": 0.97,
    "profile": "medium",
    "estimate": {"gpus": 1, "memory": "32Gi", "cpu": "8"},
    "evidence": [{"term": "pytorch", "where": "description", "weight": 3.0, "negated": False}] * 8,
    "sentence": "it is machine learning: " + "x" * 100,
}
OPERANDS = {"steps.build": {"state": "Succeeded", "attempt": 1, "outputs": {"rows": 3}}, "params.p": "x" * 256}
FAILURES = tuple(ItemFailure(index, "ExitCode", LONG) for index in range(100))
ALTERNATING = Ranges(tuple((index, index) for index in range(0, 10_000, 2)))
ACTIVE = replace(ENDED, state=State.RETRYING, finished_at=None, next_attempt_at=START, reason="ExitCode")
SMALL_MEMORY = {"replicas": 12, "preImage": {"replicas": 3}}
INVENTORY = {"inventory": [{"kind": "Deployment", "name": "n", "uid": "u" * 36, "preImage": "x" * 20_000}]}
DONE = replace(ENDED, child=None, effect=3, calls=12, input_digest="0123456789abcdef")
SIZES = {
    "a thousand steps with outputs": [
        StepStatus(replace(ENDED, input_digest="0123456789abcdef"), outputs={"rows": 12_345, "words": "x" * 60})
    ]
    * 1000,
    "a thousand steps with outputs that are large": [
        StepStatus(replace(ENDED, input_digest="0123456789abcdef"), outputs={"words": "x" * 4000})
    ]
    * 1000,
    "a thousand steps that remember a size": [StepStatus(replace(DONE, memory=SMALL_MEMORY))] * 1000,
    "a thousand children by their names": [
        StepStatus(replace(ENDED, input_digest="0123456789abcdef", memory={"children": ["nightly-report-7e428ed05f"]}))
    ]
    * 1000,
    "a thousand applies with what was there before": [StepStatus(replace(DONE, memory=INVENTORY))] * 1000,
    "ten thousand items that remember a size, some of which failed": [
        StepStatus(
            FAILED,
            Items(
                total=10_000,
                succeeded=ALTERNATING,
                failed=ALTERNATING,
                failures=FAILURES,
                memories=dict.fromkeys(range(10000), SMALL_MEMORY),
            ),
        )
    ],
    "ten thousand items of whose last calls the outcome is not known": [
        StepStatus(
            FAILED,
            Items(
                total=10_000,
                succeeded=ALTERNATING,
                failed=ALTERNATING,
                failures=FAILURES,
                open={index: Unit(effect=1 + index % 3, is_open=True, calls=2, pool="p") for index in range(10_000)},
            ),
        )
    ],
    "ten thousand items that wait, remember and do not know": [
        StepStatus(
            replace(DONE, state=State.RUNNING),
            Items(
                total=10_000,
                failed=ALTERNATING,
                again=ALTERNATING,
                failures=FAILURES,
                active={index: replace(ACTIVE, effect=1, calls=3, memory={"i": index}) for index in range(1, 2001, 2)},
                memories={index: {"i": index, **SMALL_MEMORY} for index in range(10_000)},
                open={
                    index: Unit(effect=1, is_open=True, calls=index % 9, memory={"i": index, **SMALL_MEMORY})
                    for index in range(10_000)
                },
            ),
        )
    ],
    "a thousand fans of ten items that remember a size": [
        StepStatus(
            replace(DONE, memory={}),
            Items(total=10, succeeded=Ranges(((0, 9),)), memories=dict.fromkeys(range(10), SMALL_MEMORY)),
        )
    ]
    * 1000,
    "a thousand active items that call": [
        StepStatus(
            replace(DONE, state=State.RUNNING),
            Items(
                total=10_000,
                active={
                    index: replace(ACTIVE, effect=1, calls=3, memory=SMALL_MEMORY | {"i": index})
                    for index in range(1000)
                },
            ),
        )
    ],
    "a thousand steps that ended well": [StepStatus(ENDED)] * 1000,
    "a thousand steps that failed with long messages": [StepStatus(FAILED)] * 1000,
    "a thousand steps that are tried again": [StepStatus(RETRYING)] * 1000,
    "a thousand tasks that agents did": [StepStatus(ANSWERED)] * 1000,
    "a thousand tasks that agents failed at": [
        StepStatus(replace(ANSWERED, state=State.FAILED, reason="TaskFailed", message=LONG))
    ]
    * 1000,
    "a thousand training steps with evidence": [StepStatus(ENDED, ml=ML)] * 1000,
    "a thousand skipped steps with what they looked at": [
        StepStatus(Unit(State.SKIPPED, finished_at=START, reason="WhenFalse", message=LONG), operands=OPERANDS)
    ]
    * 1000,
    "ten steps with a hundred failed items each": [StepStatus(FAILED, Items(total=100, failures=FAILURES))] * 10,
    "ten thousand items of which every other failed": [
        StepStatus(FAILED, Items(total=10_000, succeeded=ALTERNATING, failed=ALTERNATING, failures=FAILURES))
    ],
    "ten thousand items of which every other failed and a thousand are tried again": [
        StepStatus(
            replace(ENDED, state=State.RUNNING),
            Items(
                total=10_000,
                succeeded=ALTERNATING,
                failed=ALTERNATING,
                failures=FAILURES,
                active=dict.fromkeys(range(1000), ACTIVE),
            ),
        )
    ],
    "a thousand items that are tried again": [
        StepStatus(replace(ENDED, state=State.RUNNING), Items(total=10_000, active=dict.fromkeys(range(1000), ACTIVE)))
    ],
}


@pytest.mark.parametrize("case", SIZES)
def test_a_status_has_at_most_256_kibibytes(case: str) -> None:
    steps = {f"step-number-{number}": step for number, step in enumerate(SIZES[case])}
    world = World({"steps": [run_step("a")]})
    assert measure_status(world, WorkflowStatus(steps=steps)) <= LIMIT


def rest_on(step: StepStatus) -> object:
    """What of a step's items decisions rest on."""
    items = step.items
    if items is None:
        return None
    active = {index: (unit.state, unit.tries, unit.effect, dict(unit.memory)) for index, unit in items.active.items()}
    return active, items.memories, items.open, items.succeeded, items.failed, items.again


def measure_status(world: World, status: WorkflowStatus) -> int:
    """The bytes of a status as it is written."""
    raw = build_status(world.observe(), status, {}, START, is_recorded=False)
    apart = keep_apart(RUN, raw)
    values = {name: json.loads(written) for name, written in apart.texts.items()}
    again = decode_status(RUN, put_back(json.loads(json.dumps(apart.status)), values))
    assert list(map(rest_on, again.steps.values())) == list(map(rest_on, status.steps.values()))
    return len(json.dumps(apart.status, separators=(",", ":")))


def test_a_rollback_of_five_hundred_steps_with_its_approvals_has_at_most_256_kibibytes() -> None:
    undone = replace(DONE, state=State.COMPENSATED, memory=SMALL_MEMORY)
    steps = {f"step-number-{number}": StepStatus(undone) for number in range(500)}
    steps |= {
        f"step-number-{number}_undo": StepStatus(replace(DONE, input_digest="", message=LONG)) for number in range(500)
    }
    approvals = tuple(Approval(f"step-number-{number}", "somebody@example.com", True, START) for number in range(100))
    rollback = Rollback(START, "ExitCode", not_undone=tuple(f"step-number-{number}" for number in range(500, 1000)))
    status = WorkflowStatus(steps=steps, rollback=rollback, approvals=approvals)
    assert measure_status(World({"steps": [run_step("a")]}), status) <= LIMIT


def messages(count: int) -> list[int]:
    status = WorkflowStatus(steps={f"s{number}": StepStatus(FAILED) for number in range(count)})
    return [len(str(row["message"]).encode()) for row in encode_steps(status).values()]


def test_up_to_fifty_rows_tell_all_and_more_tell_128_bytes() -> None:
    assert set(messages(50)) == {len(LONG)}
    assert set(messages(51)) == {128}


def test_a_skip_keeps_only_the_beginning_of_what_is_long() -> None:
    steps = [run_step("a", outputs=["big"]), run_step("b", when="steps.a.outputs.big == 'x' && params.p == 'y'")]
    world = World({"params": {"p": "y"}, "steps": steps})
    world.settle()
    world.finish("a", message=json.dumps({"big": "z" * 4000}))
    operands = world.step("b").operands
    assert operands is not None
    assert operands["params.p"] == "y"
    assert len(str(operands["steps.a"]).encode()) == 256


def test_all_steps_together_have_at_most_a_thousand_active_items() -> None:
    steps = [
        run_step(f"f{number}", forEach={"items": list(range(400))}, retry={"initialDelay": 60}) for number in range(4)
    ]
    world = World({"maxParallel": 1000, "steps": steps})
    world.settle()
    for _ in range(3):
        for key, view in list(world.children.items()):
            world.children[key] = replace(view, phase="Failed")
        world.settle()
    active = [len(step.items.active) for step in world.status.steps.values() if step.items is not None]
    assert sum(active) == 1000
