"""The task `provisioning.scale-taskserv`: the size of a service or a pool by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from vapora.api.agentpool import REPLICAS_MAX
from vapora.api.base import Integer, ObjectName
from vapora.core.procedures.answers import name_object
from vapora.core.procedures.scale import scale, undo_scale
from vapora.core.tasks.provisioning.deploying.lookup import decode_refs, encode_refs, look_up, name_candidates
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation


class ScaleTaskserv(TaskType):
    """Sets a size, unless something else owns it; a rollback gives the former one back."""

    taskserv: ObjectName
    """The name of a service or a pool; `vapora-agents-<role>` also names the pool `<role>`."""
    replicas: Integer = Field(ge=0, le=REPLICAS_MAX)
    """The size."""

    def plan(self, situation: Situation) -> Next:
        """Finds the object, then sets its size."""
        return self._go_on(situation)

    def observe(self, situation: Situation) -> Next:
        """Reads the answer."""
        return self._go_on(situation)

    def compensate(self, situation: Situation) -> Next:
        """Gives the former size back, where it is still the one that was set."""
        undoes = situation.undoes or {}
        if not decode_refs(undoes, "target"):
            return Finished({"note": "the size was not changed"})
        return undo_scale(self._focus(situation, undoes, child(undoes, "scale")))

    def _go_on(self, situation: Situation) -> Next:
        memory = situation.memory
        if not decode_refs(memory, "target"):
            found = look_up(situation, {self.taskserv: name_candidates(self.taskserv)}, {})
            if not isinstance(found, Mapping):
                return found
            ref, _ = found[self.taskserv]
            memory = {"target": encode_refs([ref])}
            situation = replace(situation, answer=None)
        decided = scale(self._focus(replace(situation, memory=child(memory, "scale")), memory, None))
        return _keep(decided, memory)

    def _focus(self, situation: Situation, memory: Json, undoes: Json | None) -> Situation:
        """Returns the situation of a scale step of the object that was found."""
        [ref] = decode_refs(memory, "target")
        key = "taskserv" if ref.kind == "Taskserv" else "pool"
        body = {key: ref.name, "replicas": self.replicas}
        return replace(situation, namespace=ref.namespace, body=body, undoes=undoes)


def _keep(decided: Next, memory: Json) -> Next:
    """Puts what the scale step keeps beside the object; the result names it too."""
    kept = {"target": memory["target"], "scale": decided.memory}
    match decided:
        case Finished(result, _):
            [ref] = decode_refs(memory, "target")
            told = result if isinstance(result, Mapping) else {}
            return Finished({"object": name_object(ref), **told}, kept)
        case Ask() | Rest() | Failed():
            return replace(decided, memory=kept)
