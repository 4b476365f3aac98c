"""What is said of a spec that cannot be run: the step, the field, what was found and what is allowed."""

import os
from pathlib import Path
from typing import Any

import pytest

from vapora.core.supported import SpecProblem
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.registry import TaskProblem, read_task
from vapora.core.template.definition import read_template
from vapora.core.template.resolution import resolve_template
from vapora.core.workflow.definition import read_definition

Json = dict[str, Any]
SNAPSHOT = Path(__file__).parent / "snapshots" / "messages.txt"
SLACK: Json = {"webhook": {"name": "slack", "key": "url"}, "message": "hi"}


def run(name: str, **fields: object) -> Json:
    return {"name": name, "run": {"image": "tool:1"}, **fields}


def do(kind: str, body: object, **fields: object) -> Json:
    return {"name": "deploy", kind: body, **fields}


def approval(**body: object) -> Json:
    return do("approval", body)


# What stands in `steps`, or a whole spec.
WORKFLOWS: dict[str, list[Json] | Json] = {
    "a cycle": [run("a", dependsOn=["c"]), run("b", dependsOn=["a"]), run("c", dependsOn=["b"])],
    "a step that waits for itself": [run("a", dependsOn=["a"])],
    "an unknown step": [run("build"), run("deploy", dependsOn=["biuld"])],
    "an unknown step of an edge": [run("build"), run("deploy", edges=[{"name": "test", "type": "soft"}])],
    "an unknown step of a reference": [run("a"), run("b", description="${steps.c.outputs.rows}")],
    "an unknown step of an expression": [run("a"), run("b", when="steps.c.state == 'Succeeded'")],
    "a name that stands twice": [run("a"), run("a")],
    "a completion step with a step's name": {"steps": [run("a")], "onCompletion": [run("a")]},
    "a completion step that waits": {"steps": [run("a")], "onCompletion": [run("b", dependsOn=["a"])]},
    "a name with capitals": [run("Build")],
    "CEL that is none": [run("a", when="params.x ==")],
    "a condition that is none": [run("a"), run("b", edges=[{"name": "a", "condition": "steps.a.outputs.n >"}])],
    "a step with a dash in CEL": [run("a-b"), run("c", when="steps.a-b.state == 'Failed'")],
    "steps that are not named": [run("a"), run("b", when="size(steps) > 1")],
    "a comprehension in another": [run("a", when="params.a.all(x, params.b.exists(y, x == y))")],
    "an expression that is too long": [run("a", when=f"params.x == '{'x' * 2048}'")],
    "an output that is no expression": [run("a", outputsFrom=[{"name": "rows", "from": "result["}])],
    "a condition of wait that is none": [
        do("wait", {"until": "object.", "object": {"apiVersion": "v1", "kind": "Pod", "name": "p"}})
    ],
    "a condition of http that is none": [do("http", {"url": "https://a.example", "expect": "response.status = 200"})],
    "a duration that is none": [run("a", timeout="5 minutes")],
    "a duration that is too long": {"steps": [run("a")], "deadline": "11y"},
    "two bodies": [run("a", agent={"role": "coder"})],
    "no body": [{"name": "a"}],
    "two things that undo": [run("a", compensate={"run": {"image": "undo:1"}, "none": True})],
    "items twice": [run("a", forEach={"items": [1], "itemsFrom": "${params.list}"})],
    "outputs of items": [run("a", forEach={"items": [1]}, outputs=["rows"])],
    "approval by time although people are named": [approval(approvers={"users": ["ann"]}, onTimeout="approve")],
    "approvers that are computed": [approval(approvers={"users": ["${params.boss}"]})],
    "a Secret that is applied": [do("apply", {"manifests": [{"apiVersion": "v1", "kind": "Secret"}]})],
    "nobody to do it": [do("agent", {"title": "Write"})],
    "a pool and a role": [do("agent", {"pool": "coder", "role": "coder"})],
    "a pending time of a task": [do("agent", {"role": "coder"}, pendingTimeout="5m")],
    "a wait for nothing": [do("wait", {})],
    "a wait without an object": [do("wait", {"until": "object.x"})],
    "a size of nothing": [do("scale", {"replicas": 2})],
    "a size that is none": [do("scale", {"pool": "coder", "replicas": -1})],
    "a quantity that is none": [do("run", {"image": "i", "resources": {"limits": {"cpu": "two"}}})],
    "a secret that is none": [do("run", {"image": "i", "env": {"TOKEN": "secret:vault"}})],
    "a method that is none": [do("http", {"url": "https://a.example", "method": "FETCH"})],
    "a number that is a text": [run("a", retry={"maxAttempts": "3"})],
    "a number that is too small": [run("a", retry={"maxAttempts": 0})],
    "a word that is not allowed": [run("a", onFailure="explode")],
    "a field that is not there": [run("a", dependOn=["b"])],
    "a field of a body that is not there": [do("run", {"image": "i", "comand": ["x"]})],
    "a share that is none": [run("a", forEach={"items": [1], "failureTolerance": "many"})],
    "no steps": {"steps": []},
    "steps and a template": {"steps": [run("a")], "templateRef": {"name": "t"}},
}
TASKS: dict[str, tuple[str, Json]] = {
    "a task that nobody knows": ("notifications.slak", SLACK),
    "a task of a group that has others": ("notifications.sms", SLACK),
    "params that do not fit their task": ("notifications.slack", {"message": "hi", "webhok": {}}),
}
TEMPLATE: Json = {
    "parameters": [
        {"name": "tone", "enum": ["warm", "cool"], "default": "warm"},
        {"name": "count", "type": "integer", "required": True},
    ],
    "workflow": {"steps": [run("greet", description="{{ params.tone }}")]},
}
PARAMS: dict[str, Json] = {
    "an unknown param": {"tune": "warm", "count": 1},
    "a param that is missing": {},
    "a param of another type": {"count": "three"},
    "a param that is not among those allowed": {"count": 1, "tone": "hot"},
}
TEMPLATES: dict[str, Json] = {
    "a cron line with too few fields": {"schedule": {"cron": "30 2 * *"}},
    "a minute that does not exist": {"schedule": {"cron": "61 2 * * *"}},
    "a day that never comes": {"schedule": {"cron": "0 0 30 2 *"}},
    "a time zone that does not exist": {"schedule": {"cron": "30 2 * * *", "timeZone": "Europe/Berln"}},
    "a schedule that gives no params": {
        "schedule": {"cron": "30 2 * * *"},
        "parameters": [{"name": "count", "type": "integer", "required": True}],
    },
    "a default of another type": {"parameters": [{"name": "count", "type": "integer", "default": "x"}]},
    "a text that is no Jinja2": {"workflow": {"steps": [run("a", description="{{ params. }}")]}},
    "a text with a macro": {"workflow": {"steps": [run("a", description="{% macro m() %}{% endmacro %}")]}},
    "a step that is wrong": {"workflow": {"steps": [run("a", dependsOn=["b"])]}},
}


def explain(found: object) -> str:
    assert isinstance(found, SpecProblem), found
    return f"{found.reason}: {found.message}"


def explain_task(name: str, params: Json) -> str:
    with pytest.raises(TaskProblem) as problem:
        read_task(BUILT_IN, name, params)
    return f"{problem.value.reason}: {problem.value}"


def list_messages() -> dict[str, str]:
    specs = {name: spec if isinstance(spec, dict) else {"steps": spec} for name, spec in WORKFLOWS.items()}
    told = {name: explain(read_definition(spec)) for name, spec in specs.items()}
    runs = {name: {"templateRef": {"name": "t"}, "params": params} for name, params in PARAMS.items()}
    told |= {name: explain(resolve_template(spec, TEMPLATE)) for name, spec in runs.items()}
    told |= {name: explain_task(*case) for name, case in TASKS.items()}
    plain: Json = {"workflow": {"steps": [run("a")]}}
    return told | {name: explain(read_template({**plain, **changes})) for name, changes in TEMPLATES.items()}


def test_every_mistake_is_told_as_it_was() -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is said now."""
    said = "".join(f"{name}:\n  {message}\n" for name, message in list_messages().items())
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(said)
    assert said == SNAPSHOT.read_text()
