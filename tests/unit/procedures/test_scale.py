"""Steps that set a size, and how that is undone."""

from collections.abc import Mapping

import pytest
from tests.unit.procedures.course import Course, drive, failed, finished, situation

from vapora.core.calls import Answer, Call, MergeCall, ObjectRef, ReadCall
from vapora.core.procedures.scale import scale, undo_scale
from vapora.core.workflow.procedure import Finished, Situation

POOL = {"pool": "dev", "replicas": 5}
SERVICE = {"taskserv": "backend", "replicas": 5}
JsonObject = dict[str, object]


class Cluster:
    """Holds one object; a write with an older resourceVersion is refused, `meddle` changes it before the n-th write."""

    def __init__(self, spec: Mapping[str, object], *, meddle: int = 0, **fields: object) -> None:
        self.spec, self.fields, self.meddle = dict(spec), fields, meddle
        self.version, self.writes = 1, list[tuple[str, object]]()

    def __call__(self, call: Call) -> Answer:
        if isinstance(call, ReadCall):
            return Answer([self.object])
        assert isinstance(call, MergeCall)
        if self.meddle:
            self.meddle -= 1
            self.version += 1
        wanted = call.body["metadata"]
        assert isinstance(wanted, dict)
        if wanted["resourceVersion"] != str(self.version):
            return Answer(None, "Conflict", "the object has been modified")
        self.version += 1
        spec = call.body["spec"]
        assert isinstance(spec, dict)
        self.writes.append((call.subresource, spec["replicas"]))
        self.spec = {name: value for name, value in {**self.spec, **spec}.items() if value is not None}
        return Answer({"spec": spec})

    @property
    def object(self) -> JsonObject:
        metadata = {"resourceVersion": str(self.version), **self.fields.get("metadata", {})}  # type: ignore[dict-item]
        return {**self.fields, "metadata": metadata, "spec": self.spec}


def undo(body: JsonObject, course: Course, cluster: Cluster, **fields: int) -> Course:
    assert isinstance(course.end, Finished)
    return drive(undo_scale, situation(body, undoes=course.end.memory), cluster, **fields)


SIZES = {
    "a pool by its scale subresource": (POOL, {"replicas": 2}, 2, [("scale", 5), ("scale", 2)]),
    "a pool without a size": (POOL, {}, None, [("", 5), ("", None)]),
    "a pool of mode none": (POOL, {"replicas": 2, "scaling": {"mode": "none"}}, 2, [("scale", 5), ("scale", 2)]),
    "a service": (SERVICE, {"replicas": 1}, 1, [("", 5), ("", 1)]),
    "a service without a size": (SERVICE, {}, None, [("", 5), ("", None)]),
}


@pytest.mark.parametrize(("body", "spec", "former", "writes"), SIZES.values(), ids=SIZES)
def test_a_size_is_set_and_given_back(body: JsonObject, spec: JsonObject, former: int | None, writes: object) -> None:
    cluster = Cluster(spec)
    course = drive(scale, situation(body), cluster)
    assert finished(course) == {"replicas": 5, "former": former}
    assert cluster.spec["replicas"] == 5
    assert finished(undo(body, course, cluster)) == {"replicas": former}
    assert (cluster.spec, cluster.writes) == (spec, writes)


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("crash_at", range(3))
def test_a_crash_anywhere_changes_nothing(crash_at: int, is_made: bool) -> None:
    cluster = Cluster({"replicas": 2})
    course = drive(scale, situation(POOL), cluster, crash_at=crash_at, is_made=is_made)
    assert finished(course) == {"replicas": 5, "former": 2}
    assert finished(undo(POOL, course, cluster, crash_at=crash_at)) == {"replicas": 2}
    assert cluster.writes == [("scale", 5), ("scale", 2)]


def test_a_size_that_is_right_already_is_not_written() -> None:
    cluster = Cluster({"replicas": 5})
    course = drive(scale, situation(POOL), cluster)
    assert finished(course) == {"replicas": 5, "former": 5}
    undo(POOL, course, cluster)
    assert cluster.writes == []


def test_a_write_that_met_another_looks_again_and_remembers_the_first_size() -> None:
    cluster = Cluster({"replicas": 2}, meddle=2)
    assert finished(drive(scale, situation(POOL), cluster)) == {"replicas": 5, "former": 2}


def test_a_try_that_failed_after_its_write_can_be_undone() -> None:
    asked = drive(scale, situation(POOL), Cluster({"replicas": 2}))
    assert isinstance(asked.end, Finished)
    lost = Answer(None, "ApiUnavailable", "reset", is_definite=False)
    broken = scale(situation(POOL, lost, memory=asked.end.memory))
    assert failed(broken) == ("ApiUnavailable", "reset")
    assert broken.memory == {"replicas": 5, "preImage": {"replicas": 2}}  # type: ignore[union-attr]


