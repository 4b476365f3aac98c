"""The executor."""

import asyncio

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine, build_pod, build_workflow, pod_key, workflow_key

from vapora.core.plan import Apply, CancelTask, Create, Delete, Key, Patch

POOL = Key("AgentPool", "default", "dev")


@in_virtual_time
async def test_a_created_child_is_known_before_its_watch_event():
    engine = Engine()
    assert await engine.executor.execute([Create(build_pod("p", owner="u1"))]) == []
    assert list(engine.store.children("u1")) == [pod_key("p")]


@in_virtual_time
async def test_creating_the_same_child_twice_is_a_success():
    engine = Engine()
    for _ in range(2):
        assert await engine.executor.execute([Create(build_pod("p", owner="u1"))]) == []
    assert len(engine.api.all("Pod")) == 1


@in_virtual_time
async def test_the_owner_of_a_child_that_existed_already_is_looked_at_again():
    engine = Engine()
    uid = engine.add(build_workflow("w"))["metadata"]["uid"]
    engine.store.take_changes(uid)
    engine.store.put_child("Pod", engine.api.put(build_pod("p", owner=uid)))
    engine.store.take_changes(uid)
    await engine.executor.execute([Create(build_pod("p", owner=uid))])
    assert engine.store.take_changes(uid) == {"p"}
    assert await engine.queue.get() == workflow_key("w")


@in_virtual_time
async def test_a_run_that_is_patched_is_looked_at_although_the_watch_brings_nothing_newer():
    engine = Engine()
    uid = engine.add(build_workflow("w"))["metadata"]["uid"]
    asked = {"metadata": {"uid": uid, "annotations": {"vapora.dev/request": "cancel 1"}}}
    assert await engine.executor.execute([Patch(workflow_key("w"), asked)]) == []
    assert await engine.queue.get() == workflow_key("w")


FOREIGN = {
    "a Pod of another owner": build_pod("p", owner="u2"),
    "another try of this owner": build_pod("p", owner="u1", try_=2),
    "a Pod that nobody owns": build_pod("p", owner="u1", ownerReferences=[]),
}


@pytest.mark.parametrize("case", FOREIGN)
@in_virtual_time
async def test_a_name_taken_by_something_else_is_a_permanent_problem(case: str):
    engine = Engine()
    engine.api.put(FOREIGN[case])
    [problem] = await engine.executor.execute([Create(build_pod("p", owner="u1"))])
    assert (problem.reason, problem.is_permanent) == ("NameTaken", True)
    assert not engine.store.children("u1")


@in_virtual_time
async def test_what_is_to_stop_is_stopped_before_anything_takes_its_place():
    engine = Engine()
    old = engine.api.put(build_pod("old", owner="u1"))
    done = []

    async def note(verb: str, key: Key) -> None:
        await asyncio.sleep(1 if verb == "delete" else 0)
        done.append((verb, key.name))

    engine.api.before = note
    delete = Delete(pod_key("old"), old["metadata"]["uid"])
    assert await engine.executor.execute([Create(build_pod("new", owner="u1")), delete]) == []
    assert done == [("delete", "old"), ("create", "new")]


@in_virtual_time
async def test_problems_are_returned_in_the_order_of_their_actions_and_the_others_are_done():
    engine = Engine()

    async def refuse_some(verb: str, key: Key) -> None:
        if key.name in {"p03", "p20"}:
            await asyncio.sleep(1 if key.name == "p03" else 0)
            raise refuse(403, "Forbidden") if key.name == "p03" else refuse(503)

    engine.api.before = refuse_some
    problems = await engine.executor.execute([Create(build_pod(f"p{n:02}", owner="u1")) for n in range(40)])
    assert [(p.action.manifest["metadata"]["name"], p.is_permanent) for p in problems] == [
        ("p03", True),
        ("p20", False),
    ]
    assert len(engine.api.all("Pod")) == 38


@in_virtual_time
async def test_at_most_sixteen_actions_are_on_their_way_at_once():
    engine = Engine()
    flying, most = 0, 0

    async def count(verb: str, key: Key) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(1)
        flying -= 1

    engine.api.before = count
    await engine.executor.execute([Create(build_pod(f"p{n}", owner="u1")) for n in range(40)])
    assert most == 16


