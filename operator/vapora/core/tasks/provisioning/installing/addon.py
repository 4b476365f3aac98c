"""The task `provisioning.addon`: installs add-ons by whatever the cluster has for it, and waits until they are well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from vapora.api.base import ObjectName
from vapora.core.calls import Answer, ObjectRef, ReadCall
from vapora.core.catalog import name_entry
from vapora.core.procedures.answers import fail, fail_call, name_object
from vapora.core.procedures.apply import apply
from vapora.core.procedures.readiness import Broken, NotYet, judge_readiness
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.tasks.provisioning.installing.addons import (
    KIND,
    Addon,
    Installer,
    build_objects,
    find_marker,
    load_addons,
    read_definition,
)
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation

PAUSE = 5.0  # seconds between two looks at what is there already
# What the memory has beside that of `apply`.
_FOUND, _ASKED, _INSTALLER, _MANIFESTS, _HOW = "addons", "asked", "installer", "manifests", "how"
_PRESENT = "present"  # what was asked for last, after the installers by their names


class NamedAddon(Addon):
    """An add-on that is defined where it is asked for."""

    name: ObjectName
    """Its name."""


def _tell_entry(value: object) -> str:
    return "name" if isinstance(value, str) else "definition"


Named = Annotated[ObjectName, Tag("name")] | Annotated[NamedAddon, Tag("definition")]
Entry = Annotated[Named, Discriminator(_tell_entry)]


class InstallAddons(TaskType):
    """Installs add-ons; undone, what was made for them is deleted."""

    addons: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=50)]
    """Names of the catalogue, or whole definitions."""

    def plan(self, situation: Situation) -> Next:
        """Looks for the definitions, then for an installer, then applies."""
        memory = situation.memory
        if _MANIFESTS in memory:
            return _apply(situation)
        if _FOUND in memory:
            return _ask(situation, text(memory, _ASKED))
        refs = [ObjectRef("v1", "ConfigMap", situation.namespace, name_entry(KIND, name)) for name in self._names()]
        return Ask(ReadCall(tuple(refs)), memory) if refs else self._begin(situation, {})

    def observe(self, situation: Situation) -> Next:
        """Decides by what was found."""
        memory, answer = situation.memory, situation.answer
        assert answer is not None  # noqa: S101  # observe is asked with an answer
        if _MANIFESTS in memory:
            return _apply(situation)
        asked = text(memory, _ASKED)
        if answer.is_failure and (answer.reason != "NotFound" or not asked):
            return fail_call(answer, _keep_inventory(memory))
        if asked == _PRESENT:
            return _judge_present(situation, answer)
        if asked:
            return _note_installer(situation, Installer[asked], is_there=not answer.is_failure)
        found = answer.value if isinstance(answer.value, list) else []
        return self._begin(situation, dict(zip(self._names(), found, strict=True)))

    def compensate(self, situation: Situation) -> Next:
        """Deletes what was made, and gives back what was changed."""
        return undo_apply(situation)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(addon for addon in self.addons if isinstance(addon, str)))

    def _begin(self, situation: Situation, found: Mapping[str, object]) -> Next:
        """Reads the definitions, and looks for an installer where one has charts."""
        known: dict[str, Addon] = {}
        for entry in self.addons:
            name = entry if isinstance(entry, str) else entry.name
            addon = _find_addon(name, found.get(name)) if isinstance(entry, str) else entry
            if isinstance(addon, Failed):
                return replace(addon, memory=_keep_inventory(situation.memory))
            known[name] = addon
        definitions = {
            name: addon.model_dump(by_alias=True, exclude_none=True, exclude={"name"}) for name, addon in known.items()
        }
        memory = {**_keep_inventory(situation.memory), _FOUND: definitions}
        situation = replace(situation, memory=memory)
        if any(addon.charts for addon in known.values()):
            return _ask(situation, Installer.ARGO.name)
        return _go_on(situation)


def _ask(situation: Situation, what: str) -> Next:
    """Looks at an object of an installer, or at what tells that add-ons are there."""
    addons, memory = _read_addons(situation), {**situation.memory, _ASKED: what}
    if what == _PRESENT:
        expected = _split(addons, _read_installer(memory))[1].values()
        return Ask(ReadCall(tuple(ref for addon in expected for ref in _list_health(addon))), memory)
    with_chart = next(addon for addon in addons.values() if addon.charts)
    return Ask(ReadCall((find_marker(Installer[what], with_chart, situation.namespace),)), memory)


def _note_installer(situation: Situation, installer: Installer, *, is_there: bool) -> Next:
    """Goes on with the installer, or looks for the next one."""
    if is_there:
        return _go_on(replace(situation, memory={**situation.memory, _INSTALLER: installer.name}))
    following = list(Installer)[list(Installer).index(installer) + 1 :]
    return _ask(situation, following[0].name) if following else _go_on(situation)


def _go_on(situation: Situation) -> Next:
    """Looks whether what nobody can install is there, then installs the others."""
    expected = _split(_read_addons(situation), _read_installer(situation.memory))[1]
    for name, addon in expected.items():
        if not addon.health:
            return fail("NoInstaller", _explain(name, addon, ""), _keep_inventory(situation.memory))
    return _ask(situation, _PRESENT) if expected else _install(situation)


def _judge_present(situation: Situation, answer: Answer) -> Next:
    """Goes on where every add-on that cannot be installed is there and well."""
    expected = _split(_read_addons(situation), _read_installer(situation.memory))[1]
    found = iter(answer.value if isinstance(answer.value, list) else [])
    waits: list[str] = []
    for name, addon in expected.items():
        for ref in _list_health(addon):
            live = next(found, None)
            if not isinstance(live, Mapping):
                missing = answer.message or f"{name_object(ref)} is not there"
                return fail("NoInstaller", _explain(name, addon, missing), _keep_inventory(situation.memory))
            readiness = judge_readiness(live)
            if isinstance(readiness, NotYet | Broken):
                waits.append(f"{name_object(ref)} of {name} ({readiness.why})")
    if waits:
        return Rest(situation.now + timedelta(seconds=PAUSE), f"waits for {', '.join(waits[:3])}", situation.memory)
    return _install(situation)


def _install(situation: Situation) -> Next:
    addons, installer = _read_addons(situation), _read_installer(situation.memory)
    applied, expected = _split(addons, installer)
    manifests = [
        manifest
        for name, addon in applied.items()
        for manifest in build_objects(installer, name, addon, situation.namespace)
    ]
    how = {name: "present" if name in expected else _name_way(installer, addon) for name, addon in addons.items()}
    if not manifests:
        return Finished({"addons": how, "objects": []}, _keep_inventory(situation.memory))
    memory = {**_keep_inventory(situation.memory), _MANIFESTS: manifests, _HOW: how}
    return _apply(replace(situation, memory=memory, answer=None))


def _apply(situation: Situation) -> Next:
    """Goes on with the procedure `apply`, keeping in mind beside its memory what is applied."""
    own = {name: situation.memory[name] for name in (_MANIFESTS, _HOW)}
    inner = {name: value for name, value in situation.memory.items() if name not in own}
    what = apply(replace(situation, body={"manifests": own[_MANIFESTS]}, memory=inner))
    if isinstance(what, Ask | Rest):
        return replace(what, memory={**what.memory, **own})
    if isinstance(what, Finished):
        return replace(what, result={"addons": own[_HOW], **(what.result if isinstance(what.result, Mapping) else {})})
    return what


def _find_addon(name: str, found: object) -> Addon | Failed:
    if isinstance(found, Mapping):
        addon = read_definition(name, found)
        return fail("InvalidInput", f"add-on {name}: {addon}") if isinstance(addon, str) else addon
    shipped = load_addons().get(name)
    return shipped or fail("UnknownAddon", _explain_unknown(name, load_addons()))


def _explain_unknown(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    nearest = get_close_matches(name, names, n=3)
    others = f"near are {', '.join(nearest)}" if nearest else f"there are {', '.join(names)}"
    return f"no add-on is called {name!r}; {others}, and those of ConfigMaps {name_entry(KIND, '<name>')}"


def _explain(name: str, addon: Addon, missing: str) -> str:
    needed = "the cluster has neither Argo CD nor Flux to install its chart" if addon.charts else "it has to be there"
    told = f"{name}: {needed}" + (f", and {missing}" if missing else "")
    return f"{told}; manifests in ConfigMap {name_entry(KIND, name)} would be applied"


def _name_way(installer: Installer | None, addon: Addon) -> str:
    return installer.value[1] if installer and addon.charts else "manifests"


def _read_addons(situation: Situation) -> Mapping[str, Addon]:
    return {name: Addon.model_validate(addon) for name, addon in child(situation.memory, _FOUND).items()}


def _split(addons: Mapping[str, Addon], installer: Installer | None) -> tuple[Mapping[str, Addon], Mapping[str, Addon]]:
    """Returns the add-ons that can be installed, and those that have to be there."""
    applied = {name: addon for name, addon in addons.items() if addon.manifests or (installer and addon.charts)}
    return applied, {name: addon for name, addon in addons.items() if name not in applied}


def _read_installer(memory: Json) -> Installer | None:
    name = text(memory, _INSTALLER)
    return Installer[name] if name else None


def _list_health(addon: Addon) -> list[ObjectRef]:
    return [ObjectRef(ref.api_version, ref.kind, ref.namespace or "", ref.name) for ref in addon.health]


def _keep_inventory(memory: Json) -> Json:
    return {"inventory": memory["inventory"]} if "inventory" in memory else {}
