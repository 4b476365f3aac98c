"""What stands in the way of a service, as conditions: refused writes, a route nobody takes, Secrets it may not read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import Condition
from vapora.core.plan import Apply, Key, Problem
from vapora.core.refusals import find_refusal
from vapora.core.taskserv.observed import Observed
from vapora.core.views import RouteView, text


def find_refusals(problems: Iterable[Problem], observed: Observed) -> tuple[Condition, ...]:
    """Returns what the API server refused; a field that somebody else has taken is named in a condition of its own."""
    refused = tuple(problems)
    for problem in refused:
        action = problem.action
        if not isinstance(action, Apply):
            continue
        kind = text(action.manifest, "kind")
        if problem.reason == "Conflict" and observed.find_child(action.manifest) is not None:
            message = f"{kind}: {problem.message}"
            types = ("Stalled", "FieldConflict")
            return tuple(Condition(type_, "True", Reason.FieldConflict, message) for type_ in types)
        if kind == "HTTPRoute" and problem.reason == "NotFound":
            message = f"HTTPRoute: {problem.message}; the cluster needs Gateway API, or leave out spec.gateway"
            return (Condition("Stalled", "True", Reason.GatewayRefused, message),)
    refusal = find_refusal(refused)
    return (refusal,) if refusal else ()


def describe_exposure(observed: Observed, spec: TaskservSpec) -> Condition | None:
    """Says whether a Gateway takes the service's route; None where no Gateway is asked."""
    route = next((view for view in observed.children if isinstance(view, RouteView)), None)
    if route is None or spec.gateway is None:
        return None
    if route.refusal:
        return Condition("Exposed", "False", Reason.GatewayRefused, f"the Gateway refuses the route: {route.refusal}")
    return Condition("Exposed", "True", Reason.AsExpected, "the route is made")


def describe_config(config: Mapping[Key, str | None]) -> Condition | None:
    """Names what the pods use and the operator may not read: a change of it restarts nothing."""
    unread = sorted(f"{key.kind} {key.name}" for key, digest in config.items() if digest is None)
    if not unread:
        return None
    message = (
        f"{', '.join(unread)} may not be read, so the pods are not replaced when it changes; bind the ClusterRole "
        "vapora-tenant in this namespace"
    )
    return Condition("ConfigObserved", "False", Reason.SecretUnavailable, message)
