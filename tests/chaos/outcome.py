"""What has come of a workflow, read where the operator cannot have counted it."""

import difflib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.cluster.manifests import Json as AuditEvent
from tests.integration.objects import FINAL, Objects

Json = dict[str, Any]
_PASSING = frozenset(
    {
        *("startedAt", "finishedAt", "timeoutAt", "pendingTimeoutAt", "nextAttemptAt", "deadlineAt", "completingSince"),
        *(
            "at",
            "uid",
            "resourceVersion",
            "inputDigest",
            "calls",
        ),  # a call whose answer was lost is made again under another number
    }
)
_UNDONE = frozenset({"Compensating", "Compensated", "CompensationFailed"})
_COLUMNS = (
    "step, item, try, pool, role, task_type, outcome, reason, quality, tokens, model, provider, cost_cents, "
    "error_signature"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run, without what differs between any two: times, uids, names made of them.

    `pods` are the Pods created, by the audit log, as (step, item, try, phase); `executions` the rows of the knowledge
    graph; `tasks` the lines of the file in which the agents write down what they did; `keys` are those of the effects
    outside the cluster, `configs` the ConfigMaps that it left.
    """

    status: Json
    pods: list[tuple[str, str, str, str]]
    executions: list[tuple[object, ...]]
    tasks: list[str]
    keys: list[str]
    configs: list[tuple[str, Json]]


def compare(found: Outcome, wanted: Outcome) -> str:
    """Return the lines in which two outcomes differ; "" where they do not."""
    lines = [json.dumps(asdict(outcome), indent=1, sort_keys=True).splitlines() for outcome in (wanted, found)]
    return "\n".join(difflib.unified_diff(*lines, "undisturbed", "disturbed", lineterm=""))


def read_outcome(
    objects: Objects, name: str, *, audit: Iterator[AuditEvent], graph: Path, work_log: Path, keys: list[str]
) -> Outcome:
    """Read what came of the workflow; AssertionError where a Pod was made twice or is gone."""
    found = objects.get("Workflow", name)
    uid = found["metadata"]["uid"]
    return Outcome(
        status=_read_status(found),
        pods=_read_pods(objects, name, uid, audit),
        executions=_read_executions(graph, uid),
        tasks=sorted(task_id.replace(uid, "uid") for task_id in _read_work(work_log) if task_id.startswith(uid)),
        keys=[key.replace(uid, "uid") for key in keys],
        configs=[
            (config["metadata"]["name"].removeprefix(name), config["data"])
            for config in objects.all("ConfigMap")
            if config["metadata"]["name"].startswith(f"{name}-")
        ],
    )


def _read_status(workflow: Json) -> Json:
    meta = workflow["metadata"]
    words = json.dumps(workflow["status"]).replace(meta["uid"], "uid").replace(meta["name"], "workflow")
    status = _strip(json.loads(words))
    for row in (*status["steps"].values(), *status.get("rollback", {}).get("steps", {}).values()):
        if "child" in row:
            row["child"] = row["child"]["kind"]
        row.get("memory", {}).pop("child", None)  # a name made of the uid
        if "assignment" in row:
            del row["assignment"]["reason"]  # it tells the loads of that moment
    status.pop("revision", None)  # a run that ends at once pins nothing
    status["conditions"] = {row["type"]: (row["status"], row["reason"], row["message"]) for row in status["conditions"]}
    return dict(status)


def _strip(value: Any) -> Any:
    """Leave out what differs between any two runs."""
    if isinstance(value, dict):
        return {name: _strip(entry) for name, entry in value.items() if name not in _PASSING}
    return [_strip(entry) for entry in value] if isinstance(value, list) else value


def _read_pods(objects: Objects, name: str, uid: str, audit: Iterator[AuditEvent]) -> list[tuple[str, str, str, str]]:
    created = sorted(pod for pod in _created_pods(audit, objects.namespace) if pod.startswith(f"{name}-"))
    children = [found["metadata"]["uid"] for found in objects.all("Workflow", f"vapora.dev/workflow={uid}")]
    selector = f"vapora.dev/workflow in ({','.join((uid, *children))})"
    there = {pod["metadata"]["name"]: pod for pod in objects.pods(selector)}
    assert created == sorted(there), f"created were {created}, there are {sorted(there)}"
    return sorted(_describe_pod(pod) for pod in there.values())


def _created_pods(audit: Iterator[AuditEvent], namespace: str) -> Iterator[str]:
    for event in audit:
        about: Json = event["objectRef"]  # type: ignore[assignment]  # JSON
        answer: Json = event["responseStatus"]  # type: ignore[assignment]  # JSON
        if (
            event["verb"] == "create"
            and (about["resource"], about.get("namespace")) == ("pods", namespace)
            and "subresource" not in about
            and answer["code"] == 201
        ):
            yield about.get("name", "")  # that of others, made by its beginning, is not told


def _describe_pod(pod: Json) -> tuple[str, str, str, str]:
    labels = pod["metadata"]["labels"]
    step, item, number = (labels.get(f"vapora.dev/{name}", "") for name in ("step", "item", "try"))
    return step, item, number, pod["status"]["phase"]


def _read_executions(graph: Path, uid: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{graph}?mode=ro", uri=True)
    try:
        query = f"SELECT {_COLUMNS} FROM executions WHERE id LIKE ? ORDER BY id"
        return connection.execute(query, (f"{uid}/%",)).fetchall()
    finally:
        connection.close()


def _read_work(work_log: Path) -> list[str]:
    return [line.split()[0] for line in work_log.read_text().splitlines()] if work_log.exists() else []


def explain_unsettled(objects: Objects, name: str) -> str:
    """Say what is still to be done about a workflow; "" once it has ended, is recorded, and its Pods are let go."""
    found = objects.get("Workflow", name)
    status = found.get("status", {})
    if status.get("phase") not in FINAL:
        return f"it is {status.get('phase')}: {json.dumps(status.get('steps'))}"
    if not any(row["type"] == "Recorded" and row["status"] == "True" for row in status["conditions"]):
        return "it is not recorded"
    held = [
        pod["metadata"]["name"]
        for pod in objects.pods(f"vapora.dev/workflow={found['metadata']['uid']}")
        if pod["metadata"].get("finalizers") or pod["metadata"]["labels"].get("vapora.dev/recorded") != "true"
    ]
    return f"these Pods are still held: {held}" if held else ""


def read_reasons(objects: Objects, name: str) -> list[str]:
    """Return the reasons of the Events about a workflow."""
    path, query = f"/api/v1/namespaces/{objects.namespace}/events", {"fieldSelector": f"involvedObject.name={name}"}
    return [event["reason"] for event in objects.cluster.api.get(path, params=query).raise_for_status().json()["items"]]


def read_history(objects: Objects, created: Json) -> list[Json]:
    """Return every state that a workflow was in since it was created, as anybody watching it was told."""
    name, last = created["metadata"]["name"], objects.get("Workflow", created["metadata"]["name"])
    query = {
        "watch": "true",
        "resourceVersion": created["metadata"]["resourceVersion"],
        "fieldSelector": f"metadata.name={name}",
        "timeoutSeconds": "10",
    }
    states = []
    with objects.cluster.api.stream("GET", objects.path("Workflow"), params=query) as lines:
        for line in lines.iter_lines():
            event = json.loads(line)
            assert event["type"] == "MODIFIED", event
            states.append(event["object"])
            if event["object"]["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]:
                return states
    raise AssertionError(f"the watch of {name} ended before its last state")


def find_turn_back(history: list[Json]) -> str:
    """Say where a run went back: out of a final phase or state, to fewer tries, or to a start before its needs; "" if
    it never did.
    """
    before: Json = {}
    for state in history:
        status = state.get("status", {})
        if before.get("phase") in FINAL and status.get("phase") != before["phase"]:
            return f"phase {before['phase']} became {status.get('phase')}"
        for name, was in before.get("steps", {}).items():
            step = status["steps"].get(name, {})
            is_undone = step.get("state") in _UNDONE
            if was["state"] in {*FINAL, "Skipped"} and _essence(step) != _essence(was) and not is_undone:
                return f"step {name} was {was} and became {step}"
            if step.get("tries", 0) < was.get("tries", 0) or step.get("effect", 0) < was.get("effect", 0):
                return f"step {name} counted backwards: it was {was} and became {step}"
        before = status
    return ""


def _essence(step: Json) -> tuple[object, ...]:
    return tuple(step.get(field) for field in ("state", "tries", "attempt", "finishedAt", "outputs"))
