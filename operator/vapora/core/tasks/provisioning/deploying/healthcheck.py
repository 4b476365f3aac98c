"""The task `provisioning.health-check`: whether services and pools do well, and if not why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from vapora.api.base import ObjectName
from vapora.core.calls import ListCall, Listing, ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, name_object
from vapora.core.tasks.provisioning.deploying.deployment import rest_or_fail
from vapora.core.tasks.provisioning.deploying.health import await_health
from vapora.core.tasks.provisioning.deploying.lookup import decode_refs, encode_refs, look_up, name_candidates
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Finished, Json, Next, Situation

Observed = Sequence[tuple[ObjectRef, object]]


class HealthCheck(TaskType):
    """Waits while services get on, and fails as soon as one has failed or has been degraded for some time."""

    services: Literal["all"] | Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=100)]
    """The names of services and pools; `all`: every Taskserv of the workflow's namespace."""

    def plan(self, situation: Situation) -> Next:
        """Looks at them."""
        return self._look(situation)

    def observe(self, situation: Situation) -> Next:
        """Judges them."""
        return self._look(situation)

    def compensate(self, situation: Situation) -> Next:  # noqa: ARG002  # nothing depends on it
        """Has nothing to do."""
        return Finished({"note": "a health check changes nothing"})

    def _look(self, situation: Situation) -> Next:
        if self.services == "all":
            return _check_all(situation)
        if "refs" in situation.memory:
            return _check_again(situation)
        found = look_up(situation, {name: name_candidates(name) for name in self.services}, {})
        if not isinstance(found, Mapping):
            return found
        observed = list(dict(found.values()).items())
        return _judge(situation, observed, {"refs": encode_refs([ref for ref, _ in observed])})


def _check_all(situation: Situation) -> Next:
    memory, answer = situation.memory, situation.answer
    if answer is None:
        return Ask(ListCall((Listing(API_VERSION, "Taskserv", situation.namespace),)), memory)
    if answer.is_failure:
        return rest_or_fail(situation, answer, {})
    items = answer.value[0] if isinstance(answer.value, list) else []
    metas = [(child(item, "metadata"), item) for item in items]
    if not metas:
        return fail("NotFound", f"there is no Taskserv in namespace {situation.namespace}")
    return _judge(situation, [(_find_ref(meta), item) for meta, item in metas], memory)


def _find_ref(meta: Json) -> ObjectRef:
    return ObjectRef(API_VERSION, "Taskserv", text(meta, "namespace"), text(meta, "name"))


def _check_again(situation: Situation) -> Next:
    refs, answer = decode_refs(situation.memory, "refs"), situation.answer
    if answer is None:
        return Ask(ReadCall(tuple(refs)), situation.memory)
    if answer.is_failure:
        return rest_or_fail(situation, answer, {})
    objects = answer.value if isinstance(answer.value, list) else []
    return _judge(situation, list(zip(refs, objects, strict=True)), situation.memory)


def _judge(situation: Situation, observed: Observed, memory: Json) -> Next:
    waiting = await_health(situation, observed, memory, bears_degraded=False)
    return waiting or Finished({"healthy": [name_object(ref) for ref, _ in observed]})
