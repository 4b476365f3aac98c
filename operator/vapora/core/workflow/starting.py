"""Who starts next: tries that are due again, then items of steps under way, then ready steps on the critical path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vapora.core.interpolation import ReferenceProblem
from vapora.core.naming import NO_ITEM
from vapora.core.workflow.advance import advance, fail, fail_step
from vapora.core.workflow.detection import NotYet
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.estimates import put_critical_first
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.launch import launch
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.release import read_labels
from vapora.core.workflow.renewal import drop_items
from vapora.core.workflow.resolve import compute_input, read_items
from vapora.core.workflow.standing import Broken
from vapora.core.workflow.status import PAUSE_BEFORE, Items, State, Unit
from vapora.core.workflow.tries import find_child, is_next_made

MAX_ACTIVE_ITEMS = 1000  # of all steps, those that wait for their next try included: each is a row of the status
MAX_ACTIONS = 200  # of one plan, so that a run which makes very many children hears what is asked of it meanwhile

_WAITS = "waits to be approved before it starts"

MayStart = Callable[[Draft, Place], bool]


def take_over(draft: Draft) -> None:
    """Takes over the children that a process before this one made and did not write down."""
    if draft.observed.changed is None and draft.observed.children:
        last = _find_last_items(draft)

        def is_wanted(draft: Draft, place: Place) -> bool:
            # Items start in order, so one without a child before one with a child was on its way.
            is_new = place[1] not in draft.active_items(place[0])
            return _has_child(draft, place) or (is_new and place[1] < last.get(place[0], NO_ITEM))

        _start(draft, is_wanted)


def _find_last_items(draft: Draft) -> dict[int, int]:
    """Returns for each step the last item that has a child of its first try in this run."""
    last: dict[int, int] = {}
    for view in draft.observed.children.values():
        name, item, try_ = read_labels(view)
        step = draft.graph.index.get(name)
        if step is not None and item != NO_ITEM and try_ == _count_former(draft, step) + 1:
            last[step] = max(item, last.get(step, NO_ITEM))
    return last


def _count_former(draft: Draft, step: int) -> int:
    """Returns the tries that an item which has not started had before: those of an earlier round of the step."""
    items = draft.status(step).items
    return items.former if items else draft.status(step).unit.tries


def start_what_may(draft: Draft) -> None:
    """Starts as much as `maxParallel` allows."""
    _start(draft, _has_room)


def _start(draft: Draft, may_start: MayStart) -> None:
    _start_retries(draft, may_start)
    for place in sorted(draft.frontier.fans):
        _start_items(draft, place, may_start)
    waiting = _order_ready(draft)
    draft.frontier.ready = []
    for place in waiting:
        first = NO_ITEM if draft.step(place).spec.for_each is None else 0
        if not may_start(draft, (place, first)) or not _start_step(draft, place, may_start):
            draft.frontier.ready.append(place)
    draft.frontier.ready.sort()


def _order_ready(draft: Draft) -> list[int]:
    """Returns the ready steps; where not all of them have room, those first that hold up the end of the run."""
    ready, room = draft.frontier.ready, draft.definition.spec.max_parallel - draft.frontier.working
    if len(ready) <= room or draft.definition is not draft.whole:
        return ready
    return put_critical_first(ready, draft.observed.estimates)


def _has_room(draft: Draft, _: Place) -> bool:
    if len(draft.actions) >= MAX_ACTIONS:
        draft.wake_at(draft.now)
        return False
    if draft.is_held:
        return False
    working, limit = draft.frontier.working, draft.definition.spec.max_parallel
    if working < limit <= working + draft.unwritten_ends:
        draft.durable_first = True  # else a crash would have both that try and what took its place go on
    return working + draft.unwritten_ends < limit


def _has_child(draft: Draft, place: Place) -> bool:
    """Returns whether the child of a unit's next try is there already, and so takes its place whoever else waits."""
    unit = draft.unit(place) or Unit(tries=_count_former(draft, place[0]))
    return is_next_made(draft.observed, draft.graph.names[place[0]], place[1], unit.tries)


