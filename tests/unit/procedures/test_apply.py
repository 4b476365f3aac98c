"""Steps that apply objects: the inventory first, then the write, then the waiting."""

from itertools import pairwise
from typing import Any

import pytest
from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import NOW, UID, drive, failed, finished, situation

from vapora.core.calls import Answer, ApplyCall, ReadCall
from vapora.core.procedures.apply import apply
from vapora.core.workflow.procedure import Ask, Failed, Finished, Rest

OURS = f"vapora-{UID[:8]}"
FORMER = "vapora-0f0f0f0f"


def config(name: str, labels: dict[str, str] | None = None, /, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data}


def widget(name: str) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1}}


def deployment(name: str) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 2}}


def rolled(ready: int) -> Json:
    return {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": ready}


def body(*manifests: Json) -> Json:
    return {"manifests": list(manifests)}


def inventory(*rows: Json) -> Json:
    return {"inventory": list(rows)}


MADE = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "a", "existedBefore": False}


def test_the_inventory_is_there_before_the_write_and_has_the_uids_after_it() -> None:
    cluster, start = Cluster(), situation(body(config("a", x="1")))
    look = apply(start)
    assert isinstance(look, Ask)
    assert isinstance(look.call, ReadCall)
    write = apply(situation(start.body, cluster(look.call), memory=look.memory))
    assert isinstance(write, Ask)
    assert write.memory == {**inventory(MADE), "applying": True}
    labels = {"vapora.dev/applied-by": UID}
    manifest = {**config("a", x="1"), "metadata": {"name": "a", "namespace": "default", "labels": labels}}
    assert write.call == ApplyCall((manifest,), OURS)
    end = apply(situation(start.body, cluster(write.call), memory=write.memory))
    objects = {"objects": [{"kind": "ConfigMap", "name": "a", "uid": "uid-1"}]}
    assert end == Finished(objects, inventory({**MADE, "uid": "uid-1"}))