def test_a_retry_that_sets_another_size_is_undone_to_what_was_at_first() -> None:
    cluster = Cluster({"replicas": 2})
    first = drive(scale, situation(POOL), cluster)
    assert isinstance(first.end, Finished)
    wanted: JsonObject = {**POOL, "replicas": 8}
    second = drive(scale, situation(wanted, memory=first.end.memory), cluster)
    assert finished(second) == {"replicas": 8, "former": 2}
    assert finished(undo(wanted, second, cluster)) == {"replicas": 2}
    assert cluster.writes == [("scale", 5), ("scale", 8), ("scale", 2)]


LABELLED = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "fleet"}}}
FOREIGN = {"status": {"conditions": [{"type": "ScalingActive", "reason": "ForeignAutoscaler", "message": "HPA dev"}]}}
REFUSED = {
    "a pool of mode queue": (
        POOL,
        Cluster({"scaling": {"mode": "queue"}}),
        "the operator sets the size of AgentPool dev by its queue (spec.scaling.mode queue), so kubectl scale and "
        "scale steps change nothing: change spec.scaling.min and max, or set mode none",
    ),
    "a pool whose mode is the default": (
        POOL,
        Cluster({"scaling": {"max": 3}}),
        "the operator sets the size of AgentPool",
    ),
    "a pool of mode hpa": (POOL, Cluster({"scaling": {"mode": "hpa"}}), "an HPA sets the size of AgentPool dev"),
    "a pool with a foreign autoscaler": (
        POOL,
        Cluster({"scaling": {"mode": "none"}}, **FOREIGN),
        "another autoscaler sets the size of AgentPool dev: HPA dev",
    ),
    "a service with an HPA": (
        SERVICE,
        Cluster({"scaling": {"max": 3}}),
        "an HPA sets the size of Taskserv backend: change spec.scaling.min and max, or remove spec.scaling",
    ),
    "an object from Git": (
        SERVICE,
        Cluster({"replicas": 1}, **LABELLED),
        "Taskserv backend is tracked by Flux (Kustomization fleet): change its size in Git",
    ),
}


@pytest.mark.parametrize(("body", "cluster", "message"), REFUSED.values(), ids=REFUSED)
def test_a_size_that_something_else_sets_is_refused(body: JsonObject, cluster: Cluster, message: str) -> None:
    reason, said = failed(drive(scale, situation(body), cluster).end)
    assert reason == ("ManagedElsewhere" if "Git" in message else "ReplicasOwned")
    assert said.startswith(message)
    assert cluster.writes == []


MISTAKES: dict[str, tuple[Situation, tuple[str, str]]] = {
    "what is not there": (situation(POOL, Answer([None])), ("NotFound", "AgentPool dev is not there")),
    "an account without the right": (
        situation(POOL, Answer(None, "Forbidden", "may not patch")),
        ("AccountForbidden", "may not patch"),
    ),
    "a size that is no number": (
        situation({"pool": "dev", "replicas": "${many}"}),
        ("InvalidInput", "scale.replicas: '${many}' is no count: allowed is a number from 0"),
    ),
}


@pytest.mark.parametrize(("at", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_fails_the_step(at: Situation, said: tuple[str, str]) -> None:
    assert failed(scale(at)) == said


STAYS = {
    "nothing where nothing was set": ({}, {"replicas": 2}, "the size was not changed"),
    "nothing where somebody has changed it since": (
        {"replicas": 5, "preImage": {"replicas": 2}},
        {"replicas": 7},
        "the size of AgentPool dev was changed since, to 7; it stays",
    ),
    "nothing where the queue sets it now": (
        {"replicas": 5, "preImage": {"replicas": 2}},
        {"replicas": 5, "scaling": {"mode": "queue"}},
        "the operator sets the size of AgentPool dev by its queue",
    ),
}


@pytest.mark.parametrize(("memory", "spec", "note"), STAYS.values(), ids=STAYS)
def test_an_undoing_does(memory: JsonObject, spec: JsonObject, note: str) -> None:
    cluster = Cluster(spec)
    result = finished(drive(undo_scale, situation(POOL, undoes=memory), cluster))
    assert isinstance(result, dict)
    assert result["note"].startswith(note)
    assert cluster.writes == []


def test_an_undoing_of_what_is_gone_is_done() -> None:
    memory = {"replicas": 5, "preImage": {"replicas": 2}}
    decided = undo_scale(situation(POOL, Answer([None]), undoes=memory))
    assert decided == Finished({"note": "AgentPool dev is gone"})


def test_the_object_is_looked_at_in_the_workflows_namespace() -> None:
    course = drive(scale, situation(POOL), Cluster({"replicas": 5}))
    assert course.calls == [ReadCall((ObjectRef("vapora.dev/v1alpha1", "AgentPool", "default", "dev"),))]
