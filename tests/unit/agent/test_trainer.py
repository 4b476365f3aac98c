"""The example that trains a model learns what there is to learn, and says so where there is nothing."""

from pathlib import Path

import pytest

from vapora.agent import Task, load_agent

TRAINER = load_agent(f"{Path(__file__).parents[3] / 'examples' / 'agents' / 'trainer.py'}:agent")


def task(**settings: object) -> Task:
    return Task(id="u/s/0/1", task_type="training", input={"rows": 500, "epochs": 10, **settings})


async def test_the_model_is_right_about_rows_that_it_never_saw():
    result = await TRAINER.perform(task(seed=7))
    assert result.outcome == "success"
    assert result.output["accuracy"] > 0.85 > result.output["baseline"]
    assert result.output["loss"][1] < result.output["loss"][0] / 2
    assert result.quality == result.output["accuracy"]


async def test_the_same_seed_gives_the_same_model():
    first, again = await TRAINER.perform(task(seed=3)), await TRAINER.perform(task(seed=3))
    assert {**first.output, "seconds": 0} == {**again.output, "seconds": 0}


async def test_a_model_of_labels_that_mean_nothing_fails_the_task():
    found = [await TRAINER.perform(task(noise=0.5, seed=seed, rows=200, epochs=1)) for seed in range(4)]
    assert "TaskFailed" in {result.error.code for result in found if result.error}


@pytest.mark.parametrize("settings", [{"rows": 5}, {"noise": 2}, {"speed": 1}], ids=["rows", "noise", "a typo"])
async def test_what_it_cannot_work_with_is_refused(settings: dict[str, object]):
    result = await TRAINER.perform(task(**settings))
    assert (result.outcome, result.error.code) == ("failure", "InvalidInput")