def _start_retries(draft: Draft, may_start: MayStart) -> None:
    waiting = draft.frontier.retrying
    draft.frontier.retrying = []
    for place in waiting:
        unit = draft.unit(place)
        if unit is None or unit.state is not State.RETRYING:
            continue
        if not may_start(draft, place) or not _try(draft, place, unit):
            draft.frontier.retrying.append(place)


def _try(draft: Draft, place: Place, unit: Unit) -> bool:
    """Starts a unit; returns False where it must wait for a pool, or for what is yet to be read."""
    draft.looked_at += 1
    draft.frontier.active.add(place[0])
    refused = launch(draft, place, unit)
    if isinstance(refused, NotYet):
        draft.is_held |= is_next_made(draft.observed, draft.graph.names[place[0]], place[1], unit.tries)
        if place[1] == NO_ITEM:
            if not (is_retry := unit.state is State.RETRYING):
                draft.frontier.active.discard(place[0])
            state, reason = (unit.state, unit.reason) if is_retry else (State.READY, refused.reason)
            waiting = replace(unit, state=state, reason=reason, message=refused.message)
            if waiting != unit:
                draft.put_unit(place, waiting)
        else:
            _say_waiting(draft, place[0], refused.reason, refused.message)
        return False
    if isinstance(refused, Failure):
        # What is not known of an effect before stays so.
        fail(draft, place, replace(unit, attempt=unit.attempt + 1), Broken(refused, draft.now, is_open=unit.is_open))
        return True
    if place[1] != NO_ITEM:
        _say_waiting(draft, place[0], "", "")
    started, step = draft.unit(place), draft.step(place[0])
    is_made = started is not None and started.child is not None and find_child(draft.observed, started.child)
    makes_none = step.kind not in {"run", "agent", "workflow"} or bool(step.undoes) or step.is_simulated
    if is_made or makes_none:  # what a process before this one made may never be told of
        advance(draft, place)
    return True


def _say_waiting(draft: Draft, step: int, reason: str, message: str) -> None:
    status = draft.status(step)
    unit = replace(status.unit, reason=reason, message=message)
    if unit != status.unit:
        draft.set_status(step, replace(status, unit=unit))


def _start_step(draft: Draft, place: int, may_start: MayStart) -> bool:
    if _is_held(draft, place):
        return False
    if draft.status(place).state.is_final or _keeps_success(draft, place):
        return True
    if draft.step(place).spec.for_each is None:
        return _try(draft, (place, NO_ITEM), draft.status(place).unit)
    if _begin_items(draft, place):
        _start_items(draft, place, may_start)
    return True


def _is_held(draft: Draft, place: int) -> bool:
    """Returns whether a step waits for a person before it starts (pauseBefore); a refusal fails it."""
    status, step = draft.status(place), draft.step(place)
    if not step.spec.pause_before or status.unit.finished_at is not None:
        return False
    words = draft.decisions.get(step.name, ())
    if refusal := next((word for word in words if not word.is_approval), None):
        said = f"rejected by {refusal.user}" + (f": {refusal.comment}" if refusal.comment else "")
        fail_step(draft, place, draft.ended(place, State.FAILED, "ApprovalRejected", said))
        return False
    if words:
        return False
    if status.state is not State.WAITING_APPROVAL:
        unit = replace(status.unit, state=State.WAITING_APPROVAL, reason=PAUSE_BEFORE, message=_WAITS)
        draft.put_unit((place, NO_ITEM), unit)
    return True


