"""An import as a whole: from files to objects, each with the places it was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vapora.api.cluster import ClusterDefinition
from vapora.api.kinds import KINDS
from vapora.api.taskserv import TaskservSpec
from vapora.core.catalog import build_cluster, build_entry
from vapora.core.supported import SpecProblem
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.definition import read_definition
from vapora.importing.definitions import Definitions
from vapora.importing.dialects.batch import Batch, read_batch
from vapora.importing.dialects.draft import SERVICES, Draft, Imported, build_object
from vapora.importing.dialects.jobs import build_job
from vapora.importing.dialects.pools import build_preset
from vapora.importing.dialects.workflows import list_named, list_steps, read_workflow
from vapora.importing.files import ParamFiles
from vapora.importing.reading.files import Readings, read_files
from vapora.importing.reading.places import Place, Refused, Remark, refuse
from vapora.importing.reading.sources import find_sources

_ORDER = ("Namespace", "Provider", "ConfigMap", "Taskserv", "AgentPool", "Workflow")
_KINDS = {kind.name: kind for kind in KINDS}
_STEP = re.compile(r"spec\.(steps|onCompletion)\[([^\]]+)\](?:\.(\w+))?")


@dataclass(frozen=True, slots=True)
class Options:
    """Says how to import: `is_catalog` writes services and pools as definitions that a run creates."""

    is_catalog: bool = False
    is_missing_allowed: bool = False
    values: Mapping[str, object] = field(default_factory=dict)
    is_completed: bool = True


@dataclass(frozen=True, slots=True)
class Bundle:
    """Is what was imported, in the order it is applied in, and all that was said about it.

    Without an error among the remarks every object is there; `drafts` and `workflows` are for those who look closer.
    """

    objects: tuple[Imported, ...]
    remarks: tuple[Remark, ...]
    definitions: Definitions
    workflows: tuple[Draft, ...]

    @property
    def errors(self) -> list[Remark]:
        """Returns what refuses the import."""
        return [remark for remark in self.remarks if remark.level == "error"]


def import_files(arguments: Sequence[Path], options: Options) -> Bundle:
    """Imports files and folders; what is wrong stands among the remarks. Raises Refused for what is not there."""
    return build_bundle(read_files(find_sources(arguments), is_completed=options.is_completed), options)


def build_bundle(readings: Readings, options: Options) -> Bundle:
    """Puts together what was read."""
    building = _Building(options, readings)
    building.run()
    objects = sorted(building.objects.values(), key=_order)
    unused = sorted(options.values.keys() - building.used)
    remarks = [*building.remarks, *building.definitions.remarks]
    remarks += [Remark(Place("--values"), "warning", f"no workflow has a param {name}") for name in unused]
    return Bundle(tuple(objects), tuple(sorted(set(remarks))), building.definitions, tuple(building.workflows))


def _order(imported: Imported) -> tuple[int, str, str]:
    meta = child(imported.manifest, "metadata")
    return _ORDER.index(text(imported.manifest, "kind")), text(meta, "namespace"), text(meta, "name")


def _put_names_first(spec: Mapping[str, object]) -> Mapping[str, object]:
    """Returns a workflow's spec with the name of each step before the rest of it, as a person writes it."""
    lists = {key: [{"name": row.get("name"), **row} for row in rows(spec, key)] for key in ("steps", "onCompletion")}
    return {**spec, **{key: found for key, found in lists.items() if found}}


