"""The status writer."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kube_objects import merge
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine, build_workflow, workflow_key

from vapora.controller.ports import Conflict
from vapora.controller.writer import build_merge_patch, is_same

A = workflow_key("a")
scalars = st.sampled_from([0, 1, 2, True, False, "", "a", "b"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
statuses = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)

PATCHES = {
    "nothing differs": ({"a": 1}, {"a": 1}, {}),
    "a changed field is sent alone": ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}),
    "a removed field is sent as null": ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
    "of the steps only those that changed are sent": (
        {"steps": {"x": {"state": "Running", "next": "t"}, "y": {"state": "Ready"}, "z": {}}},
        {"steps": {"x": {"state": "Failed"}, "y": {"state": "Ready"}}},
        {"steps": {"x": {"state": "Failed", "next": None}, "z": None}},
    ),
    "a list is sent whole": ({"a": [1, 2]}, {"a": [1, 2, 3]}, {"a": [1, 2, 3]}),
    "an object that replaces a scalar is sent": ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    "an empty object is told from none": ({}, {"a": {}}, {"a": {}}),
}


@pytest.mark.parametrize("case", PATCHES)
def test_the_patch_says_only_what_differs(case: str):
    before, wanted, patch = PATCHES[case]
    assert build_merge_patch(before, wanted) == patch


SAME = {
    "the same": ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
    "a null that was not written": ({"a": {}}, {"a": {"b": None}}, True),
    "a field that was left out": ({"a": {}}, {"a": {"b": 1}}, False),
    "a field that another wrote": ({"a": {"b": 1}}, {"a": {}}, False),
}


@pytest.mark.parametrize("case", SAME)
def test_whether_a_status_stands_as_it_was_wanted(case: str):
    found, wanted, want = SAME[case]
    assert is_same(found, wanted) is want


@given(before=statuses, wanted=statuses)
def test_the_patch_turns_any_status_into_any_other(before, wanted):
    assert merge(before, build_merge_patch(before, wanted)) == wanted


@in_virtual_time
async def test_an_urgent_status_is_written_at_once_and_read_back_from_the_store():
    engine = Engine()
    engine.add(build_workflow("a"))
    assert await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert engine.status("a") == {"phase": "Running"}
    assert engine.store.get(A)["status"] == {"phase": "Running"}


@in_virtual_time
async def test_a_status_that_does_not_differ_is_not_sent():
    engine = Engine()
    engine.add(build_workflow("a"))
    await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert engine.api.writes["patch", "Workflow"] == 1


@in_virtual_time
async def test_progress_is_written_when_its_turn_comes():
    engine = Engine()
    engine.add(build_workflow("a"))
    release = asyncio.ensure_future(engine.pacer.run())
    assert not await engine.writer.write(A, {"progress": "1/2"}, urgent=False)
    assert await engine.queue.get() == A
    assert await engine.writer.write(A, {"progress": "2/2"}, urgent=False)
    assert engine.status("a") == {"progress": "2/2"}
    assert engine.api.writes["patch", "Workflow"] == 1
    release.cancel()


@in_virtual_time
async def test_a_status_decided_on_an_old_version_is_refused_and_the_object_read_anew():
    engine = Engine()
    engine.add(build_workflow("a"))
    engine.api.change(A, {"status": {"phase": "Succeeded"}})
    with pytest.raises(Conflict):
        await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert engine.status("a") == {"phase": "Succeeded"}
    assert engine.store.get(A)["status"] == {"phase": "Succeeded"}


@in_virtual_time
async def test_the_event_of_our_own_write_changes_nothing_in_the_store():
    engine = Engine()
    engine.add(build_workflow("a"))
    await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert not engine.store.put("Workflow", engine.api.find("Workflow", "a"))


@in_virtual_time
async def test_a_status_of_an_object_that_is_gone_is_dropped():
    engine = Engine()
    engine.add(build_workflow("a"))
    engine.api.remove(A)
    assert await engine.writer.write(A, {"phase": "Running"}, urgent=True)
    assert engine.store.get(A) is None
