"""Services that are installed by a job: the definitions that come with us, and the schema that completes one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from vapora.core.views import child
from vapora.importing.dialects.draft import Draft
from vapora.importing.dialects.fields import Fields
from vapora.importing.dialects.services import read_service
from vapora.importing.reading.places import Document, Place, refuse

VERSION = "0.1.0"
SCHEMA = "TaskservDependencies"
_FILE = Path(__file__).parents[1] / "packages" / "jobs.json"
_FOLDERS = ("taskservs", "providers")  # <folder>/<name>/kcl/<file>


@cache
def load_jobs() -> Mapping[str, Mapping[str, object]]:
    """Reads the definitions that come with us, by name."""
    jobs: dict[str, Mapping[str, object]] = json.loads(_FILE.read_text("utf-8"))
    return jobs


def find_owner(file: str) -> str:
    """Returns the name of the service or provider whose folder a file stands in; empty for any other place."""
    parts = PurePosixPath(file).parts
    return next((parts[i + 1] for i, part in enumerate(parts[:-2]) if part in _FOLDERS), "")


def build_job(name: str, place: Place, completed: Fields | None = None) -> Draft | None:
    """Returns the definition of a job, completed by what a schema says of it; None where none is known."""
    known = child(load_jobs(), name)
    if not known and completed is None:
        return None
    value = {"name": name, "type": "job", "image": f"vapora/taskservs:{name}-{VERSION}", "version": VERSION, **known}
    if completed is not None:
        value = {**value, **completed.value}
        document = Document(completed.document.file, value, _lift(completed))
        return read_service(Fields(document, (), value, f"taskserv {name}"))
    return read_service(Fields(Document(place.file, value, {(): place}), (), value, f"taskserv {name}"))


def _lift(fields: Fields) -> dict[tuple[str | int, ...], Place]:
    """Returns the places of what stands below, as seen from there."""
    depth, places = len(fields.path), fields.document.places
    lifted = {path[depth:]: place for path, place in places.items() if path[:depth] == fields.path}
    return {(): fields.place(), **lifted}


def name_completed(fields: Fields) -> str:
    """Returns which job a schema completes: the one whose folder it stands in, else the only one that needs the same.

    Raises Refused where neither says.
    """
    if owner := find_owner(fields.document.file):
        return owner
    wanted = set(fields.texts("requires"))
    found = [name for name, job in load_jobs().items() if wanted and set(_list_texts(job, "requires")) == wanted]
    if len(found) != 1:
        raise refuse(fields.place(), "which taskserv this is about is not said: put it into taskservs/<name>/kcl/")
    return found[0]


def _list_texts(source: Mapping[str, object], key: str) -> list[str]:
    value = source.get(key)
    return [str(entry) for entry in value] if isinstance(value, list) else []
