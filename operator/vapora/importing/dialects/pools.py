"""Agents as definition files write them, as AgentPools; roles that no file defines are presets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vapora.core.agentpool.presets import find_preset
from vapora.importing.dialects.draft import POOLS, Draft
from vapora.importing.dialects.fields import Fields
from vapora.importing.dialects.services import read_resources, write_variable
from vapora.importing.reading.places import Path, Place, refuse

_CONTAINER = ("image", "command", "args", "env_from", "pod_template")


def read_pool(fields: Fields, name: str = "") -> Draft:
    """Returns the AgentPool of one entry; `name` is the one it stands under."""
    own = fields.text("name") or name
    if not own:
        raise refuse(fields.place(), f"{fields.what} has no name")
    draft = Draft("AgentPool", own, fields.text("namespace") or POOLS, fields.place())
    role = fields.text("role", "role_id")
    draft.put(("role",), role or own, fields.place(fields.find("role", "role_id")) if role else fields.place())
    container = fields.inner("container", "template")
    if container is None:
        raise refuse(fields.place(), f"{fields.what} has no container")
    for path, value, place in (*_read_container(container), *_read_scaling(fields)):
        draft.put(path, value, place)
    for key, value, place in fields.rest():
        draft.put((key,), value, place)
        draft.copy_places((key,), fields.document, (*fields.path, fields.key(key)))
    return draft


def _read_container(container: Fields) -> Iterator[tuple[Path, object, Place]]:
    container.need_text("image")
    for name in _CONTAINER:
        value = container.take(name)
        if value is not None:
            yield ("template", name), value, container.place(name)
    resources = container.inner("resources")
    if resources is not None:
        yield ("template", "resources"), read_resources(resources), container.place("resources")
    env = container.inner("env", "environment")
    if env is not None:
        values = {env.key(name): write_variable(value, place) for name, value, place in env.rest()}
        yield ("template", "env"), values, container.place(container.find("env", "environment"))
    container.refuse_rest()


def _read_scaling(fields: Fields) -> Iterator[tuple[Path, object, Place]]:
    """Yields how the size follows the queue; a pool without `hpa` keeps its size."""
    hpa = fields.inner("hpa")
    if hpa is None:
        return
    yield ("scaling", "mode"), "queue", fields.place("hpa")
    for target, names in (
        ("min", ("min_replicas", "min")),
        ("max", ("max_replicas", "max")),
        ("scale_up_above", ("target_queue_depth", "scale_up_above")),
        ("scale_down_below", ("scale_down_below",)),
    ):
        value = hpa.integer(*names)
        if value is not None:
            yield ("scaling", target), value, hpa.place(hpa.find(*names))
    hpa.refuse_rest()


def build_preset(role: str, pools: Mapping[str, Draft], place: Place) -> Draft | None:
    """Returns the pool of a role that no file defines; None where there is no preset.

    Those that follow the developers have the resources that the files give these.
    """
    preset = find_preset(role)
    if preset is None:
        return None
    draft = Draft("AgentPool", preset.name, POOLS, place, dict(preset.spec))
    developer = pools.get("developer")
    template = developer.spec.get("template") if developer else None
    if preset.follows_developer and isinstance(template, Mapping) and "resources" in template:
        draft.put(("template",), {**_as_mapping(preset.spec["template"]), "resources": template["resources"]}, place)
    return draft


def _as_mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
