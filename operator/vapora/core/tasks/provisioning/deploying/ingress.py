"""The task `provisioning.configure-ingress`: host names that lead to a service, from outside the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from vapora.api.base import ObjectName
from vapora.core import naming
from vapora.core.calls import Answer, ListCall, Listing, ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.procedures.readiness import NotYet, Readiness
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.tasks.provisioning.deploying.changing import build_change
from vapora.core.tasks.provisioning.deploying.definitions import suggest
from vapora.core.tasks.provisioning.deploying.deployment import begin_writing, go_on, keep_inventory
from vapora.core.tasks.provisioning.deploying.health import judge_health
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, rows, text
from vapora.core.workflow.procedure import Ask, Failed, Json, Next, Situation

Manifest = Mapping[str, object]
Host = Annotated[str, Field(min_length=1, max_length=253)]
_FRONT = "frontend"  # which the hosts lead to where no service says that it is public


class ConfigureIngress(TaskType):
    """Makes a service public under host names, and waits until it is; a rollback gives it its former exposure.

    It sets `exposure`, `hosts` and `gateway` of the Taskserv, whose route or Ingress the operator makes and keeps.
    """

    gateway: Annotated[str, Field(pattern=r"^([a-z0-9][-a-z0-9]*/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=317)]
    """The Gateway: `name`, or `namespace/name`. Without Gateway API in the cluster an Ingress is made instead."""
    hosts: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(min_length=1, max_length=32)
    ]
    """The host names."""
    service: ObjectName | None = None
    """The Taskserv; else the only one that is public, else the only one whose name is or ends with frontend."""

    def plan(self, situation: Situation) -> Next:
        """Goes on where its memory says that it stands."""
        return self._go_on(situation)

    def observe(self, situation: Situation) -> Next:
        """Reads the answer."""
        return self._go_on(situation)

    def compensate(self, situation: Situation) -> Next:
        """Gives the former exposure back."""
        return undo_apply(situation)

    def _go_on(self, situation: Situation) -> Next:
        """Finds the service, then whether there is Gateway API, then how the service stands, and changes it."""
        if (going := go_on(situation, _judge)) is not None:
            return going
        if situation.answer is None:
            return _ask(situation, situation.memory)
        kept = keep_inventory(situation.memory)
        if "service" not in situation.memory:
            return self._choose(situation, situation.answer, kept)
        if "routes" not in situation.memory:
            return _note_routes(situation, situation.answer, kept)
        return self._expose(situation, situation.answer, kept)

    def _choose(self, situation: Situation, answer: Answer, kept: Json) -> Ask | Failed:
        if answer.is_failure:
            return fail_call(answer, kept)
        services = answer.value[0] if isinstance(answer.value, list) else []
        chosen = self._find_service(services)
        if isinstance(chosen, Failed):
            return replace(chosen, memory=kept)
        return _ask(situation, {**kept, "service": chosen})

    def _find_service(self, services: Sequence[Manifest]) -> str | Failed:
        names = [text(child(service, "metadata"), "name") for service in services]
        if self.service is not None:
            told = f"there is no Taskserv {self.service!r}{suggest(self.service, set(names))}"
            return self.service if self.service in names else fail("UnknownTaskserv", told)
        public = [
            name
            for name, service in zip(names, services, strict=True)
            if child(service, "spec").get("exposure") == "public"
        ]
        fronts = public or [name for name in names if name == _FRONT or name.endswith(f"-{_FRONT}")]
        if len(fronts) == 1:
            return fronts[0]
        which = f"{', '.join(fronts)} could be meant" if fronts else f"none is public or called {_FRONT}"
        return fail("InvalidInput", f"params.service: the hosts lead to one Taskserv; {which}, so it must be named")

    def _expose(self, situation: Situation, answer: Answer, kept: Json) -> Next:
        if answer.is_failure:
            return fail_call(answer, kept)
        found = answer.value[0] if isinstance(answer.value, list) else None
        if not isinstance(found, Mapping):
            return fail("NotFound", f"Taskserv {text(situation.memory, 'service')} is gone", kept)
        namespace, _, name = self.gateway.rpartition("/")
        gateway = {"name": name, **({"namespace": namespace} if namespace else {})}
        by_gateway = {"gateway": gateway} if situation.memory["routes"] is True else {}
        change = {"exposure": "public", "hosts": list(self.hosts), **by_gateway}
        manifest = build_change(found, {"spec": change}, naming.run_manager(situation.uid))
        return begin_writing(situation, [manifest], [])


def _note_routes(situation: Situation, answer: Answer, kept: Json) -> Ask | Failed:
    """Notes whether there is Gateway API; being refused to read routes says that there is."""
    if answer.reason not in {"", "Forbidden", "NotFound"}:
        return fail_call(answer, kept)
    return _ask(situation, {**situation.memory, "routes": answer.reason != "NotFound"})


def _ask(situation: Situation, memory: Json) -> Ask:
    """Asks for what the memory lacks: the services, whether there are routes, the service as it is."""
    name = text(memory, "service")
    if not name:
        return Ask(ListCall((Listing(API_VERSION, "Taskserv", situation.namespace),)), memory)
    if "routes" not in memory:
        route = ObjectRef("gateway.networking.k8s.io/v1", "HTTPRoute", situation.namespace, name)
        return Ask(ReadCall((route,)), memory)
    return Ask(ReadCall((ObjectRef(API_VERSION, "Taskserv", situation.namespace, name),)), memory)


def _judge(found: Manifest) -> Readiness:
    """Says how the service does, and whether the Gateway takes its route."""
    conditions = rows(child(found, "status"), "conditions")
    refused = [row for row in conditions if row.get("type") == "Exposed" and row.get("status") == "False"]
    return NotYet(text(refused[0], "message")) if refused else judge_health(found)
