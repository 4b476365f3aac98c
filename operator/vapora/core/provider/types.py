"""Provider types: what a Provider makes of a server or a cluster, as objects of the operator's own cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import ClassVar

from pydantic import ValidationError

from vapora.api.base import ApiModel, SecretRef
from vapora.core import naming
from vapora.core.supported import describe_validation

Manifest = Mapping[str, object]
TARGETS = ("server", "taskserv", "cluster")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Is one thing that a Provider is asked for; `definition` is a cluster's."""

    provider: str
    target: str
    item: str
    definition: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """Is what a Provider runs before its objects are written: an action on what is wanted, under a name of its own."""

    name: str
    action: str
    wanted: Wanted
    credentials: SecretRef | None = None


class ProviderProblem(ValueError):
    """Says why a Provider cannot be used; `reason` is a condition's or a step's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProviderType(ApiModel, ABC):
    """Is one type of Provider: a subclass is a type, its fields are `spec.params`."""

    is_own_cluster: ClassVar[bool] = False
    """Whether a cluster is the one that the operator runs in: checked and adapted, never made."""
    says_ready: ClassVar[bool] = False
    """Whether its objects have a controller, without whose conditions they are not ready."""
    shares: ClassVar[bool] = False
    """Whether it makes what `sharedResources` names."""
    takes_credentials: ClassVar[bool] = False
    """Whether it has a use for `credentials`."""

    @abstractmethod
    def build(self, wanted: Wanted) -> Manifest:
        """Builds the object that a server or a cluster is; raises ProviderProblem."""

    @abstractmethod
    def list_kinds(self) -> tuple[tuple[str, str], ...]:
        """Returns what its servers and clusters are, as apiVersion and kind: where its inventory is read."""

    def build_work(self, work: Work) -> Manifest | None:  # noqa: ARG002  # for those that run something
        """Builds the Job that does an action; None where the object alone does it."""
        return None

    def name_item(self, found: Manifest) -> tuple[str, str]:  # types may read it elsewhere
        """Returns the target and the name of an object of the inventory."""
        meta = found.get("metadata")
        meta = meta if isinstance(meta, Mapping) else {}
        labels = meta.get("labels")
        target = labels.get(naming.LABEL_TARGET) if isinstance(labels, Mapping) else None
        return str(target or "server"), str(meta.get("name") or "")


ProviderTypes = Mapping[str, type[ProviderType]]


def read_type(types: ProviderTypes, name: str, params: Mapping[str, object], root: str = "spec.params") -> ProviderType:
    """Returns the type with its params; raises ProviderProblem with the nearest names, or with the place."""
    found = types.get(name)
    if found is None:
        near = get_close_matches(name, sorted(types), n=3)
        hint = f"near are {', '.join(near)}" if near else f"there are {', '.join(sorted(types)) or 'none'}"
        raise ProviderProblem("UnknownProviderType", f"no provider type is called {name!r}; {hint}")
    try:
        return found.model_validate(params)
    except ValidationError as error:
        message = describe_validation(error, root, raw=params, model=found)
        raise ProviderProblem("InvalidSpec", message) from error


def build_metadata(wanted: Wanted, name: str) -> dict[str, object]:
    """Builds the metadata by which an object is known as the Provider's."""
    return {"name": name, "labels": {naming.LABEL_PROVIDER: wanted.provider, naming.LABEL_TARGET: wanted.target}}
