"""The workspace of one plan: a copy of the run that the rules change, and what they want done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from vapora.core.conditions import timestamp
from vapora.core.expressions import Expression
from vapora.core.interpolation import Scope
from vapora.core.learning.assignment import Assignment
from vapora.core.learning.execution import Execution
from vapora.core.naming import NO_ITEM, UNDO
from vapora.core.plan import Action, Event, EventType
from vapora.core.views import WorkflowView
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.frontier import Frontier, Place
from vapora.core.workflow.graph import Graph
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.procedure import Decision
from vapora.core.workflow.purse import Purse
from vapora.core.workflow.readings import Source
from vapora.core.workflow.results import AgentResult
from vapora.core.workflow.stages import build_stage_frontier
from vapora.core.workflow.status import ItemFailure, Items, Phase, Stage, State, StepStatus, Unit, WorkflowStatus

DEADLINE_EXCEEDED = "DeadlineExceeded"
STOP_REQUESTED = "StopRequested"
ROLLBACK_REQUESTED = "RollbackRequested"
ENDING_REASONS = frozenset({DEADLINE_EXCEEDED, ROLLBACK_REQUESTED})
UNREADABLE = frozenset({"agent", "http", "apply", "scale", "task", "wait", "approval"})
"""Kinds whose result cannot be read back, or would be another by then: it is durable before a dependent starts."""
MAX_ITEM_FAILURES = 100  # told one by one; all of them stand in the ranges


@dataclass(slots=True)
class Fan:
    """Is what changes of a forEach in one plan: copied once, so that an item costs little however many there are."""

    active: dict[int, Unit]
    memories: dict[int, Mapping[str, object]]
    open: dict[int, Unit]


@dataclass(slots=True)
class Draft:
    """Is a run being decided on. Rules read and set units here; `finish` gives the next status.

    `definition` and `frontier` are of the stage that the run is in, `whole` is what the user defined.
    """

    observed: Observed
    whole: Definition
    definition: Definition
    now: datetime
    frontier: Frontier
    steps: dict[str, StepStatus]
    standing: WorkflowStatus
    actions: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    decisions: dict[str, tuple[Decision, ...]] = field(default_factory=dict)  # of people in this run, by step
    assigned: dict[str, int] = field(default_factory=dict)  # tasks given out in this plan, by pool
    choices: list[Assignment] = field(default_factory=list)  # made in this plan
    purse: Purse | None = None  # None where nothing limits what its tasks may cost
    lacks: set[tuple[str, str]] = field(default_factory=set)  # pools, and the task types to look up of each
    unread: dict[str, Source] = field(default_factory=dict)  # results to read, by the uid of the Pod
    outcome: tuple[Phase, str, str] | None = None
    durable_first: bool = False
    wants_capacity: bool = False
    is_held: bool = False  # a child waits to be taken over until more is read; nothing else starts before it
    is_terminating: bool = False
    unwritten_ends: int = 0  # tries whose end only this process knows: their places are free once it is written
    next_look: datetime | None = None
    looked_at: int = 0  # units evaluated: the cost of this plan
    _fans: dict[int, Fan] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """Returns the graph of the run."""
        return self.definition.graph

    @property
    def is_ending(self) -> bool:
        """Is true once nothing more may start."""
        if self.is_terminating:
            return True
        if self.outcome is None or self.standing.stage is not Stage.STEPS:
            return False
        phase, reason, _ = self.outcome
        return phase is Phase.CANCELLED or reason in ENDING_REASONS or self.definition.spec.fail_fast

    @property
    def stops_siblings(self) -> bool:
        """Is true where what runs is to stop too, not only nothing more to start."""
        return self.is_terminating or (
            self.is_ending and self.outcome is not None and self.outcome[1] != STOP_REQUESTED
        )

    @property
    def is_paused(self) -> bool:
        """Is true while nothing new may start."""
        return self.standing.paused_at is not None and self.may_pause

    @property
    def may_pause(self) -> bool:
        """Is true until the end has begun."""
        return self.standing.stage is Stage.STEPS and not self.is_ending

    def enter(self, status: WorkflowStatus) -> None:
        """Goes on with the stage that this status begins."""
        self.fold_items()
        self._fans.clear()
        self.standing = replace(status, steps=dict(self.steps))
        self.frontier = build_stage_frontier(self.whole, self.standing, self.observed.identity)
        self.definition = self.frontier.stage or self.whole

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

    def undone(self, place: Place) -> Mapping[str, object] | None:
        """Returns what the step or item that a unit undoes keeps in mind; None for a unit that undoes none."""
        step, item = self.step(place[0]), place[1]
        row = self.steps.get(step.undoes)
        if row is None or row.items is None:
            return None if row is None else row.unit.memory
        return row.items.memories.get(item if step.indices is None or item == NO_ITEM else step.indices[item], {})

    def ended(self, step: int, state: State, reason: str, message: str = "") -> Unit:
        """Returns the unit of a step that ends without a try of its own; what it ever started stays counted."""
        unit = self.status(step).unit.renew()
        return replace(unit, state=state, finished_at=self.now, reason=reason, message=message)

    def fan(self, step: int) -> Fan:
        """Returns what changes of a forEach, free to be changed until it is folded into the step's row."""
        if step not in self._fans:
            items = self.status(step).items or Items(total=0)
            self._fans[step] = Fan(dict(items.active), dict(items.memories), dict(items.open))
        return self._fans[step]

    def active_items(self, step: int) -> dict[int, Unit]:
        """Returns the active items of a forEach."""
        return self.fan(step).active

    def active_places(self) -> list[Place]:
        """Returns every unit that is under way: of a forEach its items, else the step itself."""
        fans = self.frontier.fans
        return [
            (step, item)
            for step in sorted(self.frontier.active)
            for item in (sorted(self.active_items(step)) if step in fans else (NO_ITEM,))
        ]

    def put_unit(self, place: Place, unit: Unit) -> None:
        """Replaces a unit that goes on."""
        step, item = place
        before = self.unit(place)
        name = self.graph.names[step]
        self._track(place, before, unit, self.observed.identity.effect_of(name, item, unit))
        if item == NO_ITEM:
            self.set_status(step, replace(self.status(step), unit=unit))
        else:
            self.active_items(step)[item] = unit

    def _track(self, place: Place, before: Unit | None, after: Unit | None, effect_id: str | None) -> None:
        ends = before is not None and before.state.is_working and (after is None or not after.state.is_working)
        self.unwritten_ends += ends and self.step(place[0]).kind in UNREADABLE - {"agent"}
        if self.purse is not None:
            self.purse.move(before, after)
        self.frontier.remember(before.memory if before else {}, after.memory if after else {})
        self.frontier.track(place, before, after, effect_id)

    def end_item(self, place: Place, unit: Unit) -> None:
        """Moves an item that ended from the active ones to the ranges.

        The step's own `tries` are the most that an item had, so that one that starts anew repeats no name; its own
        cost is that of all items that have ended.
        """
        step, item = place
        fan = self.fan(step)
        self._track(place, fan.active.pop(item, None), None, None)
        kept = unit.memory if self.standing.stage is Stage.STEPS else {}
        self.frontier.remember(fan.memories.pop(item, {}), kept)
        fan.open.pop(item, None)
        if kept:
            fan.memories[item] = kept
        if unit.is_open:
            fan.open[item] = replace(unit.renew(), tries=0, cost_cents=0)
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
        cost = status.unit.cost_cents + unit.cost_cents
        most = replace(status.unit, tries=max(status.unit.tries, unit.tries), cost_cents=cost)
        self.set_status(step, replace(status, unit=most, items=items))

    def settle(self, step: int, unit: Unit, **found: Mapping[str, object] | None) -> None:
        """Ends a step and tells its dependents, after the status write where the result cannot be read back."""
        before = self.status(step)
        # A forEach takes no place among maxParallel itself: its items do.
        self._track((step, NO_ITEM), None if before.items is not None else before.unit, unit, None)
        self.set_status(step, replace(before, unit=unit, **found))  # type: ignore[arg-type]  # names of StepStatus' fields
        self.frontier.active.discard(step)
        self.frontier.fans.discard(step)
        self.frontier.settled += 1
        if self.standing.stage is Stage.ROLLBACK:
            self._mark_undone(self.graph.names[step].removesuffix(UNDO), unit.state)
        began = unit.tries > 0 or before.items is not None
        if self.step(step).kind in UNREADABLE and began and self.graph.dependents[step]:
            self.frontier.unwritten.add(step)
            self.durable_first = True
        else:
            self.frontier.settle(self.graph, step)

    def _mark_undone(self, name: str, state: State) -> None:
        """Says in the row of a step what became of its undoing."""
        if (undone := self.steps.get(name)) is not None and undone.unit.state is State.COMPENSATING:
            state = State.COMPENSATED if state is State.SUCCEEDED else State.COMPENSATION_FAILED
            self.steps[name] = replace(undone, unit=replace(undone.unit, state=state))

    def pay(self, place: Place, unit: Unit, answer: AgentResult | None) -> Unit:
        """Returns a unit whose task was answered, or whose child has ended, with what that cost."""
        cents = answer.cost_cents if answer is not None else self._find_cost_of_child(place, unit)
        if not cents:
            return unit
        paid = replace(unit, cost_cents=unit.cost_cents + cents)
        if self.purse is not None:
            self.purse.pay(unit.pool, cents)
        body = self.step(place[0]).spec.agent
        if body is not None and body.max_cost_cents is not None and paid.cost_cents > body.max_cost_cents:
            words = f"its task has cost {paid.cost_cents} cents; maxCostCents is {body.max_cost_cents}"
            self.tell(EventType.WARNING, "CostLimitExceeded", f"step {self.graph.names[place[0]]}: {words}")
        return paid

    def _find_cost_of_child(self, place: Place, unit: Unit) -> int:
        """Returns what the tasks of a child Workflow have cost; its pools paid for them when they were done."""
        if unit.child is None or self.step(place[0]).undoes:
            return 0
        view = self.observed.children.get(unit.child)
        return view.cost_cents if isinstance(view, WorkflowView) else 0

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
        is_later_stage = self.definition is not self.whole
        outputs = {
            name: step.outputs
            for name, step in self.steps.items()
            if step.outputs is not None
            and (is_later_stage or (name in self.graph.index and self.graph.is_earlier(name, place)))
        }
        identity = self.observed.identity
        workflow = {"name": identity.name, "namespace": identity.namespace, "uid": identity.uid}
        environment = self.observed.surroundings.environment
        if index is None:
            return Scope(self.definition.spec.params, outputs, environment, workflow)
        return Scope(self.definition.spec.params, outputs, environment, workflow, item, index)

    def variables(self, expression: Expression) -> dict[str, object]:
        """Returns the variables of a CEL expression: of the steps those that it looks at."""
        identity = self.observed.identity
        return {
            "params": dict(self.definition.spec.params) if "params" in expression.source else {},
            "steps": {name: describe_step(self.steps.get(name, _WAITING)) for name in expression.steps},
            "workflow": {
                "name": identity.name,
                "namespace": identity.namespace,
                "startedAt": timestamp(self.standing.started_at or self.now),
            },
        }

    def fold_items(self) -> None:
        """Puts what changed of items into the rows of their steps."""
        for step, fan in self._fans.items():
            before = self.status(step)
            if (items := before.items) is None:
                continue
            if (items.active, items.memories, items.open) != (fan.active, fan.memories, fan.open):
                after = replace(items, active=dict(fan.active), memories=dict(fan.memories), open=dict(fan.open))
                self.set_status(step, replace(before, items=after))


_WAITING = StepStatus()


def describe_step(step: StepStatus) -> dict[str, object]:
    """Returns what an expression sees of a step; an output that it did not give is no key, so `has(...)` tells."""
    return {"state": str(step.state), "attempt": step.unit.attempt, "outputs": dict(step.outputs or {})}
