"""Drives a procedure on a real API server: each call it asks for is made at once, as the administrator."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
from tests.cluster.access import Cluster

from vapora.core.calls import Account, Answer, ApplyCall, Call, DeleteCall, MergeCall, ObjectRef, ReadCall
from vapora.core.workflow.procedure import Ask, Failed, Finished, Procedure, Rest, Situation

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PLURALS = {"AgentPool": "agentpools", "ConfigMap": "configmaps", "Deployment": "deployments", "Service": "services"}
_PLURALS |= {"PersistentVolumeClaim": "persistentvolumeclaims", "Taskserv": "taskservs"}
_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid", 400: "Invalid"}
_MAX_CALLS = 50
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}


class Refused(Exception):
    """The API server said no."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = Answer(None, _REASONS.get(answer.status_code, "ApiUnavailable"), answer.json()["message"])


class Driver:
    """Carries out calls in one namespace; `calls` are those it made."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.api, self.namespace = cluster.api, namespace
        self.calls: list[Call] = []

    def situation(self, uid: str, body: Mapping[str, object], undoes: Mapping[str, object] | None = None) -> Situation:
        account = Account(self.namespace, "default")
        return Situation(self.namespace, "wf", uid, "step", "key", account, body, NOW, NOW, undoes=undoes)

    def run(self, procedure: Procedure, situation: Situation, crash_at: int = -1) -> Finished | Failed | Rest:
        """Runs until the procedure ends or rests; the answer to the call number `crash_at` is lost."""
        for number in range(_MAX_CALLS):
            decided = procedure(situation)
            if not isinstance(decided, Ask):
                return decided
            self.calls.append(decided.call)
            answer = self.perform(decided.call)
            situation = replace(situation, memory=decided.memory, answer=None if number == crash_at else answer)
        raise AssertionError(f"no end after {_MAX_CALLS} calls: {self.calls[-3:]}")

    def perform(self, call: Call) -> Answer:
        try:
            return Answer(self._perform(call))
        except Refused as refused:
            return refused.answer

    def _perform(self, call: Call) -> object:
        match call:
            case ReadCall(refs):
                return [self._read(ref) for ref in refs]
            case ApplyCall(manifests, manager):
                return [self.apply(dict(manifest), manager) for manifest in manifests]
            case MergeCall(ref, body, subresource):
                return self._send("PATCH", f"{self.path(ref)}/{subresource}".rstrip("/"), body, MERGE)
            case DeleteCall(objects):
                for ref, uid in objects:
                    body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
                    self._send("DELETE", self.path(ref), body, {"Content-Type": "application/json"})
                return None
        raise AssertionError(f"unexpected call {call}")

    def path(self, ref: ObjectRef) -> str:
        root = "apis" if "/" in ref.api_version else "api"
        return f"/{root}/{ref.api_version}/namespaces/{ref.namespace}/{_PLURALS[ref.kind]}/{ref.name}"

    def apply(self, manifest: Json, manager: str) -> Json:
        """Apply server-side, without force."""
        meta = manifest["metadata"]
        ref = ObjectRef(
            manifest["apiVersion"], manifest["kind"], meta.get("namespace", self.namespace), meta.get("name", "")
        )
        return self._send("PATCH", f"{self.path(ref)}?fieldManager={manager}", manifest, APPLY)

    def _read(self, ref: ObjectRef) -> Json | None:
        answer = self.api.get(self.path(ref))
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def _send(self, method: str, path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> Json:
        answer = self.api.request(method, path, json=body, headers=dict(headers))
        if answer.is_error:
            raise Refused(answer)
        return dict(answer.json())
