"""An agent that trains a small model on the CPU: logistic regression, in plain Python.

A task's input is {rows, features, epochs, noise, seed}, all optional. The data are generated from the seed: a hidden
rule decides each row, and `noise` of the rows are labelled wrong. A fifth of the rows is held back and never trained
on; the output is {accuracy, baseline, rows, epochs, loss: [first, last], seconds}, of which `accuracy` is that on the
rows held back and `baseline` what always giving the commoner answer has. A model that is no better fails the task.
"""

import asyncio
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapora.agent import Agent, Result, Task, TaskFailed

agent = Agent(role="trainer")

INPUT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "rows": {"type": "integer", "minimum": 100, "maximum": 20_000},
        "features": {"type": "integer", "minimum": 1, "maximum": 50},
        "epochs": {"type": "integer", "minimum": 1, "maximum": 500},
        "noise": {"type": "number", "minimum": 0, "maximum": 1},
        "seed": {"type": "integer"},
    },
}
RATE = 0.03

Row = tuple[Sequence[float], int]


@dataclass(frozen=True)
class Model:
    """Is a linear rule: the weights of the features, and what is added to their sum."""

    weights: tuple[float, ...]
    bias: float

    def predict(self, features: Sequence[float]) -> float:
        """Returns how likely the label is 1."""
        total = self.bias + sum(weight * value for weight, value in zip(self.weights, features, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


@agent.task(input_schema=INPUT)
async def train(task: Task) -> Result:
    """Trains beside the event loop, so that the agent goes on telling that it lives."""
    settings = task.input if isinstance(task.input, Mapping) else {}
    output = await asyncio.to_thread(run, settings, task)
    if output["accuracy"] <= output["baseline"]:
        raise TaskFailed(f"accuracy {output['accuracy']}: always the same answer has {output['baseline']}")
    return Result(output=output, quality=output["accuracy"])


def run(settings: Mapping, task: Task | None = None) -> dict:
    """Generates the data, trains, and measures on what was held back."""
    began, chance = time.monotonic(), random.Random(settings.get("seed", 0))  # noqa: S311  # no secret: it repeats
    rows = generate(chance, settings.get("rows", 2000), settings.get("features", 6), settings.get("noise", 0.05))
    held_back = len(rows) // 5
    test, training = rows[:held_back], rows[held_back:]
    model = Model((0.0,) * len(rows[0][0]), 0.0)
    losses = [measure_loss(model, training)]
    for _ in range(settings.get("epochs", 30)):
        if task is not None and task.cancelled:
            raise TaskFailed("cancelled")
        chance.shuffle(training)
        model = learn(model, training)
        losses.append(measure_loss(model, training))
    ones = sum(label for _, label in test) / len(test)
    return {
        "accuracy": round(measure_accuracy(model, test), 4),
        "baseline": round(max(ones, 1 - ones), 4),
        "rows": len(training),
        "epochs": len(losses) - 1,
        "loss": [round(losses[0], 4), round(losses[-1], 4)],
        "seconds": round(time.monotonic() - began, 2),
    }


def generate(chance: random.Random, rows: int, features: int, noise: float) -> list[Row]:
    """Returns rows that a hidden linear rule decides, of which a share is labelled wrong."""
    rule = [chance.gauss(0, 1) for _ in range(features)]
    found: list[Row] = []
    for _ in range(rows):
        values = [chance.gauss(0, 1) for _ in rule]
        label = int(sum(weight * value for weight, value in zip(rule, values, strict=True)) > 0)
        found.append((values, 1 - label if chance.random() < noise else label))
    return found


def learn(model: Model, rows: Sequence[Row]) -> Model:
    """Returns the model after one pass of stochastic gradient descent."""
    weights, bias = list(model.weights), model.bias
    for values, label in rows:
        error = label - Model(tuple(weights), bias).predict(values)
        weights = [weight + RATE * error * value for weight, value in zip(weights, values, strict=True)]
        bias += RATE * error
    return Model(tuple(weights), bias)


def measure_loss(model: Model, rows: Sequence[Row]) -> float:
    """Returns the mean cross entropy."""
    chances = ((model.predict(values), label) for values, label in rows)
    return -sum(math.log(max(p if label else 1 - p, 1e-12)) for p, label in chances) / len(rows)


def measure_accuracy(model: Model, rows: Sequence[Row]) -> float:
    """Returns the share of rows whose label the model says."""
    return sum((model.predict(values) > 0.5) == bool(label) for values, label in rows) / len(rows)


if __name__ == "__main__":
    agent.run()
