"""The Kubernetes API as plain JSON, over the official asynchronous client."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from vapora.adapters.kube_kinds import RESOURCES, object_path
from vapora.controller.ports import AlreadyExists, ApiError, Clock, Conflict, Gone, JsonObject, Meter, NotFound
from vapora.core.naming import API_VERSION, FIELD_MANAGER
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, number, text

PAGE = 500
TRIES = 4
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)
WATCH_SECONDS = 290
# The server sends a bookmark about once a minute, so a longer silence is a connection that died without a word.
WATCH_SILENCE = 100.0
_MAX_RETRY_AFTER = 10.0
_MAX_LOG = 2**20  # bytes of a log that is read
_JSON = "application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """Is one request; `verb` is named as roles name it."""

    verb: str
    kind: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Manifest | None = None
    accept: str = _JSON
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()
    timeout: aiohttp.ClientTimeout = _TIMEOUT


@dataclass(frozen=True, slots=True)
class Page:
    """Is one page of a list, and the version of the whole list."""

    items: list[JsonObject]
    version: str


def build_error(status: int, payload: bytes, retry_after: str | None) -> ApiError:
    """Reads the API server's refusal."""
    try:
        answer = json.loads(payload)
    except ValueError:
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    reason = text(answer, "reason")
    message = text(answer, "message") or payload[:200].decode(errors="replace") or f"status {status}"
    error = {404: NotFound, 409: AlreadyExists if reason == "AlreadyExists" else Conflict, 410: Gone}.get(
        status, ApiError
    )
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    return error(message, status=status, reason=reason, retry_after=seconds)


