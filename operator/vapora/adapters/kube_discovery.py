"""Finding where the API server keeps objects of any kind, also of kinds that the operator does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vapora.adapters.kube_client import KubernetesApi, Request
from vapora.adapters.kube_kinds import Resource
from vapora.controller.ports import Clock, NotFound
from vapora.core.views import rows, text

FRESH_SECONDS = 300.0
_VERSION = re.compile(r"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?v[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Served:
    """Is what one group version was found to serve, by kind."""

    resources: Mapping[str, Resource]
    read_at: float


class Discovery:
    """Asks which resource a kind is, with the operator's own rights, and remembers the answers a while."""

    def __init__(self, api: KubernetesApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._served: dict[str, _Served] = {}

    async def find(self, api_version: str, kind: str) -> Resource | None:
        """Returns the resource, None where the cluster has no such kind; raises ApiError where it does not say.

        A kind that is not among those remembered is asked for anew: its definition may have come meanwhile.
        """
        known = self._served.get(api_version)
        if known is None or kind not in known.resources or self._clock.monotonic() > known.read_at + FRESH_SECONDS:
            known = await self._read(api_version)
        return known.resources.get(kind)

    async def _read(self, api_version: str) -> _Served:
        found: Mapping[str, object] = {}
        if _VERSION.fullmatch(api_version):  # it becomes a path
            root = "/apis/" if "/" in api_version else "/api/"
            try:
                found = await self._api.send(Request("get", "APIResourceList", "GET", root + api_version))
            except NotFound:
                self._served.pop(api_version, None)
        resources = {
            text(row, "kind"): Resource(api_version, text(row, "name"), is_namespaced=row.get("namespaced") is True)
            for row in rows(found, "resources")
            if "/" not in text(row, "name")
        }
        served = _Served(resources, self._clock.monotonic())
        if resources:
            self._served[api_version] = served
        return served