class _Building:
    """Makes objects step by step: what is defined, then what names it."""

    def __init__(self, options: Options, readings: Readings) -> None:
        self.options = options
        self.readings = readings
        self.remarks = list(readings.remarks)
        self.definitions = Definitions()
        self.workflows: list[Draft] = []
        self.objects: dict[tuple[str, str, str], Imported] = {}
        self.used: set[str] = set()
        self._clusters: dict[str, Mapping[str, str]] = {}

    def run(self) -> None:
        """Makes all objects that can be made."""
        for read in self.readings.documents:
            self.definitions.add(read)
        self.definitions.merge()
        self._build_clusters()
        for draft in self.definitions.providers.values():
            self._build(draft)
        self._build_workflows()
        self._build_batches()
        self._add_presets()
        for draft in (*self.definitions.services.values(), *self.definitions.pools.values()):
            self._build(draft, is_defined=True)
        self._add_namespaces()

    def _build_clusters(self) -> None:
        for draft in self.definitions.clusters.values():
            spec = draft.build_spec(ClusterDefinition)
            manifest, self._clusters[draft.name] = build_cluster(spec, draft.namespace)
            self._put(Imported(manifest, (draft.origin,)))

    def _build(self, draft: Draft, *, is_defined: bool = False) -> None:
        try:
            self._check_name(draft)
            spec = draft.build_spec(_KINDS[draft.kind].spec_model)
            if draft.kind == "Workflow":
                self._check_workflow(draft, spec)
        except Refused as problem:
            self.remarks += problem.remarks
            return
        if draft.kind == "Workflow":
            spec = _put_names_first(spec)
        manifest = build_object(draft.kind, draft.namespace, draft.name, spec)
        sources = tuple(dict.fromkeys([draft.origin, *self._list_files(draft)]))
        self._put(
            Imported(build_entry(manifest, SERVICES) if is_defined and self.options.is_catalog else manifest, sources)
        )

    @staticmethod
    def _check_name(draft: Draft) -> None:
        kind = _KINDS[draft.kind]
        if len(draft.name) > kind.name_max or not re.fullmatch(kind.name_pattern, draft.name):
            allowed = f"allowed are at most {kind.name_max} characters of {kind.name_pattern}"
            raise refuse(draft.origin, f"{draft.name!r} is no name of a {draft.kind}: {allowed}")

    @staticmethod
    def _list_files(draft: Draft) -> Iterator[Place]:
        """Yields the first place of each other file that an object was made from."""
        first: dict[str, Place] = {}
        for place in draft.places.values():
            first[place.file] = min(place, first.get(place.file, place))
        yield from (place for file, place in sorted(first.items()) if file != draft.origin.file)

    def _check_workflow(self, draft: Draft, spec: Mapping[str, object]) -> None:
        """Raises Refused, with the place of the step, for what the operator would refuse too."""
        problem = read_definition(spec)
        if not isinstance(problem, SpecProblem):
            return
        place = draft.origin
        if found := _STEP.search(problem.message):
            key = "steps" if found[1] == "steps" else "on_completion"
            names = [row.get("name") for row in rows(draft.spec, key)]
            if found[2] in names:
                inside = (found[3],) if found[3] else ()
                place = draft.place((key, names.index(found[2]), *inside))
        raise Refused(Remark(place, "error", problem.message))

    def _build_workflows(self) -> None:
        for read in self.definitions.workflows:
            files = ParamFiles(read.source, self.options.is_missing_allowed)
            try:
                compiled = read_workflow(read.document, self.options.values, files)
            except Refused as problem:
                self.remarks += problem.remarks
                continue
            self.remarks += [*compiled.remarks, *files.remarks]
            for imported in files.objects.values():
                self._put(imported)
            self.used |= compiled.used
            self.workflows.append(compiled.draft)
            self._build(compiled.draft)

    def _build_batches(self) -> None:
        sizes = {
            name: number(child(draft.spec, "limits"), "batch_size") or 5
            for name, draft in self.definitions.providers.items()
        }
        for fields in self.definitions.batches:
            try:
                batch = read_batch(fields, sizes, self._clusters)
            except Refused as problem:
                self.remarks += problem.remarks
                continue
            self.remarks += batch.remarks
            self.workflows.append(batch.draft)
            self._build(batch.draft)
            self._add_jobs(batch)

    def _add_jobs(self, batch: Batch) -> None:
        """Adds to the catalogue the services that a batch installs: it creates them, so they are never applied."""
        known = {name for _, name in self.definitions.services}
        for name, place in batch.list_items("taskserv"):
            if name in known:
                continue
            try:
                self._add_job(name, place)
            except Refused as problem:
                self.remarks += problem.remarks

    def _add_job(self, name: str, place: Place) -> None:
        draft = build_job(name, place, self.definitions.completed.get(name))
        if draft is None:
            told = f"no imported file defines the taskserv {name}, nor is one shipped"
            self.remarks.append(Remark(place, "warning", told))
            return
        spec = dict(draft.build_spec(TaskservSpec))
        if spec.pop("healthCheck", None):
            told = f"the health check of taskserv {name} does not apply: a job is healthy once it is complete"
            self.remarks.append(Remark(draft.origin, "note", told))
        manifest = build_object("Taskserv", SERVICES, name, spec)
        self._put(Imported(build_entry(manifest, SERVICES), (draft.origin,)))

    def _add_presets(self) -> None:
        """Adds a preset for each role that a step deploys and no file defines."""
        pools = self.definitions.pools
        for draft in self.workflows:
            for index, role in list_named(list_steps(draft), "provisioning.deploy-agents", "agents"):
                place = draft.place(("steps", index, "params", "agents"))
                preset = None if role in pools else build_preset(role, pools, place)
                if preset is not None and preset.name not in pools:
                    pools[preset.name] = preset

    def _add_namespaces(self) -> None:
        """Adds the Namespaces of all objects, also of those that a run creates later."""
        wanted: dict[str, Place] = {}
        drafts = [*self.definitions.services.values(), *self.definitions.pools.values()]
        for namespace, place in (
            *((draft.namespace, draft.origin) for draft in drafts),
            *((namespace, item.sources[0]) for (_, namespace, _), item in self.objects.items()),
        ):
            wanted[namespace] = min(place, wanted.get(namespace, place))
        for namespace, place in wanted.items():
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            self._put(Imported(manifest, (place,)))

    def _put(self, imported: Imported) -> None:
        meta = child(imported.manifest, "metadata")
        key = text(imported.manifest, "kind"), text(meta, "namespace"), text(meta, "name")
        twin = self.objects.get(key)
        if twin is not None and twin.manifest != imported.manifest:
            told = f"{key[0]} {key[2]} is defined twice, also in {twin.sources[0]}"
            self.remarks.append(Remark(imported.sources[0], "error", told))
        else:
            self.objects[key] = twin or imported
