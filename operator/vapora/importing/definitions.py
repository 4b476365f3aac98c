"""What definition files define: services, pools, clusters, providers, workflows, told apart by their shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vapora.importing.dialects import batch, jobs
from vapora.importing.dialects.draft import Draft
from vapora.importing.dialects.fields import Fields, describe, to_snake
from vapora.importing.dialects.infrastructure import DEFAULT_PROVIDER, read_cluster, read_provider
from vapora.importing.dialects.pools import read_pool
from vapora.importing.dialects.services import read_service, read_toml_service
from vapora.importing.dialects.workflows import is_workflow
from vapora.importing.merge import merge_drafts
from vapora.importing.reading.files import Read
from vapora.importing.reading.places import Document, Level, Refused, Remark, refuse

PROVIDER_SCHEMA = "ProviderDependencies"
_SERVICES = {"services", "storage", "stores", "taskservs"}
_POOLS = {"agents", "pools"}
_CLUSTERS = {"cluster", "clusters"}


@dataclass(slots=True)
class Definitions:
    """Is what all files define; `batches` and `workflows` are compiled when the rest is known."""

    services: dict[tuple[str, str], Draft] = field(default_factory=dict)
    pools: dict[str, Draft] = field(default_factory=dict)
    clusters: dict[str, Draft] = field(default_factory=dict)
    providers: dict[str, Draft] = field(default_factory=dict)
    completed: dict[str, Fields] = field(default_factory=dict)
    batches: list[Fields] = field(default_factory=list)
    workflows: list[Read] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    _toml: list[Draft] = field(default_factory=list)

    def add(self, read: Read) -> None:
        """Adds what a document defines; an error in it stands among the remarks."""
        try:
            self._add(read)
        except Refused as problem:
            self.remarks += problem.remarks

    def merge(self) -> None:
        """Puts together what two files say of one service: a TOML file wins field by field."""
        for draft in self._toml:
            key = draft.namespace, draft.name
            base = self.services.get(key)
            if base is None:
                self.services[key] = draft
            else:
                self.services[key], remarks = merge_drafts(base, draft)
                self.remarks += remarks

    def _add(self, read: Read) -> None:
        document = read.document
        suffix = read.source.path.suffix
        if suffix == ".k":
            self._add_kcl(document)
        elif suffix == ".toml":
            self._add_toml(read)
        elif is_workflow(document):
            self.workflows.append(read)
        else:
            self._pass_over(read, f"kind {document.value.get('kind')} of {document.value.get('apiVersion')}")

    def _add_toml(self, read: Read) -> None:
        if not isinstance(read.document.value.get("taskserv"), Mapping):
            self._pass_over(read, "no [taskserv]")
            return
        draft = read_toml_service(read.document)
        twin = next((other for other in self._toml if other.where == draft.where), None)
        if twin is not None:
            raise refuse(draft.origin, f"{draft.name} is defined twice, also in {twin.origin}")
        self._toml.append(draft)

    def _pass_over(self, read: Read, found: str) -> None:
        """Refuses a file that was named; one found in a folder is only told of."""
        allowed = "a Workflow of provisioning/v1, a TOML file with [taskserv], or KCL"
        level: Level = "error" if read.source.is_named else "note"
        place = read.document.place("kind")
        self.remarks.append(Remark(place, level, f"not imported: found {found}; allowed is {allowed}"))

    def _add_kcl(self, document: Document) -> None:
        problems: list[Remark] = []
        for key, value in document.value.items():
            try:
                self._add_variable(document, key, value)
            except Refused as problem:
                problems += problem.remarks
        if problems:
            raise Refused(*problems)

    def _add_variable(self, document: Document, key: str, value: object) -> None:
        schema, name = document.defines.get(key, ""), to_snake(key)
        fields = (document, (key,), value, key)
        if schema == batch.SCHEMA or (isinstance(value, Mapping) and "operations" in value):
            self.batches.append(Fields(*fields))
        elif schema == PROVIDER_SCHEMA:
            owner = jobs.find_owner(document.file) or DEFAULT_PROVIDER
            draft = read_provider(Fields(*fields), owner)
            self._add_one(self.providers, draft)
            told = (
                f"a Provider {owner} of type {draft.spec['type']} is made of it; type and params are the user's to say"
            )
            self.remarks.append(Remark(draft.origin, "note", told))
        elif schema == jobs.SCHEMA:
            completed = Fields(*fields)
            self.completed[jobs.name_completed(completed)] = completed
        elif schema == "Cluster" or name in _CLUSTERS:
            for entry, _ in _list_entries(document, key, value, is_one="nodes"):
                self._add_one(self.clusters, read_cluster(entry))
        elif name in _SERVICES:
            self._add_services(document, key, value)
        elif name in _POOLS:
            for entry, own in _list_entries(document, key, value, is_one="role_id"):
                self._add_one(self.pools, read_pool(entry, own))
        elif isinstance(value, Mapping | list):
            known = ", ".join(sorted(_SERVICES | _POOLS | _CLUSTERS))
            told = f"{key} is not imported: nothing says what it is; known are {known}, and batch workflows"
            self.remarks.append(Remark(document.place(key), "warning", told))

    def _add_services(self, document: Document, key: str, value: object) -> None:
        for entry, own in _list_entries(document, key, value, is_one="image"):
            draft = read_service(entry, own)
            twin = self.services.get((draft.namespace, draft.name))
            if twin is not None:
                raise refuse(draft.origin, f"{draft.name} is defined twice, also in {twin.origin}")
            self.services[draft.namespace, draft.name] = draft

    @staticmethod
    def _add_one(known: dict[str, Draft], draft: Draft) -> None:
        if draft.name in known:
            raise refuse(draft.origin, f"{draft.name} is defined twice, also in {known[draft.name].origin}")
        known[draft.name] = draft


def _list_entries(document: Document, key: str, value: object, *, is_one: str) -> Iterator[tuple[Fields, str]]:
    """Yields entries of a list, of a map by name, or the one that a value is; with the name each stands under."""
    if isinstance(value, list):
        for index, entry in enumerate(value):
            yield Fields(document, (key, index), entry, f"{key}[{index}]"), ""
    elif isinstance(value, Mapping) and is_one in value:
        yield Fields(document, (key,), value, key), ""
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield Fields(document, (key, name), entry, f"{key}.{name}"), name
    else:
        raise refuse(document.place(key), f"{key} must be a list or a mapping of names, found {describe(value)}")
