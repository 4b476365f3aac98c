"""The reasons that conditions, steps and events give."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why something is as it is; each member carries the sentence that documents it."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Keep the documentation beside the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # The object as a whole
    Progressing = "Progressing", "Work is going on."
    Pending = "Pending", "It has not begun, or is yet to be done."
    Succeeded = "Succeeded", "Everything has ended well."
    Failed = "Failed", "A step failed for good and its failure counts."
    Cancelled = "Cancelled", "Someone asked for the end, or a sibling failed first."
    CancelRequested = "CancelRequested", "Someone asked to cancel the workflow."
    StopRequested = "StopRequested", "Someone asked to start nothing more; what ran was let finish."
    TerminateRequested = "TerminateRequested", "Someone asked to end everything at once, without completion steps."
    RollbackRequested = "RollbackRequested", "Someone asked to undo the workflow."
    RollingBack = "RollingBack", "What the steps did is being undone."
    Resumed = "Resumed", "It goes on after a pause."
    Restarted = (
        "Restarted",
        "It starts again after its end, from what failed, from a step, or because its spec changed.",
    )
    Cancelling = "Cancelling", "It is being stopped."
    Running = "Running", "Work is going on in the cluster or at an agent."
    Paused = "Paused", "It is paused by the spec or by a request; nothing new starts."
    AsExpected = "AsExpected", "Nothing is wrong."
    AllHealthy = "AllHealthy", "All replicas and all required dependencies are healthy."
    Initializing = "Initializing", "The operator has seen the object and not acted on it yet."
    SpecChanged = "SpecChanged", "The spec has changed since it was run."
    StepPinned = "StepPinned", "A step that has started was changed; it keeps the definition it started with."
    WorkflowStarted = "WorkflowStarted", "The first steps start."
    WorkflowSucceeded = "WorkflowSucceeded", "Every step has ended, and none failed that counts."
    WorkflowFailed = "WorkflowFailed", "It ended because of a failure."
    WorkflowCancelled = "WorkflowCancelled", "It ended because somebody asked for it."
    WorkflowRolledBack = "WorkflowRolledBack", "It ended with what its steps did undone."
    Retrying = "Retrying", "A try failed, and the next one is due."
    StepFailed = "StepFailed", "A step failed for good."
    RequestRefused = "RequestRefused", "The request annotation asks for something that is not done."
    ApprovalIgnored = "ApprovalIgnored", "An approval annotation does not count; the message says why."
    Superseded = "Superseded", "A newer workflow with its key took its place."
    Suspended = "Suspended", "Its schedule rests."
    RunStarted = "RunStarted", "The run of a slot of the schedule was made."
    RunMissed = "RunMissed", "Slots of the schedule went by without a run."
    RunReplaced = "RunReplaced", "A run was deleted to make room for the next."
    Recorded = "Recorded", "Every execution stands in the knowledge graph."

    # What the user must change
    InvalidSpec = "InvalidSpec", "The spec cannot be run as it is; the message names the place."
    SpecTooLarge = "SpecTooLarge", "The spec has more than 700 KiB."
    NotSupported = "NotSupported", "The spec uses a field that this version of the operator does not carry out."
    TemplateNotFound = "TemplateNotFound", "The WorkflowTemplate is not there."
    UnresolvedReference = "UnresolvedReference", "A `${...}` or an expression names something that is not there."
    AmbiguousReference = "AmbiguousReference", "A bare `${name}` could mean two things."
    ExpressionFailed = "ExpressionFailed", "An expression could not be evaluated."
    MissingOutput = "MissingOutput", "An expression uses an output that the step did not give."
    KeepsakeLost = "KeepsakeLost", "A ConfigMap with what a run needs to go on is gone or was changed."
    OutputTooLarge = "OutputTooLarge", "A step's outputs are larger than what is kept."
    CostLimitReached = (
        "CostLimitReached",
        "`maxCostCents` of the step or the workflow leaves too little for another task.",
    )
    OutputInvalid = "OutputInvalid", "A step's output is no JSON or does not meet its schema."
    ConfigMissing = "ConfigMissing", "A Secret, ConfigMap or account that a pod needs is not there."
    AccountForbidden = "AccountForbidden", "The workflow's account lacks the right to do this."
    NameConflict = "NameConflict", "An object of that name belongs to someone else."
    ManagedElsewhere = (
        "ManagedElsewhere",
        "A GitOps tool tracks the object; it is not touched.",
    )
    ReplicasOwned = "ReplicasOwned", "Something else sets the size: a queue, an HPA or another autoscaler."
    FieldConflict = "FieldConflict", "Another field manager owns a field that the step would change."
    UnknownTask = "UnknownTask", "No task type of that name is registered."
    UnknownTaskserv = "UnknownTaskserv", "There is no Taskserv of that name, nor a definition of it in the catalogue."
    UnknownAgent = "UnknownAgent", "There is no AgentPool of that name, nor a definition or a preset of it."
    UnknownAddon = "UnknownAddon", "No add-on of that name ships, and none is in the catalogue."
    NoInstaller = "NoInstaller", "Nothing in the cluster installs the add-on's chart, and the add-on is not there."
    AddressForbidden = "AddressForbidden", "The address is one that steps may not call."
    UnknownProviderType = "UnknownProviderType", "No provider type of that name is registered."
    DependencyCycle = "DependencyCycle", "Taskservs depend on each other in a circle."

    # Why a step ended
    ExitCode = "ExitCode", "The container ended with an exit code other than 0."
    ChildFailed = "ChildFailed", "The Workflow that the step made did not succeed."
    TaskFailed = "TaskFailed", "The agent failed at the task and may try again."
    TaskRefused = "TaskRefused", "The agent said that trying again would not help."
    TaskCancelled = "TaskCancelled", "The agent gave the task up before it was done."
    HttpRefused = "HttpRefused", "The HTTP answer is not what the step expects."
    HttpAnswerInvalid = (
        "HttpAnswerInvalid",
        "The HTTP answer is no JSON, or has not the form that `expect` or an output looks into.",
    )
    MailRefused = "MailRefused", "The mail server refused the mail or one of its recipients."
    NotFound = "NotFound", "The object, its kind or its namespace is not there."
    ObjectFailed = "ObjectFailed", "An object that was applied failed, or is gone."
    NotUndone = "NotUndone", "Some of what the step did could not be undone; the message names it."
    PluginFailed = "PluginFailed", "A task type raised an error of its own."
    CallBroke = "CallBroke", "A call could not be made for a fault of the operator's own, which its log tells."
    Withdrawn = "Withdrawn", "The task was taken back before an agent had it; it is given out anew."
    InvalidInput = "InvalidInput", "What a step became after interpolation makes no sense."
    TimedOut = "TimedOut", "A try ran longer than its timeout."
    PendingTimeout = "PendingTimeout", "A try did not run within pendingTimeout."
    DeadlineExceeded = "DeadlineExceeded", "The workflow's deadline passed."
    WhenFalse = "WhenFalse", "The step's `when` was false, so it was skipped."
    ConditionFalse = "ConditionFalse", "The condition of one of its edges was false, so it was skipped."
    DependencyFailed = "DependencyFailed", "A step it waits for failed, so it never starts."
    ItemsFailed = "ItemsFailed", "More items failed than failureTolerance allows."
    ApprovalRejected = "ApprovalRejected", "One of those who may approve the step has rejected it."
    ApprovalTimedOut = "ApprovalTimedOut", "Nobody approved the step within its timeout."
    OutcomeUnknown = (
        "OutcomeUnknown",
        "A crash has hidden whether the effect happened, and atMostOnce forbids to repeat it.",
    )
    RollbackIncomplete = "RollbackIncomplete", "The rollback ended with steps that are not undone."
    CancelUnconfirmed = "CancelUnconfirmed", "The agent did not confirm the cancellation in time."

    ClusterDiffers = "ClusterDiffers", "The cluster that the operator runs in is not as the definition says."

    GpuWaitOver = "GpuWaitOver", "No GPU was free within gpuWait, so the step runs without one."
    Simulated = "Simulated", "Nothing ran: the step says executor simulate."
    SimulationForbidden = "SimulationForbidden", "The operator's settings do not allow executor simulate."

    # The cluster is at fault
    ChildLost = "ChildLost", "The object that did the work is gone, and nobody saw how it ended."
    ImagePullFailed = "ImagePullFailed", "The image could not be pulled."
    OOMKilled = "OOMKilled", "The container used more memory than its limit."
    Evicted = "Evicted", "The pod was evicted from its node."
    NodeLost = "NodeLost", "The pod's node is gone or does not answer."
    Preempted = "Preempted", "The pod made room for one of a higher priority."
    Disrupted = "Disrupted", "The pod was taken away, and nothing says by what."
    ContainerConfigError = "ContainerConfigError", "The container lacks a ConfigMap, a Secret or a key that it needs."
    AdmissionRefused = "AdmissionRefused", "The API server refused the object."
    NameTaken = "NameTaken", "An object of the name that was meant is there and is not ours."
    NoAnswer = "NoAnswer", "The API server did not answer."
    QuotaExceeded = "QuotaExceeded", "The namespace's quota has no room for it."
    ContainerCannotRun = "ContainerCannotRun", "The container could not be started."
    ApiUnavailable = "ApiUnavailable", "The Kubernetes API did not answer or failed."
    SecretUnavailable = "SecretUnavailable", "A Secret or key that a call needs could not be read."
    HttpUnavailable = "HttpUnavailable", "The HTTP server could not serve the call now."
    HttpUnreachable = "HttpUnreachable", "The HTTP server could not be reached."
    HttpTimeout = "HttpTimeout", "The HTTP server did not answer in time."
    MailUnreachable = "MailUnreachable", "The mail server could not be reached."
    Undeliverable = "Undeliverable", "The task was delivered as often as allowed and never finished."
    TaskTooLarge = "TaskTooLarge", "The task is larger than the broker takes."

    # What is waited for
    ResultUnread = "ResultUnread", "The container has ended; its result, in a ConfigMap or its log, is yet to be read."
    WaitingForDependency = "WaitingForDependency", "It waits for something that is not ready yet."
    WaitingForCapacity = "WaitingForCapacity", "It waits for a free place: maxParallel, a limit, or the cluster."
    WaitingForApproval = "WaitingForApproval", "It waits for a person."
    PauseBefore = "PauseBefore", "The step waits to be approved before it starts."
    Unschedulable = "Unschedulable", "No node takes the pod; the message is the scheduler's."
    Queued = "Queued", "Kueue has not admitted the Job yet; the message is Kueue's."
    NoMatchingPool = "NoMatchingPool", "No pool has the role or the capabilities."
    BudgetExhausted = (
        "BudgetExhausted",
        "What is left of the pool's budget does not pay for the task; the message says when.",
    )
    BudgetUnknown = "BudgetUnknown", "It is not known what the pool has spent: the knowledge graph cannot be read."
    ApproverUnverifiable = "ApproverUnverifiable", "The policy that proves who approves is not installed."
    ConcurrencyLimit = "ConcurrencyLimit", "Other workflows with the same key hold all places."

    NoProvider = "NoProvider", "No Provider of the namespace may do it, or it is not known which one should."
    KindMissing = "KindMissing", "The cluster has not the kinds that the Provider's type works with."

    # Services outside
    BrokerUnavailable = "BrokerUnavailable", "The queue's server does not answer."
    MetricsUnavailable = "MetricsUnavailable", "A queue or a number that the size follows could not be read."
    MetricsRead = "MetricsRead", "Every queue and number that the size follows was read."
    GraphUnavailable = "GraphUnavailable", "The knowledge graph cannot be read or written."

    # Providers, AgentPools and Taskservs
    InventoryRead = "InventoryRead", "The Provider can be used, and what it has was read."
    InventoryUnread = "InventoryUnread", "What the Provider has was not read yet."
    ScalingByQueue = "ScalingByQueue", "The operator sets the size by the queue."
    ScalingByOther = "ScalingByOther", "An HPA or spec.replicas sets the size."
    ScaledUp = "ScaledUp", "The pool was made larger."
    ScaledDown = "ScaledDown", "The pool was made smaller."
    ForeignAutoscaler = "ForeignAutoscaler", "Another autoscaler owns the replicas; the operator leaves them alone."
    WithinBudget = "WithinBudget", "The pool has spent less than its budget."
    BudgetAlert = "BudgetAlert", "So much of the pool's budget is spent that its tasks use the cheaper provider."
    CostLimitExceeded = "CostLimitExceeded", "A task has cost more than its step's maxCostCents allowed."
    AgentsNotReady = "AgentsNotReady", "Fewer agents are ready than wanted."
    ReplicasNotReady = "ReplicasNotReady", "Fewer replicas are ready than wanted."
    ImageFailing = "ImageFailing", "A pod's image cannot be pulled."
    ContainerCrashing = "ContainerCrashing", "A container ends again and again."
    ProbeFailing = "ProbeFailing", "The health check fails."
    Deploying = "Deploying", "A revision is being deployed."
    DependencyUnhealthy = "DependencyUnhealthy", "A required dependency is not healthy any more."
    ConflictsWith = "ConflictsWith", "Another Taskserv excludes it, or it excludes that one; the message names it."
    NodesTooSmall = "NodesTooSmall", "No node is as large as minimumResources asks for."
    GatewayRefused = "GatewayRefused", "The cluster has no Gateway API, or the Gateway does not take the route."
    RolledBack = "RolledBack", "A revision failed, and the last good one runs until version or template change."
    AnalysisFailed = "AnalysisFailed", "The analysis of a canary is false or cannot be evaluated."
    Promoted = "Promoted", "A canary or blue-green upgrade is done; the new revision serves alone."
    DependenciesHealthy = "DependenciesHealthy", "Every required dependency is healthy."
    ProgressDeadlineExceeded = "ProgressDeadlineExceeded", "The new revision made no progress in time."
