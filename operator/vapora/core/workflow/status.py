"""How far a run is: values that a plan replaces, never changes, so that what is unwritten is what is not identical."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vapora.core import naming
from vapora.core.budget.grant import Grant
from vapora.core.calls import Call
from vapora.core.learning.assignment import Assignment
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
        return Key(kind, self.namespace, naming.child_name(self.name, self.uid, step, item, try_))

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
    PAUSED = "Paused"
    WAITING_APPROVAL = "WaitingApproval"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Is true for a phase that changes only where somebody asks for it."""
        return self in {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.ROLLED_BACK}


class Stage(StrEnum):
    """Says which graph a run works on: its steps, what undoes them, or what follows its end."""

    STEPS = "steps"
    ROLLBACK = "rollback"
    COMPLETION = "completion"


class State(StrEnum):
    """Says where a step, or one item of a forEach, stands."""

    WAITING = "Waiting"
    READY = "Ready"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    WAITING_APPROVAL = "WaitingApproval"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    COMPENSATING = "Compensating"
    COMPENSATED = "Compensated"
    COMPENSATION_FAILED = "CompensationFailed"

    @property
    def is_final(self) -> bool:
        """Is true for a state that changes only where somebody asks for it."""
        return self in _FINAL

    @property
    def is_working(self) -> bool:
        """Is true while a try is under way and so takes one of `maxParallel` places."""
        return self in {State.STARTING, State.RUNNING}


_FINAL = frozenset(
    {
        State.SUCCEEDED,
        State.SKIPPED,
        State.FAILED,
        State.CANCELLED,
        State.COMPENSATING,
        State.COMPENSATED,
        State.COMPENSATION_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """Is what is tried: a plain step, or one item of a forEach.

    `tries` counts all that was ever started, `attempt` the tries that the work itself had, the present one included,
    `infrastructure_failures` those that the cluster spoilt. Times are of the present or last try; `next_attempt_at` is
    when a try that failed is repeated, or when one that rests goes on. `effect` numbers the idempotency keys; while
    `is_open`, what became of the present one is not known, and the next try repeats it. `calls` numbers the calls of
    a procedure, `memory` is what it keeps. `input_digest` identifies what the try was given.
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
    choice: Assignment | None = None  # why that pool; of an item it is not written
    grant: Grant | None = None  # what its task may cost, and the provider; of an item only as long as it is of use
    task_type: str = ""
    effect: int = 0
    is_open: bool = False
    calls: int = 0
    memory: Mapping[str, object] = field(default_factory=dict)
    is_ours: bool = False  # this very process asked for the last call; never written
    asked: Call | None = None  # what it asked for, perhaps not before the status is written; never written
    input_digest: str = ""
    cost_cents: int = 0
    known_cause: str = ""  # what the knowledge graph knows of the failure

    def renew(self) -> Unit:
        """Returns a unit that starts anew: what was ever started stays counted, an effect of unknown outcome open.

        What was reserved for that is free again, so it must be granted anew.
        """
        return Unit(
            tries=self.tries,
            effect=self.effect,
            is_open=self.is_open,
            calls=self.calls,
            memory=self.memory,
            pool=self.pool if self.is_open else "",
            choice=self.choice if self.is_open else None,
            task_type=self.task_type,
            cost_cents=self.cost_cents,
        )


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Says why one item failed for good."""

    index: int
    reason: str
    message: str
    known_cause: str = ""  # what the knowledge graph knows of the failure


@dataclass(frozen=True, slots=True)
class Items:
    """Is the progress of a forEach: items start in order, so those not named here have not started.

    `again` are those that start anew, before any that have not started; `former` are the most tries that an item had
    in an earlier run; `memories` what undoing needs, `open` ended items that go on with their effect, whose outcome is
    not known, where they start anew; both by item. `pools` had items, as far as another step must know.
    """

    total: int
    former: int = 0
    again: Ranges = field(default_factory=Ranges)
    succeeded: Ranges = field(default_factory=Ranges)
    failed: Ranges = field(default_factory=Ranges)
    cancelled: Ranges = field(default_factory=Ranges)
    failures: tuple[ItemFailure, ...] = ()
    active: Mapping[int, Unit] = field(default_factory=dict)
    memories: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    open: Mapping[int, Unit] = field(default_factory=dict)
    pools: tuple[str, ...] = ()

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
    def units(self) -> Mapping[int, Unit]:
        """Returns what is tried, by item: of a forEach the active items, else the step itself."""
        return {naming.NO_ITEM: self.unit} if self.items is None else self.items.active

    @property
    def memories(self) -> Iterator[Mapping[str, object]]:
        """Yields what it and its items keep in mind."""
        yield from (unit.memory for unit in self.units.values())
        if self.items is not None:
            yield from self.items.memories.values()

    @property
    def state(self) -> State:
        """Returns the step's state."""
        return self.unit.state


@dataclass(frozen=True, slots=True)
class Rollback:
    """Is how the undoing of a run goes; what it does stands among the steps, under names with `_undo`.

    `not_undone` are the steps that succeeded and that nothing undoes.
    """

    started_at: datetime
    reason: str
    finished_at: datetime | None = None
    not_undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Is one person's word on a step, and when it was first seen; `key` ends its annotation's name.

    One that `is_former` was heard before the run was started again, and counts no more.
    """

    step: str
    user: str
    is_approval: bool
    at: datetime
    comment: str = ""
    key: str = ""
    is_former: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """Is the whole run; `steps` lacks those that simply wait.

    `ending` is the outcome once it is decided while siblings, compensations or completion steps still run.
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
    paused_at: datetime | None = None
    is_pause_requested: bool = False  # until a request resumes it; the spec may pause it beside that
    restarted_at: datetime | None = None
    rollback: Rollback | None = None
    approvals: tuple[Approval, ...] = ()
    ignored_words: tuple[str, ...] = ()  # told of; never written
    completing_since: datetime | None = None
    shrunk_at: datetime | None = None  # its rows say little since, and what it made is gone

    @property
    def stage(self) -> Stage:
        """Returns what the run works on."""
        if self.completing_since is not None:
            return Stage.COMPLETION
        is_undoing = self.rollback is not None and self.rollback.finished_at is None
        return Stage.ROLLBACK if is_undoing else Stage.STEPS

    def units(self) -> Iterator[tuple[str, int, Unit]]:
        """Yields every unit with its step and item: of a forEach the active items, else the step itself."""
        for name, step in self.steps.items():
            yield from ((name, item, unit) for item, unit in step.units.items())

    def step(self, name: str) -> StepStatus:
        """Returns the step's status; a step that is not there simply waits."""
        return self.steps.get(name, WAITING)


PAUSE_BEFORE = "PauseBefore"  # the reason of a step that a person has to let start
WAITING = StepStatus()
