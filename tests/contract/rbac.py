"""Comparing roles with the calls that were made under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
_CREATED = 201


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One call of the API as roles name it; of a call on a whole collection the name is empty."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One verb on one resource that a rule allows; without names for every object."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    names: frozenset[str] = frozenset()

    def allows(self, call: Call) -> bool:
        same = (self.verb, self.group, self.resource, self.subresource) == (
            call.verb,
            call.group,
            call.resource,
            call.subresource,
        )
        return same and (not self.names or call.name in self.names)


def list_grants(rules: Iterable[Json]) -> Iterator[Grant]:
    """Yield what rules allow, verb by verb and resource by resource; `*` stands for itself only."""
    for rule in rules:
        for group in rule.get("apiGroups", []):
            for resource in rule.get("resources", []):
                name, _, subresource = resource.partition("/")
                for verb in rule.get("verbs", []):
                    yield Grant(verb, group, name, subresource, frozenset(rule.get("resourceNames", [])))


def allowed(rules: Iterable[Json], verb: str, group: str, resource: str, subresource: str = "", name: str = "") -> bool:
    """Whether the rules of a role allow a call; where a rule is limited to names, the call must name one of them."""
    call = Call(verb, group, resource, subresource, name)
    return any(grant.allows(call) for grant in list_grants(rules))


def missing(rules: Iterable[Json], calls: Iterable[Call]) -> list[Call]:
    """Return the calls that no rule allows, each once, sorted."""
    grants = list(list_grants(rules))
    return sorted({call for call in calls if not any(grant.allows(call) for grant in grants)})


def unused_rules(rules: Iterable[Json], calls: Iterable[Call]) -> list[Grant]:
    """Return what the rules allow and no call has used, sorted."""
    made = set(calls)
    return sorted(
        (grant for grant in list_grants(rules) if not any(grant.allows(call) for call in made)),
        key=lambda grant: (grant.group, grant.resource, grant.subresource, grant.verb),
    )


def read_calls(events: Iterable[Json], user: str) -> Iterator[Call]:
    """Yield the calls on resources that a user made, from events of an audit log (audit.k8s.io/v1).

    `user` is as the API server knows it: `system:serviceaccount:<namespace>:<name>`. A verb that the log leaves out is
    not among them. What was refused with 403 is among them: that is what `missing` is to find. A server-side apply that
    made its object was allowed to create it too, which the log does not say by itself. A call that one user made as
    another is the other's; the one has impersonated, which stands in the log only so.
    """
    for event in events:
        about, acted_as = event.get("objectRef"), event.get("impersonatedUser", {}).get("username", "")
        users = {event.get("user", {}).get("username"), acted_as}
        if user not in users or event.get("stage") == "RequestReceived":
            continue
        if acted_as and acted_as != user:
            yield Call("impersonate", "", "serviceaccounts", name=acted_as.rpartition(":")[2])
            continue
        if not about:
            continue
        where = (about.get("apiGroup", ""), about["resource"], about.get("subresource", ""))
        yield Call(event["verb"], *where, about.get("name", ""))
        if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == _CREATED:
            yield Call("create", *where)
