"""Reads and writes of steps in the cluster, of any kind, as the account of their workflow and with its rights alone."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from vapora.adapters.kube_client import APPLY_PATCH, MERGE_PATCH, KubernetesApi, Request
from vapora.adapters.kube_discovery import Discovery
from vapora.adapters.kube_kinds import RESOURCES, Resource
from vapora.controller.ports import ApiError, Clock, Conflict, JsonObject, NotFound, SecretUnavailable
from vapora.core.calls import (
    Account,
    Answer,
    ApplyCall,
    ClusterCall,
    DeleteCall,
    ListCall,
    Listing,
    Manifest,
    MergeCall,
    ObjectRef,
    ReadCall,
    SecretRef,
)
from vapora.core.naming import FIELD_MANAGER
from vapora.core.views import child, rows, text

_ACCOUNT = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+")  # what the API server takes for a name in a path
_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict"}
_PASSING = {0, 401, 410, 429}  # 410: a list grew too old between two pages
PAGE, MAX_LISTED = 250, 5000  # objects
_UNTYPED = "failed to create typed patch object"  # which the API server says with a 500, of a field that a kind has not


class _Invalid(Exception):
    """The call names no object that there could be."""


class _TooMany(_Invalid):
    """There are more objects than a list may have."""


class _UnknownKind(Exception):
    """The cluster has no such kind."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Is where a request goes."""

    kind: str
    path: str


