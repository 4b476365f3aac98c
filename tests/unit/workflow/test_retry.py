"""When a failed try is tried again, and when the step has failed for good."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapora.api.steps import Retry
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.retry import Again, GiveUp, RetryPolicy, compute_delay, decide_retry, read_policy

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "retry.json").read_text())
SHAPES = {"exponential": "exponential", "linear": "linear", "linearCapped": "linear"}
EXIT = Failure("ExitCode", "exit code 3", 3)
EVICTED = Failure("Evicted", "drained")


@pytest.mark.parametrize("shape", SHAPES)
def test_delays_are_those_of_the_vectors(shape: str) -> None:
    vector = VECTORS[shape]
    spec = {name: vector[name] for name in ("initialDelay", "maxDelay")}
    policy = read_policy(Retry.model_validate({**spec, "backoff": SHAPES[shape]}))
    assert [compute_delay(policy, number + 1) for number in range(len(vector["want"]))] == vector["want"]


@pytest.mark.parametrize("vector", VECTORS["attempts"], ids=lambda v: f"{v['failures']} of {v['maxAttempts']}")
def test_attempts_are_those_of_the_vectors(vector: dict[str, object]) -> None:
    policy = read_policy(Retry.model_validate({"maxAttempts": vector["maxAttempts"]}))
    failures = vector["failures"]
    assert isinstance(failures, int)
    decision = decide_retry(policy, EXIT, attempt=failures, infrastructure_failures=0)
    assert ("retry" if isinstance(decision, Again) else "fail") == vector["want"]


def test_the_defaults_are_three_attempts_from_five_seconds_doubling_to_three_hundred() -> None:
    assert read_policy(Retry()) == RetryPolicy(3, 5, is_exponential=True, initial_delay=5.0, max_delay=300.0)


def test_durations_are_read() -> None:
    policy = read_policy(Retry.model_validate({"initialDelay": "500ms", "maxDelay": "1h30m"}))
    assert (policy.initial_delay, policy.max_delay) == (0.5, 5400)


def test_a_hundredth_failure_still_has_a_delay() -> None:
    assert compute_delay(RetryPolicy(max_delay=1e30), 100) < 1e30
    assert compute_delay(RetryPolicy(), 10_000) == 300


DECISIONS = {
    "a failure of the work is tried again while attempts remain": (EXIT, 1, 0, Again(5)),
    "each further one waits longer": (EXIT, 2, 0, Again(10)),
    "the last attempt fails the step": (EXIT, 3, 0, GiveUp("ExitCode")),
    "the cluster's failures do not use up attempts": (EXIT, 2, 4, Again(10)),
    "a try that the cluster spoilt is tried again after the last attempt": (EVICTED, 3, 1, Again(5)),
    "the cluster's failures have their own delays": (EVICTED, 1, 4, Again(40)),
    "the cluster's budget ends too": (EVICTED, 1, 5, GiveUp("Evicted")),
    "what would fail again is not tried again": (Failure("MissingOutput", "none"), 1, 0, GiveUp("MissingOutput")),
    "an unknown reason is the work's": (Failure("Unheard", "of"), 1, 0, Again(5)),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_what_is_decided_after_a_failure(case: str) -> None:
    failure, attempt, spoilt, want = DECISIONS[case]
    assert decide_retry(RetryPolicy(), failure, attempt=attempt, infrastructure_failures=spoilt) == want


WANTED = {
    "an exit code that is named": ({"exitCodes": [3, 4]}, EXIT, True),
    "an exit code that is not named": ({"exitCodes": [4]}, EXIT, False),
    "a reason that is named": ({"reasons": ["TimedOut"]}, Failure("TimedOut", ""), True),
    "a reason that is not named": ({"reasons": ["TimedOut"]}, EXIT, False),
    "either of both": ({"reasons": ["TimedOut"], "exitCodes": [3]}, EXIT, True),
    "the cluster's failures whatever is named": ({"exitCodes": [4]}, EVICTED, True),
}


@pytest.mark.parametrize("case", WANTED)
def test_which_failures_are_tried_again_where_they_are_named(case: str) -> None:
    retry_on, failure, want = WANTED[case]
    policy = read_policy(Retry.model_validate({"retryOn": retry_on}))
    assert isinstance(decide_retry(policy, failure, attempt=1, infrastructure_failures=1), Again) == want


POLICIES = st.builds(
    RetryPolicy,
    is_exponential=st.booleans(),
    initial_delay=st.floats(0, 1000),
    max_delay=st.floats(0, 10_000),
    jitter=st.floats(0, 1),
)


@settings(max_examples=200, derandomize=True, database=None)
@given(POLICIES, st.integers(1, 200), st.text(max_size=20))
def test_a_delay_is_never_over_the_longest_and_jitter_only_shortens_it(
    policy: RetryPolicy, failures: int, seed: str
) -> None:
    delay = compute_delay(policy, failures, seed=seed)
    growth = 2.0 ** min(failures - 1, 60) if policy.is_exponential else failures
    full = min(policy.initial_delay * growth, policy.max_delay)
    assert full * (1 - policy.jitter) - 1e-6 <= delay <= full


@settings(max_examples=100, derandomize=True, database=None)
@given(POLICIES, st.integers(1, 200), st.text(max_size=20))
def test_the_same_seed_gives_the_same_delay(policy: RetryPolicy, failures: int, seed: str) -> None:
    assert compute_delay(policy, failures, seed=seed) == compute_delay(policy, failures, seed=seed)


@settings(max_examples=100, derandomize=True, database=None)
@given(st.floats(0, 1000), st.floats(0, 10_000), st.booleans())
def test_without_jitter_a_delay_never_shrinks(initial: float, longest: float, is_exponential: bool) -> None:
    policy = RetryPolicy(is_exponential=is_exponential, initial_delay=initial, max_delay=longest)
    delays = [compute_delay(policy, failures) for failures in range(1, 70)]
    assert all(before <= after for before, after in pairwise(delays))


def test_jitter_spreads_steps_and_tries() -> None:
    policy = RetryPolicy(jitter=1.0)
    by_step = {compute_delay(policy, 1, seed=f"uid/{step}") for step in range(100)}
    assert len(by_step) == 100
    assert min(by_step) < 1
    assert max(by_step) > 4
    assert compute_delay(policy, 7, seed="uid/a") / 300 != compute_delay(policy, 8, seed="uid/a") / 300
