"""What is counted of runs and pools, beside what the engine counts of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class DomainMeter(Protocol):
    """Counts what becomes of runs, pools and triggers. No call may fail or take time."""

    def run_ended(self, phase: str, seconds: float) -> None:
        """Takes the end of a workflow."""
        ...

    def step_started(self, waited: float) -> None:
        """Takes the time that a step waited for its first try once it could have started."""
        ...

    def step_ended(self, kind: str, outcome: str, seconds: float | None) -> None:
        """Counts a step; `outcome` is success, failure, cancelled or skipped; None where nothing was tried."""
        ...

    def try_failed(self, kind: str, failure_class: str, *, is_retried: bool) -> None:
        """Counts a failed try of a step; the class is application, infrastructure or permanent."""
        ...

    def task_ended(self, outcome: str, seconds: float) -> None:
        """Counts a task of an agent."""
        ...

    def rolled_back(self, outcome: str) -> None:
        """Counts a rollback that ended; `outcome` is success or failure."""
        ...

    def approval_decided(self, decision: str) -> None:
        """Counts one person's word on a step; `decision` is approve or reject."""
        ...

    def approval_waited(self, decision: str, seconds: float) -> None:
        """Takes the time that an approval step waited; `decision` is approve, reject, timeout or cancelled."""
        ...

    def scaled(self, action: str, reason: str) -> None:
        """Counts a change of a pool's size; `reason` is the type of the trigger that asked for it, or limits."""
        ...

    def trigger_read(self, kind: str, seconds: float, *, is_known: bool) -> None:
        """Takes the time of one reading of a trigger; it failed where it gave no number."""
        ...


@dataclass(frozen=True, slots=True)
class PoolCount:
    """Is how many agents and tasks a pool has."""

    namespace: str
    pool: str
    replicas: int
    queue: int
    busy: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Is what there is now: workflows by phase, steps by state, and pools."""

    workflows: Mapping[str, int]
    steps: Mapping[str, int]
    idle_seconds: float
    pools: tuple[PoolCount, ...]
    saturated: int
