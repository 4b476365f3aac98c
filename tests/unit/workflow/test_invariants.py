"""What holds for every workflow, whatever happens in whatever order, and however often the operator is killed.

The examples are the same at each run. `VAPORA_EXAMPLES=5000 pytest tests/unit/workflow/test_invariants.py` draws that
many new ones for each test, and reduces the one that fails first to its essence.
"""

import os

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.workflow.chance import Fate, Run, settle
from tests.unit.workflow.specs import Spec, specs

WANTED = int(os.environ.get("VAPORA_EXAMPLES", "0"))
SEEDS = st.integers(0, 2**32)


def examples(number: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.generate, Phase.shrink] if WANTED else [Phase.generate]
    return settings(
        max_examples=WANTED or number,
        derandomize=not WANTED,
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=slow,
    )


@examples(120)
@given(spec=specs(), fate=SEEDS, schedule=SEEDS)
def test_every_workflow_ends_without_breaking_an_invariant(spec: Spec, fate: int, schedule: int) -> None:
    run = Run(spec, Fate(fate), schedule)
    run.run_to_the_end()
    assert run.status.phase.is_final


@examples(120)
@given(spec=specs(), fate=SEEDS, schedule=SEEDS)
def test_every_workflow_ends_however_often_the_operator_is_killed(spec: Spec, fate: int, schedule: int) -> None:
    run = Run(spec, Fate(fate), schedule, kills=0.2)
    run.run_to_the_end()
    assert run.status.phase.is_final


@examples(50)
@given(spec=specs(), fate=SEEDS, schedule=SEEDS)
def test_a_cancelled_workflow_ends_soon(spec: Spec, fate: int, schedule: int) -> None:
    run = Run(spec, Fate(fate), schedule, kills=0.05, cancels=True)
    run.run_to_the_end()
    assert run.status.phase.is_final


@examples(120)
@given(
    spec=specs(fail_fast=False, may_time_out=False),
    fate=SEEDS,
    first=SEEDS,
    second=SEEDS,
    kills=st.sampled_from([0, 0.2]),
)
def test_any_order_of_events_ends_the_same(spec: Spec, fate: int, first: int, second: int, kills: float) -> None:
    one = Run(spec, Fate(fate), first, is_incremental=True)
    other = Run(spec, Fate(fate), second, is_incremental=False, kills=kills)
    one.run_to_the_end()
    other.run_to_the_end()
    assert (one.status.phase, one.states()) == (other.status.phase, other.states())


@examples(60)
@given(spec=specs(), fate=SEEDS, schedule=SEEDS, looks=st.integers(1, 40))
def test_planning_again_gives_nothing_more_to_do(spec: Spec, fate: int, schedule: int, looks: int) -> None:
    run = Run(spec, Fate(fate), schedule)
    for _ in range(looks):
        run._let_happen()
        if not run._wait():
            break
    settle(run)
    again = run.plan()
    assert again.plan.actions == ()
    assert again.plan.events == ()
    assert again.executions == ()


@examples(50)
@given(spec=specs(), schedule=SEEDS)
def test_where_nothing_fails_every_workflow_succeeds(spec: Spec, schedule: int) -> None:
    run = Run({**spec, "deadline": 3600}, Fate(0, is_kind=True), schedule, kills=0.1)
    run.run_to_the_end()
    assert str(run.status.phase) == "Succeeded" or set(run.states().values()) >= {"Failed"}
