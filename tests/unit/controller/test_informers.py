"""Following children, releasing orphans, and the resync."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.event_source import FakeEventSource
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time, settle
from tests.unit.controller.builders import Engine, build_pod, build_workflow, pod_key, workflow_key

from vapora.controller.informers import WATCHED, ChildInformers
from vapora.controller.intake import Intake
from vapora.controller.orphans import OrphanReconciler
from vapora.controller.resync import EVERY, Resync
from vapora.core.plan import Key

HELD = ["vapora.dev/attempt", "example.com/other"]


class Watching:
    """An engine whose children are watched."""

    def __init__(self, engine: Engine, lag: float = 0.0) -> None:
        self.engine = engine
        self.source = FakeEventSource(engine.api, lag=lag)
        self.informers = ChildInformers(self.source, engine.store, engine.queue, engine.meter)

    async def queued(self) -> list[Key]:
        """Takes every key that waits."""
        await self.engine.clock.sleep(1)
        keys = []
        while self.engine.queue.depth:
            keys.append(await self.engine.queue.get())
            self.engine.queue.done(keys[-1])
        return keys


@asynccontextmanager
async def watching(lag: float = 0.0) -> AsyncIterator[Watching]:
    world = Watching(Engine(), lag)
    task = asyncio.ensure_future(world.informers.run())
    try:
        await settle()
        yield world
    finally:
        task.cancel()


@in_virtual_time
async def test_a_change_of_a_child_queues_its_owner():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid))
        assert await world.queued() == [workflow_key("w")]
        world.engine.api.change(pod_key("p"), {"status": {"phase": "Succeeded"}})
        assert await world.queued() == [workflow_key("w")]
        assert world.engine.store.children(uid)[pod_key("p")].phase == "Succeeded"


@in_virtual_time
async def test_a_change_that_no_plan_looks_at_queues_nobody():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid))
        await world.queued()
        world.engine.api.change(pod_key("p"), {"metadata": {"annotations": {"note": "hello"}}})
        assert await world.queued() == []


@in_virtual_time
async def test_the_node_that_takes_a_pod_is_known_but_changes_nothing():
    store = Engine().store
    pod = build_pod("p", owner="u", uid="p", resourceVersion="1")
    assert store.put_child("Pod", pod) is not None
    bound = {**pod, "metadata": {**pod["metadata"], "resourceVersion": "2"}, "spec": {"nodeName": "general-0"}}
    assert store.put_child("Pod", bound) is None
    assert store.children("u")[pod_key("p")].node == "general-0"


@in_virtual_time
async def test_the_end_of_a_child_queues_its_owner():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid))
        await world.queued()
        world.engine.api.remove(pod_key("p"))
        assert await world.queued() == [workflow_key("w")]
        assert not world.engine.store.children(uid)


@in_virtual_time
async def test_a_recorded_attempt_is_forgotten_as_if_it_were_gone():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid))
        await world.queued()
        world.engine.api.change(pod_key("p"), {"metadata": {"labels": {"vapora.dev/recorded": "true"}}})
        await world.queued()
        assert not world.engine.store.children(uid)


@in_virtual_time
async def test_what_was_deleted_while_a_watch_was_lost_is_noticed_at_the_next_list():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid))
        await world.queued()
        lost, world.source._queues[0] = world.source._queues[0], asyncio.Queue()
        world.engine.api.remove(pod_key("p"))
        while not lost.empty():
            lost.get_nowait()
        lost.put_nowait(None)
        assert await world.queued() == [workflow_key("w")]
        assert not world.engine.store.children(uid)


@in_virtual_time
async def test_a_child_made_while_a_list_was_read_is_not_taken_for_gone():
    engine = Engine()
    uid = engine.add(build_workflow("w"))["metadata"]["uid"]

    class SlowList(FakeEventSource):
        async def watch(self, kind, selector, *, on_object, on_deleted, on_listed):
            version = engine.api.version
            engine.store.put_child("Pod", engine.api.put(build_pod("p", owner=uid)))
            on_listed(frozenset(), version)

    informers = ChildInformers(SlowList(engine.api), engine.store, engine.queue, engine.meter)
    await informers._watch(WATCHED[0])
    assert list(engine.store.children(uid)) == [pod_key("p")]


@in_virtual_time
async def test_it_is_synced_once_every_watch_has_listed():
    engine = Engine()
    informers = ChildInformers(FakeEventSource(engine.api), engine.store, engine.queue, engine.meter)
    assert not informers.is_synced
    task = asyncio.ensure_future(informers.run())
    await settle()
    assert informers.is_synced
    task.cancel()


async def release(world: Watching, name: str = "p") -> float | None:
    return await OrphanReconciler(world.engine.api, world.engine.store).reconcile(pod_key(name))


@in_virtual_time
async def test_a_child_whose_owner_is_gone_is_queued_and_freed_from_our_finalizer_alone():
    async with watching() as world:
        world.engine.api.put(build_pod("p", owner="u-gone", finalizers=HELD))
        assert await world.queued() == [pod_key("p")]
        assert await release(world) is None
        assert world.engine.api.find("Pod", "p")["metadata"]["finalizers"] == ["example.com/other"]


@in_virtual_time
async def test_a_deleted_workflow_takes_its_attempts_with_it():
    async with watching() as world:
        uid = world.engine.add(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid, finalizers=["vapora.dev/attempt"]))
        await world.queued()
        world.engine.store.remove(workflow_key("w"), uid)
        world.engine.api.remove(workflow_key("w"))
        assert await world.queued() == [pod_key("p")]
        await release(world)
        assert world.engine.api.find("Pod", "p") is None


@in_virtual_time
async def test_a_child_whose_owner_only_the_store_does_not_know_yet_is_kept():
    async with watching() as world:
        uid = world.engine.api.put(build_workflow("w"))["metadata"]["uid"]
        world.engine.api.put(build_pod("p", owner=uid, finalizers=HELD))
        await world.queued()
        assert await release(world) == 10
        assert world.engine.api.find("Pod", "p")["metadata"]["finalizers"] == HELD


@in_virtual_time
async def test_an_orphan_keeps_what_others_wrote_meanwhile():
    async with watching(lag=5) as world:
        world.engine.api.put(build_pod("p", owner="u-gone", finalizers=HELD))
        await world.engine.clock.sleep(6)
        world.engine.api.change(pod_key("p"), {"metadata": {"finalizers": [*HELD, "example.com/new"]}})
        await release(world)
        found = world.engine.api.find("Pod", "p")["metadata"]["finalizers"]
        assert found == ["example.com/other", "example.com/new"]


def build_resync(engine: Engine) -> Resync:
    return Resync(engine.api, engine.store, engine.queue, engine.clock, ["Workflow"])


@in_virtual_time
async def test_the_resync_drops_what_is_gone_and_reads_what_was_missed():
    engine = Engine()
    for name in ("gone", "changed", "same"):
        engine.add(build_workflow(name))
    engine.api.remove(workflow_key("gone"))
    engine.api.change(workflow_key("changed"), {"spec": {"paused": True}})
    engine.api.put(build_workflow("new"))
    await build_resync(engine).once()
    assert {key.name for key in engine.store.keys("Workflow")} == {"changed", "same", "new"}
    assert engine.store.get(workflow_key("changed"))["spec"] == {"paused": True}
    assert engine.queue.depth == 3


@in_virtual_time
async def test_the_resync_queues_children_that_nobody_owns():
    engine = Engine()
    engine.store.put_child("Pod", engine.api.put(build_pod("p", owner="u-gone")))
    await build_resync(engine).once()
    assert await engine.queue.get() == pod_key("p")


@in_virtual_time
async def test_a_term_begins_with_every_object_and_every_orphan():
    engine = Engine()
    uid = engine.add(build_workflow("w"))["metadata"]["uid"]
    engine.store.put_child("Pod", engine.api.put(build_pod("mine", owner=uid)))
    engine.store.put_child("Pod", engine.api.put(build_pod("lost", owner="u-gone")))
    build_resync(engine).queue_all()
    assert {await engine.queue.get(), await engine.queue.get()} == {workflow_key("w"), pod_key("lost")}


@in_virtual_time
async def test_it_is_synced_once_the_watch_has_brought_what_the_list_names():
    engine = Engine()
    engine.api.put(build_workflow("w"))
    resync = build_resync(engine)
    task = asyncio.ensure_future(resync.run())
    await engine.clock.sleep(5)
    assert not resync.is_synced
    intake = Intake(engine.store, engine.queue, engine.meter)
    intake.take("Workflow", None, engine.api.find("Workflow", "w"))
    await engine.clock.sleep(0.2)
    assert resync.is_synced
    task.cancel()


@in_virtual_time
async def test_what_a_watch_never_brings_is_read_by_the_resync():
    engine = Engine()
    engine.api.put(build_workflow("w"))
    resync = build_resync(engine)
    task = asyncio.ensure_future(resync.run())
    await engine.clock.sleep(70)
    assert resync.is_synced
    assert engine.store.get(workflow_key("w")) is not None
    task.cancel()


@in_virtual_time
async def test_a_server_that_is_away_delays_the_resync_and_counts_as_tried():
    engine = Engine()
    resync = build_resync(engine)
    task = asyncio.ensure_future(resync.run())
    await engine.clock.sleep(1)

    async def refuse_all(verb: str, key: Key) -> None:
        raise refuse(503)

    engine.api.before = refuse_all
    await engine.clock.sleep(2 * EVERY)
    assert engine.clock.monotonic() - resync.tried_at < 60
    task.cancel()


@in_virtual_time
async def test_the_intake_keeps_what_is_new_and_queues_it_once():
    engine = Engine()
    intake = Intake(engine.store, engine.queue, engine.meter)
    obj = engine.api.put(build_workflow("w"))
    intake.take("Workflow", None, dict(obj))
    intake.take("Workflow", "MODIFIED", dict(obj))
    assert await engine.queue.get() == workflow_key("w")
    engine.queue.done(workflow_key("w"))
    assert engine.queue.depth == 0
    intake.take("Workflow", "DELETED", dict(obj))
    assert engine.store.get(workflow_key("w")) is None
    assert engine.queue.depth == 1


@in_virtual_time
async def test_children_whose_last_event_came_before_their_owners_end_are_queued_with_it():
    engine = Engine()
    engine.api.put(build_workflow("w"))
    workflow = engine.api.find("Workflow", "w")
    intake = Intake(engine.store, engine.queue, engine.meter)
    intake.take("Workflow", "ADDED", workflow)
    engine.store.put_child("Pod", build_pod("held", owner=workflow["metadata"]["uid"]))
    assert await engine.queue.get() == workflow_key("w")
    engine.queue.done(workflow_key("w"))
    intake.take("Workflow", "DELETED", workflow)
    assert {await engine.queue.get(), await engine.queue.get()} == {workflow_key("w"), pod_key("held")}


@in_virtual_time
async def test_a_parent_hears_of_the_end_of_a_child_that_a_write_has_already_found_gone():
    engine = Engine()
    intake = Intake(engine.store, engine.queue, engine.meter)
    parent, child = build_parent_and_child(engine)
    intake.take("Workflow", "ADDED", parent)
    intake.take("Workflow", "ADDED", child)
    engine.store.remove(workflow_key("child"), child["metadata"]["uid"])
    for _ in range(engine.queue.depth):
        engine.queue.done(await engine.queue.get())
    intake.take("Workflow", "DELETED", child)
    assert {await engine.queue.get(), await engine.queue.get()} == {workflow_key("child"), workflow_key("parent")}


@in_virtual_time
async def test_a_parent_hears_of_the_end_of_a_child_from_a_list_where_the_watch_tells_nothing():
    engine = Engine()
    parent, child = build_parent_and_child(engine)
    for obj in (parent, child):
        engine.store.put("Workflow", obj)
    engine.api.remove(workflow_key("child"))
    await build_resync(engine).once()
    assert {await engine.queue.get(), await engine.queue.get()} == {workflow_key("child"), workflow_key("parent")}


@in_virtual_time
async def test_a_child_that_a_write_has_found_gone_may_be_told_of_again():
    engine = Engine()
    intake = Intake(engine.store, engine.queue, engine.meter)
    for obj in (objects := build_parent_and_child(engine)):
        intake.take("Workflow", "ADDED", obj)
    engine.store.remove_child(workflow_key("child"))
    assert engine.store.get(workflow_key("child")) is None
    intake.take("Workflow", "MODIFIED", dict(objects[1]))
    assert engine.store.find_child(workflow_key("child")) is not None


def build_parent_and_child(engine):
    engine.api.put(build_workflow("parent"))
    parent = engine.api.find("Workflow", "parent")
    below = build_workflow("child")
    below["metadata"]["labels"] = {"vapora.dev/workflow": parent["metadata"]["uid"]}
    engine.api.put(below)
    return dict(parent), dict(engine.api.find("Workflow", "child"))
