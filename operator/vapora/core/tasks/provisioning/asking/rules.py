"""The language of `provisioning.evaluate`: conditions that assign names, read by a whitelist and never executed."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Value = bool | int | float | str | None
MAX_BYTES = 4096
MAX_NODES = 400
MAX_DEPTH = 40
MAX_NUMBER = 10**15
_PIECE = re.compile(r"""(?P<quoted>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(?P<sign>&&|\|\||!(?!=))""")
# `~` binds as `!` does, and has no other meaning here.
_PYTHON = {"&&": " and ", "||": " or ", "!": "~"}
_CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
_FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"min": min, "max": max}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALLOWED = "allowed are if, elif, else, assignments, comparisons, && || !, + - * // %, min, max, names, numbers, texts"


class RuleError(ValueError):
    """Says what is wrong with a block, and in which line."""


@dataclass(frozen=True, slots=True)
class Block:
    """Is a block that was read: what it assigns, and which names it looks at that it does not assign before."""

    assigned: tuple[str, ...]
    names: tuple[str, ...]
    _body: Sequence[ast.stmt]

    def evaluate(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Returns what was assigned, None for a name that this time was not; raises RuleError."""
        if missing := next((name for name in self.names if name not in values), None):
            near = get_close_matches(missing, values, n=3)
            raise RuleError(f"there is no value {missing!r}" + (f"; near is {', '.join(near)}" if near else ""))
        scope = dict(values)
        _run(self._body, scope)
        return {name: scope.get(name) for name in self.assigned}


def parse_block(source: str) -> Block:
    """Reads a block of `if`, `elif`, `else` and assignments; raises RuleError."""
    if len(source.encode()) > MAX_BYTES:
        raise RuleError(f"a block has at most {MAX_BYTES} bytes, this has {len(source.encode())}")
    if "~" in _PIECE.sub("", source):
        raise RuleError(f"an unknown sign '~'; {_ALLOWED}")
    python = _PIECE.sub(lambda found: found["quoted"] or _PYTHON[found["sign"]], source)
    try:
        tree = ast.parse(python)
    except SyntaxError as problem:
        raise RuleError(f"line {problem.lineno or 1}: {problem.msg}; {_ALLOWED}") from None
    except (RecursionError, MemoryError, ValueError):
        raise RuleError(f"it is nested too deeply, or is no text; {_ALLOWED}") from None
    _measure(tree)
    for statement in tree.body:
        _check_statement(statement)
    assigned = dict.fromkeys(_list_names(tree, ast.Store))
    looked_at = dict.fromkeys(_list_names(tree, ast.Load))
    free = [name for name in looked_at if name not in assigned and name not in _CONSTANTS and name not in _FUNCTIONS]
    return Block(tuple(assigned), tuple(free), tree.body)


def parse_expression(source: str) -> Block:
    """Reads one expression, whose value is assigned to `value`."""
    if "\n" in source.strip():
        raise RuleError("an expression is one line")
    return parse_block(f"value = {source.strip()}")


def _measure(tree: ast.Module) -> None:
    """Refuses what is large or deep before anything walks it by recursion."""
    level: list[ast.AST] = [tree]
    count = depth = 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise RuleError(f"it has more than {MAX_NODES} parts, or is nested more than {MAX_DEPTH} deep")
        level = [below for node in level for below in ast.iter_child_nodes(node)]


def _list_names(tree: ast.Module, context: type[ast.expr_context]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            yield node.id


def _check_statement(node: ast.stmt) -> None:
    match node:
        case ast.Assign(targets=[ast.Name()], value=value):
            _check(value)
        case ast.If(test=test, body=body, orelse=orelse):
            _check(test)
            for inner in (*body, *orelse):
                _check_statement(inner)
        case _:
            raise _refuse(node)


def _check(node: ast.expr) -> None:
    """Refuses every form that is not on the list."""
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
                pass
            case ast.Constant(value=bool() | int() | float() | str() | None):
                pass
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                pass
            case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()) | ast.BoolOp() | ast.Name():
                pass
            case ast.Compare(ops=ops) if all(type(op) in _ORDER or isinstance(op, ast.Eq | ast.NotEq) for op in ops):
                pass
            case ast.operator() | ast.unaryop() | ast.boolop() | ast.cmpop() | ast.expr_context():
                pass
            case _:
                raise _refuse(inner if isinstance(inner, ast.expr) else node)


def _refuse(node: ast.stmt | ast.expr) -> RuleError:
    return RuleError(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is not understood; {_ALLOWED}")


def _run(body: Sequence[ast.stmt], scope: dict[str, Value]) -> None:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                scope[name] = _evaluate(value, scope)
            case ast.If(test=test, body=inner, orelse=orelse):
                _run(inner if _hold(test, scope) else orelse, scope)


def _evaluate(node: ast.expr, scope: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=str() | bool() | None as value):
            return value
        case ast.Name(id=name):
            return _look_up(node, name, scope)
        case ast.BoolOp(op=op, values=values):
            wanted = isinstance(op, ast.Or)
            return wanted if any(_hold(value, scope) is wanted for value in values) else not wanted
        case ast.Compare():
            return _compare(node, scope)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            return not _hold(operand, scope)
    return _calculate(node, scope)


def _calculate(node: ast.expr, scope: Mapping[str, Value]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return _bound(node, value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_count(operand, scope)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name]([_count(arg, scope) for arg in args])
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _count(left, scope), _count(right, scope)
            if second == 0 and isinstance(op, ast.FloorDiv | ast.Mod):
                raise RuleError(f"line {node.lineno}: {ast.unparse(node)[:60]!r} divides by 0")
            return _bound(node, _ARITHMETIC[type(op)](first, second))
    raise _refuse(node)


def _look_up(node: ast.expr, name: str, scope: Mapping[str, Value]) -> Value:
    if name in scope:
        return scope[name]
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    raise RuleError(f"line {node.lineno}: {name} has no value here")


def _bound(node: ast.expr, value: float) -> float:
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise RuleError(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is beyond {MAX_NUMBER}")
    return value


def _hold(node: ast.expr, scope: Mapping[str, Value]) -> bool:
    value = _evaluate(node, scope)
    if isinstance(value, bool):
        return value
    raise RuleError(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is {value!r}; a condition is true or false")


def _count(node: ast.expr, scope: Mapping[str, Value]) -> float:
    value = _evaluate(node, scope)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bound(node, value)
    raise RuleError(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is {value!r}; a number is needed")


def _compare(node: ast.Compare, scope: Mapping[str, Value]) -> bool:
    """Compares neighbours, as in `0 < a < 5`; texts and numbers are never equal, and only numbers have an order."""
    sides = [node.left, *node.comparators]
    for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
        if type(op) in _ORDER:
            holds = _ORDER[type(op)](_count(left, scope), _count(right, scope))
        else:
            holds = (_evaluate(left, scope) == _evaluate(right, scope)) is isinstance(op, ast.Eq)
        if not holds:
            return False
    return True