class KubeCaller:
    """Is Caller for ReadCall, ListCall, ApplyCall, MergeCall and DeleteCall, and SecretReader.

    Every request impersonates the account. Its groups are not named: the API server adds those of a service account by
    itself, and naming them would ask for the right to impersonate groups, which no namespace can bound.
    """

    def __init__(self, api: KubernetesApi, clock: Clock) -> None:
        self._api = api
        self._discovery = Discovery(api, clock)

    async def call(self, call: ClusterCall, account: Account) -> Answer:
        """Makes a call; one that comes to an end with an ApiError says in whose words."""
        try:
            match call:
                case ReadCall(objects):
                    return Answer([await self._read(account, ref) for ref in objects])
                case ListCall(listings):
                    return Answer([await self._list(account, listing) for listing in listings])
                case ApplyCall():
                    return await self._apply(account, call)
                case MergeCall():
                    return Answer(await self._merge(account, call))
                case DeleteCall(objects):
                    for ref, uid in objects:
                        await self._delete(account, ref, uid)
                    return Answer()
        except (_Invalid, _UnknownKind, ApiError) as problem:
            return _refuse(problem, account)

    async def read_secret(self, account: Account, ref: SecretRef) -> str:
        """Returns one value of a Secret as the account may read it; nothing keeps it."""
        where = f"Secret {account.namespace}/{ref.name}"
        try:
            _check_name(ref.name)
            path = Resource("v1", "secrets").path(account.namespace, ref.name)
            found = await self._send(account, _Target("Secret", path), "get", "GET")
            value = base64.b64decode(text(child(found, "data"), ref.key), validate=True).decode()
        except (_Invalid, ApiError) as problem:
            refusal = _refuse(problem, account)
            reason = refusal.reason if refusal.reason == "ApiUnavailable" else "SecretUnavailable"
            raise SecretUnavailable(f"{where}: {refusal.message}", reason=reason) from None
        except (binascii.Error, UnicodeDecodeError):
            raise SecretUnavailable(f"{where}, key {ref.key}: its value is no text") from None
        if ref.key not in child(found, "data"):
            raise SecretUnavailable(f"{where} has no key {ref.key}")
        return value.rstrip("\r\n")  # which is how files that secrets are made from end

    async def _read(self, account: Account, ref: ObjectRef) -> JsonObject | None:
        target = await self._find(account, ref)
        try:
            return await self._send(account, target, "get", "GET")
        except NotFound:
            return None

    async def _list(self, account: Account, listing: Listing) -> list[JsonObject]:
        """Reads all pages; a list that grew too old between two of them is begun anew by the next try."""
        target = await self._locate(account, ObjectRef(listing.api_version, listing.kind, listing.namespace, ""))
        found: list[JsonObject] = []
        following = ""
        while True:
            query = [("limit", str(PAGE))]
            query += [("labelSelector", listing.selector)] if listing.selector else []
            query += [("continue", following)] if following else []
            answer = await self._send(account, target, "list", "GET", tuple(query))
            found += [_complete(item, listing) for item in rows(answer, "items")]
            following = text(child(answer, "metadata"), "continue")
            if len(found) > MAX_LISTED:
                raise _TooMany(f"there are more than {MAX_LISTED} objects of kind {listing.kind}")
            if not following:
                return sorted(found, key=lambda item: text(child(item, "metadata"), "name"))

    async def _apply(self, account: Account, call: ApplyCall) -> Answer:
        applied: list[JsonObject] = []
        query = (("fieldManager", call.manager), ("force", "false"), ("fieldValidation", "Strict"))
        for place, manifest in enumerate(call.manifests, start=1):
            try:
                ref = _read_reference(manifest)
                target = await self._find(account, ref)
                applied.append(await self._send(account, target, "patch", "PATCH", query, manifest, APPLY_PATCH))
            except (_Invalid, _UnknownKind, ApiError) as problem:
                refusal = _refuse(problem, account)
                kind, name = text(manifest, "kind"), text(child(manifest, "metadata"), "name")
                message = f"manifest {place} of {len(call.manifests)}, {kind} {name}: {refusal.message}"
                return Answer(reason=refusal.reason, message=message, is_definite=refusal.is_definite)
        return Answer(applied)

    async def _merge(self, account: Account, call: MergeCall) -> JsonObject:
        target = await self._find(account, call.object, call.subresource)
        query = (("fieldManager", FIELD_MANAGER),)
        try:
            return await self._send(account, target, "patch", "PATCH", query, call.body, MERGE_PATCH)
        except ApiError as refusal:
            # The API server calls another uid a change of a field that cannot change.
            if refusal.status == 422 and "metadata.uid" in str(refusal):
                raise Conflict(str(refusal), status=409, reason="Conflict") from None
            raise

    async def _delete(self, account: Account, ref: ObjectRef, uid: str) -> None:
        if not uid:
            raise _Invalid(f"{ref.kind} {ref.name}: it is not deleted without its uid")
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send(account, await self._find(account, ref), "delete", "DELETE", (), options)
        except (NotFound, Conflict, _UnknownKind):
            return  # gone, perhaps with a namesake in its place or with its whole kind

    async def _find(self, account: Account, ref: ObjectRef, subresource: str = "") -> _Target:
        """Finds the path of an object; one that names no namespace is in the account's."""
        _check_name(ref.name)
        return await self._locate(account, ref, subresource)

    async def _locate(self, account: Account, ref: ObjectRef, subresource: str = "") -> _Target:
        """Finds a path, without a name that of all objects of the kind."""
        namespace = ref.namespace or account.namespace
        for segment in filter(None, (namespace, ref.name, subresource)):
            _check_name(segment)
        resource = await self._discovery.find(ref.api_version, ref.kind)
        if resource is None:
            raise _UnknownKind(
                f"the cluster has no kind {ref.kind or '(none given)'} in {ref.api_version or '(none given)'}"
            )
        return _Target(ref.kind, resource.path(namespace, ref.name, subresource or None))

    async def _send(
        self,
        account: Account,
        target: _Target,
        verb: str,
        method: str,
        query: tuple[tuple[str, str], ...] = (),
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        if not (_ACCOUNT.fullmatch(account.namespace) and _ACCOUNT.fullmatch(account.name)):
            raise _Invalid(f"{account.name!r} in namespace {account.namespace!r} is no service account")
        # In metrics only kinds that we know stand by name: users can make up as many others as they like.
        kind = target.kind if target.kind in RESOURCES else "other"
        headers = (("Impersonate-User", account.user),)
        return await self._api.send(
            Request(verb, kind, method, target.path, query, body, content_type=content_type, headers=headers)
        )


def _read_reference(manifest: Manifest) -> ObjectRef:
    meta = child(manifest, "metadata")
    return ObjectRef(text(manifest, "apiVersion"), text(manifest, "kind"), text(meta, "namespace"), text(meta, "name"))


def _complete(item: Manifest, listing: Listing) -> JsonObject:
    """Adds what items of a list do not say of themselves, and leaves out the history of their fields."""
    meta = {name: value for name, value in child(item, "metadata").items() if name != "managedFields"}
    return {**item, "apiVersion": listing.api_version, "kind": listing.kind, "metadata": meta}


def _check_name(name: str) -> None:
    if not _SEGMENT.fullmatch(name):
        raise _Invalid(f"{name!r} is no name of an object")


def _refuse(problem: Exception, account: Account) -> Answer:
    """Turns a refusal into an answer: the server's words, and whether the same call may pass another time."""
    if isinstance(problem, _UnknownKind):
        return Answer(reason="NotFound", message=str(problem))
    if not isinstance(problem, ApiError):
        reason = "OutputTooLarge" if isinstance(problem, _TooMany) else "Invalid"
        return Answer(reason=reason, message=str(problem))
    message = str(problem)
    if problem.status in _PASSING or (problem.status >= 500 and _UNTYPED not in message):
        return Answer(reason="ApiUnavailable", message=message, is_definite=False)
    if problem.status == 403 and "impersonate" in message:
        message += f" (bind the ClusterRole vapora-tenant to the operator in namespace {account.namespace})"
    return Answer(reason=_REASONS.get(problem.status, "Invalid"), message=message)
