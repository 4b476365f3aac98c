"""What in definition files is likely to go wrong once it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from vapora.core.agentpool.presets import find_preset
from vapora.core.views import child, number, rows, text
from vapora.importing.bundle import Bundle
from vapora.importing.dialects.draft import Draft
from vapora.importing.dialects.workflows import list_named, list_steps
from vapora.importing.quantities import parse_quantity
from vapora.importing.reading.places import Remark

_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?=[:/?]|$)")
_NATS = re.compile(r"(?:.*/)?nats(?::|$)")
_GIBI = Decimal(1024**3)


def lint(bundle: Bundle) -> list[Remark]:
    """Returns warnings, in the order of their places."""
    services = list(bundle.definitions.services.values())
    found = [
        *_check_hosts(services),
        *_check_classes(services, list(bundle.definitions.clusters.values())),
        *_check_brokers(services),
        *_check_steps(bundle, services),
        *_check_capacity(bundle, services),
    ]
    return sorted(set(found))


def _check_hosts(services: Sequence[Draft]) -> Iterator[Remark]:
    """Yields addresses of the cluster that no service has; those of the world outside are not judged."""
    provided = _Provided.of(services)
    for draft in services:
        for name, value in child({"of": draft.spec.get("environment")}, "of").items():
            match = _HOST.match(value) if isinstance(value, str) else None
            told = provided.judge(match["host"], draft.namespace) if match else ""
            if told:
                yield Remark(draft.place(("environment", name)), "warning", f"{draft.name}: {name} names {told}")


@dataclass(frozen=True, slots=True)
class _Provided:
    """Holds the names under which services and their pods are reached: `name` and `pod.name`, by namespace."""

    names: Mapping[str, frozenset[str]]
    pods: Mapping[str, str]

    @staticmethod
    def of(services: Sequence[Draft]) -> _Provided:
        names: dict[str, set[str]] = {}
        pods: dict[str, str] = {}
        for draft in services:
            own = names.setdefault(draft.namespace, set())
            own.add(draft.name)
            if draft.spec.get("type") == "stateful":
                for ordinal in range(number(draft.spec, "replicas") or 1):
                    pods[f"{draft.name}-{ordinal}"] = draft.name
                    own.add(f"{draft.name}-{ordinal}.{draft.name}")
        return _Provided({namespace: frozenset(found) for namespace, found in names.items()}, pods)

    def judge(self, host: str, namespace: str) -> str:
        """Says why nobody answers to a host; empty where somebody does, or where it is outside."""
        short = re.sub(r"\.svc(\.cluster\.local)?$", "", host)
        name, _, last = short.rpartition(".")
        in_namespace = name and last in self.names
        place = last if in_namespace else namespace
        wanted = name if in_namespace else short
        known = self.names.get(place, frozenset())
        if wanted in known or wanted == "localhost":
            return ""
        head, _, rest = wanted.partition(".")
        if rest and rest not in known and head not in self.pods and not in_namespace:
            return ""  # a name with a dot that is none of ours stands outside the cluster
        if head in self.pods:
            return f"the host {host}; that pod is reached as {head}.{self.pods[head]}"
        near = get_close_matches(head, [*self.pods, *known], n=1, cutoff=0.5)
        hint = f"; near is {near[0]}" if near else ""
        return f"the host {host}, which nobody provides{hint}"


def _check_classes(services: Sequence[Draft], clusters: Sequence[Draft]) -> Iterator[Remark]:
    classes = {text(row, "name") for draft in clusters for row in rows(child(draft.spec, "storage"), "storage_classes")}
    if not classes:
        return
    for draft in services:
        storage = child(draft.spec, "storage")
        wanted = text(storage, "storage_class") or text(storage, "storageClass")
        if wanted and wanted not in classes:
            told = f"{draft.name}: the cluster has no storage class {wanted}; it has {', '.join(sorted(classes))}"
            yield Remark(draft.place(("storage", "storage_class")), "warning", told)


def _check_brokers(services: Sequence[Draft]) -> Iterator[Remark]:
    for draft in services:
        if _NATS.match(text(draft.spec, "image")) and not {"command", "args"} & draft.spec.keys():
            told = f'{draft.name}: nats starts without JetStream; agents\' tasks need it: args = ["-js"]'
            yield Remark(draft.place(("image",)), "warning", told)


def _check_steps(bundle: Bundle, services: Sequence[Draft]) -> Iterator[Remark]:
    """Yields names of services and roles that nobody defines, and services that no step deploys."""
    known, deployed = {draft.name for draft in services}, set()
    pools = set(bundle.definitions.pools)
    for draft in bundle.workflows:
        for index, name in list_named(list_steps(draft), "provisioning.deploy-taskservs", "taskservs"):
            deployed.add(name)
            if name not in known:
                yield _warn_unknown(draft, index, "taskservs", name, known)
        for index, name in list_named(list_steps(draft), "provisioning.deploy-agents", "agents"):
            if name not in pools and find_preset(name) is None:
                yield _warn_unknown(draft, index, "agents", name, pools)
    if deployed:
        for draft in services:
            if draft.name not in deployed:
                yield Remark(draft.origin, "warning", f"{draft.name} is in no step that deploys services")


def _warn_unknown(draft: Draft, index: int, param: str, name: str, known: set[str]) -> Remark:
    near = get_close_matches(name, known, n=3)
    hint = f"; near are {', '.join(near)}" if near else ""
    place = draft.place(("steps", index, "params", param))
    return Remark(place, "warning", f"no imported file defines {name}{hint}; it must be in the cluster then")


def _check_capacity(bundle: Bundle, services: Sequence[Draft]) -> Iterator[Remark]:
    pools = list(bundle.definitions.pools.values())
    for cluster in bundle.definitions.clusters.values():
        groups = rows(cluster.spec, "nodes")
        nodes = sum(number(group, "count") for group in groups)
        for name, unit, scale in (("cpu", "CPU", Decimal(1)), ("memory", "Gi of memory", _GIBI)):
            held = sum((_measure(group, "resources", name) * number(group, "count") for group in groups), Decimal(0))
            asked = [sum((_request(draft, name) for draft in drafts), Decimal(0)) for drafts in (pools, services)]
            if held and sum(asked) > held:
                told = f"the pools request {_round(asked[0] / scale)} {unit}, the services {_round(asked[1] / scale)},"
                told += f" but the {nodes} nodes hold {_round(held / scale)}"
                yield Remark(cluster.place(("nodes",)), "warning", f"{cluster.name}: {told}")


def _request(draft: Draft, name: str) -> Decimal:
    spec = child(draft.spec, "template") if draft.kind == "AgentPool" else draft.spec
    return _measure(child(spec, "resources"), "requests", name) * (number(draft.spec, "replicas") or 1)


def _measure(source: Mapping[str, object], part: str, name: str) -> Decimal:
    return parse_quantity(child(source, part).get(name)) or Decimal(0)


def _round(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.1')).normalize():f}"
