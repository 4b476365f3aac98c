"""Whether a step whose wait is over may start, is skipped, or can never run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from vapora.core.conditions import cut
from vapora.core.expressions import Expression, ExpressionError, MissingKey
from vapora.core.workflow.advance import fail_step
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.graph import Need
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.status import State, Unit

MAX_OPERANDS, MAX_OPERAND_BYTES = 16, 256  # what a skip keeps of what its expression looked at


@dataclass(frozen=True, slots=True)
class Skip:
    """The step does not run: `reason` WhenFalse and ConditionFalse let bare dependents go on, others do not."""

    reason: str
    message: str
    operands: dict[str, object] | None = None


class GateError(ValueError):
    """The step fails at its gate, for one of the table's reasons: an expression of it has no value."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def open_gates(draft: Draft) -> None:
    """Decides on every step that waits for nothing more, and on those that this sets free."""
    while draft.frontier.gates:
        place = draft.frontier.gates.pop()
        draft.looked_at += 1
        try:
            skip = _find_skip(draft, place)
        except GateError as problem:
            fail_step(draft, place, draft.ended(place, State.FAILED, problem.reason, str(problem)))
            continue
        if skip is not None:
            draft.settle(place, draft.ended(place, State.SKIPPED, skip.reason, skip.message), operands=skip.operands)
        else:
            draft.frontier.ready.append(place)
            draft.frontier.ready.sort()


def _find_skip(draft: Draft, place: int) -> Skip | None:
    for need in draft.graph.needs[place]:
        if (skip := _check_need(draft, need)) is not None:
            return skip
    when = draft.step(place).when
    if when is None:
        return None
    return None if _holds(draft, when) else Skip("WhenFalse", f"when: {when.source}", _operands(draft, when))


def _check_need(draft: Draft, need: Need) -> Skip | None:
    before, name = draft.status(need.step), draft.graph.names[need.step]
    if need.kind == "hard" and not _is_satisfied(before.unit):
        return Skip("DependencyFailed", f"step {name} is {before.state}")
    if need.condition is None or (need.kind != "hard" and before.state is State.SKIPPED):
        return None
    if _holds(draft, need.condition):
        return None
    return Skip("ConditionFalse", f"condition on {name}: {need.condition.source}", _operands(draft, need.condition))


def _is_satisfied(unit: Unit) -> bool:
    if unit.state is State.SKIPPED:
        return unit.reason in {"WhenFalse", "ConditionFalse"}
    return unit.state is State.SUCCEEDED


def _holds(draft: Draft, expression: Expression) -> bool:
    try:
        return expression.holds(draft.variables(expression))
    except ExpressionError as problem:
        is_output = isinstance(problem, MissingKey) and ".outputs" in expression.source
        raise GateError("MissingOutput" if is_output else "ExpressionFailed", str(problem)) from problem


def _operands(draft: Draft, expression: Expression) -> dict[str, object]:
    """Returns what the expression looked at, so that a skip explains itself."""
    seen = draft.variables(expression)
    steps, params = seen["steps"], seen["params"]
    assert isinstance(steps, dict)  # noqa: S101  # `variables` builds them as such
    assert isinstance(params, dict)  # noqa: S101
    operands: dict[str, object] = {f"steps.{name}": steps.get(name) for name in expression.steps}
    operands |= {f"params.{name}": value for name, value in params.items() if f"params.{name}" in expression.source}
    return {name: _brief(value) for name, value in list(operands.items())[:MAX_OPERANDS]}


def _brief(value: object) -> object:
    return value if measure(value) <= MAX_OPERAND_BYTES else cut(json.dumps(value), MAX_OPERAND_BYTES)
