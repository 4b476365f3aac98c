"""The tasks `provisioning.server`, `.taskserv` and `.cluster`: things made and deleted through Providers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from vapora.api.base import ApiModel, ObjectName, Word
from vapora.core.provider.builtin import BUILT_IN
from vapora.core.provider.types import ProviderTypes
from vapora.core.tasks.provisioning.infrastructure.operation import Action, Operation
from vapora.core.tasks.provisioning.infrastructure.phases import Build, read_phase, run_phases
from vapora.core.tasks.registry import Registry, TaskType
from vapora.core.workflow.procedure import Finished, Json, Next, Procedure, Situation

Item = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Names = Annotated[tuple[Word, ...], Field(max_length=64)]
_MAX_ITEMS = 64


class Infrastructure(TaskType):
    """Does the same to several things, one after the other; `forEach` does it to several at once."""

    types: ClassVar[ProviderTypes] = BUILT_IN

    action: Action = "create"
    """What is done."""
    providers: Names = ()
    """The Providers that may do it; without any all of the namespace may."""

    @abstractmethod
    def list_operations(self) -> dict[str, Operation]:
        """Returns what is done, by the name of the thing."""

    def plan(self, situation: Situation) -> Next:
        """Goes on with the first thing that is not done."""
        operations = self.list_operations()
        step = run_phases(situation, [(name, _always(operation.run)) for name, operation in operations.items()])
        if not isinstance(step, Finished) or len(operations) == 1:
            return step
        return Finished({"items": list(operations)}, step.memory)

    def observe(self, situation: Situation) -> Next:
        """Goes on with the answer."""
        return self.plan(situation)

    def compensate(self, situation: Situation) -> Next:
        """Undoes what was done, the last thing first; one of which nothing is known was not begun."""
        operations, done = self.list_operations(), situation.undoes or {}
        begun = {name: memory for name in operations if (memory := read_phase(done, list(operations), name))}
        phases = [(name, _always(_undo(operations[name], begun[name]))) for name in reversed(begun)]
        return run_phases(situation, phases) if phases else Finished({"note": "nothing was done"})


class Items(Infrastructure):
    """Is about things that have names."""

    target: ClassVar[str]

    items: tuple[Item, ...] = Field(min_length=1, max_length=_MAX_ITEMS)
    """Their names."""

    def list_operations(self) -> dict[str, Operation]:
        """Returns one operation for each."""
        return {
            item: Operation(self.types, self.action, self.target, item=item, providers=self.providers)
            for item in self.items
        }


class Server(Items):
    """Makes, changes, checks or deletes servers."""

    target: ClassVar[str] = "server"


class Service(Items):
    """Makes Taskservs from their definitions, and waits until they are healthy; a job until it is complete."""

    target: ClassVar[str] = "taskserv"


class ConfigRef(ApiModel):
    """One key of a ConfigMap in the workflow's namespace."""

    config_map: ObjectName
    """The ConfigMap."""
    key: Annotated[str, StringConstraints(pattern="^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key."""


class Cluster(Infrastructure):
    """Makes, changes, checks or deletes a cluster; the one that the operator runs in is checked and adapted."""

    config: ConfigRef
    """The ConfigMap with its definition, and the key under which that stands."""
    provider: Word | None = None
    """The one Provider that may do it."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.provider and self.providers:
            raise ValueError("provider and providers exclude each other")
        return self

    def list_operations(self) -> dict[str, Operation]:
        """Returns the one operation."""
        providers = (self.provider,) if self.provider else self.providers
        return {
            "cluster": Operation(
                self.types,
                self.action,
                "cluster",
                config=self.config.config_map,
                key=self.config.key,
                providers=providers,
            )
        }


TASKS: Registry = {
    "provisioning.server": Server,
    "provisioning.taskserv": Service,
    "provisioning.cluster": Cluster,
}


def build_tasks(types: ProviderTypes) -> Registry:
    """Returns the tasks for which there are these provider types."""
    return {
        name: type(task.__name__, (task,), {"types": types, "__module__": __name__, "__doc__": task.__doc__})
        for name, task in TASKS.items()
    }


def _always(procedure: Procedure) -> Build:
    return lambda _: procedure


def _undo(operation: Operation, memory: Json) -> Procedure:
    return lambda situation: operation.undo(replace(situation, undoes=memory))
