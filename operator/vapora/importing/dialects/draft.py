"""An object of ours while it is put together from definition files: what it says, and where each part comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from vapora.api.base import ApiModel
from vapora.core.naming import API_VERSION
from vapora.core.supported import describe_detail
from vapora.importing.dialects.fields import to_snake
from vapora.importing.reading.places import Document, Path, Place, Refused, Remark

SERVICES = "vapora-system"
"""The namespace of services and workflows whose file names none."""
POOLS = "vapora-agents"
"""The namespace of pools whose file names none."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Is an object whose spec is still being written, by the names of the API or in snake case."""

    kind: str
    name: str
    namespace: str
    origin: Place
    spec: dict[str, object] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)

    def put(self, path: Path, value: object, place: Place) -> None:
        """Writes a value into the spec."""
        node = self.spec
        for part in path[:-1]:
            node = node.setdefault(str(part), {})  # type: ignore[assignment]  # only mappings are put on the way
        node[str(path[-1])] = value
        self.places[_normalise(path)] = place

    def copy_places(self, path: Path, document: Document, source: Path) -> None:
        """Remembers where the parts of a value stand that was put as it was found."""
        for found, place in document.places.items():
            if found[: len(source)] == source:
                self.places[_normalise((*path, *found[len(source) :]))] = place

    def place(self, path: Path) -> Place:
        """Returns where a part of the spec comes from."""
        normal = _normalise(path)
        while normal:
            if normal in self.places:
                return self.places[normal]
            normal = normal[:-1]
        return self.origin

    def build_spec(self, model: type[ApiModel]) -> Mapping[str, object]:
        """Returns the spec in the API's own form; raises Refused with the places of what does not fit."""
        try:
            read = model.model_validate(self.spec)
        except ValidationError as error:
            raise Refused(*self._explain(error, model)) from error
        return read.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def _explain(self, error: ValidationError, model: type[ApiModel]) -> Iterator[Remark]:
        for detail in error.errors(include_url=False, include_context=False):
            message = describe_detail(detail, f"{self.kind} {self.name}: spec", raw=self.spec, model=model)
            yield Remark(self.place(tuple(detail["loc"])), "error", message)

    @property
    def where(self) -> tuple[str, str, str]:
        """Returns what tells it from all others."""
        return self.kind, self.namespace, self.name


def _normalise(path: Path) -> Path:
    return tuple(to_snake(part) if isinstance(part, str) else part for part in path)


@dataclass(frozen=True, slots=True)
class Imported:
    """Is a finished object and the places that it was made from."""

    manifest: Mapping[str, object]
    sources: tuple[Place, ...]


def build_object(kind: str, namespace: str, name: str, spec: Mapping[str, object]) -> Mapping[str, object]:
    """Returns an object of ours."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
