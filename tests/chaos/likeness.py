"""What there is of an object in the cluster, without what differs between any two that are alike."""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tests.integration.objects import Objects

Json = dict[str, Any]

_CHILDREN = ("ControllerRevision", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "PersistentVolumeClaim")
_CHILDREN += ("Pod", "PodDisruptionBudget", "Service", "StatefulSet", "Workflow")
_TIMES = {"at", "createdAt", "deadlineAt", "deployingSince", "finishedAt", "lastTransitionTime", "nextAttemptAt"}
_TIMES |= {"nextScheduledAt", "pausedAt", "pendingTimeoutAt", "startedAt", "timeoutAt"}
_HISTORY = {"firstReplicas", "knownCause", "lastDecision", "lastScaledAt", "lowSince"}  # how a size came to be
_HISTORY |= {"lastGoodRevision", "revisions", "rollout"}  # what a service was before
_HISTORY |= {"withinSeconds"}  # how soon the agents became ready that were seen to
_MADE_OF_UID = {"inputDigest", "revision", "specDigest", "traceId", "uid", "vapora.dev/applied"}
_GIVEN = {"clusterIP", "clusterIPs", "deployment.kubernetes.io/revision", "nodeName", "volumeName"}  # by the cluster
_LEFT_OUT = _TIMES | _HISTORY | _MADE_OF_UID
_HASH = re.compile(r"-[0-9a-f]{10}\b")


class Likenesses:
    """A look at all objects of a namespace at once."""

    def __init__(self, objects: Objects, kinds: tuple[str, ...]) -> None:
        self._found = {(kind, row["metadata"]["name"]): row for kind in kinds for row in objects.all(kind)}
        self._children: dict[str, list[tuple[str, Json]]] = defaultdict(list)
        for kind in _CHILDREN:
            for row in objects.all(kind):
                for owner in row["metadata"].get("ownerReferences", []):
                    self._children[owner["uid"]].append((kind, row))

    def spec(self, kind: str, name: str) -> Json:
        """Its spec, with what the API server has added."""
        return dict(self._found[kind, name]["spec"])

    def status(self, kind: str, name: str, *also: str) -> Json:
        """Its status; names in `also` belong to it as its own does."""
        found = self._found[kind, name]
        meta, status = found["metadata"], found.get("status", {})
        told = _forget(status, found, also)
        told["conditions"] = {row["type"]: [row[part] for part in _SAID] for row in told.get("conditions", [])}
        told["observedGeneration"] = status.get("observedGeneration") == meta["generation"]
        return told

    def children(self, kind: str, name: str, *also: str) -> list[Json]:
        """What was made for it, as it is wanted."""
        found = self._found[kind, name]
        rows = []
        pinned = found.get("status", {}).get("revision")
        for child_kind, row in self._children[found["metadata"]["uid"]]:
            meta = row["metadata"]
            if child_kind == "ControllerRevision" and meta["name"] != pinned:
                continue  # of an edit before
            body = {part: row[part] for part in ("spec", "data") if part in row}
            body["phase"] = row.get("status", {}).get("phase")
            kept = {part: meta.get(part, {}) for part in ("name", "labels", "annotations")}
            rows.append(_forget({"kind": child_kind, **kept, **body}, found, also))
        return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))

    def is_current(self, kind: str, name: str) -> bool:
        """Whether the operator has seen it as it is, and is not about to do anything more."""
        status = self.status(kind, name)
        is_restless = "Reconciling" in status["conditions"] and kind != "Workflow"  # a run is while it goes on
        return bool(status["observedGeneration"]) and not is_restless


_SAID = ("status", "reason", "message")


def _forget(value: Mapping[str, object], owner: Json, also: tuple[str, ...]) -> Json:
    """Leave out names, uids, times and what the cluster gave."""
    words = json.dumps(value)
    for name in (owner["metadata"]["name"], *also):
        words = re.sub(rf"\b{re.escape(name)}\b", "NAME", words)
    words = _HASH.sub("-HASH", words.replace(owner["metadata"]["uid"], "UID"))
    return dict(_strip(json.loads(words)))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _strip(entry)
            for name, entry in value.items()
            if name not in _LEFT_OUT and not (name in _GIVEN and entry not in ("None", ["None"]))
        }
    return [_strip(entry) for entry in value] if isinstance(value, list) else value


def tell_difference(found: object, wanted: object) -> str:
    """Return the lines in which two likenesses differ; "" where they do not."""
    lines = [json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (wanted, found)]
    return "\n".join(difflib.unified_diff(*lines, "wanted", "found", n=2, lineterm=""))
