"""The task `provisioning.evaluate`: the blocks and rules it reads, what it sees, and what it refuses."""

import pytest
from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import failed, finished
from tests.unit.tasks.provisioning.world import build, run

from vapora.core.tasks.provisioning.asking.rules import MAX_BYTES, RuleError, Value, parse_block

PUBLISHED = """if queue_depth > 10 && current_replicas < max_replicas:
    scale_to = min(current_replicas + 2, max_replicas)
    action = "scale_up"
elif queue_depth < 2 && current_replicas > min_replicas:
    scale_to = max(current_replicas - 1, min_replicas)
    action = "scale_down"
else:
    action = "no_change"
"""
RULES: list[Json] = [
    {
        "when": "queue_depth > 10 && current_replicas < max_replicas",
        "set": {"scale_to": "min(current_replicas + 2, max_replicas)", "action": "'scale_up'"},
    },
    {
        "when": "queue_depth < 2 && current_replicas > min_replicas",
        "set": {"scale_to": "max(current_replicas - 1, min_replicas)", "action": "'scale_down'"},
    },
    {"set": {"action": "'no_change'"}},
]
DECISIONS: dict[str, tuple[int, int, Json]] = {
    "a long queue": (11, 5, {"action": "scale_up", "scale_to": 7}),
    "up to the limit": (11, 7, {"action": "scale_up", "scale_to": 8}),
    "not beyond it": (11, 8, {"action": "no_change", "scale_to": None}),
    "an empty queue": (0, 5, {"action": "scale_down", "scale_to": 4}),
    "neither": (5, 5, {"action": "no_change", "scale_to": None}),
}


@pytest.mark.parametrize("form", [{"condition": PUBLISHED}, {"rules": RULES}], ids=["block", "rules"])
@pytest.mark.parametrize(("queued", "replicas", "want"), DECISIONS.values(), ids=DECISIONS)
def test_the_published_rules_decide(queued: int, replicas: int, want: Json, form: Json) -> None:
    scaling = {"mode": "none", "min": 2, "max": 8}
    cluster = Cluster(build("AgentPool", "dev", {"role": "coder", "replicas": replicas, "scaling": scaling}))
    assert finished(run(cluster, "evaluate", {**form, "values": {"queue_depth": queued}, "role": "coder"})) == want


SIZES: dict[str, tuple[Json, Json, list[int]]] = {
    "a pool without scaling": ({"replicas": 3}, {}, [3, 1, 10]),
    "a pool that its queue sizes": ({"replicas": 3, "scaling": {"max": 20}}, {"desiredReplicas": 6}, [6, 1, 20]),
}


@pytest.mark.parametrize(("spec", "status", "want"), SIZES.values(), ids=SIZES)
def test_the_size_of_a_pool(spec: Json, status: Json, want: list[int]) -> None:
    pool = {**build("AgentPool", "dev", {"role": "coder", **spec}, "vapora-agents"), "status": status}
    block = "a = current_replicas\nb = min_replicas\nc = max_replicas"
    assert finished(run(Cluster(pool), "evaluate", {"condition": block, "role": "dev"})) == dict(
        zip("abc", want, strict=True)
    )


VALUES: dict[str, Value] = {
    "1 + 2 * 3 - -1": 8,
    "7 // 2 + 7 % 4": 6,
    "!(a > 1) || b == 'x'": True,
    "!t && t": False,
    "!t == f": True,
    "0 < a < 5": True,
    "a != 'it && is !'": True,
    "min(a, 1.5)": 1.5,
    "max(1, 2, a)": 3,
    "true && not false": True,
    "t == null": False,
}


@pytest.mark.parametrize("source", VALUES)
def test_an_expression_has_a_value(source: str) -> None:
    assert parse_block(f"v = {source}").evaluate({"a": 3, "b": "x", "t": True, "f": False}) == {"v": VALUES[source]}


REFUSED: dict[str, str] = {
    "v = __import__('os')": "line 1: \"__import__('os')\" is not understood; allowed are if, elif",
    "v = a.real": "line 1: 'a.real' is not understood",
    "v = a[0]": "line 1: 'a[0]' is not understood",
    "v = [1]": "line 1: '[1]' is not understood",
    "v = 9 ** 9": "line 1: '9 ** 9' is not understood",
    "v = 1 / 2": "line 1: '1 / 2' is not understood",
    "v = min(*a)": "line 1: '*a' is not understood",
    "v = min(a, key=b)": "line 1: 'min(a, key=b)' is not understood",
    "v = f'{a}'": "line 1: \"f'{a}'\" is not understood",
    "v = 1 if a else 2": "line 1: '1 if a else 2' is not understood",
    "a = 1\nwhile a: v = 1": "line 2: 'while a:",
    "import os": "line 1: 'import os' is not understood",
    "v = w = 1": "line 1: 'v = w = 1' is not understood",
    "v = ~a": "an unknown sign '~'",
    "v = ": "line 1: ",
    "v = " + "(" * 300 + "1" + ")" * 300: "line 1: too many nested parentheses",
    "v = " + "-" * 3000 + "1": "it is nested too deeply",
    "v = " + "-" * 60 + "1": "it has more than 400 parts, or is nested more than 40 deep",
    "v = " + "+".join(["1"] * 300): "it has more than 400 parts",
    "v = '" + "x" * MAX_BYTES + "'": f"a block has at most {MAX_BYTES} bytes",
    "v = 1\0": "line 1: ",
    "v = 1e999": "line 1: '1e309' is beyond",
    "v = 999999999999999 * 999": "line 1: '999999999999999 * 999' is beyond",
    "v = 'a' * 9": "line 1: \"'a'\" is 'a'; a number is needed",
    "v = t + 1": "line 1: 't' is True; a number is needed",
    "v = 'a' < 'b'": "line 1: \"'a'\" is 'a'; a number is needed",
    "v = 1 % 0": "line 1: '1 % 0' divides by 0",
    "if a:\n    v = 1": "line 1: 'a' is 3; a condition is true or false",
    "v = qeue": "there is no value 'qeue'; near is queue",
    "if f:\n    v = 1\nw = v": "line 3: v has no value here",
}


@pytest.mark.parametrize("source", REFUSED)
def test_what_is_no_rule_is_refused(source: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse_block(source).evaluate({"a": 3, "t": True, "f": False, "queue": 1})
    assert str(refused.value).startswith(REFUSED[source])


MISTAKES: dict[str, tuple[Json, tuple[str, str]]] = {
    "neither rules nor a block": ({}, ("InvalidInput", "exactly one of rules and condition is needed")),
    "a block that is none": ({"condition": "if:"}, ("InvalidInput", "params.condition: line 1: invalid syntax")),
    "a size of no pool": ({"condition": "a = max_replicas"}, ("InvalidInput", "params.role: current_replicas")),
    "a role that nobody has": (
        {"condition": "a = max_replicas", "role": "x"},
        ("NotFound", "there is no pool of role 'x'"),
    ),
    "a name that nobody gives": ({"condition": "a = b"}, ("ExpressionFailed", "condition: there is no value 'b'")),
    "a condition that is a number": (
        {"rules": [{"when": "1 + 1", "set": {"a": 1}}]},
        ("ExpressionFailed", "rules: '1 + 1' is 2; a condition is true or false"),
    ),
}


@pytest.mark.parametrize(("params", "want"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(params: Json, want: tuple[str, str]) -> None:
    reason, message = failed(run(Cluster(), "evaluate", params).end)
    assert (reason, want[1] in message) == (want[0], True), message
