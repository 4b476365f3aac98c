"""The task `provisioning.evaluate`: decides by rules, over values and the size of a pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from vapora.api.agentpool import Scaling
from vapora.api.base import ApiModel, Boolean, Integer, Number
from vapora.core.procedures.answers import fail
from vapora.core.tasks.provisioning.asking.pools import Pools, find_pools, plays
from vapora.core.tasks.provisioning.asking.rules import MAX_BYTES, RuleError, Value, parse_block, parse_expression
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, number, text
from vapora.core.workflow.procedure import Finished, Next, Situation

Manifest = Mapping[str, object]
_SIZES = ("current_replicas", "min_replicas", "max_replicas")
_DEFAULT = Scaling()


def _check_expression(value: str) -> str:
    parse_expression(value)
    return value


def _check_block(value: str) -> str:
    parse_block(value)
    return value


Formula = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_check_expression)]
Name = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
Plain = Boolean | Integer | Number | Annotated[str, Field(max_length=4096)] | None


class Rule(ApiModel):
    """One rule; the first whose condition holds decides."""

    when: Formula | None = None
    """The condition; without one the rule always holds."""
    set: dict[Name, Integer | Number | Boolean | Formula] = Field(min_length=1, max_length=50)
    """What it assigns: numbers, truths, and formulas, in which a text stands in quotes."""


class Evaluate(TaskType):
    """Evaluates rules; the result is {name: value} of all names that they assign, null where this time none was."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=50)] = ()
    """The rules, in order."""
    condition: Annotated[str, Field(max_length=MAX_BYTES), AfterValidator(_check_block)] | None = None
    """The same as a block of if, elif and else."""
    values: dict[Name, Plain] = Field(default_factory=dict, max_length=100)
    """The names that they look at."""
    role: Annotated[str, Field(max_length=253)] | None = None
    """The pool that `current_replicas`, `min_replicas` and `max_replicas` are of."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if bool(self.rules) == (self.condition is not None):
            raise ValueError("exactly one of rules and condition is needed")
        return self

    def plan(self, situation: Situation) -> Next:
        """Reads the pool where its size is looked at, and decides."""
        return self._decide(situation)

    def observe(self, situation: Situation) -> Next:
        """Decides with the pool's size."""
        return self._decide(situation)

    def compensate(self, situation: Situation) -> Next:  # noqa: ARG002  # nothing depends on it
        """Has nothing to do."""
        return Finished({"note": "an evaluation changes nothing"})

    def _decide(self, situation: Situation) -> Next:
        sizes: Mapping[str, Value] = {}
        if self._looks_at_sizes():
            found = self._read_sizes(situation)
            if not isinstance(found, Mapping):
                return found
            sizes = found
        try:
            return Finished(self._evaluate({**sizes, **self.values}))
        except RuleError as problem:
            return fail("ExpressionFailed", f"{'rules' if self.rules else 'condition'}: {problem}")

    def _looks_at_sizes(self) -> bool:
        formulas = [formula for rule in self.rules for formula in (rule.when, *rule.set.values())]
        blocks = [parse_expression(formula) for formula in formulas if isinstance(formula, str)]
        blocks += [parse_block(self.condition)] if self.condition is not None else []
        return any(name in _SIZES and name not in self.values for block in blocks for name in block.names)

    def _read_sizes(self, situation: Situation) -> Next | Mapping[str, Value]:
        role = self.role
        if role is None:
            return fail("InvalidInput", f"params.role: {', '.join(_SIZES)} are of the pool of a role; none is named")
        pools = find_pools(situation, lambda pool: plays(pool, role))
        if not isinstance(pools, Pools):
            return pools
        return _find_sizes(pools.first) if pools.first else fail("NotFound", f"there is no pool of role {role!r}")

    def _evaluate(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        if self.condition is not None:
            return parse_block(self.condition).evaluate(values)
        names = dict.fromkeys(name for rule in self.rules for name in rule.set)
        for rule in self.rules:
            if rule.when is None or _hold(rule.when, values):
                return {name: _value_of(rule.set[name], values) if name in rule.set else None for name in names}
        return dict.fromkeys(names)


def _hold(formula: str, values: Mapping[str, Value]) -> bool:
    value = _value_of(formula, values)
    if isinstance(value, bool):
        return value
    raise RuleError(f"{formula!r} is {value!r}; a condition is true or false")


def _value_of(formula: Value, values: Mapping[str, Value]) -> Value:
    return parse_expression(formula).evaluate(values)["value"] if isinstance(formula, str) else formula


def _find_sizes(pool: Manifest) -> Mapping[str, Value]:
    """Returns the size that is wanted, and its limits, which without `scaling` are the defaults of that."""
    spec, status = child(pool, "spec"), child(pool, "status")
    scaling = child(spec, "scaling")
    mode = (text(scaling, "mode") or _DEFAULT.mode) if scaling else "none"
    own = number(spec, "replicas") if "replicas" in spec else 1
    current = own if mode == "none" else number(status, "desiredReplicas") or number(status, "replicas")
    return {
        "current_replicas": current,
        "min_replicas": number(scaling, "min") if "min" in scaling else _DEFAULT.min,
        "max_replicas": number(scaling, "max") if "max" in scaling else _DEFAULT.max,
    }
