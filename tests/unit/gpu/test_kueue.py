"""What Kueue says of a Workload, and where that stands among those that wait."""

import pytest

from vapora.core.gpu.kueue import QueuePlace, rank_workloads
from vapora.core.views import project_kueue


def condition(kind: str, status: str, reason: str = "", message: str = "", at: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}


def workload(name: str, *conditions: dict[str, str], at: int = 0, queue: str = "gpus", **spec: object) -> dict:
    meta = {"name": name, "uid": name, "creationTimestamp": f"2026-01-01T00:00:{at:02}Z"}
    return {"metadata": meta, "spec": {"queueName": queue, **spec}, "status": {"conditions": list(conditions)}}


def order(*workloads: dict) -> list[str]:
    places = rank_workloads(workloads)
    return sorted(places, key=lambda uid: places[uid].place)


LATER = "2026-01-01T00:09:00Z"
PENDING = condition("QuotaReserved", "False", "Pending")
ORDERS = {
    "age decides": ((workload("b", at=2), workload("a", at=1), workload("c", PENDING, at=3)), ["a", "b", "c"]),
    "priority comes before age": ((workload("a", at=1), workload("b", at=2, priority=100)), ["b", "a"]),
    "what is below the default comes last": ((workload("a", at=1, priority=-5), workload("b", at=2)), ["b", "a"]),
    "a preempted one keeps its age": (
        (
            workload("a", condition("Evicted", "True", "Preempted", at=LATER), at=1),
            workload("b", at=2),
        ),
        ["a", "b"],
    ),
    "one whose pods took too long to start is as young as that": (
        (
            workload("a", condition("Evicted", "True", "PodsReadyTimeout", at=LATER), at=1),
            workload("b", at=2),
        ),
        ["b", "a"],
    ),
    "what has its quota waits no more": (
        (workload("a", condition("QuotaReserved", "True"), at=1), workload("b", at=2)),
        ["b"],
    ),
    "what has finished waits no more": ((workload("a", condition("Finished", "True")), workload("b")), ["b"]),
    "what is stopped does not wait": ((workload("a", active=False), workload("b")), ["b"]),
}


@pytest.mark.parametrize("case", ORDERS)
def test_workloads_are_ordered_as_kueue_orders_them(case: str):
    workloads, want = ORDERS[case]
    assert order(*workloads) == want


def test_each_queue_counts_for_itself():
    found = rank_workloads([workload("a", at=1), workload("b", at=2), workload("c", queue="cpus", at=1)])
    assert found == {"a": QueuePlace("gpus", 1, 2), "b": QueuePlace("gpus", 2, 2), "c": QueuePlace("cpus", 1, 1)}
    assert str(found["b"]) == "about place 2 of 2 in queue gpus"


RESERVED = condition("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue all")
WAITS = {
    "nothing is said yet": ([], [], ("Pending", "")),
    "no quota": ([condition("QuotaReserved", "False", "Inadmissible", "LocalQueue gpus doesn't exist")], [],
                 ("Inadmissible", "LocalQueue gpus doesn't exist")),
    "a check": ([RESERVED], [{"name": "prov", "state": "Pending", "message": "no capacity"},
                             {"name": "ok", "state": "Ready", "message": ""}],
                ("AdmissionCheck", "prov is Pending: no capacity")),
    "admitted": ([RESERVED, condition("Admitted", "True", "Admitted")], [], ("", "")),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITS)
def test_what_is_waited_for_is_told_in_kueues_words(case: str):
    conditions, checks, want = WAITS[case]
    view = project_kueue(
        {**workload("a", *conditions), "status": {"conditions": conditions, "admissionChecks": checks}}
    )
    assert (view.wait, view.message) == want
