"""What the benchmark reads out of an audit log."""

import re

from bench.audit import find, read_writes
from bench.loads import A_FIFTH, build_chain, build_diamond, build_failures, build_one_step
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


def test_the_last_step_of_a_diamond_waits_from_the_last_end_before_it():
    load, uids = build_diamond(1, 2), {"diamond-000": "uid"}
    pods = [
        pod("diamond-000", at, uid="uid", step=step)
        for step, at in {"split": 2.0, "part-000": 4.0, "part-001": 4.0, "join": 6.5}.items()
    ]
    names = [made["objectRef"]["name"] for made in pods]
    ends = [
        event("kwok", "patch", "pods", name, at, code=200, sub="status")
        for name, at in zip(names, (3, 5, 6), strict=False)
    ]
    made = event("admin", "create", "workflows", "diamond-000", 1)
    assert find(read_writes([made, *pods, *ends]), load, "n", uids).waits == [1.0, 1.0, 1.0, 0.5]


def test_a_step_whose_tries_fail_must_have_a_pod_for_each_of_them_and_no_more():
    load = build_failures(1)
    uid = next(
        uid for uid in map(str, range(100)) if len(list(load.list_pods("fallible-00000", uid, load.units[0]))) == 3
    )
    uids = {"fallible-00000": uid}
    tries = [pod("fallible-00000", number, uid=uid, try_=number) for number in (1, 2, 3, 4)]
    found = find(read_writes(tries[:3]), load, "n", uids)
    assert (found.pods, found.duplicates, found.lost) == (3, 0, 0)
    assert find(read_writes(tries[:2]), load, "n", uids).lost == 1
    assert find(read_writes(tries), load, "n", uids).duplicates == 1


def test_the_names_that_fail_are_a_fifth():
    failing = sum(re.search(A_FIFTH, child_name("one", "uid", "run", item, 1)) is not None for item in range(5000))
    assert 0.18 < failing / 5000 < 0.22
