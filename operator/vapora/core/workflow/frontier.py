"""The edge of a run: what may start, what is under way, what is due; kept by counting so that a step costs O(its own).

It is a memo: all of it follows from the graph and the status, and `build_frontier` makes it anew after a restart.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vapora.core.naming import NO_ITEM
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.graph import Graph
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.status import PAUSE_BEFORE, Identity, State, StepStatus, Unit, WorkflowStatus

Place = tuple[int, int]  # a step by its index, and the item or NO_ITEM


@dataclass(slots=True)
class Frontier:
    """Holds steps by index. `waiting` counts what each step still waits for; at 0 its gate opens."""

    waiting: list[int]
    gates: list[int] = field(default_factory=list)  # nothing left to wait for, not yet looked at
    ready: list[int] = field(default_factory=list)  # may start, in the order of the list
    active: set[int] = field(default_factory=set)  # started and not ended
    fans: set[int] = field(default_factory=set)  # of the active ones, those with items
    unwritten: set[int] = field(default_factory=set)  # ended, but dependents wait for the status write
    starting: set[Place] = field(default_factory=set)  # wait for the status write before their effect
    people: set[Place] = field(default_factory=set)  # wait for a person's word
    retrying: list[Place] = field(default_factory=list)  # due again, waiting for a place among maxParallel
    due: list[tuple[datetime, Place]] = field(default_factory=list)  # heap of times to look at a unit again
    units: dict[str, Place] = field(default_factory=dict)  # child name or effect id -> unit
    working: int = 0  # units that take a place among maxParallel
    settled: int = 0  # steps that have ended
    output_bytes: int = 0
    memory_bytes: int = 0  # that units and ended items keep in mind
    stage: Definition | None = None  # what it is the edge of, where that is not what the user defined

    def copy(self) -> Frontier:
        """Returns an independent copy, so that a plan leaves what it was given as it was."""
        return Frontier(
            waiting=self.waiting.copy(),
            gates=self.gates.copy(),
            ready=self.ready.copy(),
            active=self.active.copy(),
            fans=self.fans.copy(),
            unwritten=self.unwritten.copy(),
            starting=self.starting.copy(),
            people=self.people.copy(),
            retrying=self.retrying.copy(),
            due=self.due.copy(),
            units=self.units.copy(),
            working=self.working,
            settled=self.settled,
            output_bytes=self.output_bytes,
            memory_bytes=self.memory_bytes,
            stage=self.stage,
        )

    def settle(self, graph: Graph, step: int) -> None:
        """Tells the dependents of an ended step, opening the gates of those that waited for it last."""
        for later in graph.dependents[step]:
            self.waiting[later] -= 1
            if self.waiting[later] == 0:
                self.gates.append(later)

    def remember(self, before: Mapping[str, object], after: Mapping[str, object]) -> None:
        """Counts what is kept in mind instead of something else."""
        if before is not after:
            self.memory_bytes += (measure(after) if after else 0) - (measure(before) if before else 0)

    def look_again(self, place: Place, moment: datetime | None) -> None:
        """Notes when a unit must be looked at again."""
        if moment is not None:
            heapq.heappush(self.due, (moment, place))

    def pop_due(self, now: datetime) -> set[Place]:
        """Takes out the units whose time has come."""
        places = set()
        while self.due and self.due[0][0] <= now:
            places.add(heapq.heappop(self.due)[1])
        return places

    def track(self, place: Place, before: Unit | None, after: Unit | None, effect_id: str | None) -> None:
        """Keeps the counts and look-ups right as a unit turns from `before` into `after`."""
        self.working += (after is not None and after.state.is_working) - (
            before is not None and before.state.is_working
        )
        if after is not None and after.state is State.STARTING and after.child is None:
            self.starting.add(place)
        else:
            self.starting.discard(place)
        if after is not None and after.state is State.WAITING_APPROVAL:
            self.people.add(place)
        else:
            self.people.discard(place)
        if before is not None and before.child is not None and (after is None or after.child != before.child):
            self.units.pop(before.child.name, None)
        if after is not None and not after.state.is_final:
            if after.child is not None:
                self.units[after.child.name] = place
            if effect_id is not None:
                self.units[effect_id] = place
            for moment in (after.until, after.pending_until, after.next_attempt_at):
                self.look_again(place, moment)


def build_frontier(graph: Graph, status: WorkflowStatus, identity: Identity) -> Frontier:
    """Makes the frontier of a run from its status alone."""
    frontier = Frontier(waiting=[len(needs) for needs in graph.needs])
    for step in status.steps.values():
        for memory in step.memories:
            frontier.remember({}, memory)
    ended = [place for place, name in enumerate(graph.names) if status.step(name).state.is_final]
    frontier.settled = len(ended)
    for place in ended:
        for later in graph.dependents[place]:
            frontier.waiting[later] -= 1
    for place, name in enumerate(graph.names):
        step = status.step(name)
        frontier.output_bytes += measure(step.outputs) if step.outputs else 0
        if step.state in {State.WAITING, State.READY} or step.unit.reason == PAUSE_BEFORE:
            frontier.track((place, NO_ITEM), None, step.unit, None)
            if frontier.waiting[place] == 0:
                frontier.gates.append(place)
        elif not step.state.is_final:
            frontier.active.add(place)
            if step.items is not None:
                frontier.fans.add(place)
            _track_step(frontier, place, name, step, identity)
    return frontier


def _track_step(frontier: Frontier, place: int, name: str, step: StepStatus, identity: Identity) -> None:
    for item, unit in step.units.items():
        frontier.track((place, item), None, unit, identity.effect_of(name, item, unit))
