"""What the operator says about a Workflow."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.types import StringConstraints

from vapora.api.base import (
    AtomicConditions,
    Boolean,
    Integer,
    JsonMap,
    Message,
    Number,
    StatusLine,
    StatusModel,
    Timestamp,
)
from vapora.api.itemsstatus import Assignment, ItemsStatus, ReasonWord, StepState

STATUS_ROWS_MAX = 1064
"""Rows of `status.steps`: the steps and the completion steps."""

WorkflowPhase = Literal[
    "Pending",
    "Running",
    "Paused",
    "WaitingApproval",
    "RollingBack",
    "RolledBack",
    "Succeeded",
    "Failed",
    "Cancelled",
]
Digest = Annotated[str, StringConstraints(max_length=128)]


class ChildRef(StatusModel):
    """The object that does a step's work."""

    kind: StatusLine
    """Its kind."""
    name: StatusLine | None = None
    """Its name in the workflow's namespace; left out in a status of very many steps, where it can be computed."""


class MlEvidence(StatusModel):
    """One word that speaks for or against machine learning."""

    term: StatusLine
    """The word."""
    where: StatusLine
    """The field it stands in."""
    weight: Number
    """How much it counts."""
    negated: Boolean = False
    """Whether the text denies it."""


class MlEstimate(StatusModel):
    """What the work is expected to need."""

    gpus: Integer = 0
    """How many GPUs."""
    memory: StatusLine | None = None
    """How much memory, as a quantity."""
    cpu: StatusLine | None = None
    """How much CPU, as a quantity."""


