"""The workspace of one plan: a copy of the run that the rules change, and what they want done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from vapora.core.interpolation import Scope
from vapora.core.learning.execution import Execution
from vapora.core.naming import NO_ITEM
from vapora.core.plan import Action, Event, EventType
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.frontier import Frontier, Place
from vapora.core.workflow.graph import Graph
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.status import ItemFailure, Items, Phase, State, StepStatus, Unit, WorkflowStatus

DEADLINE_EXCEEDED = "DeadlineExceeded"
MAX_ITEM_FAILURES = 100  # told one by one; all of them stand in the ranges


@dataclass(slots=True)
class Draft:
    """Is a run being decided on. Rules read and set units here; `finish` gives the next status."""

    observed: Observed
    definition: Definition
    now: datetime
    frontier: Frontier
    steps: dict[str, StepStatus]
    actions: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    assigned: dict[str, int] = field(default_factory=dict)  # tasks given out in this plan, by pool
    outcome: tuple[Phase, str, str] | None = None
    durable_first: bool = False
    next_look: datetime | None = None
    looked_at: int = 0  # units evaluated: the cost of this plan
    _items: dict[int, dict[int, Unit]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """Returns the graph of the run."""
        return self.definition.graph

    @property
    def is_ending(self) -> bool:
        """Is true once nothing more may start and what runs is to stop."""
        if self.outcome is None:
            return False
        phase, reason, _ = self.outcome
        return phase is Phase.CANCELLED or reason == DEADLINE_EXCEEDED or self.definition.spec.fail_fast

    def step(self, place: int) -> StepDefinition:
        """Returns the definition of the step at `place`."""
        return self.definition.steps[place]

    def status(self, place: int) -> StepStatus:
        """Returns the step's standing, without the item changes of this plan."""
        return self.steps.get(self.graph.names[place], _WAITING)

    def set_status(self, place: int, status: StepStatus) -> None:
        """Replaces the step's standing."""
        self.steps[self.graph.names[place]] = status

    # Units: a plain step's own try, or an item's.

    def unit(self, place: Place) -> Unit | None:
        """Returns the unit; None for an item that is not active."""
        step, item = place
        return self.status(step).unit if item == NO_ITEM else self.active_items(step).get(item)

    def active_items(self, step: int) -> dict[int, Unit]:
        """Returns the active items of a forEach, free to change until `finish`."""
        if step not in self._items:
            items = self.status(step).items
            self._items[step] = dict(items.active) if items else {}
        return self._items[step]

    def put_unit(self, place: Place, unit: Unit) -> None:
        """Replaces a unit that goes on."""
        step, item = place
        before = self.unit(place)
        name = self.graph.names[step]
        self.frontier.track(place, before, unit, self.observed.identity.effect_of(name, item, unit))
        if item == NO_ITEM:
            self.set_status(step, replace(self.status(step), unit=unit))
        else:
            self.active_items(step)[item] = unit

    def end_item(self, place: Place, unit: Unit) -> None:
        """Moves an item that ended from the active ones to the ranges."""
        step, item = place
        self.frontier.track(place, self.active_items(step).pop(item, None), None, None)
        status = self.status(step)
        items = status.items or Items(total=0)
        match unit.state:
            case State.SUCCEEDED:
                items = replace(items, succeeded=items.succeeded.add(item))
            case State.CANCELLED:
                items = replace(items, cancelled=items.cancelled.add(item))
            case _:
                told = (*items.failures, ItemFailure(item, unit.reason, unit.message))[:MAX_ITEM_FAILURES]
                items = replace(items, failed=items.failed.add(item), failures=told)
        self.set_status(step, replace(status, items=items))

    def settle(self, step: int, unit: Unit, **found: Mapping[str, object] | None) -> None:
        """Ends a step and tells its dependents, after the status write where the result cannot be read back."""
        before = self.status(step)
        # A forEach takes no place among maxParallel itself: its items do.
        self.frontier.track((step, NO_ITEM), None if before.items is not None else before.unit, unit, None)
        self.set_status(step, replace(before, unit=unit, **found))  # type: ignore[arg-type]  # names of StepStatus' fields
        self.frontier.active.discard(step)
        self.frontier.fans.discard(step)
        self.frontier.states[unit.state] += 1
        began = unit.tries > 0 or before.items is not None
        if self.step(step).spec.agent is not None and began and self.graph.dependents[step]:
            self.frontier.unwritten.add(step)
            self.durable_first = True
        else:
            self.frontier.settle(self.graph, step)

    # Asking for more.

    def wake_at(self, moment: datetime | None) -> None:
        """Asks for the next plan at `moment` at the latest."""
        if moment is not None and (self.next_look is None or moment < self.next_look):
            self.next_look = moment

    def tell(self, type_: EventType, reason: str, message: str) -> None:
        """Adds an event."""
        self.events.append(Event(type_, reason, message))

    def decide(self, phase: Phase, reason: str, message: str) -> None:
        """Decides the outcome; the first decision stands."""
        if self.outcome is None:
            self.outcome = (phase, reason, message)

    def scope(self, place: int, item: object = None, index: int | None = None) -> Scope:
        """Returns what `${...}` may name in a step, and in one item of it.

        Only what has always ended before is seen: else it would depend on who was faster what a bare name means.
        """
        outputs = {
            name: step.outputs
            for name, step in self.steps.items()
            if step.outputs is not None and self.graph.is_earlier(name, place)
        }
        identity = self.observed.identity
        workflow = {"name": identity.name, "namespace": identity.namespace, "uid": identity.uid}
        environment = self.observed.surroundings.environment
        if index is None:
            return Scope(self.definition.spec.params, outputs, environment, workflow)
        return Scope(self.definition.spec.params, outputs, environment, workflow, item, index)

    def variables(self) -> dict[str, object]:
        """Returns the variables of CEL expressions."""
        identity = self.observed.identity
        return {
            "params": dict(self.definition.spec.params),
            "steps": {name: describe_step(self.steps.get(name, _WAITING)) for name in self.graph.names},
            "workflow": {"name": identity.name, "namespace": identity.namespace},
        }

    def finish(self, status: WorkflowStatus) -> WorkflowStatus:
        """Returns the next status: `status` with the steps as the rules left them."""
        for step, active in self._items.items():
            before = self.status(step)
            if before.items is not None and before.items.active != active:
                self.set_status(step, replace(before, items=replace(before.items, active=active)))
        return replace(status, steps=self.steps)


_WAITING = StepStatus()


def describe_step(step: StepStatus) -> dict[str, object]:
    """Returns what an expression sees of a step; an output that it did not give is no key, so `has(...)` tells."""
    return {"state": str(step.state), "attempt": step.unit.attempt, "outputs": dict(step.outputs or {})}
