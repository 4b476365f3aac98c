"""`{{ ... }}` in the texts of a template: Jinja2 without what could run for long or reach out of the values given.

What may stand there is listed, all else is refused by name. Every loop, filter and operator is charged for what it
handles, so that a text that would run for long or grow large is a named failure after a bounded number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import TemplateExpression

from vapora.core.template.sandbox import GUARDED, MAX_OUTPUT, TEST_NAMES, Sandbox, TextProblem, as_json, walk, write

MAX_NODES = 1_000  # parts of one text: it is compiled in one go, which nothing can interrupt

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign)
_VALUES = (nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr)
_OPERATORS = (nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Operand, nodes.Concat)
_ACCESS = (nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call)
_ALLOWED = (*_STATEMENTS, *_VALUES, *_OPERATORS, *_ACCESS)
_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Language:
    """Renders the texts of one template; the work of all of them together is limited."""

    def __init__(self, params: Mapping[str, object]) -> None:
        self._params = params
        self._environment = Sandbox()
        self._known: dict[str, object] = {}

    def render(self, text: str) -> object:
        """Returns what a text becomes: the value itself where the text is nothing but one `{{ }}`, else a text.

        Raises TextProblem.
        """
        if text not in self._known:  # compiling one costs a millisecond, and many steps say the same
            try:
                self._known[text] = self._render(text)
            except _FAILURES as problem:
                raise _explain(problem) from problem
        return self._known[text]

    def _render(self, text: str) -> object:
        tree = _check(self._environment, text)
        self._environment.begin()
        whole = _find_whole(tree)
        return self._evaluate(whole) if whole is not None else self._write(tree)

    def _evaluate(self, expression: nodes.Expr) -> object:
        result = nodes.Assign(nodes.Name("result", "store", lineno=1), expression, lineno=1)
        template = self._environment.from_string(nodes.Template([result], lineno=1))
        value = as_json(TemplateExpression(template, undefined_to_none=False)(params=self._params))
        if len(write(value)) > MAX_OUTPUT:
            raise TextProblem(f"becomes longer than {MAX_OUTPUT} characters")
        return value

    def _write(self, tree: nodes.Template) -> str:
        parts, length = [], 0
        for part in self._environment.from_string(tree).generate(params=self._params):
            parts.append(part)
            length += len(part)
            if length > MAX_OUTPUT:
                raise TextProblem(f"becomes longer than {MAX_OUTPUT} characters")
        return "".join(parts)


def is_text(value: str) -> bool:
    """Returns whether a string is for Jinja2; any other stays as it is, `${...}` included."""
    return "{{" in value or "{%" in value


def check_text(text: str) -> None:
    """Raises TextProblem for a text that could be rendered with no params at all."""
    try:
        _check(Sandbox(), text)
    except _FAILURES as problem:
        raise _explain(problem) from problem


def _check(environment: Sandbox, text: str) -> nodes.Template:
    if len(text) > MAX_OUTPUT:
        raise TextProblem(f"has {len(text)} characters; a text with {{{{ }}}} has at most {MAX_OUTPUT}")
    tree = environment.parse(text)
    for count, node in enumerate(walk(tree)):
        if count > MAX_NODES:
            raise TextProblem(f"has more than {MAX_NODES} parts")
        _check_node(node)
    return tree


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED) or isinstance(node, nodes.Pow):
        _refuse(node, type(node).__name__.lower(), "if, for, set, operators, filters and tests")
    if isinstance(node, nodes.For) and node.recursive:
        _refuse(node, "a recursive loop", "loops within loops")
    if isinstance(node, nodes.Assign) and not isinstance(node.target, nodes.Name):
        _refuse(node, "set of more than one name", "{% set name = value %}")
    if isinstance(node, nodes.Filter) and node.name not in GUARDED:
        _refuse(node, f"the filter {node.name!r}", ", ".join(sorted(GUARDED)))
    if isinstance(node, nodes.Test) and node.name not in TEST_NAMES:
        _refuse(node, f"the test {node.name!r}", ", ".join(TEST_NAMES))
    if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
        _refuse(node, "a call", "range(...), and filters such as {{ params.name | upper }}")


def _refuse(node: nodes.Node, found: str, allowed: str) -> NoReturn:
    raise TextProblem(f"line {node.lineno}: {found} is not allowed; allowed are {allowed}")


def _find_whole(tree: nodes.Template) -> nodes.Expr | None:
    """Returns the one expression that a text consists of."""
    if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) and len(tree.body[0].nodes) == 1:
        only = tree.body[0].nodes[0]
        return None if isinstance(only, nodes.TemplateData) else only
    return None


def _explain(problem: Exception) -> TextProblem:
    if isinstance(problem, TextProblem):
        return problem
    if isinstance(problem, RecursionError):
        return TextProblem("is nested too deeply")
    if isinstance(problem, TemplateSyntaxError):
        return TextProblem(f"line {problem.lineno}: {problem.message}, found {(problem.source or '')!r:.60}")
    return TextProblem(str(problem) or type(problem).__name__)
