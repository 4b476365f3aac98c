"""`${...}` in the strings of a step: what it may name, what type it takes, what it does not touch."""

import pytest

from vapora.core.interpolation import ReferenceProblem, Scope, interpolate, references, referred_step, write_texts

SCOPE = Scope(
    params={"region": "eu", "count": 3, "list": [1, 2], "deep": {"a": {"b": 7}}, "a.b": "dotted", "flag": True},
    outputs={"build": {"image": "x:1", "rows": 3}, "a-b": {"n": 1}, "test": {"rows": 4, "dir": {"name": "d"}}},
    environment={"CLUSTER": "prod", "region": "never seen"},
    workflow={"name": "nightly", "namespace": "default", "uid": "u"},
)
ITEM = Scope(params={"item": "hidden"}, item={"name": "x", "size": 2}, index=4)

GIVES = {
    "text without a reference": ("plain", "plain"),
    "a param": ("${params.region}", "eu"),
    "a bare param": ("${region}", "eu"),
    "blanks inside": ("${ region }", "eu"),
    "alone it keeps its type: a number": ("${count}", 3),
    "alone it keeps its type: a list": ("${list}", [1, 2]),
    "alone it keeps its type: true": ("${flag}", True),
    "within a text a number is written": ("n=${count}", "n=3"),
    "within a text a list is JSON": ("--list=${list}", "--list=[1,2]"),
    "within a text true is JSON": ("${flag}!", "true!"),
    "two in one text": ("${region}-${count}", "eu-3"),
    "a path into a param": ("${params.deep.a.b}", 7),
    "a param whose name has a dot": ("${params.a.b}", "dotted"),
    "an output": ("${steps.build.outputs.image}", "x:1"),
    "an output of a step with a dash": ("${steps.a-b.outputs.n}", 1),
    "an output by brackets": ("${steps['a-b'].outputs.n}", 1),
    "a path into an output": ("${steps.test.outputs.dir.name}", "d"),
    "a bare output": ("${image}", "x:1"),
    "an allowed variable": ("${env.CLUSTER}", "prod"),
    "a bare allowed variable": ("${CLUSTER}", "prod"),
    "the workflow": ("${workflow.name}", "nightly"),
    "a literal": ("$${region}", "${region}"),
    "a literal beside a reference": ("$${x} ${region}", "${x} eu"),
    "a dollar alone": ("$region costs $5", "$region costs $5"),
    "a brace that is never closed": ("${region", "${region"),
    "a secret is untouched": ("secret:db:${region}", "secret:db:${region}"),
    "objects and lists within": ({"a": ["${count}", {"b": "${region}"}]}, {"a": [3, {"b": "eu"}]}),
    "what is no text": ([1, None, True, 2.5], [1, None, True, 2.5]),
    "keys are not touched": ({"${region}": 1}, {"${region}": 1}),
}


@pytest.mark.parametrize("case", GIVES)
def test_what_a_reference_gives(case: str) -> None:
    value, want = GIVES[case]
    assert interpolate(value, SCOPE) == want


ITEMS = {
    "the item, whole": ("${item}", {"name": "x", "size": 2}),
    "a field of the item": ("${item.name}", "x"),
    "the index": ("${index}", 4),
    "the item in a text": ("item ${index}: ${item.name}", "item 4: x"),
}


@pytest.mark.parametrize("case", ITEMS)
def test_what_an_item_gives(case: str) -> None:
    value, want = ITEMS[case]
    assert interpolate(value, ITEM) == want


def test_an_item_may_be_null() -> None:
    assert interpolate("${item}", Scope(item=None, index=0)) is None


PROBLEMS = {
    "a name of nothing": ("${nowhere}", "UnresolvedReference", "${nowhere} is no param, no output and no allowed"),
    "nothing": ("${}", "UnresolvedReference", "${}"),
    "an unknown param": ("${params.nowhere}", "UnresolvedReference", "${params.nowhere}: there is no 'nowhere'"),
    "a path that ends early": ("${params.deep.x.y}", "UnresolvedReference", "${params.deep.x.y}: there is no 'x'"),
    "a path into text": ("${params.region.x}", "UnresolvedReference", "there is no 'x'"),
    "a variable that is not allowed": ("${env.HOME}", "UnresolvedReference", "there is no 'HOME'"),
    "the item outside of items": ("${item}", "UnresolvedReference", "${item} is no param"),
    "a step without outputs": ("${steps.gone.outputs.x}", "MissingOutput", "step 'gone' has no outputs"),
    "an output that is not there": ("${steps.build.outputs.x}", "MissingOutput", "there is no 'x'"),
    "an output of two steps": (
        "${rows}",
        "AmbiguousReference",
        "${rows} could be steps.build.outputs.rows and steps.test.outputs.rows; write the one that is meant",
    ),
    "deep within": ({"a": [{"b": "x ${nowhere}"}]}, "UnresolvedReference", "${nowhere}"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_has_no_value_is_told_by_name(case: str) -> None:
    value, reason, words = PROBLEMS[case]
    with pytest.raises(ReferenceProblem) as problem:
        interpolate(value, SCOPE)
    assert (problem.value.reason, words in str(problem.value)) == (reason, True), str(problem.value)


def test_what_was_looked_up_is_not_looked_up_again() -> None:
    assert interpolate("${a} and ${a}", Scope(params={"a": "${b}", "b": "c"})) == "${b} and ${b}"


NAMED = {
    "in reading order, each time": (["${a} ${b}", {"x": "${a}"}], ["a", "b", "a"]),
    "not what is escaped": ("$${a} ${b}", ["b"]),
    "nothing in what is no text": ([1, None, True], []),
}


@pytest.mark.parametrize("case", NAMED)
def test_which_names_a_value_refers_to(case: str) -> None:
    value, want = NAMED[case]
    assert list(references(value)) == want


MEANT = {
    "an output by its step": ("steps.a.outputs.n", "a"),
    "an output by brackets": ('steps["a-b"].outputs.n', "a-b"),
    "a bare name that a step gives": ("rows", "build"),
    "a bare name that no step gives": ("region", None),
    "a param": ("params.rows", None),
    "a field of an item": ("item.rows", None),
    "a step's state is no output": ("steps.a.state", None),
}


@pytest.mark.parametrize("case", MEANT)
def test_which_step_a_name_means(case: str) -> None:
    name, want = MEANT[case]
    assert referred_step(name, {"rows": "build"}) == want


def test_what_a_program_reads_is_text() -> None:
    body = {"image": "x", "command": [1, "a"], "args": [True, [1, 2]], "env": {"N": 3, "T": "t"}, "volumes": [{"a": 1}]}
    assert write_texts(body) == {
        "image": "x",
        "command": ["1", "a"],
        "args": ["true", "[1,2]"],
        "env": {"N": "3", "T": "t"},
        "volumes": [{"a": 1}],
    }
