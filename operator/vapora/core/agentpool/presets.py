"""The roles that ship as data: what a pool is where nobody defined it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from vapora.core.views import child, number, text


@dataclass(frozen=True, slots=True)
class Preset:
    """Is the pool of one role; those that follow the developer have its resources, also where a file changes them."""

    name: str
    spec: Mapping[str, object]
    follows_developer: bool


@cache
def load_presets() -> Mapping[str, Preset]:
    """Reads the twelve presets, by name."""
    data = json.loads(files("vapora.core.agentpool").joinpath("presets.json").read_text("utf-8"))
    return {name: _build(name, child(data, "pools", name), data) for name in child(data, "pools")}


@cache
def load_aliases() -> Mapping[str, str]:
    """Reads other names of presets, to the name of the preset: role ids and synonyms."""
    data = json.loads(files("vapora.core.agentpool").joinpath("presets.json").read_text("utf-8"))
    roles = {text(preset.spec, "role"): name for name, preset in load_presets().items()}
    synonyms = {alias: text(child(data, "alias"), alias) for alias in child(data, "alias")}
    return {**{role: name for role, name in roles.items() if role != name}, **synonyms}


def find_preset(role: str) -> Preset | None:
    """Returns the preset of a name, a role id or a synonym."""
    presets = load_presets()
    return presets.get(role) or presets.get(load_aliases().get(role, ""))


def _build(name: str, own: Mapping[str, object], data: Mapping[str, object]) -> Preset:
    resources = child(own, "resources") or child(data, "resources")
    spec: dict[str, object] = {
        "role": text(own, "role") or name,
        "replicas": number(own, "replicas") or 1,
        "maxConcurrent": number(own, "maxConcurrent") or 1,
        "template": {
            "image": f"vapora/agents:{name}-{text(data, 'version')}",
            "resources": {"requests": resources, "limits": resources},
        },
    }
    if scaling := child(own, "scaling"):
        spec["scaling"] = scaling
    return Preset(name, spec, follows_developer=not own)
