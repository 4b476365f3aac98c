"""All that a plan for a workflow may look at, gathered before it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vapora.core.budget.spending import Spending
from vapora.core.calls import Answer
from vapora.core.gpu.capacity import Capacity
from vapora.core.gpu.detector import Detector
from vapora.core.gpu.job import GpuSettings
from vapora.core.learning.assignment import Assignment, PoolView
from vapora.core.learning.execution import Execution
from vapora.core.learning.profile import Learned
from vapora.core.plan import Key, Plan, Problem
from vapora.core.supported import SpecProblem
from vapora.core.views import ChildView
from vapora.core.workflow.concurrency import Contender
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.estimates import Estimates
from vapora.core.workflow.frontier import Frontier
from vapora.core.workflow.procedure import Procedure
from vapora.core.workflow.readings import Reading, Source
from vapora.core.workflow.results import AgentResult
from vapora.core.workflow.status import Identity, WorkflowStatus


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Is what the operator as a whole offers to a run: detection, GPUs, allowed environment, broker and graph.

    `capacities` is by namespace, and lacks those that are yet to be read; None where nothing is ever read.
    """

    detector: Detector
    environment: Mapping[str, str] = field(default_factory=dict)
    broker_problem: str | None = None  # None while tasks can be given to agents
    graph_problem: str | None = None
    has_graph: bool = False
    procedures: Mapping[str, Procedure] = field(default_factory=dict)  # by kind of step
    undoings: Mapping[str, Procedure] = field(default_factory=dict)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    capacities: Mapping[str, Capacity] | None = None
    may_simulate: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """Is everything about one workflow.

    `outdated` says, as a reason and a sentence, what of the present spec the run does not follow. `status` is as last
    planned, `written` as last written: what stands only in the first may be lost with the process. `changed` names the
    children, effects and actions that something happened to since the last plan; None means that all must be looked at.
    `problems` are by child name or task id, `answers` and what is `underway` by the id of the call, `readings` by the
    uid of the Pod whose result was read just now.
    """

    identity: Identity
    generation: int
    created_at: datetime
    deleted_at: datetime | None
    finalizers: tuple[str, ...]
    outdated: tuple[str, str]
    request: str
    definition: Definition | SpecProblem
    status: WorkflowStatus
    written: WorkflowStatus
    frontier: Frontier
    children: Mapping[Key, ChildView]
    surroundings: Surroundings
    changed: frozenset[str] | None = None
    results: Mapping[str, AgentResult] = field(default_factory=dict)
    pools: Sequence[PoolView] = ()
    spending: Mapping[str, Spending] = field(default_factory=dict)  # by pool with a budget; reserved is what others did
    problems: Mapping[str, Problem] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    underway: frozenset[str] = frozenset()
    readings: Mapping[str, Reading] = field(default_factory=dict)
    words: Mapping[str, object] = field(default_factory=dict)  # the annotations, in which people approve
    author: str = ""
    policy_problem: str | None = None  # why nobody can prove to be an approver
    is_paused: bool = False  # by its spec as it now stands
    spec_digest: str = ""  # of the user's spec that the run does
    rivals: Sequence[Contender] = ()  # the other runs that exclude this one
    learned: Learned | None = None  # None where there is no knowledge graph
    estimates: Estimates | None = None
    must_rerun: bool = False  # its spec changed after its end, and says that it then runs again

    @property
    def is_deleting(self) -> bool:
        """Is true once somebody deleted the Workflow."""
        return self.deleted_at is not None

    @property
    def workflow(self) -> Key:
        """Returns the Workflow's key."""
        return Key("Workflow", self.identity.namespace, self.identity.name)


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """Is the decision: the plan's writes and times, the run's next status and frontier, and what to record.

    `lacks` has pools, each with a task type, whose history should be looked up before this is carried out, and `unread`
    results that should be read.
    `durable_first` asks that the status be written before the next look, which then goes on at once.
    """

    plan: Plan
    status: WorkflowStatus
    frontier: Frontier
    executions: tuple[Execution, ...] = ()
    choices: tuple[Assignment, ...] = ()
    durable_first: bool = False
    lacks: frozenset[tuple[str, str]] = frozenset()
    unread: Mapping[str, Source] = field(default_factory=dict)
    looked_at: int = 0  # units and gates evaluated: the cost of the plan
    wants_capacity: bool = False  # what the namespace can get of GPUs matters to it
