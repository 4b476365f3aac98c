"""Undoing an apply step: deleted is only what is ours, restored what was changed, named what stays."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import Course, drive, failed, finished, situation
from tests.unit.procedures.test_apply import FORMER, body, config

from vapora.core.calls import Answer
from vapora.core.procedures.apply import apply
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.workflow.procedure import Failed, Finished

KINDS = ("PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition")


def applied(cluster: Cluster, *manifests: Json, **fields: Any) -> Json:
    """Applies, and returns the memory of the step."""
    course = drive(apply, situation(body(*manifests), **fields), cluster)
    assert course.end is not None
    return dict(course.end.memory)


def undo(cluster: Cluster, memory: Json, **fields: Any) -> Course:
    return drive(undo_apply, situation(body(), undoes=memory), cluster, **fields)


def result(deleted: tuple[str, ...] = (), restored: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> Json:
    """The result for ConfigMaps of these names."""
    named = {"deleted": deleted, "restored": restored}
    return {**{key: [f"ConfigMap {name}" for name in names] for key, names in named.items()}, "kept": list(kept)}


def test_what_was_made_goes_last_first_and_what_was_changed_comes_back() -> None:
    cluster = Cluster(config("b", x="1"))
    memory = applied(cluster, config("a", x="1"), config("b", y="2"), config("c", x="1"))
    cluster.log.clear()
    assert finished(undo(cluster, memory)) == result(deleted=("c", "a"), restored=("b",))
    assert cluster.log == ["delete c", "apply b", "delete a"]
    assert [cluster.data(name) for name in "abc"] == [None, {"x": "1"}, None]
    found = cluster.get("ConfigMap", "b")
    assert found is not None
    assert found["metadata"].get("labels", {}) == {}


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_anywhere_changes_nothing(crash_at: int, is_made: bool) -> None:
    cluster = Cluster(config("b", x="1"))
    cluster.lingering.add("a")
    memory = applied(cluster, config("a", x="1"), config("b", y="2"), config("c", x="1"))
    course = undo(cluster, memory, crash_at=crash_at, is_made=is_made)
    finished(course)
    assert [cluster.data(name) for name in "abc"] == [None, {"x": "1"}, None]


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("calls", [1, 2])
def test_an_apply_that_a_crash_broke_off_is_undone(calls: int, is_made: bool) -> None:
    cluster = Cluster(config("b", x="1"))
    now = situation(body(config("a", x="1"), config("b", y="2")))
    for left in reversed(range(calls)):
        decided: Any = apply(now)
        now = replace(now, memory=decided.memory, answer=cluster(decided.call) if left or is_made else None)
    finished(undo(cluster, dict(now.memory)))
    assert [cluster.data(name) for name in "ab"] == [None, {"x": "1"}]


def test_it_waits_until_what_it_deleted_is_gone() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"))
    cluster.lingering.add("a")
    course = undo(cluster, memory)
    assert finished(course) == result(deleted=("a",))
    assert [rest.why for rest in course.rests] == ["waits until ConfigMap a is gone"]


def test_what_was_of_a_kind_that_is_gone_is_gone() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"))
    unknown = Answer(None, "NotFound", "the cluster has no kind ConfigMap in v1")
    assert isinstance(undo_apply(situation(body(), unknown, undoes=memory)), Finished)
    leaving = {"handled": 1, "deleted": [0], "leaving": [0]}
    assert isinstance(undo_apply(situation(body(), unknown, undoes=memory, memory=leaving)), Finished)


def test_what_another_run_has_taken_over_stays_and_is_named() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"))
    applied(cluster, config("a", x="2"), uid="0f0f0f0f-2222-3333-4444-555555555555")
    said = ("NotUndone", f"not undone: ConfigMap a is used by field manager {FORMER}")
    assert failed(undo(cluster, memory).end) == said
    assert cluster.data("a") == {"x": "2"}


def test_what_somebody_shapes_or_tracks_now_stays_and_all_of_it_is_named() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"), config("b", x="1"), config("c", x="1"))
    cluster.put(config("a", y="1"), "kubectl-edit")
    cluster.put(config("b", {"kustomize.toolkit.fluxcd.io/name": "fleet"}), "kustomize-controller")
    told = "ConfigMap b is tracked by Flux (Kustomization fleet); ConfigMap a is used by field manager kubectl-edit"
    assert failed(undo(cluster, memory).end) == ("NotUndone", f"not undone: {told}")
    assert [cluster.data(name) for name in "abc"] == [{"x": "1", "y": "1"}, {"x": "1"}, None]


def test_a_write_that_is_refused_is_named_and_the_rest_is_undone() -> None:
    cluster = Cluster(config("b", x="1"))
    memory = applied(cluster, config("a", x="1"), config("b", y="2"), config("c", x="1"))
    cluster.refuse |= {"b": "Forbidden", "c": "Forbidden"}
    told = "not undone: ConfigMap c: c: Forbidden; ConfigMap b: b: Forbidden"
    assert failed(undo(cluster, memory).end) == ("NotUndone", told)
    assert cluster.data("a") is None


def test_an_api_that_is_away_fails_the_try_and_the_next_one_goes_on_where_it_was() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"), config("b", x="1"))
    cluster.refuse["a"] = "ApiUnavailable"
    first = undo(cluster, memory)
    assert failed(first.end) == ("ApiUnavailable", "a: ApiUnavailable")
    assert isinstance(first.end, Failed)
    cluster.refuse.clear()
    second = drive(undo_apply, situation(body(), undoes=memory, memory=first.end.memory), cluster)
    assert finished(second) == result(deleted=("b", "a"))


def test_an_api_that_is_away_while_it_reads_fails_the_try() -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"))
    away = Answer(None, "ApiUnavailable", "no answer")
    assert failed(undo_apply(situation(body(), away, undoes=memory))) == ("ApiUnavailable", "no answer")


@pytest.mark.parametrize("kind", KINDS)
def test_data_is_never_deleted(kind: str) -> None:
    cluster = Cluster()
    manifest = {**config("data"), "kind": kind}
    now = situation(body(manifest))
    for _ in range(2):  # a claim that nothing binds is never ready
        decided: Any = apply(now)
        now = replace(now, memory=decided.memory, answer=cluster(decided.call))
    assert finished(undo(cluster, dict(now.memory))) == result(kept=(f"{kind} data",))
    assert cluster.get(kind, "data") is not None


STAYS = {
    "what is gone already": lambda cluster: cluster.objects.clear(),
    "a namesake made since": lambda cluster: (cluster.objects.clear(), cluster.put(config("a", x="theirs"))),
}


@pytest.mark.parametrize("meddle", STAYS.values(), ids=STAYS)
def test_nothing_is_done_about(meddle: Any) -> None:
    cluster = Cluster()
    memory = applied(cluster, config("a", x="1"))
    meddle(cluster)
    before = cluster.data("a")
    cluster.log.clear()
    assert finished(undo(cluster, memory)) == result()
    assert (cluster.log, cluster.data("a")) == ([], before)


def test_a_step_that_applied_nothing_has_nothing_to_undo() -> None:
    assert finished(undo(Cluster(), {})) == result()


def test_a_step_on_what_an_earlier_step_applied_gives_back_that_steps_values() -> None:
    cluster = Cluster()
    first = applied(cluster, config("a", x="1", y="1"))
    second = applied(cluster, config("a", x="2"))
    assert finished(undo(cluster, second)) == result(restored=("a",))
    assert cluster.data("a") == {"x": "1", "y": "1"}
    assert finished(undo(cluster, first)) == result(deleted=("a",))
