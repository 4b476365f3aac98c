"""What a Workflow with `templateRef` runs, and what is wrong with its params or its template."""

from typing import Any

import pytest
from tests.unit.template.templates import STEP, Json, build_scheduled, build_template, parameter

from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template, read_template
from vapora.core.template.resolution import resolve_template
from vapora.core.workflow.definition import Definition, read_definition

NAME = parameter("name", default="world")
REF: Json = {"templateRef": {"name": "t"}}
LEVELS = parameter("level", enum=["debug", "info"], default="info")


def resolve(template: Json, **spec: object) -> Json:
    found = resolve_template({**REF, **spec}, template)
    assert not isinstance(found, SpecProblem), found
    return dict(found)


def test_texts_are_rendered_with_the_defaults_and_what_is_given() -> None:
    step = {"name": "s", "run": {"image": "a:{{ params.tag }}", "args": ["{{ params.name }}", "${params.name}"]}}
    template = build_template(NAME, parameter("tag", required=True), steps=[step])
    resolved = resolve(template, params={"tag": "v1"})
    assert resolved["steps"][0]["run"] == {"image": "a:v1", "args": ["world", "${params.name}"]}
    assert resolved["params"] == {"name": "world", "tag": "v1"}
    assert isinstance(read_definition(resolved), Definition)


def test_a_value_that_is_one_expression_keeps_its_type() -> None:
    step = {**STEP, "forEach": {"itemsFrom": "${params.items}"}, "retry": {"maxAttempts": 2}}
    agent = {
        "name": "a",
        "agent": {"role": "developer", "input": {"n": "{{ params.n + 1 }}", "all": "{{ params.items }}"}},
    }
    template = build_template(NAME, parameter("items", "array"), parameter("n", "integer"), steps=[step, agent])
    resolved = resolve(template, params={"items": ["a", "b"], "n": 1})
    assert resolved["steps"][1]["agent"]["input"] == {"n": 2, "all": ["a", "b"]}


