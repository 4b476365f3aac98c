"""Nodes, the scheduler and the Job controller: they do to Pods and Jobs what the fate of each try says."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plays import Plays, Unit, count_tries

from vapora.controller.ports import ApiError
from vapora.core.plan import Key

_ENDS: Mapping[str, Json] = {
    "success": {"exitCode": 0, "reason": "Completed", "message": '{"v": 1}'},
    "no words": {"exitCode": 0, "reason": "Completed"},
    "exit": {"exitCode": 3, "reason": "Error", "message": "no such table"},
    "oom": {"exitCode": 137, "reason": "OOMKilled"},
    "evicted": {"exitCode": 137, "reason": "Error"},
    "node lost": {"exitCode": 137, "reason": "Error"},
    "killed": {"exitCode": 143, "reason": "Error"},
}
_DISRUPTIONS = {"evicted": "EvictionByEvictionAPI", "node lost": "DeletionByPodGC"}
_BEAT = 0.25
_LONGER_THAN_A_WATCH_LAGS = 0.4  # else nobody has seen the Pod yet when its Job ends
_STUCK = {"no image", "stays pending", "never ran"}


@dataclass(slots=True)
class Try:
    """Is what one child came to: `end` by its fate, `outcome` once it has ended, by whoever ended it."""

    key: Key
    unit: Unit
    number: int
    end: str
    outcome: str = ""
    is_asked_to_stop: bool = False
    pod: Key | None = None  # where it is a Job: the Pod that it made


@dataclass(slots=True)
class Nodes:
    """Follows the API server. `tries` are all children ever made, by name."""

    objects: KubeObjects
    loop: SimulatedLoop
    chance: random.Random
    plays: Plays
    now: Callable[[], datetime]
    strike: Callable[[str], None]
    tries: dict[str, Try] = field(default_factory=dict)
    units: dict[Unit, list[Try]] = field(default_factory=dict)
    at_work: dict[str, dict[str, Try]] = field(default_factory=dict)  # by workflow, those that have not ended
    _owners: dict[str, Try] = field(default_factory=dict)  # by the name of a Pod: whose fate it has

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        kind = obj["kind"]
        if kind not in {"Pod", "Job"} or "vapora.dev/step" not in obj["metadata"].get("labels", {}):
            return
        if change == "ADDED":
            self._begin(kind, obj)
        elif change == "MODIFIED" and "deletionTimestamp" in obj["metadata"]:
            if former is not None and "deletionTimestamp" not in former["metadata"]:
                self._stop(kind, obj)
        elif change == "DELETED" and kind == "Pod":
            self._note_end(self._owners.pop(obj["metadata"]["name"], None), "gone")

    def admit(self, manifest: Mapping[str, Json]) -> None:
        """Refuses the children that a policy of the cluster forbids."""
        labels = manifest["metadata"].get("labels", {})
        if manifest["kind"] not in {"Pod", "Job"} or "vapora.dev/step" not in labels or self._is_pod_of_job(manifest):
            return
        made = self._draw(manifest)
        if made.end == "refused":
            if made.key.name not in self.tries:
                self._tell(made)
                self.units.setdefault(made.unit, []).append(made)
            made.outcome = "refused"
            self.tries[made.key.name] = made
            raise ApiError("exceeded quota", status=403, reason="Forbidden")

    def _is_pod_of_job(self, manifest: Mapping[str, Json]) -> bool:
        return bool(manifest["kind"] == "Pod" and manifest["metadata"]["ownerReferences"][0]["kind"] == "Job")

    def _draw(self, manifest: Mapping[str, Json]) -> Try:
        labels = manifest["metadata"]["labels"]
        unit = (labels["vapora.dev/workflow"], labels["vapora.dev/step"], int(labels.get("vapora.dev/item", -1)))
        number = int(labels["vapora.dev/try"])
        return Try(key_of(manifest), unit, number, self.plays.draw(unit, number))

    def _tell(self, made: Try) -> None:
        step = self.plays.plays[made.unit[0]].drawn.find(made.unit[1])
        self.strike(f"end {step.kind} {made.end}")

    def _begin(self, kind: str, obj: Json) -> None:
        if self._is_pod_of_job(obj):
            return
        made = self._draw(obj)
        key, self.tries[made.key.name] = made.key, made
        self.units.setdefault(made.unit, []).append(made)
        self.at_work.setdefault(made.unit[0], {})[key.name] = made
        self._tell(made)
        if kind == "Pod":
            self._owners[key.name] = made
            self._later(0.5, self._start, made, key)
        else:
            self._later(0.2, self._make_pod, made)

    def _make_pod(self, job: Try) -> None:
        found = self.objects.find(job.key)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return self._note_end(job, "never ran")
        template, meta = found["spec"]["template"], found["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.key.name, "uid": meta["uid"], "controller": True}
        pod_meta = {**template["metadata"], "name": f"{job.key.name}-x", "namespace": job.key.namespace}
        job.pod = Key("Pod", job.key.namespace, pod_meta["name"])
        self._owners[job.pod.name] = job
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**pod_meta, "ownerReferences": [owner]}}
        self.objects.create({**pod, "spec": template["spec"]})
        if (limit := found["spec"].get("activeDeadlineSeconds")) is not None:
            self.loop.call_later(limit, self._exceed, job)
        self._later(0.5, self._start, job, job.pod)
        return None

    def _start(self, made: Try, pod: Key) -> None:
        if self._is_stopped(pod):
            return None
        if made.end == "never ran":
            return self.objects.delete(pod)
        if made.end == "stays pending":
            why = {"type": "PodScheduled", "status": "False", "message": "no node has room"}
            self.objects.change(pod, {"status": {"phase": "Pending", "conditions": [why]}})
        elif made.end == "no image":
            waiting = {"reason": "ImagePullBackOff", "message": "not found"}
            container = {"name": "main", "state": {"waiting": waiting}}
            status = {"phase": "Pending", "containerStatuses": [container]}
            self.objects.change(pod, {"spec": {"nodeName": "node"}, "status": status})
        else:
            is_seen = self.chance.random() < 0.7 or made.end in {"hangs", "vanishes", "deleted"}
            if is_seen:
                self.objects.change(pod, {"spec": {"nodeName": "node"}, "status": {"phase": "Running"}})
            if made.end != "hangs":
                shortest = 0.0 if made.pod is None else _LONGER_THAN_A_WATCH_LAGS
                when = next_beat(self.loop.time() + shortest + self.chance.random() * 2)
                self.loop.call_at(when, self._end, made, pod)
        return None

    def _end(self, made: Try, pod: Key) -> None:
        if self._is_stopped(pod):
            return
        match made.end:
            case "deleted":
                self.objects.delete(pod)
            case "vanishes" if not self._is_written_running(made):
                self.loop.call_later(0.5, self._end, made, pod)
            case "vanishes":
                self.objects.change(pod, {"metadata": {"finalizers": None}})
                self.objects.delete(pod)
            case end:
                self._finish(made, pod, end)

    def _finish(self, made: Try, pod: Key, end: str) -> None:
        stopped = {**_ENDS[end], "finishedAt": f"{self.now():%Y-%m-%dT%H:%M:%SZ}"}
        status = {
            "phase": "Failed" if stopped["exitCode"] else "Succeeded",
            "containerStatuses": [{"name": "main", "state": {"terminated": stopped}}],
        }
        if end in _DISRUPTIONS:
            row = {"type": "DisruptionTarget", "status": "True", "reason": _DISRUPTIONS[end]}
            self.objects.change(pod, {"status": {"conditions": [row]}})
            self.objects.delete(pod)
            if self.objects.find(pod) is None:
                return
        self._note_end(made, end)
        self.objects.change(pod, {"spec": {"nodeName": "node"}, "status": status})
        if made.pod is not None:
            self._later(0.5, self._conclude, made, end)

    def _conclude(self, job: Try, end: str) -> None:
        found = self.objects.find(job.key)
        if found is None or "deletionTimestamp" in found["metadata"] or "conditions" in found.get("status", {}):
            return
        is_well = not _ENDS[end]["exitCode"]
        reason = "" if is_well else "PodFailurePolicy" if end in {*_DISRUPTIONS, "killed"} else "BackoffLimitExceeded"
        self._write_job(job, "Complete" if is_well else "Failed", reason)

    def _exceed(self, job: Try) -> None:
        found = self.objects.find(job.key)
        if found is None or "deletionTimestamp" in found["metadata"] or "conditions" in found.get("status", {}):
            return
        self._write_job(job, "Failed", "DeadlineExceeded")
        if job.pod is not None and not self._is_stopped(job.pod):
            self.objects.delete(job.pod)

    def _write_job(self, job: Try, kind: str, reason: str) -> None:
        row = {"type": kind, "status": "True", "reason": reason}
        row["lastTransitionTime"] = f"{self.now():%Y-%m-%dT%H:%M:%SZ}"
        self.objects.change(job.key, {"status": {"conditions": [row]}})

    def _stop(self, kind: str, obj: Json) -> None:
        key = key_of(obj)
        made = self.tries.get(key.name) or self._owners.get(key.name)
        if made is None:
            return
        made.is_asked_to_stop = True
        if kind == "Pod":
            if "nodeName" not in obj["spec"]:
                self._note_end(made, "never ran")
            elif obj.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
                self._later(1, self._kill, made, key)

    def _kill(self, made: Try, pod: Key) -> None:
        found = self.objects.find(pod)
        if found is not None and found.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
            self._finish(made, pod, "killed")

    def _note_end(self, made: Try | None, outcome: str) -> None:
        if made is not None and not made.outcome:
            made.outcome = outcome
            self.at_work[made.unit[0]].pop(made.key.name, None)

    def _is_stopped(self, pod: Key) -> bool:
        found = self.objects.find(pod)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return True
        return found.get("status", {}).get("phase") in {"Succeeded", "Failed"}

    def _is_written_running(self, made: Try) -> bool:
        """A child that goes without a trace before it was seen would be made again, and nobody could tell."""
        row = self.plays.read_unit(made.unit)
        return row.get("state") == "Running" and count_tries(row) == made.number

    def _later(self, most: float, what: Callable[..., None], *args: object) -> None:
        """Does something within `most` seconds, at the next beat: much of a cluster happens at once."""
        self.loop.call_at(next_beat(self.loop.time() + self.chance.random() * most), what, *args)


def next_beat(moment: float) -> float:
    return math.ceil(moment / _BEAT) * _BEAT
