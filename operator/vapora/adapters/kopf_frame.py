"""Kopf as the frame: it watches our own kinds and ends on a signal. Nothing else of it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import kopf

from vapora.adapters.kube_client import WATCH_SECONDS, WATCH_SILENCE
from vapora.adapters.kube_config import Credentials
from vapora.api.kinds import GROUP, KINDS, VERSION, Kind
from vapora.controller.ports import JsonObject

Report = Callable[[str, str | None, JsonObject], None]


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled state: reconciling by level needs none, and keeping it costs a write a change."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002  # Kopf's signature
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002  # Kopf's signature
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers: there are none that can fail."""

    def fetch(self, **_: Any) -> kopf.ProgressRecord | None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def build_settings() -> kopf.OperatorSettings:
    """Builds Kopf's settings for a frame that only watches."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.finalizer = f"{GROUP}/frame"
    settings.queueing.worker_limit = 256
    settings.queueing.idle_timeout = 0.1
    settings.queueing.exit_timeout = 0.2
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = WATCH_SILENCE
    settings.networking.request_timeout = 30
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    return settings


class KopfFrame:
    """Reports every object of our kinds: its kind, the type of the event (None for the initial list), the object.

    With a namespace it reports those of that namespace only.
    """

    def __init__(
        self, credentials: Callable[[], Awaitable[Credentials]], report: Report, *, namespace: str = ""
    ) -> None:
        self._credentials = credentials
        self._report = report
        self._where: dict[str, Any] = {"namespaces": [namespace]} if namespace else {"clusterwide": True}

    async def run(self) -> None:
        """Watches until SIGTERM or SIGINT comes, and returns then; raises what made Kopf stop otherwise."""
        tasks = await kopf.spawn_tasks(registry=self._build_registry(), settings=build_settings(), **self._where)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    def _build_registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._log_in)
        for kind in KINDS:
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.singular)(self._build_handler(kind))
        return registry

    def _build_handler(self, kind: Kind) -> Callable[..., Awaitable[None]]:
        async def on_event(event: kopf.RawEvent, **_: object) -> None:
            self._report(kind.name, event["type"], dict(event["object"]))

        return on_event

    async def _log_in(self, **_: object) -> kopf.ConnectionInfo:
        found = await self._credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_file,
            insecure=not found.is_verified,
            token=found.token,
            certificate_path=found.client_cert_file,
            private_key_path=found.client_key_file,
            proxy_url=found.proxy,
        )
