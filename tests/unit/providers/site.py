"""A namespace in memory where the tasks of Providers run, with everything that they read and write."""

import json
from collections.abc import Mapping
from typing import Any

from tests.unit.procedures.cluster import Cluster
from tests.unit.procedures.course import Course, drive, situation

from vapora.core.calls import Answer, Call, ListCall, Listing, ProviderCall
from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.workflow.procedure import Failed, Finished, Situation

Json = dict[str, Any]
RUN, UNDO = build_task(BUILT_IN), build_undo_task(BUILT_IN)
READY: Json = {"conditions": [{"type": "Ready", "status": "True"}]}


def build_provider(
    name: str = "default", type_: str = "local", inventory: tuple[str, ...] = (), **spec: object
) -> Json:
    rows = [{"kind": "server", "name": item} for item in inventory]
    meta = {"name": name, "uid": f"uid-{name}"}
    return {"kind": "Provider", "metadata": meta, "spec": {"type": type_, **spec}, "status": {"inventory": rows}}


class Site(Cluster):
    """Is the cluster of a run; `through` are the Providers of its calls, `last_words` how a Job's Pod ended."""

    def __init__(self, *providers: Json) -> None:
        super().__init__()
        self.through: list[str] = []
        self.denied: set[str] = set()
        self.last_words: Json = {}
        for provider in providers or (build_provider(),):
            self.objects["Provider", provider["metadata"]["name"]] = provider

    def __call__(self, call: Call) -> Answer:
        if isinstance(call, ProviderCall):
            self.through.append(call.provider)
            return self(call.call)
        if isinstance(call, ListCall):
            for listing in call.listings:
                if listing.kind in self.denied:
                    return Answer(reason="Forbidden", message=f"may not list {listing.kind}")
            return Answer([self._list(listing) for listing in call.listings])
        return super().__call__(call)

    def _list(self, listing: Listing) -> list[Json]:
        if listing.kind == "Pod":
            return [{"kind": "Pod", "status": {"containerStatuses": [{"state": self.last_words}]}}]
        found = [obj for (kind, _), obj in self.objects.items() if kind == listing.kind]
        name, _, value = listing.selector.partition("=")
        return [obj for obj in found if not name or obj["metadata"].get("labels", {}).get(name) == value]

    def define(self, name: str, **spec: object) -> None:
        """Put a service into the catalogue."""
        manifest = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Taskserv", "metadata": {"name": name}, "spec": spec}
        key = ("ConfigMap", f"vapora-catalog-taskserv-{name}")
        labels = {"vapora.dev/catalog": "taskserv"}
        data = {"definition": json.dumps(manifest)}
        self.objects[key] = {"kind": "ConfigMap", "metadata": {"name": key[1], "labels": labels}, "data": data}

    def names(self, kind: str = "ConfigMap", without: str = "vapora-catalog") -> list[str]:
        return sorted(name for found, name in self.objects if found == kind and not name.startswith(without))

    def run(
        self, target: str, action: str, *items: str, crash_at: int = -1, is_made: bool = True, **params: object
    ) -> Course:
        start = build_start(target, action, *items, **params)
        return drive(RUN, start, self, crash_at=crash_at, is_made=is_made)

    def undo(self, target: str, action: str, *items: str, done: Course, **params: object) -> Course:
        assert isinstance(done.end, Finished | Failed)
        start = build_start(target, action, *items, **params)
        undone = situation(start.body, undoes=done.end.memory, key=f"{start.uid}/step_undo/0/1")
        return drive(UNDO, undone, self)


def build_start(target: str, action: str, *items: str, **params: object) -> Situation:
    named: Mapping[str, object] = {"items": list(items)} if items else {}
    return situation({"type": f"provisioning.{target}", "params": {"action": action, **named, **params}})
