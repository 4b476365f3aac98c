"""Workflows of the provisioning dialect, as Workflows of our API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePath

from vapora.api.kinds import API_VERSION
from vapora.api.steps import BODY_KINDS
from vapora.core.interpolation import references
from vapora.core.views import child, rows, text
from vapora.importing.dialects.draft import SERVICES, Draft
from vapora.importing.dialects.fields import Fields
from vapora.importing.dialects.names import name_outputs
from vapora.importing.dialects.params import TASKS, Files, Scene, read_params
from vapora.importing.reading.places import Document, Level, Path, Place, Remark, refuse

GROUP = "provisioning/"
DEADLINE = "1h"  # of an imported deployment
_STEP_WORDS = ("fail", "abort", "continue", "rollback")


def is_workflow(document: Document) -> bool:
    """Returns whether a document is a Workflow of the provisioning dialect."""
    version = document.value.get("apiVersion")
    return isinstance(version, str) and version.startswith(GROUP) and document.value.get("kind") == "Workflow"


@dataclass(slots=True)
class _Reading:
    """Is one workflow while it is read."""

    scene: Scene
    remarks: list[Remark] = field(default_factory=list)

    def say(self, place: Place, message: str, level: Level = "note") -> None:
        self.remarks.append(Remark(place, level, message))


@dataclass(frozen=True, slots=True)
class Compiled:
    """Is a workflow that was read, what was set right in it, and the names of params that it looked at."""

    draft: Draft
    remarks: list[Remark]
    used: set[str]


def read_workflow(document: Document, values: Mapping[str, object], files: Files) -> Compiled:
    """Returns the Workflow of a document, and what was set right in it; raises Refused for what has no one meaning."""
    top = Fields(document, (), document.value, "workflow")
    top.take("kind")
    version = top.text("api_version")
    metadata = top.inner("metadata") or Fields(document, ("metadata",), {}, "metadata")
    name, namespace = metadata.text("name"), metadata.text("namespace")
    metadata.refuse_rest()
    spec = top.inner("spec")
    if spec is None:
        raise refuse(top.place(), "the workflow has no spec")
    top.refuse_rest()
    stem = PurePath(document.file).stem.lower().replace("_", "-")
    origin = metadata.place("name") if name else top.place("kind")
    draft = Draft("Workflow", name or stem, namespace or SERVICES, origin)
    params = {**child(spec.document.value, "spec", "params"), **values}
    reading = _Reading(Scene(draft.name, draft.namespace, params, files))
    reading.say(top.place("api_version"), f"apiVersion {version} is no legal group; {API_VERSION} is meant")
    if not name:
        reading.say(draft.origin, f"it has no name; the file's is taken: {stem}")
    _read_spec(spec, draft, reading, values)
    used = reading.scene.used | child({"of": draft.spec.get("params")}, "of").keys()
    return Compiled(draft, [*reading.remarks, *reading.scene.remarks], used)


def _read_spec(spec: Fields, draft: Draft, reading: _Reading, values: Mapping[str, object]) -> None:
    steps = list(spec.each("steps"))
    if not steps:
        raise refuse(spec.place("steps"), "the workflow has no steps")
    own = spec.inner("params")
    reading.scene.read_producers(steps)
    read = [_read_step(step, reading, ("steps", index), draft) for index, step in enumerate(steps)]
    last = [_read_completion(step, reading, index, draft) for index, step in enumerate(spec.each("on_completion"))]
    used = _list_bare_names([read, last])
    given = {own.key(name): value for name, value, _ in own.rest()} if own else {}
    params = {**given, **{name: value for name, value in values.items() if name in used or name in given}}
    for name, place in reading.scene.list_unresolved(read, last, params):
        reading.say(place, f"${{{name}}} has no value: give it by --values, or by --param when it is run", "warning")
    if params:
        draft.put(("params",), params, spec.place("params"))
    if not spec.has("type") and not any(step.get("depends_on") for step in read):
        draft.put(("type",), "sequential", spec.place("steps"))
        reading.say(spec.place("steps"), "no step has depends_on: they run one after another, in their order")
    if not spec.has("deadline") and any(".deploy-" in text(child(step, "task"), "type") for step in read):
        draft.put(("deadline",), DEADLINE, spec.place("steps"))
    if spec.boolean("rollback_on_failure", default=False):
        draft.put(("on_failure",), "rollback", spec.place("rollback_on_failure"))
    for key, value, place in spec.rest():
        draft.put((key,), value, place)
        draft.copy_places((key,), spec.document, (*spec.path, spec.key(key)))
    draft.spec["steps"] = read
    if last:
        draft.spec["on_completion"] = last


def _list_bare_names(value: object) -> set[str]:
    return {name.removeprefix("params.") for name in references(value)}


def _read_step(step: Fields, reading: _Reading, path: Path, draft: Draft) -> dict[str, object]:
    name = step.need_text("name")
    read: dict[str, object] = {"name": name}
    if step.has("task") or not any(map(step.has, BODY_KINDS)):
        read["task"] = _read_task(step, reading.scene)
    when = step.text("when")
    if when:
        scene = reading.scene
        read["when"] = name_outputs(when, scene.producers, scene.params, step.place("when"))
        if read["when"] != when:
            reading.say(step.place("when"), f"{when} becomes {read['when']}")
    on_failure = step.word(_STEP_WORDS, "on_failure")
    if on_failure:
        read["on_failure"] = "fail" if on_failure == "abort" else on_failure
    if outputs := step.texts("outputs"):
        read["outputs"] = outputs
    read.update((key, value) for key, value, _ in step.rest())
    draft.places[path] = step.place()
    draft.copy_places(path, step.document, step.path)
    return read


def _read_task(step: Fields, scene: Scene) -> Mapping[str, object]:
    task = step.need_text("task")
    group = task.partition(".")[0]
    if task not in TASKS and any(known.startswith(f"{group}.") for known in TASKS):
        near = get_close_matches(task, TASKS, n=3) or sorted(known for known in TASKS if known.startswith(group))
        raise refuse(step.place("task"), f"no task is called {task!r}; near are {', '.join(near)}")
    params = read_params(task, step.inner("params"), scene, step.place("task"))
    return {"type": task, "params": params} if params else {"type": task}


def _read_completion(step: Fields, reading: _Reading, index: int, draft: Draft) -> dict[str, object]:
    on = step.word(("success", "failure", "always"), "run_on", "on")
    read = _read_step(step, reading, ("on_completion", index), draft)
    if not on:
        reading.say(step.place(), "on_completion is read as: after success")
    return {**read, "run_on": on or "success"}


def list_named(steps: Sequence[Mapping[str, object]], task: str, param: str) -> list[tuple[int, str]]:
    """Returns the names in a list param of steps of a task, with the step's number."""
    found: list[tuple[int, str]] = []
    for index, step in enumerate(steps):
        if text(child(step, "task"), "type") == task:
            names = child(step, "task", "params").get(param)
            found += [(index, name) for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return found


def list_steps(draft: Draft) -> list[Mapping[str, object]]:
    """Returns the steps of a workflow."""
    return rows(draft.spec, "steps")