def _keeps_success(draft: Draft, place: int) -> bool:
    """Lets a step that succeeded in an earlier run stand, where it would be given the same again."""
    status = draft.status(place)
    if status.unit.finished_at is None or status.state is not State.WAITING:
        return False
    try:
        is_same = status.unit.input_digest == compute_input(draft, place)
    except ReferenceProblem:
        is_same = False
    if is_same:
        draft.settle(place, replace(status.unit, state=State.SUCCEEDED))
        return True
    anew = replace(status.unit, finished_at=None, input_digest="")
    draft.frontier.output_bytes -= measure(status.outputs) if status.outputs else 0
    draft.set_status(place, replace(status, unit=anew, items=drop_items(status.items), outputs=None))
    return False


def _begin_items(draft: Draft, place: int) -> bool:
    """Turns a ready forEach into its items; returns False where it ended at once."""
    try:
        total, digest = len(read_items(draft, place)), compute_input(draft, place)
    except ReferenceProblem as problem:
        fail_step(draft, place, draft.ended(place, State.FAILED, problem.reason, str(problem)))
        return False
    before = draft.status(place)
    draft.frontier.track((place, NO_ITEM), before.unit, None, None)  # its items take places, not the step
    former = before.unit
    unit = Unit(
        State.RUNNING, tries=former.tries, started_at=draft.now, input_digest=digest, cost_cents=former.cost_cents
    )
    kept = before.items is not None and before.unit.input_digest == digest
    left = before.items.open if before.items else {}
    items = before.items if kept else Items(total=total, former=before.unit.tries, open=left)
    for memory in () if kept or before.items is None else before.items.memories.values():
        draft.frontier.remember(memory, {})
    draft.set_status(place, replace(before, unit=unit, items=items))
    if total == 0:
        draft.settle(place, replace(unit, state=State.SUCCEEDED, finished_at=draft.now))
        return False
    draft.frontier.active.add(place)
    draft.frontier.fans.add(place)
    return True


def _start_items(draft: Draft, place: int, may_start: MayStart) -> None:
    spec = draft.step(place).spec.for_each
    limit = (spec.max_parallel if spec else None) or draft.definition.spec.max_parallel
    active = draft.active_items(place)
    others = sum(len(draft.active_items(fan)) for fan in draft.frontier.fans if fan != place)
    while not is_failing(draft, place) and others + len(active) < MAX_ACTIVE_ITEMS:
        items = draft.status(place).items
        if items is None or len(active) >= limit:
            return
        index = next(iter(items.again), items.ended + len(active) + len(items.again))
        if index >= items.total or not may_start(draft, (place, index)):
            return
        if not _try(draft, (place, index), _find_item(draft, place, items.former, index)):
            return
        if index in active:
            draft.fan(place).open.pop(index, None)  # it goes on with that effect
        started = draft.status(place)
        if started.items is not None and index in items.again:
            rest = replace(started.items, again=started.items.again.remove(index))
            draft.set_status(place, replace(started, items=rest))


def _find_item(draft: Draft, place: int, former: int, index: int) -> Unit:
    """Returns the unit of an item at its start; what an earlier run began and left open, it goes on with."""
    fan = draft.fan(place)
    if (left := fan.open.get(index)) is not None:
        return replace(left, tries=former)
    return Unit(tries=former, effect=former, calls=former, memory=fan.memories.get(index, {}))


def tolerance(draft: Draft, place: int, total: int) -> int:
    """Returns how many items of a forEach may fail."""
    step = draft.step(place)
    allowed = step.spec.for_each.failure_tolerance if step.spec.for_each and step.indices is None else 0
    return total * int(str(allowed).removesuffix("%")) // 100 if str(allowed).endswith("%") else int(allowed)


def is_failing(draft: Draft, place: int) -> bool:
    """Returns whether more items failed than a forEach tolerates."""
    items = draft.status(place).items
    if items is None or (draft.step(place).indices is not None and items.ended < items.total):
        return False  # one item whose undoing fails does not keep others from theirs
    return len(items.failed) > tolerance(draft, place, items.total)
