"""Whether and when a failed try is tried again: two budgets, one for the work, one for the cluster under it."""

from __future__ import annotations

from dataclasses import dataclass

from vapora.api.durations import parse_duration
from vapora.api.steps import Retry as RetrySpec
from vapora.core.jitter import draw
from vapora.core.workflow.failure import Failure, FailureClass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Is a step's retry block with durations in seconds; `*_attempts` count the first try."""

    max_attempts: int = 3
    infrastructure_attempts: int = 5
    is_exponential: bool = True
    initial_delay: float = 5.0
    max_delay: float = 300.0
    jitter: float = 0.0
    exit_codes: frozenset[int] = frozenset()
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Again:
    """Says that the step is tried again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Says that the step has failed for good."""

    reason: str


def read_policy(spec: RetrySpec) -> RetryPolicy:
    """Turns the API's form into seconds."""
    return RetryPolicy(
        max_attempts=spec.max_attempts,
        infrastructure_attempts=spec.infrastructure_attempts,
        is_exponential=spec.backoff == "exponential",
        initial_delay=parse_duration(spec.initial_delay),
        max_delay=parse_duration(spec.max_delay),
        jitter=float(spec.jitter),
        exit_codes=frozenset(spec.retry_on.exit_codes) if spec.retry_on else frozenset(),
        reasons=frozenset(spec.retry_on.reasons) if spec.retry_on else frozenset(),
    )


def compute_delay(policy: RetryPolicy, failures: int, *, seed: str = "") -> float:
    """Returns the seconds before the next try after `failures` failures (1 for the first).

    Exponential: `min(initial * 2^(failures-1), max)`; linear: `min(initial * failures, max)`. The jitter's factor lies
    in `1 - jitter .. 1` and is drawn from `seed` and `failures` alone, so that a plan stays a pure function.
    """
    growth = 2.0 ** min(failures - 1, 60) if policy.is_exponential else float(failures)
    delay = min(policy.initial_delay * growth, policy.max_delay)
    if not policy.jitter:
        return delay
    return delay * (1.0 - policy.jitter * draw(f"{seed}/{failures}"))


def decide_retry(
    policy: RetryPolicy, failure: Failure, *, attempt: int, infrastructure_failures: int, seed: str = ""
) -> Again | GiveUp:
    """Decides after a failure; `attempt` and `infrastructure_failures` count this one."""
    if failure.failure_class is FailureClass.PERMANENT:
        return GiveUp(failure.reason)
    if failure.failure_class is FailureClass.INFRASTRUCTURE:
        if infrastructure_failures >= policy.infrastructure_attempts:
            return GiveUp(failure.reason)
        return Again(compute_delay(policy, infrastructure_failures, seed=f"{seed}/infrastructure"))
    if attempt >= policy.max_attempts or not _is_wanted(policy, failure):
        return GiveUp(failure.reason)
    return Again(compute_delay(policy, attempt, seed=seed))


def _is_wanted(policy: RetryPolicy, failure: Failure) -> bool:
    if not policy.exit_codes and not policy.reasons:
        return True
    return failure.reason in policy.reasons or failure.exit_code in policy.exit_codes
