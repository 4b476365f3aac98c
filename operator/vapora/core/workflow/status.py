"""How far a run is: values that a plan replaces, never changes, so that what is unwritten is what is not identical."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vapora.core import naming
from vapora.core.plan import Key
from vapora.core.workflow.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Identity:
    """Names a run, and from it everything that the run makes."""

    namespace: str
    name: str
    uid: str

    @property
    def owner_reference(self) -> dict[str, object]:
        """Returns the reference by which what the run makes goes with it."""
        return {
            "apiVersion": naming.API_VERSION,
            "kind": "Workflow",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }

    def child(self, kind: str, step: str, item: int, try_: int) -> Key:
        """Returns the key of the child that does one try."""
        return Key(kind, self.namespace, naming.child_name(self.name, self.uid, step, item, "run", try_))

    def effect(self, step: str, item: int, effect: int) -> str:
        """Returns the idempotency key of one effect."""
        return naming.effect_id(self.uid, step, item, effect)

    def effect_of(self, step: str, item: int, unit: Unit) -> str | None:
        """Returns the key of a unit's present effect, under which its result arrives; None where it made none."""
        return self.effect(step, max(item, 0), unit.effect) if unit.effect else None


class Phase(StrEnum):
    """Says where a workflow stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Is true for a phase that never changes again."""
        return self in {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED}


class State(StrEnum):
    """Says where a step, or one item of a forEach, stands."""

    WAITING = "Waiting"
    READY = "Ready"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Is true for a state that never changes again in this run."""
        return self in {State.SUCCEEDED, State.SKIPPED, State.FAILED, State.CANCELLED}

    @property
    def is_working(self) -> bool:
        """Is true while a try is under way and so takes one of `maxParallel` places."""
        return self in {State.STARTING, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Unit:
    """Is what is tried: a plain step, or one item of a forEach.

    `tries` counts all that was ever started, `attempt` the tries that the work itself had, the present one included,
    `infrastructure_failures` those that the cluster spoilt. Times are of the present or last try.
    """

    state: State = State.WAITING
    tries: int = 0
    attempt: int = 0
    infrastructure_failures: int = 0
    started_at: datetime | None = None
    until: datetime | None = None
    pending_until: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    child: Key | None = None  # the Pod or Job; None for an agent's task
    pool: str = ""
    pool_reason: str = ""
    task_type: str = ""
    effect: int = 0
    cost_cents: int = 0


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Says why one item failed for good."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Items:
    """Is the progress of a forEach: items start in order, so those not named here have not started."""

    total: int
    succeeded: Ranges = field(default_factory=Ranges)
    failed: Ranges = field(default_factory=Ranges)
    cancelled: Ranges = field(default_factory=Ranges)
    failures: tuple[ItemFailure, ...] = ()
    active: Mapping[int, Unit] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Returns how many items have ended, however."""
        return len(self.succeeded) + len(self.failed) + len(self.cancelled)


@dataclass(frozen=True, slots=True)
class StepStatus:
    """Is one step: its own try, or its items; what it gave, and what was found out about it."""

    unit: Unit = field(default_factory=Unit)
    items: Items | None = None
    outputs: Mapping[str, object] | None = None
    operands: Mapping[str, object] | None = None
    ml: Mapping[str, object] | None = None

    @property
    def state(self) -> State:
        """Returns the step's state."""
        return self.unit.state


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """Is the whole run; `steps` lacks those that simply wait.

    `ending` is the outcome once it is decided while siblings still end.
    """

    phase: Phase = Phase.PENDING
    steps: Mapping[str, StepStatus] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str = ""
    message: str = ""
    ending: Phase | None = None
    revision: str = ""
    handled_request: str = ""

    def step(self, name: str) -> StepStatus:
        """Returns the step's status; a step that is not there simply waits."""
        return self.steps.get(name, WAITING)


WAITING = StepStatus()