def test_what_was_there_is_remembered_without_what_only_the_server_writes() -> None:
    cluster = Cluster()
    found = cluster.put({**config("a", {"team": "x"}, x="1"), "status": {"phase": "Active"}})
    found["metadata"] |= {"resourceVersion": "9", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"}
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    course = drive(apply, situation(body(config("a", y="2"))), cluster)
    assert isinstance(course.end, Finished)
    before = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1"}}
    image = {**before, "metadata": {"name": "a", "labels": {"team": "x"}}}
    assert course.end.memory == inventory({**MADE, "existedBefore": True, "uid": "uid-1", "preImage": image})


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("crash_at", range(4))
def test_a_crash_anywhere_changes_nothing(crash_at: int, is_made: bool) -> None:
    cluster = Cluster(config("b", x="1"))
    cluster.statuses["Deployment"] = iter([rolled(1), rolled(2), rolled(2)])
    wanted = body(config("a", x="1"), config("b", y="2"), deployment("api"))
    course = drive(apply, situation(wanted), cluster, crash_at=crash_at, is_made=is_made)
    assert isinstance(course.end, Finished)
    rows = course.end.memory["inventory"]
    assert isinstance(rows, list)
    assert [(row["name"], row["existedBefore"], row["uid"]) for row in rows] == [
        ("a", False, "uid-2"),
        ("b", True, "uid-1"),
        ("api", False, "uid-3"),
    ]
    assert cluster.data("b") == {"x": "1", "y": "2"}


def test_a_deployment_is_waited_for_with_growing_pauses_and_a_sentence() -> None:
    cluster = Cluster()
    cluster.statuses["Deployment"] = iter([rolled(0), *[rolled(1)] * 5, rolled(2)])
    course = drive(apply, situation(body(deployment("api"), config("a", x="1"))), cluster)
    finished(course)
    assert course.rests[0].why == "waits for Deployment api (0 of 2 replicas are updated)"
    assert course.rests[1].why == "waits for Deployment api (0 of 2 replicas are ready)"
    moments = [NOW, *(rest.until for rest in course.rests if rest.until)]
    pauses = [(after - before).total_seconds() for before, after in pairwise(moments)]
    assert pauses[:5] == [2.0, 3.0, 4.5, 6.75, 10.0]
    assert max(pauses) == 10.0


def test_a_custom_object_gets_a_moment_for_its_first_status() -> None:
    cluster = Cluster()
    course = drive(apply, situation(body(widget("w"))), cluster)
    finished(course)
    assert [rest.why for rest in course.rests] == ["waits for Widget w (it has no status yet)"]


def test_an_object_that_fails_fails_the_try_and_the_next_try_applies_again() -> None:
    cluster = Cluster()
    stalled = {"conditions": [{"type": "Stalled", "status": "True", "message": "no such image"}]}
    cluster.statuses["Widget"] = iter([stalled])
    first = drive(apply, situation(body(widget("w"))), cluster)
    assert failed(first.end) == ("ObjectFailed", "Widget w: no such image")
    assert isinstance(first.end, Failed)
    cluster.objects["Widget", "w"]["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    second = drive(apply, situation(body(widget("w")), memory=first.end.memory), cluster)
    finished(second)
    assert cluster.log == ["apply w", "apply w"]
    rows = second.end.memory["inventory"]  # type: ignore[union-attr]
    assert [row["existedBefore"] for row in rows] == [False]  # type: ignore[attr-defined]


def test_what_a_former_run_applied_becomes_this_runs_own() -> None:
    cluster = Cluster()
    cluster.put(config("a", {"vapora.dev/applied-by": "another"}, x="1", old="1"), FORMER)
    course = drive(apply, situation(body(config("a", x="2"))), cluster)
    finished(course)
    assert cluster.log == ["take over a", "apply a"]
    assert cluster.data("a") == {"x": "2"}


def test_a_look_that_fails_while_it_waits_is_only_a_look_later() -> None:
    memory = {**inventory({**MADE, "uid": "uid-1"}), "looks": 2}
    away = Answer(None, "ApiUnavailable", "no answer")
    decided = apply(situation(body(config("a")), away, memory=memory))
    assert isinstance(decided, Rest)
    assert (decided.why, decided.memory) == ("waits for the API: no answer", memory)


def test_what_is_being_deleted_is_waited_out() -> None:
    cluster = Cluster(config("a", x="1"))
    found = cluster.get("ConfigMap", "a")
    assert found is not None
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    course = drive(apply, situation(body(config("a", x="2"))), cluster)
    assert [rest.why for rest in course.rests] == ["waits until ConfigMap a is deleted"]
    assert course.end.memory == inventory({**MADE, "uid": "uid-2"})  # type: ignore[union-attr]


def test_the_next_try_remembers_what_the_first_one_found_and_looks_afresh_at_what_that_did_not_reach() -> None:
    cluster = Cluster(config("a", x="1"), config("c", x="1"))
    wanted = body(config("a", y="2"), config("b", x="1"), config("c", y="2"))
    cluster.refuse["c"] = "Forbidden"
    first = drive(apply, situation(wanted), cluster)
    failed(first.end)
    cluster.refuse.clear()
    cluster.put(config("c", x="changed"))
    second = drive(apply, situation(wanted, memory=first.end.memory), cluster)  # type: ignore[union-attr]
    finished(second)
    rows: Any = second.end.memory["inventory"]  # type: ignore[union-attr]
    found = [(row["name"], row["existedBefore"], row.get("preImage", {}).get("data")) for row in rows]
    assert found == [("a", True, {"x": "1"}), ("b", False, None), ("c", True, {"x": "changed"})]


ARGO = {"argocd.argoproj.io/instance": "shop"}
REFUSED = {
    "an object from Git": (
        body(config("a", x="2")),
        Cluster(config("a", ARGO, x="1")),
        ("ManagedElsewhere", "ConfigMap a is tracked by Argo CD (shop): change it in Git"),
    ),
    "a field of another manager": (
        body(config("a", x="2")),
        Cluster(config("a", x="1")),
        ("FieldConflict", "conflict with 'someone': .data.x"),
    ),
    "a Secret": (
        body({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        Cluster(),
        ("InvalidInput", "apply: a Secret is not applied from a Workflow: make it beforehand and refer to it"),
    ),
    "an object without a name": (
        body({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}),
        Cluster(),
        ("InvalidInput", "apply.manifests[0].metadata.name: a text is needed"),
    ),
    "an object without a kind": (
        body(config("a"), {"apiVersion": "v1", "metadata": {"name": "x"}}),
        Cluster(),
        ("InvalidInput", "apply.manifests[1].kind: a text is needed"),
    ),
    "an object that stands there twice": (
        body(config("a", x="1"), config("a", x="2")),
        Cluster(),
        ("InvalidInput", "apply.manifests: ConfigMap a stands there twice"),
    ),
}


@pytest.mark.parametrize(("wanted", "cluster", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refusal(wanted: Json, cluster: Cluster, said: tuple[str, str]) -> None:
    assert failed(drive(apply, situation(wanted), cluster).end) == said
    assert cluster.log == []


WORDS = {"Forbidden": "AccountForbidden", "Invalid": "InvalidInput", "NotFound": "NotFound"}


@pytest.mark.parametrize(("word", "reason"), WORDS.items(), ids=WORDS)
def test_a_write_that_is_refused_leaves_the_inventory_for_the_undoing(word: str, reason: str) -> None:
    cluster = Cluster()
    cluster.refuse["b"] = word
    course = drive(apply, situation(body(config("a"), config("b"))), cluster)
    assert failed(course.end) == (reason, f"b: {word}")
    assert course.end.memory == inventory(MADE, {**MADE, "name": "b"})  # type: ignore[union-attr]
