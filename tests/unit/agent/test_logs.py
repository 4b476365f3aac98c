"""The log of an agent: one JSON object a line."""

import asyncio
import json
import logging

import pytest

from vapora.agent import Agent, Result, Task
from vapora.agent.logs import JsonLines

ID = "u/s/0/1"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    written: list[dict[str, object]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(self.format(record)))

    keeper = Keeper()
    keeper.setFormatter(JsonLines())
    monkeypatch.setattr(logging.getLogger("handler"), "handlers", [keeper])
    return written


async def test_what_a_handler_logs_names_its_task_and_trace(lines: list[dict[str, object]]) -> None:
    agent = Agent(role="r")
    log = logging.getLogger("handler")

    @agent.task()
    async def handle(_task: Task) -> Result:
        log.warning("here")
        await asyncio.to_thread(log.warning, "in a thread")
        return Result()

    await agent.perform(Task(id=ID, traceparent="00-1-2-01"))
    log.warning("outside")
    assert [(line["message"], line.get("task"), line.get("traceparent")) for line in lines] == [
        ("here", ID, "00-1-2-01"),
        ("in a thread", ID, "00-1-2-01"),
        ("outside", None, None),
    ]
