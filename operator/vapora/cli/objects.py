"""Our objects in a cluster as commands find, order and name them."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.kinds import API_VERSION, GROUP, KINDS, WORKFLOW, Kind
from vapora.cli.client import UserApi, open_api
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject, NotFound
from vapora.core.plan import Key
from vapora.core.views import child, text

LATEST = "@latest"
_KINDS = {kind.name: kind for kind in KINDS}


async def list_objects(
    target: Target, kind: Kind, selector: str = "", *, is_everywhere: bool = False
) -> list[JsonObject]:
    """Returns the objects of a kind, the oldest first; items of a list do not say their kind, so it is added."""
    async with open_api(target, namespace="" if is_everywhere else target.namespace) as api:
        found = [obj async for obj in api.list(kind.name, selector=selector)]
    head: JsonObject = {"apiVersion": API_VERSION, "kind": kind.name}
    return [{**head, **obj} for obj in sorted(found, key=_order)]


async def find_key(target: Target, name: str) -> Key:
    """Returns the key of a workflow, of the newest of the namespace for @latest; raises NotFound."""
    if name != LATEST:
        return Key(WORKFLOW.name, target.namespace, name)
    found = await list_objects(target, WORKFLOW)
    if not found:
        raise NotFound(f"there is no workflow in namespace {target.namespace}", status=404)
    return Key(WORKFLOW.name, target.namespace, text(child(found[-1], "metadata"), "name"))


async def get_named(api: UserApi, kind: Kind, namespace: str, name: str | None) -> list[JsonObject]:
    """Returns one object, or all of the namespace, the oldest first; raises NotFound."""
    if name:
        return [await api.get(Key(kind.name, namespace, name))]
    return sorted([obj async for obj in api.list(kind.name)], key=_order)


def name_object(obj: Mapping[str, object]) -> str:
    """Names an object as kubectl does."""
    return f"{_KINDS[text(obj, 'kind')].singular}.{GROUP}/{text(child(obj, 'metadata'), 'name')}"


def tell_place(target: Target, *, is_everywhere: bool = False) -> str:
    """Says where a command looks."""
    return "the cluster" if is_everywhere else f"namespace {target.namespace}"


def _order(obj: Mapping[str, object]) -> tuple[str, str, str]:
    meta = child(obj, "metadata")
    return text(meta, "creationTimestamp"), text(meta, "namespace"), text(meta, "name")