@in_virtual_time
async def test_deleting_what_is_gone_or_was_replaced_is_a_success():
    engine = Engine()
    assert await engine.executor.execute([Delete(pod_key("p"), "u-old")]) == []
    engine.api.put(build_pod("p", owner="u1"))
    assert await engine.executor.execute([Delete(pod_key("p"), "u-old")]) == []
    assert engine.api.find("Pod", "p") is not None


@in_virtual_time
async def test_a_child_that_has_changed_since_it_was_seen_stays_where_only_that_one_was_to_go():
    engine = Engine()
    await engine.executor.execute([Create(build_pod("p", owner="u1", finalizers=["vapora.dev/attempt"]))])
    uid = engine.store.children("u1")[pod_key("p")].meta.uid
    await engine.api.patch(pod_key("p"), {"metadata": {"labels": {"seen": "by-nobody"}}})
    [problem] = await engine.executor.execute([Delete(pod_key("p"), uid, if_unchanged=True)])
    assert (problem.reason, problem.is_permanent) == ("Conflict", False)
    assert "deletionTimestamp" not in engine.api.find("Pod", "p")["metadata"]


@in_virtual_time
async def test_a_child_whose_deletion_was_accepted_is_known_as_going():
    engine = Engine()
    await engine.executor.execute([Create(build_pod("p", owner="u1", finalizers=["vapora.dev/attempt"]))])
    uid = engine.store.children("u1")[pod_key("p")].meta.uid
    await engine.executor.execute([Delete(pod_key("p"), uid)])
    assert engine.store.children("u1")[pod_key("p")].meta.is_deleting


@in_virtual_time
async def test_an_answer_that_comes_after_the_child_was_seen_to_go_brings_no_ghost():
    engine = Engine()
    engine.api.subscribe(
        lambda change, obj, _: change == "DELETED" and engine.store.remove_child(pod_key("p"), obj["metadata"]["uid"])
    )

    async def delete_meanwhile(verb: str, key: Key) -> None:
        engine.api.remove(key)

    engine.api.after = delete_meanwhile
    await engine.executor.execute([Create(build_pod("p", owner="u1"))])
    assert not engine.store.children("u1")


@in_virtual_time
async def test_an_answer_older_than_the_watch_does_not_take_the_child_back():
    engine = Engine()
    engine.api.subscribe(lambda change, obj, _: engine.store.put_child("Pod", obj))

    async def finish_meanwhile(verb: str, key: Key) -> None:
        engine.api.change(key, {"status": {"phase": "Succeeded"}})

    engine.api.after = finish_meanwhile
    await engine.executor.execute([Create(build_pod("p", owner="u1"))])
    assert engine.store.children("u1")[pod_key("p")].phase == "Succeeded"


@in_virtual_time
async def test_a_child_that_is_released_as_recorded_is_forgotten():
    engine = Engine()
    await engine.executor.execute([Create(build_pod("p", owner="u1", finalizers=["vapora.dev/attempt"]))])
    uid = engine.store.children("u1")[pod_key("p")].meta.uid
    body = {"metadata": {"uid": uid, "finalizers": None, "labels": {"vapora.dev/recorded": "true"}}}
    assert await engine.executor.execute([Patch(pod_key("p"), body)]) == []
    assert not engine.store.children("u1")


@in_virtual_time
async def test_releasing_a_child_that_is_gone_is_a_success_and_patching_an_unnamed_one_is_not():
    engine = Engine()
    released, scaled = {"metadata": {"uid": "u9", "finalizers": None}}, {"spec": {"replicas": 3}}
    assert await engine.executor.execute([Patch(pod_key("p"), released)]) == []
    [problem] = await engine.executor.execute([Patch(pod_key("p"), scaled)])
    assert problem.reason == "NotFound"


@in_virtual_time
async def test_an_applied_child_is_known_before_its_watch_event():
    engine = Engine()
    await engine.executor.execute([Apply(build_pod("p", owner="u1"))])
    assert list(engine.store.children("u1")) == [pod_key("p")]


@in_virtual_time
async def test_without_a_broker_an_action_on_a_queue_is_a_passing_problem():
    engine = Engine()
    [problem] = await engine.executor.execute([CancelTask(POOL, "m1")])
    assert (problem.reason, problem.is_permanent) == ("BrokerUnavailable", False)
