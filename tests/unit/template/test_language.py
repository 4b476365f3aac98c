"""`{{ ... }}`: what a text becomes, what is refused, and that nothing runs for long."""

import time
from typing import Any

import pytest

from vapora.core.template.language import Language
from vapora.core.template.sandbox import TextProblem

BIG = "a" * 60_000
VALUES: dict[str, tuple[str, dict[str, Any], object]] = {
    "one expression keeps its type": ("{{ params.n }}", {"n": 3}, 3),
    "a list stays a list": ("{{ params.l }}", {"l": [1, None, True]}, [1, None, True]),
    "within a text a value is written as JSON": ("has {{ params.l }}", {"l": [1, None, True]}, "has [1,null,true]"),
    "text is written as it is": ("Hello {{ params.name }}!", {"name": "Ada"}, "Hello Ada!"),
    "a loop": ("{% for x in params.l %}{{ loop.index }}{{ x }} {% endfor %}", {"l": ["a", "b"]}, "1a 2b "),
    "a loop over fields": ("{% for k, v in params.o | items %}{{ k }}={{ v }}{% endfor %}", {"o": {"a": 1}}, "a=1"),
    "a condition": ("{% if params.n > 2 %}much{% else %}little{% endif %}", {"n": 3}, "much"),
    "a default": ("{{ params.n | default('none') }}", {}, "none"),
    "a test for what is not given": ("{{ params.n is defined }}", {}, False),
    "a list made by filters": ("{{ params.l | map(attribute='n') | list }}", {"l": [{"n": 1}, {"n": 2}]}, [1, 2]),
    "a field whose name is a method's elsewhere": ("{{ params.items }}", {"items": 1}, 1),
    "a name of one's own": ("{% set a = params.n + 1 %}{{ a }}", {"n": 1}, "2"),
    "references and scripts stay": ("${params.x} ${#list[@]} {{ 1 }}", {}, "${params.x} ${#list[@]} 1"),
    "raw text stays": ("{% raw %}{{ .Names }}{% endraw %}", {}, "{{ .Names }}"),
    "lines stay": ("{{ params.a }}\n", {"a": "b"}, "b\n"),
    "nothing is escaped": ("{{ params.a }} & co", {"a": "<b>"}, "<b> & co"),
}
PROBLEMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a name that is not there": ("{{ params.nme }}", {"name": 1}, "there is no 'nme'; near are name"),
    "a field of what is not there": ("{{ params.a.b }}", {}, "there is no 'a'"),
    "a value that is no JSON": ("{{ range }}", {}, "gives method, which is no JSON value"),
    "bad syntax": (
        "{{ params.x",
        {},
        "line 1: unexpected end of template, expected 'end of print statement'., found '{{ params.x'",
    ),
    "loops that go on and on": (
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        {},
        "loops more than 1000 times in all",
    ),
    "a loop over too much": ("{% for a in params.l %}{% endfor %}", {"l": list(range(1001))}, "loops more than 1000"),
    "a range that is too long": ("{{ range(1001) }}", {}, "range: 1001 numbers; at most 1000"),
    "a loop over itself": ("{% for x in [] recursive %}{% endfor %}", {}, "line 1: a recursive loop is not allowed"),
    "a macro, which might call itself": ("{% macro f() %}{% endmacro %}", {}, "line 1: macro is not allowed"),
    "another template": ("{% include 'x' %}", {}, "line 1: include is not allowed"),
    "a method": ("{{ params.get('x') }}", {}, "line 1: a call is not allowed"),
    "a way out": ("{{ ''.__class__ }}", {}, "'__class__' is looked up in str"),
    "a way out by a filter": ("{{ [''] | map(attribute='__class__') | list }}", {}, "'__class__' is looked up in str"),
    "a filter that could grow": ("{{ 'a' | center(100000000) }}", {}, "line 1: the filter 'center' is not allowed"),
    "an unknown test": ("{{ 1 is odder }}", {}, "line 1: the test 'odder' is not allowed"),
    "a power": ("{{ 9 ** 9 ** 9 }}", {}, "line 1: pow is not allowed"),
    "numbers that grow": ("{{ 999999999 * 999999999 * 999999999 }}", {}, "a number becomes larger than 64 bits"),
    "text that is multiplied": ("{{ 'a' * 1000000000 }}", {}, "1 * 1000000000 is more than 65536"),
    "text by a format": ("{{ '%100000000d' % 1 }}", {}, "the operator % is not allowed here"),
    "text that doubles": ("{% set a = 'aaaa' %}" + "{% set a = a ~ a %}" * 30, {}, "a value becomes larger than"),
    "lists that double": ("{% set a = [1] %}" + "{% set a = [a, a] %}" * 40, {}, "a value becomes larger than"),
    "text that is replaced by more": ("{{ params.s | replace('a', params.s) }}", {"s": BIG}, "replace: becomes longer"),
    "text that is joined by much": ("{{ [1] * 100 | length }}", {}, "object of type 'int' has no len()"),
    "a long text": ("x{{ params.s }}{{ params.s }}", {"s": BIG}, "becomes longer than 65536 characters"),
    "a long value": ("{{ params.s }}", {"s": BIG * 2}, "becomes longer than 65536 characters"),
    "much work in a loop": (
        "{% for i in range(1000) %}" + "{{ '' if params.s == params.s }}" * 50 + "{% endfor %}",
        {"s": BIG},
        "the template needs more work than is allowed",
    ),
    "deep nesting": ("{{ " + "(" * 900 + "1" + ")" * 900 + " }}", {}, "is nested too deeply"),
    "many parts": ("{{ 1 }}" * 2000, {}, "has more than 1000 parts"),
    "a division by nothing": ("{{ 1 / 0 }}", {}, "division by zero"),
    "an if without else": ("{{ 1 if params.x }}", {"x": False}, "an if without else has no value here"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_text_becomes(name: str) -> None:
    text, params, wanted = VALUES[name]
    assert Language(params).render(text) == wanted


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_text_is_refused_within_a_moment(name: str) -> None:
    text, params, wanted = PROBLEMS[name]
    began = time.process_time()
    with pytest.raises(TextProblem) as found:
        Language(params).render(text)
    assert time.process_time() - began < 1.0
    assert str(found.value).startswith(wanted)


def test_the_work_of_all_texts_together_is_limited() -> None:
    language = Language({"s": BIG})
    renders = (language.render(f"{{{{ params.s | upper | length }}}} {number}") for number in range(10_000))
    with pytest.raises(TextProblem, match="more work than is allowed"):
        list(renders)


def test_each_text_has_loops_of_its_own() -> None:
    language = Language({})
    for _ in range(3):
        assert language.render("{% for a in range(900) %}{% endfor %}") == ""
