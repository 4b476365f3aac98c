"""What the demo sees by watching: every size that a pool had, and the newest state of the workflow."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import httpx
from tests.cluster import EmbeddedCluster

Json = dict[str, Any]
GROUP = "/apis/vapora.dev/v1alpha1/namespaces"


class Watcher:
    """Follows one object on a thread of its own and keeps its newest state and the values of one status field.

    `changes` are the statuses with which the field had a new value.
    """

    def __init__(self, cluster: EmbeddedCluster, namespace: str, plural: str, name: str, *, field: str) -> None:
        self._cluster = cluster
        self._path = f"{GROUP}/{namespace}/{plural}"
        self.name = name
        self._field = field
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"watch-{name}", daemon=True)
        self.newest: Json = {}
        self.changes: list[Json] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    @property
    def status(self) -> Mapping[str, Any]:
        """The newest status; empty before there is one."""
        return self.newest.get("status", {})

    @property
    def values(self) -> list[object]:
        """The values of the field, in order."""
        return [status[self._field] for status in self.changes]

    def counts(self, field: str) -> dict[str, int]:
        """Returns a number of every step that has one."""
        return {name: row[field] for name, row in self.status.get("steps", {}).items() if field in row}

    def _follow(self) -> None:
        query = {"watch": "true", "fieldSelector": f"metadata.name={self.name}"}
        while not self._stopped.is_set():
            try:
                with self._cluster.client() as client, client.stream("GET", self._path, params=query) as events:
                    for line in events.iter_lines():
                        self._see(json.loads(line).get("object", {}))
                        if self._stopped.is_set():
                            return
            except httpx.HTTPError:
                self._stopped.wait(0.2)  # a watch ends when the server says so; the next one begins with what is

    def _see(self, obj: Json) -> None:
        if "metadata" not in obj:
            return
        self.newest = obj
        value = self.status.get(self._field)
        if value is not None and (not self.changes or self.changes[-1][self._field] != value):
            self.changes.append(dict(self.status))
