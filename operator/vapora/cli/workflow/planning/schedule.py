"""When the steps of a run are expected to start and end, which way through them is the longest, what overlaps."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from vapora.core.workflow.estimates import Estimates
from vapora.core.workflow.graph import Graph

Needs = Mapping[str, Decimal]  # by the names that quotas give to resources


@dataclass(frozen=True, slots=True)
class Span:
    """Is when a step runs, in seconds from the start of the run."""

    start: float
    end: float


def lay_out(graph: Graph, estimates: Estimates, places: int) -> list[Span]:
    """Lays the steps out over so many places, as the planner would start them; what is not known takes the mean."""
    known = [seconds for seconds in estimates.seconds if seconds is not None]
    mean = sum(known) / len(known) if known else 1.0
    waits = [len(needs) for needs in graph.needs]
    ready = [(-estimates.rest[place], place) for place, count in enumerate(waits) if count == 0]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    spans = [Span(0.0, 0.0)] * len(waits)
    time = 0.0
    while ready or running:
        while ready and len(running) < places:
            _, place = heapq.heappop(ready)
            seconds = estimates.seconds[place]
            spans[place] = Span(time, time + (mean if seconds is None else seconds))
            heapq.heappush(running, (spans[place].end, place))
        time, place = heapq.heappop(running)
        for later in graph.dependents[place]:
            waits[later] -= 1
            if waits[later] == 0:
                heapq.heappush(ready, (-estimates.rest[later], later))
    return spans


def find_path(graph: Graph, estimates: Estimates) -> list[int]:
    """Returns the steps of the way that takes longest, from its start to its end."""
    path: list[int] = []
    following: Sequence[int] = [place for place, needs in enumerate(graph.needs) if not needs]
    while following:
        path.append(max(following, key=lambda place: (estimates.rest[place], -place)))
        following = graph.dependents[path[-1]]
    return path


def find_peak(spans: Sequence[Span], needs: Sequence[Needs]) -> dict[str, Decimal]:
    """Returns for each resource the most that steps need which run at the same time."""
    peak: dict[str, Decimal] = {}
    for moment in {span.start for span in spans}:
        now: dict[str, Decimal] = {}
        for span, wanted in zip(spans, needs, strict=True):
            if span.start <= moment < span.end or span.start == moment:
                for name, amount in wanted.items():
                    now[name] = now.get(name, Decimal(0)) + amount
        peak |= {name: max(peak.get(name, Decimal(0)), amount) for name, amount in now.items()}
    return peak