class MlStatus(StatusModel):
    """Whether a step is machine learning, and why."""

    is_ml: Boolean
    """Whether it is."""
    class_: Literal["cpuOnly", "gpuRequired", "gpuOptional"] = Field(alias="class")
    """What it needs."""
    confidence: Number | None = None
    """How sure that is, 0 to 1."""
    profile: StatusLine | None = None
    """The profile its Job was made with."""
    estimate: MlEstimate | None = None
    """What it is expected to need."""
    evidence: tuple[MlEvidence, ...] = Field(
        default=(), max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The words that decided."""
    sentence: Message | None = None
    """The decision in a sentence."""


class StepStatus(StatusModel):
    """How far one step is."""

    state: StepState
    """Its state."""
    tries: Integer = 0
    """The children or effects ever started; never reset."""
    attempt: Integer = 0
    """The tries of the work itself."""
    infrastructure_attempt: Integer = 0
    """The tries the cluster failed."""
    ready_at: Timestamp | None = None
    """When everything it waited for had ended."""
    started_at: Timestamp | None = None
    """When the present try, or the last one, started."""
    running_at: Timestamp | None = None
    """When its work was seen running."""
    finished_at: Timestamp | None = None
    """When it ended."""
    timeout_at: Timestamp | None = None
    """When the present try times out."""
    pending_timeout_at: Timestamp | None = None
    """Until when the present try must run."""
    next_attempt_at: Timestamp | None = None
    """When the next try starts."""
    reason: ReasonWord | None = None
    """Why it is in this state, as one word."""
    message: Message | None = None
    """Why it is in this state, as a sentence."""
    child: ChildRef | None = None
    """The object that does its work."""
    outputs: JsonMap | None = None
    """Its outputs, where they are small."""
    output_ref: StatusLine | None = None
    """The ConfigMap that holds its outputs, where they are not."""
    input_digest: Digest | None = None
    """The digest of its resolved input."""
    step_digest: Digest | None = None
    """The digest of its definition when it started."""
    operands: JsonMap | None = None
    """What its expressions were evaluated over, so that a skip explains itself."""
    exit_code: Integer | None = None
    """The exit code of its container."""
    known_cause: Message | None = None
    """How often this failure was seen before, and what solved it last."""
    effect: Integer | None = None
    """The number of its present effect outside the cluster."""
    effect_open: Boolean | None = None
    """Whether it is unknown what became of that effect, so that the next try repeats it."""
    calls: Integer | None = None
    """The number of its present call to the outside."""
    memory: JsonMap | None = None
    """What it keeps in mind to go on and to be undone: former sizes, applied objects."""
    memory_ref: StatusLine | None = None
    """The ConfigMap that holds it, where it is large."""
    assignment: Assignment | None = None
    """The pool its task went to, and why."""
    ml: MlStatus | None = None
    """Whether it is machine learning, and why."""
    items: ItemsStatus | None = None
    """How far its forEach is."""
    cost_cents: Integer | None = None
    """What it has cost, in cents."""


class RollbackStatus(StatusModel):
    """How far the rollback is."""

    started_at: Timestamp | None = None
    """When it started."""
    finished_at: Timestamp | None = None
    """When it ended."""
    reason: ReasonWord | None = None
    """What it follows."""
    steps: dict[str, StepStatus] = Field(
        default_factory=dict, max_length=1001, json_schema_extra={"x-kubernetes-map-type": "atomic"}
    )
    """What undoes each step, by the step's name; `approve_rollback` waits for a person."""
    not_undone: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The steps that succeeded and that nothing undoes."""


class Approval(StatusModel):
    """One decision of one person."""

    step: StatusLine
    """The step it is about."""
    by: StatusLine
    """The user."""
    at: Timestamp | None = None
    """When it was seen."""
    decision: Literal["approve", "reject"]
    """What was decided."""
    comment: Message | None = None
    """What was said."""
    key: StatusLine | None = None
    """What follows the prefix in the name of the annotation that says so."""
    former: Boolean | None = None
    """Whether it was said before the workflow was started again, and so counts no more."""


class ConcurrencyStatus(StatusModel):
    """The mutual exclusion that a run takes part in."""

    key: StatusLine
    """What the workflows that exclude each other have in common."""
    limit: Integer
    """How many may run at once."""
    on_busy: Literal["wait", "cancelOlder"]
    """Whether it waits, or has older ones cancelled."""


class WorkflowStatus(StatusModel):
    """What the operator says about a Workflow."""

    phase: WorkflowPhase | None = None
    """Where the workflow stands."""
    observed_generation: Integer | None = None
    """The generation of the spec this status is about."""
    revision: StatusLine | None = None
    """The ControllerRevision that holds the spec this run is pinned to."""
    started_at: Timestamp | None = None
    """When the first step started."""
    finished_at: Timestamp | None = None
    """When it ended."""
    deadline_at: Timestamp | None = None
    """When it must have ended."""
    paused_at: Timestamp | None = None
    """Since when it is paused."""
    pause_requested: bool | None = None
    """Whether a request pauses it, until one resumes it; spec.paused pauses beside that."""
    restarted_at: Timestamp | None = None
    """When it was last started again after its end; its deadline counts from then."""
    progress: StatusLine | None = None
    """Ended steps of all, such as 6/9."""
    current_step: StatusLine | None = None
    """The step that runs, or the last one that did."""
    waiting_on: Message | None = None
    """What it waits for."""
    concurrency: ConcurrencyStatus | None = None
    """Which workflows it excludes, until it has ended."""
    retries: Integer | None = None
    """The tries beyond the first of every step."""
    trace_id: StatusLine | None = None
    """The trace of this run."""
    conditions: AtomicConditions = ()
    """Succeeded, Ready, Reconciling, Stalled, Paused, SpecOutdated, Recorded, LearningAvailable."""
    steps: dict[str, StepStatus] = Field(
        default_factory=dict, max_length=STATUS_ROWS_MAX, json_schema_extra={"x-kubernetes-map-type": "atomic"}
    )
    """Every step that is not simply waiting, by name."""
    keepsakes: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The ConfigMaps that hold, by step, small outputs and memories for which there is no room here."""
    rollback: RollbackStatus | None = None
    """How far the rollback is."""
    approvals: tuple[Approval, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The decisions of people, in the order in which they were seen."""
    expires_at: Timestamp | None = None
    """When ttlAfterFinished is over."""
    shrunk_at: Timestamp | None = None
    """When, after that, all that it had made was removed, and what its rows said."""
    handled_request: Message | None = None
    """The last request annotation that was carried out."""
    outcome: StatusLine | None = None
    """The outcome that stands while siblings end, steps are undone or completion steps run."""
    completing_since: Timestamp | None = None
    """When the completion steps began."""
    spec_digest: Digest | None = None
    """The digest of the user's spec that was run."""
    cost_cents: Integer | None = None
    """What it has cost, in cents."""
    estimated_finish: Timestamp | None = None
    """When it is expected to end."""
