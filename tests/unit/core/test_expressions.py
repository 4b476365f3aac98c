"""CEL expressions: what is refused when they are compiled, what they give, and why they give nothing."""

import pytest

from vapora.core.expressions import MAX_EXPRESSION_BYTES, ExpressionError, MissingKey, compile_expression

NESTED = "a comprehension (all, exists, map, filter) inside another is not allowed"
BY_NAME = "steps are looked at by name"
REFUSED = {
    "an expression over the limit": ("'" + "x" * MAX_EXPRESSION_BYTES + "'", "at most 2048 bytes, this has 2050"),
    "bytes count, not characters": ("'" + "é" * 1024 + "'", "at most 2048 bytes, this has 2050"),
    "half an expression": ("1 +", "'1 +': line 1, column"),
    "a step name with a dash is a subtraction": ("steps.a-b.state == 'x'", 'write steps["a-b"]'),
    "all steps at once": ("size(steps) > 1", BY_NAME),
    "a step by a computed name": ("steps[params.name].state == 'x'", BY_NAME),
    "whether a step is there": ("'a' in steps", BY_NAME),
    "a comprehension in another's body": ("l.map(x, l.map(y, y))", NESTED),
    "a comprehension in another's condition": ("l.all(x, l.exists(y, y == x))", NESTED),
    "a nested one deep in parentheses": ("l.filter(x, (1 + (l.exists_one(y, true) ? 1 : 0)) > 1)", NESTED),
    "a nested one under its other name": ("l.map(x, l.existsOne(y, true))", NESTED),
    "a nested one with blanks before its parenthesis": ("l . map (x, l . map (y, y))", NESTED),
    "a nested one on the next line": ("l.map(x,\n l\n.map(y, y))", NESTED),
    "a nested one between comments with quotes": ('l.map(x, // "\n l.map(y, y) // "\n)', NESTED),
    "a nested one after a raw string that ends with a backslash": (
        r"""l.map(x, r"\" + l.map(y, y)[0] + r"\")""",
        NESTED,
    ),
    "a nested one between strings of three quotes": ("l.map(x, '''it's''' + l.map(y, y)[0] + 'a')", NESTED),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_when_it_is_compiled(case: str) -> None:
    source, words = REFUSED[case]
    with pytest.raises(ExpressionError) as refusal:
        compile_expression(source)
    assert words in str(refusal.value)


ALLOWED = {
    "an expression of exactly the limit": "'" + "x" * (MAX_EXPRESSION_BYTES - 2) + "'",
    "two comprehensions one after the other": "l.map(x, x).filter(x, x > 0)",
    "two comprehensions side by side": "l.all(x, x > 0) && l.exists(x, x > 1)",
    "a comprehension within a string": "l.map(x, 'l.map(y, y)')",
    "a comprehension within a comment": "l.map(x, x) // l.map(x, l.map(y, y))",
    "a quote in a string": r"""'it\'s' == "it's" """,
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_compiled(case: str) -> None:
    assert compile_expression(ALLOWED[case]).source == ALLOWED[case]


LOOKS_AT = {
    "a step by its name": ("steps.a.state == 'Succeeded'", ("a",)),
    "a step with a dash": ('steps["a-b"].outputs.n > 1', ("a-b",)),
    "single quotes": ("steps['a-b'].outputs.n > 1", ("a-b",)),
    "each step once, in order": ("steps.b.outputs.n > steps.a.outputs.n && has(steps.b.outputs.m)", ("b", "a")),
    "blanks between": ('steps . a.attempt + steps [ "b" ].attempt > 2', ("a", "b")),
    "no step named in a string": ("params.x == 'steps.a' && steps.b.attempt > 1", ("b",)),
    "no step named in a comment": ("steps.b.attempt > 1 // unlike steps.a", ("b",)),
    "no field of that name of something else": ("result.steps.a > 1 || params.steps == ''", ()),
}


@pytest.mark.parametrize("case", LOOKS_AT)
def test_which_steps_an_expression_looks_at(case: str) -> None:
    source, want = LOOKS_AT[case]
    assert compile_expression(source).steps == want


VARIABLES: dict[str, object] = {
    "params": {"n": 2, "zero": 0, "list": [1, 2, 3]},
    "steps": {"a": {"state": "Succeeded", "attempt": 1, "outputs": {"rows": 3}}, "b": {"state": "Skipped"}},
}
GIVES = {
    "a comparison": ("steps.a.outputs.rows > params.n", True),
    "a comprehension": ("params.list.map(x, x * 2)", [2, 4, 6]),
    "has() of what is there": ("has(steps.a.outputs.rows)", True),
    "has() of a field that is not there": ("has(steps.a.outputs.nothing)", False),
    "a choice": ("params.n == 2 ? 'two' : 'many'", "two"),
    "JSON as it is": ("steps.a", {"state": "Succeeded", "attempt": 1, "outputs": {"rows": 3}}),
}


@pytest.mark.parametrize("case", GIVES)
def test_what_an_expression_gives(case: str) -> None:
    source, want = GIVES[case]
    assert compile_expression(source).evaluate(VARIABLES) == want


WITHOUT_VALUE = {
    "a field that is not there": ("steps.b.outputs.rows > 1", "test it with has(...) first"),
    "has() under a field that is not there": ("has(steps.b.outputs.rows)", "no such key 'outputs'"),
    "a name that is not defined": ("nowhere > 1", "nowhere"),
    "a function that is not defined": ("frobnicate(1)", "frobnicate"),
    "types that do not go together": ("1 + 'a'", "does not coerce"),
    "a division by zero": ("1 / params.zero", "division by zero"),
    "an overflow": ("9223372036854775807 + params.n", "overflow"),
    "an index beyond the end": ("params.list[7]", "out of bounds"),
    "a conversion that fails": ("int('three')", "invalid digit"),
}


@pytest.mark.parametrize("case", WITHOUT_VALUE)
def test_what_has_no_value_says_why_with_its_source(case: str) -> None:
    source, words = WITHOUT_VALUE[case]
    with pytest.raises(ExpressionError) as problem:
        compile_expression(source).evaluate(VARIABLES)
    assert words in str(problem.value)
    assert repr(source) in str(problem.value)


def test_a_missing_key_is_told_from_other_errors() -> None:
    with pytest.raises(MissingKey):
        compile_expression("steps.b.outputs.rows").evaluate(VARIABLES)


@pytest.mark.parametrize("source", ["1", "'true'", "params.list", "null"])
def test_a_condition_must_be_true_or_false(source: str) -> None:
    with pytest.raises(ExpressionError, match="a condition must give true or false"):
        compile_expression(source).holds(VARIABLES)


def test_a_condition_holds_or_not() -> None:
    assert compile_expression("params.n == 2").holds(VARIABLES)
    assert not compile_expression("params.n == 3").holds(VARIABLES)
