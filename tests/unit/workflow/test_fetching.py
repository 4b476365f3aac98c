"""The result of a try: its termination message, else the ConfigMap that its step names, else the end of its log."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.workflow.world import START, World, run_step

from vapora.core.workflow.readings import Reading, read_data, read_lines


def measuring(**run: object) -> World:
    """A world whose step `train` gives its accuracy, and runs."""
    world = World(
        {"steps": [run_step("train", run={"image": "x", **run}, outputs=["accuracy"], retry={"maxAttempts": 1})]}
    )
    world.settle()
    return world


def read(world: World, reading: Reading, message: str = "") -> None:
    world.readings[world.children[world.child("train")].meta.uid] = reading
    world.finish("train", message=message)


def test_a_termination_message_that_is_an_object_is_the_result_and_nothing_else_is_read() -> None:
    world = measuring(resultConfigMap="told")
    read(world, Reading({"accuracy": 0.1}), message='{"accuracy": 0.9}')
    assert world.step("train").outputs == {"accuracy": 0.9}


def test_without_a_message_what_was_read_is_the_result() -> None:
    world = measuring()
    read(world, Reading({"accuracy": 0.9}))
    assert world.step("train").outputs == {"accuracy": 0.9}


def test_a_config_map_that_is_named_comes_before_a_message_that_is_plain_text() -> None:
    world = measuring(resultConfigMap="told")
    read(world, Reading({"accuracy": 0.9}), message="done")
    assert world.step("train").outputs == {"accuracy": 0.9}


def test_the_config_map_is_named_with_what_its_step_is_given_and_must_be_newer_than_the_try() -> None:
    step = run_step("train", run={"image": "x", "resultConfigMap": "${params.name}-told"}, outputs=["accuracy"])
    world = World({"params": {"name": "a"}, "steps": [step]})
    world.settle()
    key = world.child("train")
    read(world, Reading(problem="away", is_passing=True))
    (source,) = world.decided.unread.values()
    assert (source.config_map, source.pod, source.since) == ("a-told", key, START)


def test_what_was_missing_is_said_where_the_outputs_cannot_be_computed() -> None:
    world = measuring(resultConfigMap="told")
    read(world, Reading(problem="there is no ConfigMap told; its log is empty"))
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason) == ("Failed", "OutputInvalid")
    assert unit.message.endswith("the result was nothing (there is no ConfigMap told; its log is empty)")


def test_a_result_that_cannot_be_read_now_is_waited_for_and_then_given_up() -> None:
    world = measuring()
    read(world, Reading(problem="its log cannot be read: the node is away", is_passing=True))
    unit = world.step("train").unit
    assert (str(unit.state), unit.reason) == ("Running", "ResultUnread")
    assert unit.message == "it has ended, but its log cannot be read: the node is away"
    assert world.decided.plan.requeue_after == 5
    world.pass_time(59)
    assert str(world.step("train").state) == "Running"
    world.pass_time(1)
    assert world.step("train").unit.reason == "OutputInvalid"


def test_a_result_that_comes_late_is_taken() -> None:
    world = measuring()
    read(world, Reading(problem="its log cannot be read: the node is away", is_passing=True))
    world.readings = {uid: Reading({"accuracy": 0.9}) for uid in world.readings}
    world.pass_time(5)
    assert world.step("train").outputs == {"accuracy": 0.9}


def test_a_step_without_outputs_reads_nothing() -> None:
    world = World({"steps": [run_step("train")]})
    world.settle()
    read(world, Reading(problem="away", is_passing=True))
    assert str(world.status.phase) == "Succeeded"


LOGS = {
    "the last line is an object": ('epoch 1\n{"accuracy": 0.9}\n', Reading({"accuracy": 0.9})),
    "the whole log is an object": ('{\n "accuracy": 0.9\n}', Reading({"accuracy": 0.9})),
    "plain text": ("epoch 1\ndone", Reading("epoch 1\ndone")),
    "long text keeps its end": ("x" * 5000 + "end", Reading("x" * 4093 + "end")),
    "brackets without an end": ("[" * 5000, Reading("[" * 4096)),
    "nothing": ("\n", Reading(problem="its log is empty")),
}


@pytest.mark.parametrize("case", LOGS)
def test_the_end_of_a_log_is_read_as_json_where_it_is_json(case: str) -> None:
    log, want = LOGS[case]
    assert read_lines(log) == want


def config_map(data: dict[str, str], *, age: float = -1.0, **meta: object) -> dict[str, object]:
    made = (START - timedelta(seconds=age)).isoformat()
    return {"metadata": {"name": "told", "creationTimestamp": made, **meta}, "data": data}


def test_a_config_map_is_read_key_by_key() -> None:
    found = read_data(config_map({"accuracy": "0.9", "loss": "[3, 1]", "model": "resnet"}), START)
    assert found == Reading({"accuracy": 0.9, "loss": [3, 1], "model": "resnet"})


def test_a_config_map_of_another_run_is_none() -> None:
    found = read_data(config_map({"accuracy": "0.9"}, age=3600), START)
    assert found.result is None
    assert "ConfigMap told was last written before this try" in found.problem


def test_a_config_map_that_is_there_longer_and_was_written_anew_counts() -> None:
    fields = [{"manager": "trainer", "time": (START + timedelta(seconds=9)).isoformat()}]
    assert read_data(config_map({"accuracy": "0.9"}, age=3600, managedFields=fields), START).result == {"accuracy": 0.9}


def test_an_empty_config_map_is_told() -> None:
    assert read_data(config_map({}), START) == Reading(problem="ConfigMap told holds nothing")