OVERRIDES: dict[str, tuple[Json, Json, Json]] = {
    "the template's fields hold": ({"maxParallel": 3, "deadline": "1h"}, {}, {"maxParallel": 3, "deadline": "1h"}),
    "a field that the workflow sets takes its place": ({"maxParallel": 3}, {"maxParallel": 5}, {"maxParallel": 5}),
    "a default that the API server filled in does not": (
        {"maxParallel": 3},
        {"maxParallel": 10, "failFast": True},
        {"maxParallel": 3},
    ),
    "the account is always the workflow's own": (
        {"serviceAccountName": "builder"},
        {"serviceAccountName": "default"},
        {"serviceAccountName": "default"},
    ),
    "an account of its own": ({}, {"serviceAccountName": "mine"}, {"serviceAccountName": "mine"}),
    "a list as a whole": (
        {"rollback": {"enabled": False}},
        {"onFailure": "continue"},
        {"rollback": {"enabled": False}, "onFailure": "continue"},
    ),
    "the params of the template's workflow are constants": (
        {"params": {"c": 1}},
        {},
        {"params": {"c": 1, "name": "world"}},
    ),
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_who_sets_a_field(name: str) -> None:
    workflow, spec, wanted = OVERRIDES[name]
    resolved = resolve(build_template(NAME, workflow=workflow), **spec)
    assert {field: resolved.get(field) for field in wanted} == wanted
    assert "templateRef" not in resolved


PARAMS: dict[str, tuple[list[Json], Json, str]] = {
    "an unknown name": ([NAME], {"nam": "x"}, "spec.params.nam: the template has no such parameter; near are name"),
    "an unknown name, far from all": (
        [NAME, LEVELS],
        {"x": 1},
        "spec.params.x: the template has no such parameter; it has level, name",
    ),
    "a param where there are none": ([], {"x": 1}, "spec.params.x: the template has no such parameter; it has none"),
    "a required one that is missing": (
        [parameter("tag", required=True)],
        {},
        "spec.params.tag: is required and not given; allowed is a value of type string",
    ),
    "text for a number": (
        [parameter("n", "number")],
        {"n": "1"},
        'spec.params.n: found "1", allowed is a value of type number',
    ),
    "true for a number": (
        [parameter("n", "integer")],
        {"n": True},
        "spec.params.n: found true, allowed is a value of type integer",
    ),
    "a fraction for a whole number": (
        [parameter("n", "integer")],
        {"n": 1.5},
        "spec.params.n: found 1.5, allowed is a value of type integer",
    ),
    "a value outside the enum": (
        [LEVELS],
        {"level": "loud"},
        'spec.params.level: found "loud", allowed is one of "debug", "info"',
    ),
    "two at once": (
        [NAME],
        {"name": 1, "x": 1},
        "spec.params.name: found 1, allowed is a value of type string; "
        "spec.params.x: the template has no such parameter; it has name",
    ),
    "a text that finds nothing": (
        [parameter("name")],
        {},
        "the template's spec.workflow.steps[greet].run.args[0]: there is no 'name'",
    ),
}


@pytest.mark.parametrize("name", PARAMS)
def test_params_are_refused_with_the_place(name: str) -> None:
    parameters, params, wanted = PARAMS[name]
    assert resolve_template({**REF, "params": params}, build_template(*parameters)) == SpecProblem(
        "InvalidSpec", wanted
    )


def test_a_whole_number_is_a_number_and_a_list_an_array() -> None:
    template = build_template(NAME, parameter("n", "number"), parameter("l", "array"), parameter("b", "boolean"))
    assert resolve(template, params={"n": 1, "l": [], "b": False})["params"]["n"] == 1


TEMPLATES: dict[str, tuple[Any, str]] = {
    "a name that is there twice": (
        build_template(NAME, NAME),
        "InvalidSpec: spec.parameters[name]: the name is there twice",
    ),
    "a default of another type": (
        build_template(parameter("name", default=1)),
        "InvalidSpec: spec.parameters[name].default: found 1, allowed is a value of type string",
    ),
    "a default outside the enum": (
        build_template(NAME, {**LEVELS, "default": "loud"}),
        'InvalidSpec: spec.parameters[level].default: found "loud", allowed is one of "debug", "info"',
    ),
    "an enum of another type": (
        build_template(NAME, parameter("n", "integer", enum=[1, "2"])),
        'InvalidSpec: spec.parameters[n].enum: found "2", allowed is integer',
    ),
    "a text that can never be rendered": (
        build_template(NAME, steps=[{"name": "s", "run": {"image": "{{ params.name"}}]),
        "InvalidSpec: spec.workflow.steps[s].run.image: line 1: unexpected end of template",
    ),
    "a text that names no parameter": (
        build_template(NAME, steps=[{"name": "s", "run": {"image": "{{ params.nme }}"}}]),
        "InvalidSpec: spec.workflow: the template's spec.workflow.steps[s].run.image: there is no 'nme'",
    ),
    "a workflow that cannot be run": (
        build_template(NAME, steps=[{**STEP, "dependsOn": ["other"]}]),
        "InvalidSpec: spec.workflow: spec.steps[greet]",
    ),
    "a reference to another template": (
        {"workflow": {"templateRef": {"name": "x"}}},
        "InvalidSpec: spec: workflow.templateRef is not allowed",
    ),
    "a schedule of six fields": (build_scheduled("* * * * * *"), "InvalidSpec: spec.schedule.cron: found '*"),
    "a schedule that can never be": (build_scheduled("0 0 31 2 *"), "InvalidSpec: spec.schedule.cron: found '0 0"),
    "a zone that is not there": (
        build_scheduled(timeZone="Europe/Atlantis"),
        "InvalidSpec: spec.schedule.timeZone: found 'Europe/Atlantis'",
    ),
    "a schedule that could give no params": (
        build_template(parameter("name", required=True), schedule={"cron": "* * * * *"}),
        "InvalidSpec: spec.parameters[name]: is required and has no default",
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_refused_with_the_place(name: str) -> None:
    raw, wanted = TEMPLATES[name]
    found = read_template(raw)
    assert isinstance(found, SpecProblem)
    assert f"{found.reason}: {found.message}".startswith(wanted)


SOUND: dict[str, Json] = {
    "defaults for all": build_template(NAME),
    "a value that must be given": build_template(parameter("name", required=True)),
    "a schedule": build_scheduled("0 6 * * MON-FRI", timeZone="Europe/Berlin", startingDeadline="10m"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_template_is_sound(name: str) -> None:
    assert isinstance(read_template(SOUND[name]), Template)
