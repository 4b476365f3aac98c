"""The Kubernetes API as a person uses it: within one namespace, under a field manager of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version

import aiohttp
from kubernetes.aio.client.configuration import Configuration

from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_client import APPLY_PATCH, MERGE_PATCH, KubernetesApi, Request
from vapora.adapters.kube_config import load_configuration
from vapora.adapters.kube_informer import KubeInformer
from vapora.adapters.kube_kinds import RESOURCES, object_path
from vapora.adapters.metrics import Metrics
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject, NotFound
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, text

FIELD_MANAGER = "vapora-cli"


class UserApi(KubernetesApi):
    """Lists and watches in one namespace (empty: all), and with a `name` that object only, so that few rights do."""

    def __init__(self, configuration: Configuration, *, namespace: str, name: str = "") -> None:
        self.metrics = Metrics(version("vapora-operator"))
        clock = SystemClock()
        super().__init__(
            configuration, clock, self.metrics, random.random, user_agent=FIELD_MANAGER, namespace=namespace
        )
        self._name = name

    async def submit(self, manifest: Manifest, *, is_dry_run: bool) -> JsonObject:
        """Creates an object, or only has the API server check it; raises AlreadyExists, or why it is refused."""
        kind = text(manifest, "kind")
        path = RESOURCES[kind].path(text(child(manifest, "metadata"), "namespace"))
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        query += [("dryRun", "All")] if is_dry_run else []
        return await self.send(Request("create", kind, "POST", path, tuple(query), body=manifest))

    async def preview(self, manifest: Manifest, manager: str) -> JsonObject:
        """Returns what applying an object would make of it, or raises Conflict with the fields that are another's."""
        kind, meta = text(manifest, "kind"), child(manifest, "metadata")
        path = RESOURCES[kind].path(text(meta, "namespace"), text(meta, "name"))
        query = (("fieldManager", manager), ("force", "false"), ("dryRun", "All"), ("fieldValidation", "Strict"))
        return await self.send(Request("patch", kind, "PATCH", path, query, body=manifest, content_type=APPLY_PATCH))

    async def annotate(self, key: Key, uid: str, annotations: Mapping[str, str], *, is_dry_run: bool) -> JsonObject:
        """Adds annotations to the object of this uid, or changes them; raises Conflict where another has its name."""
        body = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
        query = (("fieldManager", FIELD_MANAGER), *((("dryRun", "All"),) if is_dry_run else ()))
        request = Request("patch", key.kind, "PATCH", object_path(key), query, body=body, content_type=MERGE_PATCH)
        return await self.send(request)

    async def whoami(self) -> tuple[str, frozenset[str]]:
        """Returns the user's name and groups, as the API server knows them."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        info = child(await self.create(review), "status", "userInfo")
        groups = info.get("groups")
        return text(info, "username"), frozenset(groups) if isinstance(groups, list) else frozenset()

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        if self._name and request.verb in {"list", "watch"}:
            request = replace(request, query=(*request.query, ("fieldSelector", f"metadata.name={self._name}")))
        return await super()._send(request)


@asynccontextmanager
async def open_api(target: Target, *, namespace: str | None = None, name: str = "") -> AsyncIterator[UserApi]:
    """Connects to the target; `namespace` instead of the target's own, empty for all. Raises NoCluster."""
    configuration = await load_configuration(target.kubeconfig, target.context)
    api = UserApi(configuration, namespace=target.namespace if namespace is None else namespace, name=name)
    try:
        yield api
    finally:
        await api.close()


async def follow(target: Target, key: Key, see: Callable[[JsonObject], bool]) -> None:
    """Shows the object as it is to `see`, then each change, until `see` returns True; raises NotFound.

    It goes on through any loss of the connection, for as long as it takes.
    """
    async with open_api(target, namespace=key.namespace, name=key.name) as api:
        if see(await api.get(key)):
            return
        changes: asyncio.Queue[JsonObject | None] = asyncio.Queue()

        def note_listed(uids: frozenset[str], _: int) -> None:
            if not uids:
                changes.put_nowait(None)

        watching = KubeInformer(api, SystemClock(), api.metrics, random.random).watch(
            key.kind,
            "",
            on_object=lambda _, obj: changes.put_nowait(obj),
            on_deleted=lambda _: changes.put_nowait(None),
            on_listed=note_listed,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watching)
            changed = await changes.get()
            while changed is not None and not see(changed):
                changed = await changes.get()
            task.cancel()
        if changed is None:
            raise NotFound(f"the {key.kind} {key.name} was deleted", status=404)
