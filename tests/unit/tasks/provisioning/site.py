"""A cluster for tests of tasks that install: kinds that it has not, lists, Jobs whose Pods end as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.unit.procedures.cluster import Cluster, Json

from vapora.core.calls import Answer, ApplyCall, Call, DeleteCall, Listing, ReadCall

NAMESPACE = "default"


class Site(Cluster):
    """Is a Cluster without the kinds `absent`; `pods` are what Jobs have for Pods, look by look, the last one stays."""

    def __init__(self, *objects: Json, absent: tuple[str, ...] = (), pods: tuple[list[Json], ...] = ([],)) -> None:
        super().__init__(*objects)
        self.absent = set(absent)
        self.jobs: list[Json] = []
        self._pods: Iterator[list[Json]] = iter(pods)
        self._now: list[Json] = []

    def __call__(self, call: Call) -> Answer:
        if isinstance(call, ReadCall) and (kinds := [ref.kind for ref in call.objects if ref.kind in self.absent]):
            return Answer(reason="NotFound", message=f"the cluster has no kind {kinds[0]}")
        if isinstance(call, ApplyCall):
            self.jobs += [dict(manifest) for manifest in call.manifests if manifest["kind"] == "Job"]
        answer = super().__call__(call)
        if isinstance(call, DeleteCall) and not answer.is_failure:
            self._now = []
        return answer

    def _list(self, listing: Listing) -> list[Json]:
        if listing.kind == "Pod":
            self._now = next(self._pods, self._now)
            return self._now
        return super()._list(listing)


def config(name: str, **data: str) -> Json:
    """A ConfigMap; two underscores in a key stand for a dot."""
    named = {key.replace("__", "."): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": named}


def taskserv(name: str, image: str, **spec: object) -> Json:
    return {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Taskserv",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": image, **spec},
    }


def pod(phase: str, *, code: int = 0, message: str = "", waiting: str = "") -> Json:
    """A Pod of a Job in a phase; `waiting` is the reason for which its container does not start."""
    state: dict[str, Any] = {"running": {}}
    if waiting:
        state = {"waiting": {"reason": waiting, "message": message}}
    elif phase in {"Succeeded", "Failed"}:
        state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}}
    status = {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": NAMESPACE}, "status": status}


def container(job: Json) -> Json:
    return dict(job["spec"]["template"]["spec"]["containers"][0])
