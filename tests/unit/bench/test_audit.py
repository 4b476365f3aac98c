"""What the benchmark reads out of an audit log."""

from bench.audit import find, read_writes
from bench.loads import build_chain, build_one_step
from bench.rig import OPERATOR_USER

from vapora.core.naming import NO_ITEM, child_name

UIDS = {"one-00000": "uid-0", "one-00001": "uid-1"}


def event(user: str, verb: str, resource: str, name: str, at: float, *, code: int = 201, sub: str = "") -> dict:
    moment = f"2026-01-01T00:00:{at:09.6f}Z"
    about = {"resource": resource, "namespace": "n", "name": name, **({"subresource": sub} if sub else {})}
    return {
        "user": {"username": user},
        "verb": verb,
        "objectRef": about,
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
    }


def pod(workflow: str, at: float, *, uid: str | None = None, step: str = "run", try_: int = 1, code: int = 201) -> dict:
    name = child_name(workflow, uid or UIDS[workflow], step, NO_ITEM, try_)
    return event(OPERATOR_USER, "create", "pods", name, at, code=code)


def test_one_pod_for_each_workflow_is_neither_lost_nor_twice():
    found = find(read_writes([pod("one-00000", 1), pod("one-00001", 1)]), build_one_step(2), "n", UIDS)
    assert (found.duplicates, found.lost) == (0, 0)


def test_a_second_try_of_a_step_that_did_not_fail_is_a_duplicate():
    writes = read_writes([pod("one-00000", 1), pod("one-00000", 2, try_=2), pod("one-00001", 1)])
    assert find(writes, build_one_step(2), "n", UIDS).duplicates == 1


def test_a_pod_made_anew_under_its_old_name_is_a_duplicate():
    writes = read_writes([pod("one-00000", 1), pod("one-00000", 2), pod("one-00001", 1)])
    assert find(writes, build_one_step(2), "n", UIDS).duplicates == 1


def test_a_pod_of_no_known_step_is_a_duplicate():
    writes = read_writes([pod("one-00000", 1), pod("one-00001", 1), pod("one-00001", 1, step="other")])
    assert find(writes, build_one_step(2), "n", UIDS).duplicates == 1


def test_a_refused_create_makes_no_pod():
    found = find(read_writes([pod("one-00000", 1), pod("one-00001", 1, code=409)]), build_one_step(2), "n", UIDS)
    assert (found.duplicates, found.lost) == (0, 1)
    assert found.refused == {"create pods 409": 1}


def test_only_the_operators_writes_are_counted():
    events = [
        event("admin", "create", "workflows", "one-00000", 0),
        event(OPERATOR_USER, "patch", "workflows", "one-00000", 2, code=200, sub="status"),
        event(OPERATOR_USER, "watch", "workflows", "", 2, code=500),
    ]
    assert find(read_writes(events), build_one_step(1), "n", UIDS).writes == {"patch workflows/status": 1}


def test_a_step_waits_from_its_workflows_creation_or_from_the_end_of_the_pod_before_it():
    load, uids = build_chain(1, 2), {"chain-000": "uid"}
    first = pod("chain-000", 1.5, uid="uid", step="link-000")
    ran = event("kwok", "patch", "pods", first["objectRef"]["name"], 2, code=200, sub="status")
    ended = event("kwok", "patch", "pods", first["objectRef"]["name"], 3, code=200, sub="status")
    second = pod("chain-000", 3.25, uid="uid", step="link-001")
    made = event("admin", "create", "workflows", "chain-000", 1)
    assert find(read_writes([made, first, ran, ended, second]), load, "n", uids).waits == [0.5, 0.25]
