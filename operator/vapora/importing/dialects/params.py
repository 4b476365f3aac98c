"""The params of the dialect's tasks: files, presets, references and secrets in the form that the tasks take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vapora.api.secrets import parse_secret_reference
from vapora.core.interpolation import references
from vapora.importing.dialects.fields import Fields, describe
from vapora.importing.dialects.names import find_names
from vapora.importing.reading.places import Place, Remark, refuse
from vapora.importing.reading.yaml_file import ELLIPSIS

_ROLE = re.compile(r"\brole\s*=\s*'([^']*)'")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_BARE = re.compile(r"[A-Za-z_][\w-]*")
_OWN = {"item", "index"}
# The Secret that a definition's other secrets stand in, for an address that is written as a variable.
SECRETS = "vapora-secrets"


class Files(Protocol):
    """Reads files that a param names, and says how the task refers to them."""

    def refer_cluster(self, path: str, namespace: str, place: Place) -> Mapping[str, str]:
        """Compiles a cluster's definition."""
        ...

    def refer_texts(self, patterns: Sequence[str], workflow: str, namespace: str, place: Place) -> object:
        """Reads texts, in the order of the patterns and of their names."""
        ...


@dataclass(slots=True)
class Scene:
    """Is the workflow around a step: its params, who gives which output, and what was said about it."""

    workflow: str
    namespace: str
    params: Mapping[str, object]
    files: Files
    producers: dict[str, list[str]] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def read_producers(self, steps: Sequence[Fields]) -> None:
        """Notes which step gives which output, and which role a query is about."""
        for step in steps:
            name = step.text("name")
            for output in step.texts("outputs"):
                self.producers.setdefault(output, []).append(name)
            params = step.inner("params")
            query = params.take("query") if params else None
            if isinstance(query, str) and (role := _ROLE.search(query)):
                self.queries[name] = role[1]

    def note(self, value: object, place: Place) -> None:
        """Remembers where names are referred to."""
        for name in references(value):
            self.places.setdefault(name, place)

    def list_unresolved(
        self, steps: object, completion: object, params: Mapping[str, object]
    ) -> Iterator[tuple[str, Place]]:
        """Yields bare references that neither params nor outputs resolve."""
        for name in dict.fromkeys([*references(steps), *references(completion)]):
            if _BARE.fullmatch(name) and name not in {*params, *self.producers, *_OWN} and name in self.places:
                yield name, self.places[name]


Reader = Callable[[str, object, Scene, Place], object]


def read_params(task: str, fields: Fields | None, scene: Scene, place: Place) -> dict[str, object]:
    """Returns the params of a task; camelCase, as the task's own."""
    readers = TASKS.get(task, {})
    read: dict[str, object] = {}
    for name, value, where in fields.rest() if fields else ():
        read[_to_camel(name)] = readers[name](name, value, scene, where) if name in readers else value
        scene.note(read[_to_camel(name)], where)
    if task == "provisioning.evaluate":
        read.update(_bind_names(read.get("condition"), scene, place))
    return read


def _to_camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _read_config(name: str, value: object, scene: Scene, place: Place) -> object:
    if isinstance(value, str):
        return scene.files.refer_cluster(value, scene.namespace, place)
    raise refuse(place, f"{name} must be the name of a file, found {describe(value)}")


def _read_files(name: str, value: object, scene: Scene, place: Place) -> object:
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise refuse(place, f"{name} must be a list of file names, found {describe(value)}")
    return scene.files.refer_texts(patterns, scene.workflow, scene.namespace, place)


def _read_replicas(name: str, value: object, scene: Scene, place: Place) -> object:
    """Reads sizes by role; `...` says that the others keep their preset, which they do anyway."""
    if not isinstance(value, Mapping):
        raise refuse(place, f"{name} must be a mapping of roles to sizes, found {describe(value)}")
    if ELLIPSIS in value:
        scene.remarks.append(Remark(place, "note", f"{name}: ... says that the other roles keep their preset"))
    sizes = {role: size for role, size in value.items() if role != ELLIPSIS}
    for role, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise refuse(place, f"{name}.{role} must be a number from 0, found {describe(size)}")
    return sizes


def _read_secret(name: str, value: object, scene: Scene, place: Place) -> object:
    """Reads an address that is a secret: a reference, or a variable whose value names one."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str):
        raise refuse(place, f"{name} must be secret:<name>:<key>, found {describe(value)}")
    variable = _VARIABLE.fullmatch(value)
    if variable:
        scene.used.add(variable[1])
        given = scene.params.get(variable[1])
        key = variable[1].lower().replace("_", "-")
        if given is None:
            told = f"{value} is a secret: it is read from Secret {SECRETS}, key {key}"
            told += f"; --values {variable[1]}: secret:<name>:<key> says another"
            scene.remarks.append(Remark(place, "note", told))
            return {"name": SECRETS, "key": key}
        value = given
    try:
        reference = parse_secret_reference(value) if isinstance(value, str) else None
    except ValueError as problem:
        raise refuse(place, str(problem)) from problem
    if reference is None:
        raise refuse(place, f"{name} is a secret: allowed is secret:<name>:<key>, not the address itself")
    return {"name": reference.name, "key": reference.key}


def _bind_names(block: object, scene: Scene, place: Place) -> dict[str, object]:
    """Returns the outputs that a block of conditions looks at, and the role whose pool it is about."""
    names = find_names(block) if isinstance(block, str) else []
    values: dict[str, object] = {}
    role = ""
    for name in names:
        steps = scene.producers.get(name, ())
        if len(steps) > 1:
            raise refuse(place, f"{name} could be of step {' or '.join(steps)}; it must be the output of one")
        if steps and steps[0] in scene.queries:
            role = scene.queries[steps[0]]
        if steps and not _is_assigned(name, str(block)):
            values[name] = f"${{steps.{steps[0]}.outputs.{name}}}"
    return {**({"values": values} if values else {}), **({"role": role} if role else {})}


def _is_assigned(name: str, block: str) -> bool:
    return re.search(rf"^\s*{re.escape(name)}\s*=(?!=)", block, re.MULTILINE) is not None


TASKS: Mapping[str, Mapping[str, Reader]] = {
    "build.image": {},
    "notifications.email": {"password_secret": _read_secret},
    "notifications.slack": {"webhook": _read_secret},
    "notifications.webhook": {"secret": _read_secret},
    "provisioning.addon": {},
    "provisioning.cluster": {"config": _read_config},
    "provisioning.configure-ingress": {},
    "provisioning.deploy-agents": {"initial_replicas": _read_replicas},
    "provisioning.deploy-taskservs": {},
    "provisioning.evaluate": {},
    "provisioning.health-check": {},
    "provisioning.query": {},
    "provisioning.run-migrations": {"sql_files": _read_files},
    "provisioning.scale-taskserv": {},
    "provisioning.server": {},
    "provisioning.taskserv": {},
}
"""The tasks of the dialect by name, with the params that are not taken as they stand."""
