"""Templates in the engine: their runs are seen at once, and those who wait for a template are told."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine, workflow_key
from tests.unit.template.templates import Json, build_scheduled, build_template, parameter

from vapora.controller.ports import ApiError, Beside
from vapora.controller.workflowtemplate import RunTeller, TemplateObserver, TemplateReconciler, Templates
from vapora.core.plan import Key
from vapora.core.supported import SpecProblem

REF = {"templateRef": {"name": "t"}}
T = TypeVar("T")
KEY = Key("WorkflowTemplate", "default", "t")


async def at_once(work: Callable[[], T], /) -> T:
    """Runs a function in virtual time, which knows no threads."""
    return work()


class World(Engine):
    """Is the engine with the reconciler of templates, and one of Workflows that sets the phase it is told."""

    def __init__(self, beside: Beside = at_once) -> None:
        super().__init__()
        self.woken: list[Key] = []
        self.templates = Templates(self.store, self.woken.append, beside)
        self.reconciler = TemplateReconciler(TemplateObserver(self.store, beside), self.templates, self.kit)
        self.teller = RunTeller(self, self.store, self.woken.append)
        self.phases: dict[str, str] = {}

    def add_template(self, spec: Json, **meta: object) -> Json:
        head = {"apiVersion": "vapora.dev/v1alpha1", "kind": "WorkflowTemplate"}
        return self.add({**head, "metadata": {"name": "t", "namespace": "default", **meta}, "spec": spec})

    def change_template(self, spec: Json) -> None:
        self.store.put("WorkflowTemplate", self.api.change(KEY, {"spec": spec}))

    def go(self, key: Key) -> None:
        uid = self.store.get(key)["metadata"]["uid"]
        self.api.remove(key)
        self.store.remove(key, uid)

    async def reconcile(self, key: Key) -> float | None:
        """Is what the reconciler of Workflows does here."""
        phase = self.phases.get(key.name)
        if phase and self.store.get(key) is not None:
            await self.writer.write(key, {"phase": phase}, urgent=True)
        return None

    def runs(self) -> list[str]:
        return [run["metadata"]["name"] for run in self.api.all("Workflow")]


@in_virtual_time
async def test_a_run_is_known_before_the_watch_tells_of_it_and_is_begun() -> None:
    world = World()
    world.add_template(build_scheduled(), annotations={"vapora.dev/author": "ada"})
    await world.reconciler.reconcile(KEY)
    await world.clock.sleep(60)
    await world.reconciler.reconcile(KEY)
    name = world.runs()[0]
    assert [run["metadata"]["name"] for run in world.store.runs("uid-1")] == [name]
    assert await world.queue.get() == workflow_key(name)
    assert world.api.find("Workflow", name)["metadata"]["annotations"] == {"vapora.dev/author": "ada"}
    await world.clock.sleep(60)
    await world.reconciler.reconcile(KEY)
    assert world.runs() == [name]


@in_virtual_time
async def test_a_run_that_was_made_before_a_crash_is_taken_for_its_slot() -> None:
    world = World()
    world.add_template(build_scheduled())
    await world.reconciler.reconcile(KEY)
    await world.clock.sleep(60)

    async def lose(verb: str, key: Key) -> None:
        if (verb, key) == ("patch", KEY):
            raise refuse(500)

    world.api.before = lose
    with pytest.raises(ApiError):
        await world.reconciler.reconcile(KEY)
    world.api.before = None
    again = World()  # another process, which has not seen the run yet
    again.api = again.executor._api = again.writer._api = world.api
    again.store.put("WorkflowTemplate", world.api.find("WorkflowTemplate", "t"))
    await again.reconciler.reconcile(KEY)
    assert len(world.runs()) == 1
    assert len(again.store.runs("uid-1")) == 1


@in_virtual_time
async def test_a_template_is_looked_at_when_a_run_turns_and_only_then() -> None:
    world = World()
    world.add_template(build_scheduled())
    await world.clock.sleep(60)
    await world.reconciler.reconcile(KEY)
    name = world.runs()[0]
    world.woken.clear()
    for phase, told in (("", 1), ("Running", 1), ("Running", 0), ("Succeeded", 1)):
        world.phases[name] = phase
        await world.teller.reconcile(workflow_key(name))
        assert world.woken == [KEY] * told
        world.woken.clear()
    world.go(workflow_key(name))
    await world.teller.reconcile(workflow_key(name))
    assert world.woken == [KEY]
    assert world.store.runs("uid-1") == []


@in_virtual_time
async def test_a_workflow_of_no_schedule_tells_no_template() -> None:
    world = World()
    world.add({"kind": "Workflow", "metadata": {"name": "w", "namespace": "default"}, "spec": {}})
    await world.teller.reconcile(workflow_key("w"))
    assert world.woken == []


@in_virtual_time
async def test_a_workflow_waits_for_a_template_that_is_not_there_until_it_appears() -> None:
    world = World()
    wanted = SpecProblem(
        "TemplateNotFound", "spec.templateRef.name: there is no WorkflowTemplate 't' in this namespace"
    )
    assert await world.templates.resolve(workflow_key("w"), REF) == wanted
    world.add_template(build_template(parameter("name", default="x")))
    await world.reconciler.reconcile(KEY)
    assert world.woken == [workflow_key("w")]
    resolved = await world.templates.resolve(workflow_key("w"), REF)
    assert not isinstance(resolved, SpecProblem)
    world.woken.clear()
    world.change_template(build_template(parameter("name", default="y")))
    await world.reconciler.reconcile(KEY)
    assert world.woken == []  # it has begun: what the template becomes does not touch it


@in_virtual_time
async def test_a_workflow_whose_params_do_not_fit_is_looked_at_when_the_template_changes() -> None:
    world = World()
    world.add_template(build_template(parameter("name", "integer")))
    await world.reconciler.reconcile(KEY)
    spec = {**REF, "params": {"name": "x"}}
    assert isinstance(await world.templates.resolve(workflow_key("w"), spec), SpecProblem)
    await world.reconciler.reconcile(KEY)
    assert world.woken == []
    world.change_template(build_template(parameter("name", "string")))
    await world.reconciler.reconcile(KEY)
    assert world.woken == [workflow_key("w")]


@in_virtual_time
async def test_a_workflow_that_names_no_template_is_what_it_is() -> None:
    spec = {"steps": [{"name": "s"}]}
    assert await World().templates.resolve(workflow_key("w"), spec) is spec


async def test_the_event_loop_goes_on_while_a_template_is_rendered() -> None:
    world = World(asyncio.to_thread)
    body = "{{ params.s | upper | length }}" * 60
    steps = [{"name": f"s{i}", "run": {"image": "a", "args": [body]}} for i in range(12)]
    steps += [{"name": "long", "run": {"image": "a", "args": ["{% for i in range(1000) %}" + body + "{% endfor %}"]}}]
    world.add_template(build_template(parameter("s", default="a" * 10_000), steps=steps))
    longest, began = 0.0, time.thread_time()
    rendering = asyncio.create_task(world.templates.resolve(workflow_key("w"), REF))
    while not rendering.done():
        await asyncio.sleep(0)
        longest, began = max(longest, time.thread_time() - began), time.thread_time()
    found = await rendering
    assert isinstance(found, SpecProblem)
    assert "the template needs more work than is allowed" in found.message
    assert longest < 0.1
