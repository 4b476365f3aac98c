"""The Kubernetes API as a person uses it: within one namespace, under a field manager of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version

import aiohttp
from kubernetes.aio.client.configuration import Configuration

from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_client import APPLY_PATCH, MERGE_PATCH, KubernetesApi, Request
from vapora.adapters.kube_config import load_configuration
from vapora.adapters.kube_discovery import Discovery
from vapora.adapters.kube_informer import KubeInformer
from vapora.adapters.kube_kinds import RESOURCES, object_path
from vapora.adapters.metrics import Metrics
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject, NotFound
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, text

FIELD_MANAGER = "vapora-cli"
_LOG_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)  # a container may say nothing for hours


class UserApi(KubernetesApi):
    """Lists and watches in one namespace (empty: all), and with a `name` that object only, so that few rights do."""

    def __init__(self, configuration: Configuration, *, namespace: str, name: str = "") -> None:
        self.metrics = Metrics(version("vapora-operator"))
        clock = SystemClock()
        super().__init__(
            configuration, clock, self.metrics, random.random, user_agent=FIELD_MANAGER, namespace=namespace
        )
        self._name = name
        self._discovery = Discovery(self, SystemClock())

    async def submit(self, manifest: Manifest, *, is_dry_run: bool) -> JsonObject:
        """Creates an object, or only has the API server check it; raises AlreadyExists, or why it is refused."""
        kind = text(manifest, "kind")
        path = RESOURCES[kind].path(text(child(manifest, "metadata"), "namespace"))
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        query += [("dryRun", "All")] if is_dry_run else []
        return await self.send(Request("create", kind, "POST", path, tuple(query), body=manifest))

    async def get_like(self, manifest: Manifest) -> JsonObject:
        """Returns the object that a manifest of any kind names; raises NotFound."""
        return await self.send(Request("get", text(manifest, "kind"), "GET", await self._locate(manifest)))

    async def preview(self, manifest: Manifest, manager: str) -> JsonObject:
        """Returns what applying an object would make of it, or raises Conflict with the fields that are another's."""
        kind, path = text(manifest, "kind"), await self._locate(manifest)
        query = (("fieldManager", manager), ("force", "false"), ("dryRun", "All"), ("fieldValidation", "Strict"))
        return await self.send(Request("patch", kind, "PATCH", path, query, body=manifest, content_type=APPLY_PATCH))

    async def _locate(self, manifest: Manifest) -> str:
        """Finds the path of an object of any kind; raises NotFound where the cluster has no such kind."""
        kind, version, meta = text(manifest, "kind"), text(manifest, "apiVersion"), child(manifest, "metadata")
        known = RESOURCES.get(kind)
        resource = known if known and known.api_version == version else await self._discovery.find(version, kind)
        if resource is None:
            raise NotFound(
                f"the cluster has no kind {kind or '(none given)'} in {version or '(none given)'}", status=404
            )
        return resource.path(text(meta, "namespace"), text(meta, "name"))

    async def annotate(self, key: Key, uid: str, annotations: Mapping[str, str], *, is_dry_run: bool) -> JsonObject:
        """Adds annotations to the object of this uid, or changes them; raises Conflict where another has its name."""
        body = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
        return await self.change(key, body, is_dry_run=is_dry_run)

    async def whoami(self) -> tuple[str, frozenset[str]]:
        """Returns the user's name and groups, as the API server knows them."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        info = child(await self.create(review), "status", "userInfo")
        groups = info.get("groups")
        return text(info, "username"), frozenset(groups) if isinstance(groups, list) else frozenset()

    async def follow_log(
        self, key: Key, container: str, *, since: str, tail: int | None, is_followed: bool
    ) -> AsyncGenerator[str]:
        """Yields the lines of a container's log, each behind its time; from `since` on (RFC 3339), where that is given.

        Raises ApiError where the log cannot be had; a connection that ends, ends it.
        """
        query = [("container", container), ("timestamps", "true")]
        query += [("follow", "true")] if is_followed else []
        query += [("sinceTime", since)] if since else []
        query += [("tailLines", str(tail))] if tail is not None and not since else []
        path = object_path(key, "log")
        response = await self._send(Request("get", key.kind, "GET", path, tuple(query), timeout=_LOG_TIMEOUT))
        try:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError):
            return
        finally:
            response.close()

    async def change(self, key: Key, body: Manifest, *, subresource: str = "", is_dry_run: bool) -> JsonObject:
        """Merges `body` into an object or its subresource."""
        query = (("fieldManager", FIELD_MANAGER), *((("dryRun", "All"),) if is_dry_run else ()))
        path = object_path(key, subresource or None)
        return await self.send(Request("patch", key.kind, "PATCH", path, query, body=body, content_type=MERGE_PATCH))

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
