"""What an import would change in the cluster: the API server's own answer to a dry run, against what is there."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import typer

from vapora.adapters.kube_config import NoCluster
from vapora.cli.client import UserApi, open_api
from vapora.cli.exits import Exit
from vapora.cli.show.progress import show_progress
from vapora.cli.target import Target
from vapora.controller.ports import ApiError, Conflict, NotFound
from vapora.core.plan import Key, Manifest
from vapora.core.procedures.ownership import find_claimant, find_tracker, read_fields
from vapora.core.views import child, text
from vapora.importing.printing import dump

IMPORTER = "vapora-import"
"""The field manager under which imports are applied."""
_SERVERS_OWN = {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}


@dataclass(frozen=True, slots=True)
class Change:
    """Is one object: what is there, and what an import would make of it; or why it must not."""

    key: Key
    before: Manifest | None
    after: Manifest
    refusal: str = ""


def show_differences(target: Target, manifests: Sequence[Manifest]) -> Exit:
    """Prints what would change; where an object is somebody else's, only that, and nothing would be applied."""
    try:
        changes = asyncio.run(_find_changes(target, manifests))
    except (ApiError, NoCluster) as problem:
        typer.echo(f"vapora: {problem}", err=True)
        return Exit.USAGE if isinstance(problem, NoCluster) else Exit.REFUSED
    refused = [change for change in changes if change.refusal]
    for change in refused:
        typer.echo(f"{_name(change.key)}: error: {change.refusal}", err=True)
    if refused:
        typer.echo("vapora: nothing would be applied", err=True)
        return Exit.REFUSED
    typer.echo("".join(map(write_change, changes)) or "Nothing would change.\n", nl=False)
    return Exit.DONE


async def _find_changes(target: Target, manifests: Sequence[Manifest]) -> list[Change]:
    new = {text(child(manifest, "metadata"), "name") for manifest in manifests if manifest.get("kind") == "Namespace"}
    async with open_api(target) as api:
        return [
            await find_change(api, manifest, IMPORTER, find_owner, new)
            for manifest in show_progress(manifests, "Comparing with the cluster")
        ]


async def find_change(
    api: UserApi,
    manifest: Manifest,
    manager: str,
    find_objection: Callable[[Manifest], str],
    new_namespaces: Collection[str] = (),
) -> Change:
    """Returns what applying an object of any kind as a field manager would change, or why it must not.

    `find_objection` says whether an object that is there is somebody else's; `new_namespaces` would be made first.
    """
    meta = child(manifest, "metadata")
    key = Key(text(manifest, "kind"), text(meta, "namespace"), text(meta, "name"))
    try:
        before = await api.get_like(manifest)
    except NotFound:
        before = None
    if before is not None and (objection := find_objection(before)):
        return Change(key, before, manifest, objection)
    try:
        after = await api.preview(manifest, manager)
    except Conflict as problem:
        return Change(key, before, manifest, f"{problem}; its fields are not taken over")
    except NotFound:
        if key.namespace not in new_namespaces:
            raise
        after = dict(manifest)  # its namespace would be made first
    return Change(key, before, after)


def find_owner(found: Manifest) -> str:
    """Says whose an object is that is not the importer's; empty where it may be applied.

    A Namespace is nobody's own: the import only makes it where it is missing.
    """
    if found.get("kind") == "Namespace":
        return ""
    if tracker := find_tracker(found):
        return f"it is tracked by {tracker}: change it there"
    claimant = find_claimant(found, IMPORTER)
    if claimant and not read_fields(found, IMPORTER):
        return f"it is {claimant}'s, not an import's; imports are applied by --server-side --field-manager {IMPORTER}"
    return ""


def write_change(change: Change) -> str:
    """Returns a change as a unified diff of YAML; empty where there is none."""
    before = _write(change.before) if change.before is not None else ""
    after = _write(change.after)
    names = (f"cluster/{_name(change.key)}", f"import/{_name(change.key)}")
    lines = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), *names)
    return "".join(lines)


def _write(manifest: Manifest) -> str:
    meta = {name: value for name, value in child(manifest, "metadata").items() if name not in _SERVERS_OWN}
    kept: Mapping[str, object] = {name: value for name, value in manifest.items() if name != "status"}
    return dump(_sort({**kept, "metadata": meta}))


def _sort(value: Mapping[str, object]) -> dict[str, object]:
    """Returns a mapping in the order of its names, as the API server returns it."""
    return {name: _sort(inner) if isinstance(inner := value[name], Mapping) else inner for name in sorted(value)}


def _name(key: Key) -> str:
    return "/".join(filter(None, (key.kind, key.namespace, key.name)))
