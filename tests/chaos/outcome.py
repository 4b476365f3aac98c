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
        *(
            "startedAt",
            "finishedAt",
            "knownCause",
            "timeoutAt",
            "pendingTimeoutAt",
            "nextAttemptAt",
            "deadlineAt",
            "completingSince",
        ),
        *(
            "at",
            "traceId",
            "uid",
            "resourceVersion",
            "inputDigest",
            "specDigest",  # the address of the site, which each stage has for itself, is among the params
            "calls",  # a call whose answer was lost is made again under another number
        ),
    }
)
_UNDONE = frozenset({"Compensating", "Compensated", "CompensationFailed"})
_COLUMNS = (
    "step, item, try, pool, role, task_type, outcome, reason, quality, tokens, model, provider, cost_cents, "
    "error_signature, exit_code, depends_on, produced, deployed"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run, without what differs between any two: times, uids, names made of them.

    `children` are the statuses of the Workflows that it made, by step; `pods` the Pods and Jobs created, by the audit
    log, as (kind, step, item, try, end); `executions` the rows of the knowledge graph; `tasks` the lines of the file in
    which the agents write down what they did; `keys` are those of the effects outside the cluster, `configs` the
    ConfigMaps that it left.
    """

    status: Json
    children: list[tuple[str, Json]]
    pods: list[tuple[str, ...]]
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
    """Read what came of the workflow; AssertionError where a child was made twice or is gone."""
    found, *children = _read_family(objects, name)
    uids = [run["metadata"]["uid"] for run in (found, *children)]
    uid = uids[0]
    return Outcome(
        status=_read_status(found, found),
        children=sorted((run["metadata"]["labels"]["vapora.dev/step"], _read_status(run, found)) for run in children),
        pods=_read_pods(objects, name, uids, audit),
        executions=[row for each in uids for row in _read_executions(graph, each, objects.namespace)],
        tasks=sorted(task_id.replace(uid, "uid") for task_id in _read_work(work_log) if task_id.startswith(uid)),
        keys=[key.replace(uid, "uid") for key in keys],
        configs=[
            (config["metadata"]["name"].removeprefix(name), config["data"])
            for config in objects.all("ConfigMap")
            if config["metadata"]["name"].startswith(f"{name}-")
        ],
    )


def _read_family(objects: Objects, name: str) -> list[Json]:
    """Return the Workflow, and those that it made, oldest first."""
    found = objects.get("Workflow", name)
    children = objects.all("Workflow", f"vapora.dev/workflow={found['metadata']['uid']}")
    return [found, *sorted(children, key=lambda child: str(child["metadata"]["creationTimestamp"]))]


def _read_status(workflow: Json, eldest: Json) -> Json:
    words = json.dumps(workflow["status"]).replace(workflow["metadata"]["namespace"], "namespace")
    for place, run in (("own", workflow), ("eldest", eldest)):
        words = words.replace(run["metadata"]["uid"], f"{place}-uid").replace(run["metadata"]["name"], f"{place}-name")
    status = _strip(json.loads(words))
    for row in (*status["steps"].values(), *status.get("rollback", {}).get("steps", {}).values()):
        if "child" in row:
            row["child"] = row["child"]["kind"]
        if "children" in row.get("memory", {}):
            row["memory"]["children"] = len(row["memory"]["children"])  # their names are made of the uid
        if "assignment" in row:
            # The rest tells the loads of that moment, and what was known by then.
            row["assignment"] = {name: row["assignment"][name] for name in ("pool", "taskType")}
    status.pop("revision", None)  # a run that ends at once pins nothing
    status["conditions"] = {row["type"]: (row["status"], row["reason"], row["message"]) for row in status["conditions"]}
    return dict(status)


def _strip(value: Any) -> Any:
    """Leave out what differs between any two runs."""
    if isinstance(value, dict):
        return {name: _strip(entry) for name, entry in value.items() if name not in _PASSING}
    return [_strip(entry) for entry in value] if isinstance(value, list) else value


def _read_pods(objects: Objects, name: str, uids: list[str], audit: Iterator[AuditEvent]) -> list[tuple[str, ...]]:
    asked = [child for child in _asked_children(audit, objects.namespace) if child[1].startswith(f"{name}-")]
    created = sorted((kind, child) for kind, child, code in asked if code == 201)
    there = {(child["kind"], child["metadata"]["name"]): child for child in _held_or_kept(objects, uids)}
    made = sorted(key for key, child in there.items() if not _is_of_a_job(child))
    assert len(set(created)) == len(created), f"made twice: {created}"
    # One whose maker was gone before the answer is in the log under another code.
    unanswered = {(kind, child) for kind, child, code in asked if code not in {201, 409}}
    assert set(created) <= set(made) <= {*created, *unanswered}, f"made were {asked}, there are {made}"
    return sorted(_describe(child) for child in there.values())


def _held_or_kept(objects: Objects, uids: list[str]) -> list[Json]:
    """Return the Pods and Jobs of these workflows."""
    selector = f"vapora.dev/workflow in ({','.join(uids)})"
    return [{**found, "kind": kind} for kind in ("Pod", "Job") for found in objects.all(kind, selector)]


def _is_of_a_job(child: Json) -> bool:
    return any(owner["kind"] == "Job" for owner in child["metadata"]["ownerReferences"])


def _asked_children(audit: Iterator[AuditEvent], namespace: str) -> Iterator[tuple[str, str, object]]:
    kinds = {"pods": "Pod", "jobs": "Job"}
    for event in audit:
        about: Json = event["objectRef"]  # type: ignore[assignment]  # JSON
        answer: Json = event["responseStatus"]  # type: ignore[assignment]  # JSON
        if (
            event["verb"] == "create"
            and about["resource"] in kinds
            and about.get("namespace") == namespace
            and "subresource" not in about
        ):
            # The name of others', which is made by its beginning, is not told: so that of a Job's Pods.
            yield kinds[about["resource"]], about.get("name", ""), answer["code"]


def _describe(child: Json) -> tuple[str, ...]:
    labels, phase = child["metadata"]["labels"], child["status"].get("phase", "")  # a Job has none; its Pod tells
    return child["kind"], *(labels.get(f"vapora.dev/{name}", "") for name in ("step", "item", "try")), phase


def _read_executions(graph: Path, uid: str, namespace: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{graph}?mode=ro", uri=True)
    try:
        query = f"SELECT workflow, {_COLUMNS} FROM executions WHERE id LIKE ? ORDER BY id"
        rows = connection.execute(query, (f"{uid}/%",)).fetchall()
        return [
            tuple(str(value).replace(f"{namespace}/", "").replace(name, "own-name") for value in row)
            for name, *row in rows
        ]
    finally:
        connection.close()


def _read_work(work_log: Path) -> list[str]:
    return [line.split()[0] for line in work_log.read_text().splitlines()] if work_log.exists() else []


def has_ended(objects: Objects, name: str) -> bool:
    return objects.status("Workflow", name).get("phase") in FINAL


def explain_unsettled(objects: Objects, name: str) -> str:
    """Say what is still to be done about a workflow; "" once it has ended, is recorded, and its Pods are let go."""
    found = objects.get("Workflow", name)
    if why := _explain_unrecorded(found):
        return why
    runs = _read_family(objects, name)
    held = [
        (child["metadata"]["name"], child["metadata"].get("finalizers"), child["metadata"]["labels"])
        for child in _held_or_kept(objects, [run["metadata"]["uid"] for run in runs])
        if child["metadata"].get("finalizers") or child["metadata"]["labels"].get("vapora.dev/recorded") != "true"
    ]
    unrecorded = [f"{run['metadata']['name']}: {why}" for run in runs if (why := _explain_unrecorded(run))]
    return f"these are still held: {held}; these go on: {unrecorded}" if held or unrecorded else ""


def _explain_unrecorded(workflow: Json) -> str:
    status = workflow.get("status", {})
    if status.get("phase") not in FINAL:
        return f"it is {status.get('phase')}: {json.dumps(status.get('steps'))}"
    is_recorded = any(row["type"] == "Recorded" and row["status"] == "True" for row in status["conditions"])
    return "" if is_recorded else "it is not recorded"


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
