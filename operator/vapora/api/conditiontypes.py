"""The types of conditions, and what it means that one is true."""

from collections.abc import Mapping

CONDITION_TYPES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "Ready": (
        ("Workflow", "WorkflowTemplate", "AgentPool", "Taskserv", "Provider"),
        "It does what its spec says: a workflow ended as asked, a template can be run, a pool or service is up.",
    ),
    "Reconciling": (
        ("Workflow", "WorkflowTemplate", "AgentPool", "Taskserv", "Provider"),
        "The operator still works towards the spec. Left out once that is done, as kstatus reads it.",
    ),
    "Stalled": (
        ("Workflow", "WorkflowTemplate", "AgentPool", "Taskserv", "Provider"),
        "It goes no further until somebody changes something; the message says what. Left out where that is not so.",
    ),
    "Succeeded": (("Workflow",), "Every step has ended and none failed that counts; Unknown until the end."),
    "Paused": (("Workflow", "AgentPool"), "Nothing new starts: the spec or a request says so."),
    "SpecOutdated": (
        ("Workflow",),
        "The spec was changed, and the run, or a step that has started, does not follow it.",
    ),
    "Simulated": (("Workflow",), "Only as True: steps ended without anything having run (executor simulate)."),
    "Recorded": (("Workflow",), "Every try stands in the knowledge graph; only where there is one."),
    "LearningAvailable": (
        ("Workflow",),
        "Only as False: the knowledge graph cannot be reached; tries are recorded later.",
    ),
    "Suspended": (("WorkflowTemplate",), "Its schedule rests."),
    "ScalingActive": (("AgentPool",), "The operator sets the size by the queue; else the reason says what does."),
    "ScaleIgnored": (("AgentPool",), "Only as True: spec.replicas was set, and somebody else than it sets the size."),
    "MetricsAvailable": (("AgentPool",), "Every queue and number that the size follows could be read."),
    "WithinBudget": (("AgentPool",), "What its agents cost is within its budget."),
    "Degraded": (("Taskserv",), "It serves with less than it should: fewer replicas, or a dependency that is away."),
    "DependenciesReady": (("Taskserv",), "Every required service is as it is required to be."),
    "ResourcesSufficient": (("Taskserv",), "The cluster has what it needs at the least."),
    "RolledBack": (("Taskserv",), "It runs another revision than its spec asks for; the reason says who wanted that."),
    "FieldConflict": (("Taskserv",), "Somebody else owns a field that the spec sets; the message says which and who."),
    "Exposed": (("Taskserv",), "The route by which it is reached from outside is made and accepted."),
    "ConfigObserved": (("Taskserv",), "Only as False: a Secret or ConfigMap that its pods use may not be read."),
}
