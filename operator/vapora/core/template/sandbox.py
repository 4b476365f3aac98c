"""Jinja2's sandbox with JSON values as all there is, and a meter on everything that handles them."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from itertools import islice

from jinja2 import Environment, StrictUndefined, Undefined, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS

MAX_LOOPS = 1_000  # turns of all loops of one text
MAX_OUTPUT = 64 * 1024  # characters that one text may become
MAX_WORK = 500_000  # parts evaluated for one template, plus the characters handled / 64
_MAX_VALUE = 16 * MAX_OUTPUT  # characters of a value on the way
_MAX_NUMBER = 2**63
_FILTERS = (
    *("abs", "capitalize", "default", "first", "float", "int", "items", "join", "last", "length", "list", "lower"),
    *("map", "max", "min", "reject", "rejectattr", "replace", "reverse", "select", "selectattr", "sort", "title"),
    *("trim", "unique", "upper"),
)
TEST_NAMES = (
    *("boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in", "integer", "iterable"),
    *("le", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "undefined"),
)
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"})


class TextProblem(ValueError):
    """Says why a text gives no value."""


def write(value: object) -> str:
    """Writes a value into a text as `${...}` does: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yields a part of a text and all that is in it."""
    yield node
    for inner in node.iter_child_nodes():
        yield from walk(inner)


def as_json(value: object) -> object:
    """Returns a value as the JSON it is; raises TextProblem for what is none."""
    if isinstance(value, Undefined):
        str(value)  # raises what is missing; an `if` without `else` says nothing
        raise TextProblem("an if without else has no value here")
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
    elif isinstance(value, Mapping):
        return {str(name): as_json(entry) for name, entry in value.items()}
    elif isinstance(value, Iterable):
        return [as_json(entry) for entry in value]
    raise TextProblem(f"gives {type(value).__name__}, which is no JSON value")


class Sandbox(SandboxedEnvironment):
    """Is Jinja2's sandbox with values as all there is, and with a meter on what handles them."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        # Comments get delimiters that no shell script has: `${#list[@]}` is none.
        super().__init__(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            comment_start_string="{{#",
            comment_end_string="#}}",
            finalize=self._finalize,
            optimized=False,
        )
        self.globals = {"range": self._range}
        self.filters = {name: _meter(self, name, function) for name, function in GUARDED.items()}
        self.filters |= {"__turns": self._count_turns, "__weighed": self.weigh}
        self.tests = {name: TESTS[name] for name in TEST_NAMES}
        self._work = 0
        self._turns = 0

    def begin(self) -> None:
        """Begins the next text: the turns of its loops are its own."""
        self._turns = 0

    def charge(self, work: int) -> None:
        """Counts work; raises TextProblem where it is more than one template may need."""
        self._work += work
        if self._work > MAX_WORK:
            raise TextProblem(f"the template needs more work than is allowed ({MAX_WORK} parts)")

    def weigh(self, value: object) -> object:
        """Charges for a value, and returns it; raises TextProblem for one that has grown too large."""
        pending, size = [value], 0
        while pending:
            found = pending.pop()
            if isinstance(found, Undefined | LoopContext):
                continue
            if isinstance(found, int) and not isinstance(found, bool) and abs(found) >= _MAX_NUMBER:
                raise TextProblem("a number becomes larger than 64 bits")
            size += len(found) if isinstance(found, str) else 8
            if isinstance(found, Mapping):
                pending += [*found.keys(), *found.values()]
            elif isinstance(found, list | tuple | set):
                pending += found
            if size > _MAX_VALUE:
                raise TextProblem(f"a value becomes larger than {_MAX_VALUE} characters")
        self.charge(1 + size // 64)
        return value

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Does an operator, after what it could make large is ruled out."""
        self.weigh(left)
        self.weigh(right)
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise TextProblem(f"the operator {operator} is not allowed here")
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int) and len(many) * times > MAX_OUTPUT:
                    raise TextProblem(f"{len(many)} * {times} is more than {MAX_OUTPUT}")
        return self.weigh(super().call_binop(context, operator, left, right))

    def getattr(self, obj: object, attribute: str) -> object:
        """Looks a name up: of objects their fields, of a loop what it says of itself, nothing else."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """Looks a field or a place up."""
        if isinstance(obj, Undefined):
            str(obj)  # raises what is missing before this
        try:
            if isinstance(obj, Mapping):
                return obj[argument]
            if isinstance(obj, list | str | tuple) and isinstance(argument, int):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(hint=_describe_missing(obj, argument))

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,  # noqa: FBT001, FBT002  # Jinja2's signature
    ) -> str:
        self.charge(sum(1 for _ in walk(source)))
        self._instrument(source)
        return super()._generate(source, name, filename, defer_init)

    def _instrument(self, node: nodes.Node) -> None:
        """Puts the meter where a loop begins, where values are compared, and where they are put together."""
        if isinstance(node, nodes.For):
            weight = sum(1 for inner in (*node.body, node.test) if inner for _ in walk(inner))
            node.iter = _pipe(node.iter, "__turns", nodes.Const(weight))
        elif isinstance(node, nodes.Compare | nodes.Operand):
            node.expr = _pipe(node.expr, "__weighed")
        elif isinstance(node, nodes.Test):
            node.node = node.node if node.name in {"defined", "undefined"} else _pipe(node.node, "__weighed")
        elif isinstance(node, nodes.List | nodes.Tuple):
            node.items = [_pipe(item, "__weighed") if _is_read(item) else item for item in node.items]
        elif isinstance(node, nodes.Concat):
            node.nodes = [_pipe(part, "__weighed") for part in node.nodes]
        elif isinstance(node, nodes.Assign):
            node.node = _pipe(node.node, "__weighed")
        for inner in node.iter_child_nodes():
            self._instrument(inner)

    def _count_turns(self, value: object, weight: int) -> list[object]:
        if isinstance(value, Undefined):
            str(value)
        if not isinstance(value, Iterable):
            raise TextProblem(f"a loop over {write(value)}: it is no list")
        items = list(islice(value, MAX_LOOPS + 1 - self._turns))
        self._turns += len(items)
        if self._turns > MAX_LOOPS:
            raise TextProblem(f"loops more than {MAX_LOOPS} times in all")
        self.charge(len(items) * weight)
        return items

    def _range(self, *limits: int) -> range:
        found = range(*limits)
        if len(found) > MAX_LOOPS:
            raise TextProblem(f"range: {len(found)} numbers; at most {MAX_LOOPS}")
        return found

    def _finalize(self, value: object) -> str:
        self.weigh(value)
        return write(as_json(value))


def _pipe(value: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


def _is_read(item: nodes.Expr) -> bool:
    return not isinstance(item, nodes.Name) or item.ctx == "load"


def _describe_missing(obj: object, name: object) -> str:
    if not isinstance(obj, Mapping):
        return f"{name!r} is looked up in {type(obj).__name__}, which has no such field"
    near = difflib.get_close_matches(str(name), [str(known) for known in obj], n=3)
    return f"there is no {name!r}" + (f"; near are {', '.join(near)}" if near else "")


def _meter(environment: Sandbox, name: str, function: Callable[..., object]) -> Callable[..., object]:
    """Charges for what goes into a filter and what comes out; iterators are taken whole."""

    @wraps(function)
    def metered(*args: object, **options: object) -> object:
        values = [_settle(value) for value in args]
        for value in (*values, *options.values()):
            if not isinstance(value, Context | Environment | nodes.EvalContext):
                environment.weigh(value)
        if name == "replace":
            _check_replace(*(value for value in values if isinstance(value, str)))
        if name == "join":
            _check_join(*[value for value in (*values, *options.values()) if isinstance(value, str | list | tuple)])
        return environment.weigh(_settle(function(*values, **options)))

    return metered


def _settle(value: object) -> object:
    """Takes an iterator's values out; ranges and views of objects too."""
    if isinstance(value, str | list | tuple | Mapping | Undefined) or not isinstance(value, Iterable):
        return value
    taken = list(islice(value, MAX_OUTPUT + 1))
    if len(taken) > MAX_OUTPUT:
        raise TextProblem(f"a list becomes longer than {MAX_OUTPUT}")
    return taken


def _check_replace(text: str = "", old: str = "", new: str = "") -> None:
    if (text.count(old) if old else len(text) + 1) * len(new) > MAX_OUTPUT:
        raise TextProblem(f"replace: becomes longer than {MAX_OUTPUT} characters")


def _check_join(items: object = (), between: object = "") -> None:
    if isinstance(items, list | tuple | str) and isinstance(between, str) and len(items) * len(between) > MAX_OUTPUT:
        raise TextProblem(f"join: becomes longer than {MAX_OUTPUT} characters")


_OWN_FILTERS: Mapping[str, Callable[[object], object]] = {
    "tojson": lambda value: json.dumps(as_json(value), ensure_ascii=False),
    "string": lambda value: write(as_json(value)),
}
GUARDED = {**{name: FILTERS[name] for name in _FILTERS}, **_OWN_FILTERS}
