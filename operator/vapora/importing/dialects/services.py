"""Services as definition files write them, as Taskservs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from vapora.api.secrets import parse_secret_reference
from vapora.importing.dialects.draft import SERVICES, Draft
from vapora.importing.dialects.fields import Fields, describe
from vapora.importing.reading.places import Document, Path, Place, refuse

_TAG = re.compile(r"(?P<image>.+):(?P<version>v?\d+(?:\.\d+)*)(?P<rest>(?:[-+][\w.+-]*)?)")
_SECTIONS = ("taskserv", "deployment")  # of a TOML file, whose keys stand beside the other sections


def read_toml_service(document: Document) -> Draft:
    """Returns the Taskserv of a TOML file."""
    value: dict[str, object] = {key: entry for key, entry in document.value.items() if key not in _SECTIONS}
    places: dict[Path, Place] = dict(document.places)
    for section in _SECTIONS:
        inner = document.value.get(section, {})
        if not isinstance(inner, Mapping):
            raise refuse(document.place(section), f"{section} must be a table, found {describe(inner)}")
        for key, entry in inner.items():
            if key in value:
                raise refuse(document.place(section, key), f"{key} stands in the file twice, also elsewhere")
            value[key] = entry
            places[(key,)] = document.place(section, key)
    flat = Document(document.file, value, {**places, (): document.place("taskserv")})
    return read_service(Fields(flat, (), value, "taskserv"))


def read_service(fields: Fields, name: str = "") -> Draft:
    """Returns the Taskserv of one entry; `name` is the one it stands under."""
    own = fields.text("name") or name
    if not own:
        raise refuse(fields.place(), f"{fields.what} has no name")
    draft = Draft("Taskserv", own, fields.text("namespace") or SERVICES, fields.place())
    _read_image(fields, draft)
    _read_ports(fields, draft)
    _read_environment(fields, draft)
    for path, value, place in (*_read_scaling(fields), *_read_probe(fields), *_read_needs(fields)):
        draft.put(path, value, place)
    if (resources := fields.inner("resources")) is not None:
        for part, found in read_resources(resources).items():
            draft.put(("resources", part), found, fields.place("resources"))
            draft.copy_places(("resources",), fields.document, resources.path)
    if fields.has("storage") and not fields.has("type"):
        draft.put(("type",), "stateful", fields.place("storage"))
    for key, value, place in fields.rest():
        draft.put((key,), _rename_build(value) if key == "build" else value, place)
        draft.copy_places((key,), fields.document, (*fields.path, fields.key(key)))
    return draft


def _rename_build(build: object) -> object:
    if not isinstance(build, Mapping):
        return build
    return {"command" if key == "build_command" else key: value for key, value in build.items()}


def _read_image(fields: Fields, draft: Draft) -> None:
    """Reads image and version: a tag that begins with a version becomes `${version}`."""
    image, version = fields.need_text("image"), fields.text("version")
    split = _TAG.fullmatch(image)
    if split and version in {"", split["version"]}:
        version, image = split["version"], f"{split['image']}:${{version}}{split['rest']}"
        draft.put(("version",), version, fields.place("version" if fields.has("version") else "image"))
    elif version:
        draft.put(("version",), version, fields.place("version"))
    draft.put(("image",), image, fields.place("image"))


def _read_ports(fields: Fields, draft: Draft) -> None:
    port = fields.integer("port")
    if port is not None:
        draft.put(("ports", "http"), port, fields.place("port"))
    if (ports := fields.inner("ports")) is not None:
        for name, value, place in ports.rest():
            draft.put(("ports", ports.key(name)), value, place)


def _read_environment(fields: Fields, draft: Draft) -> None:
    for source in ("env", "environment", "secrets"):
        for name, value, place in _list_variables(fields, source):
            if source == "secrets" and isinstance(value, Mapping):
                draft.put(("secrets", name), value, place)
            else:
                draft.put(("environment", name), write_variable(value, place, is_secret=source == "secrets"), place)


def _list_variables(fields: Fields, source: str) -> Iterator[tuple[str, object, Place]]:
    """Yields variables of a map, or of a list of `{name, value}` and `{name, valueFrom}`."""
    if isinstance(fields.take(source), list):
        for entry in fields.each(source):
            value = entry.take("value", "value_from")
            if value is None:
                raise refuse(entry.place(), f"{entry.what} has neither value nor valueFrom")
            yield entry.need_text("name"), value, entry.place(entry.find("value", "value_from"))
            entry.refuse_rest()
    elif (named := fields.inner(source)) is not None:
        yield from ((named.key(name), value, place) for name, value, place in named.rest())


def write_variable(value: object, place: Place, *, is_secret: bool = False) -> str:
    """Returns a variable's value as text; a reference to a Secret is `secret:<name>:<key>`."""
    if isinstance(value, Mapping):
        reference = value.get("secretKeyRef", value.get("secret_key_ref"))
        if isinstance(reference, Mapping) and {"name", "key"} <= set(reference):
            value = f"secret:{reference['name']}:{reference['key']}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise refuse(place, f"a variable must be text or a number, found {describe(value)}")
    try:
        reference_found = parse_secret_reference(value)
    except ValueError as problem:
        raise refuse(place, str(problem)) from problem
    if is_secret and reference_found is None:
        raise refuse(place, "a secret must be secret:<name>:<key>; a value itself does not belong in a file")
    return value