class KubernetesApi:
    """Is KubeApi over one pooled client; a call is tried a few times where the server is busy or out of reach.

    Where it is bound to a namespace, it lists and watches there and not in the whole cluster.
    """

    def __init__(
        self,
        configuration: Configuration,
        clock: Clock,
        meter: Meter,
        jitter: Callable[[], float],
        *,
        tries: int = TRIES,
        watch_silence: float = WATCH_SILENCE,
        user_agent: str = "vapora-operator",
        namespace: str = "",
    ) -> None:
        self._configuration = configuration
        self._client = RESTClientObject(configuration)
        self._user_agent = user_agent
        self._tries = tries
        self._namespace = namespace
        self._clock = clock
        self._meter = meter
        self._jitter = jitter
        self._watch_timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=watch_silence)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.close()

    async def get(self, key: Key) -> JsonObject:
        """Returns the object, or raises NotFound."""
        return await self.send(Request("get", key.kind, "GET", object_path(key)))

    async def read_log(self, pod: Key, *, container: str, lines: int) -> str:
        """Returns the last lines of a container's log, or raises NotFound."""
        query = (("container", container), ("tailLines", str(lines)), ("limitBytes", str(_MAX_LOG)))
        request = Request("get", pod.kind, "GET", object_path(pod, "log"), query, accept="*/*")
        return await self._persist(request, lambda payload: payload.decode(errors="replace"))

    async def create(self, manifest: Manifest, *, is_dry_run: bool = False) -> JsonObject:
        """Creates the object, or raises AlreadyExists; a dry run leaves nothing."""
        kind, meta = text(manifest, "kind"), child(manifest, "metadata")
        path = RESOURCES[kind].path(text(meta, "namespace"))
        query = (("fieldManager", FIELD_MANAGER), *([("dryRun", "All")] if is_dry_run else []))
        return await self.send(Request("create", kind, "POST", path, query, body=manifest))

    async def apply(self, manifest: Manifest, *, manager: str = FIELD_MANAGER, force: bool = False) -> JsonObject:
        """Applies the object server-side as a field manager, or raises Conflict."""
        kind, meta = text(manifest, "kind"), child(manifest, "metadata")
        path = RESOURCES[kind].path(text(meta, "namespace"), text(meta, "name"))
        query = (("fieldManager", manager), ("force", "true" if force else "false"))
        return await self.send(Request("patch", kind, "PATCH", path, query, body=manifest, content_type=APPLY_PATCH))

    async def patch(self, key: Key, body: Manifest, *, subresource: str | None = None) -> JsonObject:
        """Merges `body` into the object: by a strategic patch where the kind is built in, else by a JSON one."""
        query = (("fieldManager", FIELD_MANAGER),)
        path = object_path(key, subresource)
        content_type = MERGE_PATCH if RESOURCES[key.kind].api_version == API_VERSION else STRATEGIC_PATCH
        return await self.send(Request("patch", key.kind, "PATCH", path, query, body=body, content_type=content_type))

    async def delete(self, key: Key, *, uid: str | None = None, version: int = 0) -> None:
        """Deletes the object, only if it has `uid` and is still of this version; what it owns goes after it."""
        options: JsonObject = {"propagationPolicy": "Background"}
        conditions = {"uid": uid, "resourceVersion": str(version or "")}
        if wanted := {name: value for name, value in conditions.items() if value}:
            options["preconditions"] = wanted
        await self.send(Request("delete", key.kind, "DELETE", object_path(key), body=options))

    async def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        """Deletes all objects of a kind in a namespace that the label selector selects, and what they own."""
        options: JsonObject = {"propagationPolicy": "Background"}
        await self.send(
            Request(
                "deletecollection",
                kind,
                "DELETE",
                RESOURCES[kind].path(namespace),
                (("labelSelector", selector),),
                body=options,
                timeout=_LIST_TIMEOUT,
            )
        )

    async def list(
        self, kind: str, *, selector: str = "", fields: str = "", namespace: str = "", metadata_only: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Yields every object of a kind that both selectors select, in one namespace or in all it sees, in pages."""
        pages = self.pages(kind, selector, fields=fields, namespace=namespace, metadata_only=metadata_only)
        async for page in pages:
            for item in page.items:
                yield item

    async def pages(
        self, kind: str, selector: str, *, fields: str = "", namespace: str = "", metadata_only: bool = False
    ) -> AsyncIterator[Page]:
        """Yields the pages of one consistent list; raises Gone where it grew too old between two pages."""
        following = ""
        while True:
            query = [("limit", str(PAGE))]
            query += [("labelSelector", selector)] if selector else []
            query += [("fieldSelector", fields)] if fields else []
            query += [("continue", following)] if following else []
            answer = await self.send(
                Request(
                    "list",
                    kind,
                    "GET",
                    RESOURCES[kind].path(namespace or self._namespace),
                    tuple(query),
                    accept=_METADATA_LIST if metadata_only else _JSON,
                    timeout=_LIST_TIMEOUT,
                )
            )
            items, meta = answer.get("items"), child(answer, "metadata")
            yield Page(items if isinstance(items, list) else [], text(meta, "resourceVersion"))
            following = text(meta, "continue")
            if not following:
                return

    async def watch(self, kind: str, selector: str, version: str) -> AsyncGenerator[tuple[str, JsonObject]]:
        """Yields the events of one watch, bookmarks too, until the server ends it: their type and their object.

        Raises Gone for any error that the server reports in the stream: a new list sets it right.
        """
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_SECONDS)),
        ]
        query += [("labelSelector", selector)] if selector else []
        path = RESOURCES[kind].path(self._namespace)
        response = await self._send(Request("watch", kind, "GET", path, tuple(query), timeout=self._watch_timeout))
        try:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield _read_event(json.loads(line))
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise _unreachable(problem) from problem
        finally:
            response.close()

    async def send(self, request: Request) -> JsonObject:
        """Sends a request and reads its answer, again a few times where that may help."""
        return await self._persist(request, _read_object)

    async def _persist(self, request: Request, read: Callable[[bytes], T]) -> T:
        for attempt in range(1, self._tries + 1):
            try:
                return await self._call_once(request, read)
            except ApiError as refusal:
                if attempt == self._tries or not _is_passing(refusal):
                    raise
                pause = 0.1 * 2**attempt * (0.5 + self._jitter())
                if refusal.retry_after is not None:
                    pause = min(refusal.retry_after, _MAX_RETRY_AFTER) * (1 + 0.2 * self._jitter())
            await self._clock.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _call_once(self, request: Request, read: Callable[[bytes], T]) -> T:
        response = await self._send(request)
        try:
            return read(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            raise _unreachable(problem) from problem

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        """Sends a request and returns its good answer, unread; raises ApiError."""
        code = 0
        try:
            query = f"?{urlencode(request.query)}" if request.query else ""
            answer = await self._client.request(  # type: ignore[no-untyped-call]  # untyped there
                request.method,
                f"{self._configuration.host}{request.path}{query}",
                headers=await self._build_headers(request),
                body=request.body,
                _request_timeout=request.timeout,
            )
            response: aiohttp.ClientResponse = answer.response
            code = response.status
            if code < 400:
                return response
            payload = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise _unreachable(problem) from problem
        finally:
            self._meter.api_request(request.verb, request.kind, code)
        raise build_error(code, payload, response.headers.get("Retry-After"))

    async def _build_headers(self, request: Request) -> dict[str, str]:
        headers = {"User-Agent": self._user_agent, "Accept": request.accept, "Content-Type": request.content_type}
        headers |= dict(request.headers)
        token = await self._configuration.get_api_key_with_prefix("BearerToken")  # a file's may be a new one
        return {**headers, "Authorization": token} if token else headers


def _read_object(payload: bytes) -> JsonObject:
    answer = json.loads(payload)
    return answer if isinstance(answer, dict) else {}


def _read_event(event: Mapping[str, object]) -> tuple[str, JsonObject]:
    change, obj = text(event, "type"), event.get("object")
    if change == "ERROR" or not isinstance(obj, dict):
        status = child(event, "object")
        raise Gone(text(status, "message"), status=number(status, "code"), reason=text(status, "reason"))
    return change, obj


def _unreachable(problem: Exception) -> ApiError:
    return ApiError(f"no answer from the API server: {problem or type(problem).__name__}", reason="NoAnswer")


def _is_passing(refusal: ApiError) -> bool:
    """Says whether the same request may pass soon: the server is busy or restarting, or the connection broke."""
    timed_out = isinstance(refusal.__cause__, TimeoutError)
    return refusal.status in {429, 500, 502, 503, 504} or (refusal.status == 0 and not timed_out)
