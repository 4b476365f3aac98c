"""The task `provisioning.run-migrations`: a Job applies files to a database, in order, once each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from vapora.api.base import ApiModel, Image, Line, ObjectName, RawObject
from vapora.core.calls import ListCall, Listing, ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.pods import PodParts
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.tasks.provisioning.installing.jobs import build_job, follow_job, has_job, start_job, stop_job
from vapora.core.tasks.provisioning.installing.targets import (
    DIALECTS,
    Access,
    Address,
    access_address,
    access_taskserv,
    find_dialect,
)
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Situation

Manifest = Mapping[str, object]
FOLDER = "/migrations"
_VOLUME = "migrations"
_RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
FileName = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]


class Files(ApiModel):
    """Files in a ConfigMap, in order."""

    config_map: ObjectName
    """The ConfigMap's name."""
    keys: tuple[FileName, ...] = Field(min_length=1, max_length=1000)
    """Its keys, in the order in which they are applied."""


def _tell_files(value: object) -> str:
    return "none" if isinstance(value, list | tuple) else "files"


def _tell_target(value: object) -> str:
    return "name" if isinstance(value, str) else "address"


NoFiles = Annotated[tuple[str, ...], Field(max_length=0)]
Target = Annotated[ObjectName, Tag("name")] | Annotated[Address, Tag("address")]


class RunMigrations(TaskType):
    """Applies migrations that are not recorded in the database; there is no way back."""

    sql_files: Annotated[Annotated[Files, Tag("files")] | Annotated[NoFiles, Tag("none")], Discriminator(_tell_files)]
    """The files, or an empty list."""
    target: Annotated[Target, Discriminator(_tell_target)] | None = None
    """The Taskserv of the database, or its address; without it the only Taskserv whose image is a known database."""
    namespace: Line = ""
    """The namespace within SurrealDB, of a Taskserv (default vapora)."""
    database: Line = ""
    """The database, of a Taskserv (default: SurrealDB's is vapora, PostgreSQL's what the service says)."""
    image: Image | None = None
    """The image of the Pod, instead of the operator's own."""
    pod_template: RawObject | None = None
    """Any further fields of the Pod, merged over what the operator makes."""

    def plan(self, situation: Situation) -> Next:
        """Looks for the files and the database, then makes and follows the Job."""
        if not isinstance(self.sql_files, Files):
            return Finished({"applied": [], "present": []})
        if has_job(situation):
            return self._keep(situation, follow_job(situation))
        if situation.memory.get("files") == "found":
            return Ask(ListCall((Listing(API_VERSION, "Taskserv", situation.namespace),)), {"files": "found"})
        return Ask(ReadCall(tuple(self._list_needed(situation.namespace, self.sql_files))))

    def observe(self, situation: Situation) -> Next:
        """Makes the Job once it is known what for."""
        answer, files = situation.answer, self.sql_files
        assert answer is not None  # noqa: S101  # observe is asked with an answer
        assert isinstance(files, Files)  # noqa: S101  # without files nothing is asked
        if has_job(situation):
            return self._keep(situation, follow_job(situation))
        if answer.is_failure:
            return fail_call(answer)
        found = answer.value if isinstance(answer.value, list) else []
        if situation.memory.get("files") == "found":
            return self._start(situation, _choose(found[0]))
        if problem := _find_missing(found[0], files):
            return fail("NotFound", problem)
        return self._find_target(situation, found)

    def compensate(self, situation: Situation) -> Next | None:
        """Stops a Job that may still run; what was applied stays, and is listed as not undone."""
        undoes = situation.undoes or {}
        if situation.answer is None and (stop := stop_job(situation)):
            return stop
        if situation.answer is not None and situation.answer.is_failure:
            return fail_call(situation.answer)
        if "job" not in undoes and not undoes.get("applied"):
            return Finished({"note": "no migration was applied"})
        return None

    def _list_needed(self, namespace: str, files: Files) -> Sequence[ObjectRef]:
        needed = [ObjectRef("v1", "ConfigMap", namespace, files.config_map)]
        if isinstance(self.target, str):
            needed.append(ObjectRef(API_VERSION, "Taskserv", namespace, self.target))
        return needed

    def _find_target(self, situation: Situation, found: Sequence[object]) -> Next:
        if isinstance(self.target, Address):
            return self._start(situation, access_address(self.target))
        if self.target is None:
            return self.plan(replace(situation, memory={"files": "found"}, answer=None))
        if not isinstance(found[1], Mapping):
            return fail("NotFound", f"params.target: Taskserv {self.target} is not there")
        return self._start(situation, found[1])

    def _start(self, situation: Situation, target: Manifest | Access | str) -> Next:
        if isinstance(target, Mapping):
            target = access_taskserv(target, situation.namespace, self.namespace, self.database)
        if isinstance(target, str):
            return fail("InvalidInput", f"params.target: {target}")
        assert isinstance(self.sql_files, Files)  # noqa: S101  # without files nothing is asked
        parts = PodParts(
            image=self.image or name_own_image(),
            command=("python", "-m", "vapora.migrate"),
            args=(FOLDER, *self.sql_files.keys),
            env=target.env,
            env_from=target.env_from,
            resources=_RESOURCES,
            volumes=[{"name": _VOLUME, "configMap": {"name": self.sql_files.config_map}}],
            volume_mounts=[{"name": _VOLUME, "mountPath": FOLDER, "readOnly": True}],
            pod_template=self.pod_template,
        )
        return start_job(situation, build_job(situation, parts))

    def _keep(self, situation: Situation, what: Next) -> Next:
        """Reads what was applied from the container's last words; where they are lost it may be all of it."""
        assert isinstance(self.sql_files, Files)  # noqa: S101  # without files there is no Job
        if isinstance(what, Failed) and "uid" in situation.memory:
            return replace(what, memory={**what.memory, "applied": list(self.sql_files.keys)})
        if not isinstance(what, Finished):
            return what
        words = _read_words(what.result)
        result = {"applied": words.get("applied", list(self.sql_files.keys)), "present": words.get("present", [])}
        return Finished(result, {"applied": result["applied"]})


@cache
def name_own_image() -> str:
    """Names the operator's image, which has the clients of all known databases."""
    return f"vapora/operator:{version('vapora-operator')}"


def _find_missing(found: object, files: Files) -> str:
    """Says which file is not there; without it the Pod would wait for it for ever."""
    where = f"params.sqlFiles: ConfigMap {files.config_map}"
    if not isinstance(found, Mapping):
        return f"{where} is not there"
    data = child(found, "data")
    missing = [key for key in files.keys if key not in data]
    return f"{where} has no key {', '.join(missing)}; it has {', '.join(sorted(data)) or 'none'}" if missing else ""


def _choose(listed: object) -> Manifest | str:
    """Returns the only Taskserv that is a database, or why there is none to choose."""
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    databases = [row for row in rows if find_dialect(row)]
    if len(databases) == 1:
        return databases[0]
    names = ", ".join(text(child(row, "metadata"), "name") for row in databases)
    if names:
        return f"{names} are databases; it must say which"
    known = ", ".join(dialect.name for dialect in DIALECTS)
    return f"no Taskserv here has the image of a known database ({known}); it must name one, or an address"


def _read_words(words: object) -> Mapping[str, object]:
    try:
        read = json.loads(str(words))
    except ValueError:
        return {}
    return read if isinstance(read, Mapping) else {}
