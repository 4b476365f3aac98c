"""What is too old or too many goes, until nothing is; a store that is away is asked again later."""

import asyncio
from datetime import datetime, timedelta

from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.retention import Retention
from vapora.core.learning.execution import GraphUnavailable


class Graph:
    """Has some executions to let go, a hundred at a time; it may be away."""

    def __init__(self, old: int) -> None:
        self.old = old
        self.is_away = False
        self.asked: list[tuple[datetime, int]] = []

    async def prune(self, before: datetime, keep: int) -> int:
        if self.is_away:
            raise GraphUnavailable("the disk is full")
        self.asked.append((before, keep))
        gone = min(self.old, 100)
        self.old -= gone
        return gone

    async def measure(self) -> int | None:
        return 4096


def build_retention(graph: Graph, clock: VirtualClock, meter: FakeMeter | None = None) -> Retention:
    return Retention(graph, clock, meter or FakeMeter(), days=90, executions=1000)  # type: ignore[arg-type]  # all it needs


@in_virtual_time
async def test_all_that_is_too_old_is_let_go() -> None:
    graph, clock = Graph(250), VirtualClock()
    started = clock.now()
    assert await build_retention(graph, clock).prune() == 250
    assert graph.old == 0
    assert {keep for _, keep in graph.asked} == {1000}
    assert graph.asked[0][0] == started - timedelta(days=90)


@in_virtual_time
async def test_a_store_that_is_away_is_asked_again() -> None:
    graph, clock = Graph(10), VirtualClock()
    graph.is_away = True
    meter = FakeMeter()
    running = asyncio.create_task(build_retention(graph, clock, meter).run())
    await clock.sleep(10)
    graph.is_away = False
    await clock.sleep(3600)
    running.cancel()
    assert graph.old == 0
    assert meter.seen["measured",] == 1