def read_resources(fields: Fields) -> Mapping[str, object]:
    """Returns requests and limits; resources without either are both."""
    if not fields.has("requests") and not fields.has("limits"):
        both = {fields.key(name): value for name, value, _ in fields.rest()}
        return {"requests": both, "limits": both}
    found = {part: fields.take(part) for part in ("requests", "limits")}
    fields.refuse_rest()
    return {part: value for part, value in found.items() if value is not None}


def _read_scaling(fields: Fields) -> Iterator[tuple[Path, object, Place]]:
    scaling = fields.inner("scaling", "hpa")
    if scaling is None:
        return
    for target, names in (
        ("min", ("min_replicas", "min")),
        ("max", ("max_replicas", "max")),
        ("target_cpu_percent", ("target_cpu_percent", "target_cpu")),
        ("target_memory_percent", ("target_memory_percent", "target_memory")),
    ):
        value = scaling.integer(*names)
        if value is not None:
            yield ("scaling", target), value, scaling.place(scaling.find(*names))
    scaling.refuse_rest()


def _read_probe(fields: Fields) -> Iterator[tuple[Path, object, Place]]:
    probe = fields.inner("health_check")
    if probe is None:
        return
    for target, names in (
        ("path", ("path",)),
        ("tcp", ("tcp",)),
        ("grpc", ("grpc",)),
        ("port", ("port",)),
        ("command", ("command",)),
        ("interval", ("interval", "interval_secs")),
        ("timeout", ("timeout", "timeout_secs")),
        ("failure_threshold", ("failure_threshold", "retries")),
    ):
        value = probe.take(*names)
        if value is not None:
            written = shlex.split(value) if target == "command" and isinstance(value, str) else value
            yield ("health_check", target), written, probe.place(probe.find(*names))
    probe.refuse_rest()


def _read_needs(fields: Fields) -> Iterator[tuple[Path, object, Place]]:
    """Yields dependencies, conflicts and what a node must offer; memory and disk without a unit are Mi and Gi."""
    dependencies = list(_list_dependencies(fields))
    if dependencies:
        yield ("dependencies",), dependencies, fields.place(fields.find("dependencies", "requires"))
    conflicts = fields.texts("conflicts_with", "conflicts")
    if conflicts:
        yield ("conflicts_with",), conflicts, fields.place(fields.find("conflicts_with", "conflicts"))
    minimum = fields.inner("minimum_resources")
    if minimum is not None:
        for name, unit in (("cpu", ""), ("memory", "Mi"), ("disk", "Gi")):
            value = minimum.take(name)
            if value is not None:
                written = f"{value}{unit}" if unit and isinstance(value, int) else value
                yield ("minimum_resources", name), written, minimum.place(name)
        minimum.refuse_rest()


def _list_dependencies(fields: Fields) -> Iterator[Mapping[str, object]]:
    """Yields dependencies of a list of names or objects, or of lists of required and of optional names."""
    found = fields.take("dependencies", "requires")
    if isinstance(found, list):
        for entry in found:
            yield {"name": entry} if isinstance(entry, str) else entry
        return
    groups = fields.inner("dependencies", "requires")
    if groups is not None:
        for is_required, names in ((True, groups.texts("required")), (False, groups.texts("optional"))):
            yield from ({"name": name} if is_required else {"name": name, "required": False} for name in names)
        groups.refuse_rest()
