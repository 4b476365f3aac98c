"""An expression that could hold the interpreter for long is refused before it is evaluated."""

import time

import pytest

from vapora.core.expressions import ExpressionError, compile_expression

OBJECTS = [{"name": f"n-{number}", "state": "ready", "v": number} for number in range(2000)]
WORDS = ["abc"] * 2000

REFUSED = {
    "entries that are collected one by one": ("params.l.filter(x, x.v >= 0).size() > 0", OBJECTS),
    "one after the other": ("params.l.map(x, x.v).map(x, x).filter(x, x > 0).size() > 0", OBJECTS[:900]),
    "all entries for each entry": ("params.l.all(x, x in params.l)", WORDS),
    "much for each entry": (f"params.l.map(x, [{','.join('1' * 300)}]).size() > 0", WORDS[:200]),
    "the same list joined often": (f"({' + '.join(['params.l'] * 150)}).size() > 0", WORDS[:300]),
    "the same text joined often": (f"({' + '.join(['params.l'] * 150)}).size() > 0", "x" * 100_000),
    "very many empty lists": ("params.l.size() > 0", [[] for _ in range(200_000)]),
    "a pattern of many classes for each entry": ("params.l.all(x, x.matches('(\\\\w{1,20}){1,9}'))", WORDS[:10]),
    "a pattern that comes with the values": ("params.l.all(x, x.matches(params.l[0]))", WORDS[:10]),
    "a pattern that counts far": ("params.l.matches('((a{1,99}){1,99}){1,99}')", "a"),
}
ALLOWED = {
    "ten thousand entries looked through": ("params.l.all(x, x != 'y')", WORDS * 5),
    "one field of many objects": ("params.l.exists(x, x.state == 'failed')", OBJECTS),
    "two hundred objects collected": ("params.l.filter(x, x.state == 'ready').size() == 200", OBJECTS[:200]),
    "a plain pattern for each entry": ("params.l.all(x, x.matches('^[a-z]+$'))", WORDS[:1000]),
    "a large text": ("params.l.contains('y')", "x" * 600_000),
    "a list of fifty thousand numbers": ("params.l.size() > 0", list(range(50_000))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_what_it_could_take_and_what_is_allowed(case: str) -> None:
    source, value = REFUSED[case]
    with pytest.raises(ExpressionError, match=r"it could take .* steps on these values; allowed are 1,000,000"):
        compile_expression(source).evaluate({"params": {"l": value}})


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed_takes_less_than_a_tenth_of_a_second(case: str) -> None:
    source, value = ALLOWED[case]
    expression = compile_expression(source)
    before = time.thread_time()
    expression.evaluate({"params": {"l": value}})
    assert time.thread_time() - before < 0.1


def test_only_what_is_named_within_counts_again_for_each_entry() -> None:
    values = {"params": {"l": WORDS, "other": OBJECTS, "most": 5}}
    assert compile_expression("params.l.all(x, x.size() < params.most)").evaluate(values) is True


def test_names_in_strings_and_comments_count_for_nothing() -> None:
    source = "params.l.all(x, x != 'params.l + params.l')  // params.l.map(x, params.l)"
    assert compile_expression(source).evaluate({"params": {"l": WORDS}}) is True
