"""The table of the kinds: names, models and what `kubectl get` shows."""

from dataclasses import dataclass

from vapora.api.agentpool import AgentPoolSpec, AgentPoolStatus
from vapora.api.base import DNS_LABEL_PATTERN, DNS_NAME_PATTERN, ApiModel, StatusModel
from vapora.api.provider import ProviderSpec, ProviderStatus
from vapora.api.taskserv import TaskservSpec, TaskservStatus
from vapora.api.workflow import WorkflowSpec, WorkflowStatus
from vapora.api.workflowtemplate import WorkflowTemplateSpec, WorkflowTemplateStatus

GROUP = "vapora.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "vapora"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; wide ones need `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource."""

    name: str
    plural: str
    short: str
    description: str
    spec_model: type[ApiModel]
    status_model: type[StatusModel]
    columns: tuple[Column, ...]
    name_max: int
    name_pattern: str = DNS_LABEL_PATTERN
    has_scale: bool = False
    selectable: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        """The name `kubectl` takes for one object."""
        return self.name.lower()

    @property
    def crd_name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


AGE = Column("AGE", ".metadata.creationTimestamp", "Since when it exists.", "date")

WORKFLOW = Kind(
    name="Workflow",
    plural="workflows",
    short="vwf",
    description="A Workflow is one run of a graph of steps.",
    spec_model=WorkflowSpec,
    status_model=WorkflowStatus,
    columns=(
        Column("PHASE", ".status.phase", "Where the workflow stands."),
        Column("PROGRESS", ".status.progress", "Ended steps of all."),
        Column("STEP", ".status.currentStep", "The step that runs, or the last one that did."),
        Column("WAITING-ON", ".status.waitingOn", "What it waits for."),
        AGE,
        Column("COST", ".status.costCents", "What it has cost, in cents.", "integer", wide=True),
        Column("RETRIES", ".status.retries", "Tries beyond the first of every step.", "integer", wide=True),
        Column("ETA", ".status.estimatedFinish", "When it is expected to end.", wide=True),
        Column(
            "MESSAGE", '.status.conditions[?(@.type=="Succeeded")].message', "The outcome in a sentence.", wide=True
        ),
    ),
    name_max=52,
    name_pattern=DNS_NAME_PATTERN,
    selectable=(".status.phase",),
)
WORKFLOW_TEMPLATE = Kind(
    name="WorkflowTemplate",
    plural="workflowtemplates",
    short="vwft",
    description="A WorkflowTemplate is a reusable graph with parameters, optionally on a schedule.",
    spec_model=WorkflowTemplateSpec,
    status_model=WorkflowTemplateStatus,
    columns=(
        Column("SCHEDULE", ".spec.schedule.cron", "When it runs by itself."),
        Column("SUSPENDED", ".spec.schedule.suspend", "Whether its schedule rests.", "boolean"),
        Column("LAST", ".status.lastScheduledAt", "How long ago the last scheduled run was.", "date"),
        Column("NEXT", ".status.nextScheduledAt", "When the next one is."),
        AGE,
    ),
    # A scheduled run is named <template>-<eight digits of the slot's minute>, and a Workflow's name has 52 characters.
    name_max=43,
    name_pattern=DNS_NAME_PATTERN,
)
AGENT_POOL = Kind(
    name="AgentPool",
    plural="agentpools",
    short="apool",
    description="An AgentPool is a set of interchangeable agents of one role behind a queue.",
    spec_model=AgentPoolSpec,
    status_model=AgentPoolStatus,
    columns=(
        Column("ROLE", ".spec.role", "The role its agents play."),
        Column("READY", ".status.readyReplicas", "Agents that take tasks.", "integer"),
        Column("DESIRED", ".status.desiredReplicas", "The size that is wanted.", "integer"),
        Column("BUSY", ".status.busy", "Agents that work on a task.", "integer"),
        Column("QUEUED", ".status.queued", "Tasks that wait; empty while unknown.", "integer"),
        Column("TRIGGER", ".status.lastDecision.trigger", "What decided the size."),
        Column("PAUSED", ".spec.paused", "Whether it gives no new task.", "boolean"),
        AGE,
    ),
    # The queue's consumer is named <namespace>_<pool>, and a dot separates the parts of its subjects.
    name_max=40,
    has_scale=True,
)
TASKSERV = Kind(
    name="Taskserv",
    plural="taskservs",
    short="tsv",
    description="A Taskserv is a service the fleet needs.",
    spec_model=TaskservSpec,
    status_model=TaskservStatus,
    columns=(
        Column("PHASE", ".status.phase", "Where the service stands."),
        Column("VERSION", ".status.version", "The version that runs."),
        Column("READY", ".status.readyReplicas", "Replicas that are ready.", "integer"),
        Column("WAITING-ON", ".status.waitingOn", "What it waits for."),
        AGE,
        Column("MESSAGE", ".status.message", "The first failing cause.", wide=True),
    ),
    # A Service's name begins with a letter; a StatefulSet adds a hash to its own to make a label of 63 characters.
    name_max=52,
    name_pattern="^[a-z]([-a-z0-9]*[a-z0-9])?$",
)
PROVIDER = Kind(
    name="Provider",
    plural="providers",
    short="vprov",
    description="A Provider is where servers and clusters come from, with its limits and credentials.",
    spec_model=ProviderSpec,
    status_model=ProviderStatus,
    columns=(
        Column("TYPE", ".spec.type", "The adapter that speaks with it."),
        Column("READY", '.status.conditions[?(@.type=="Ready")].status', "Whether it can be used."),
        Column("IN-USE", ".status.inUse", "Operations that go on.", "integer"),
        Column("THROTTLED", ".status.throttled", "Operations its limits hold back.", "integer"),
        AGE,
    ),
    name_max=63,
)

KINDS = (WORKFLOW, WORKFLOW_TEMPLATE, AGENT_POOL, TASKSERV, PROVIDER)
