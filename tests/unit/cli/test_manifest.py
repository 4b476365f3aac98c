"""Reading and checking the file of a Workflow."""

import json
from typing import Any

import pytest
from tests.unit.cli.objects import build_step

from vapora.cli.manifest import (
    BadFile,
    Refused,
    build_of_template,
    check_spec,
    fill_in,
    find_template,
    read_manifest,
    read_params,
    resolve,
)

Json = dict[str, Any]


def build(*steps: Json, **spec: Any) -> Json:
    return {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"steps": list(steps or [build_step("a")]), **spec},
    }


def test_a_date_stays_the_text_it_is_and_an_empty_document_is_no_object() -> None:
    source = "---\n" + json.dumps(build())[:-1] + ", day: 2026-01-02}\n---\n"
    assert read_manifest(source)["day"] == "2026-01-02"


BAD_FILES = {
    "is no YAML: line 1, column 5: expected the node content": "a: {",
    "holds 0 objects": "# nothing\n",
    "holds 2 objects": "a: 1\n---\nb: 2\n",
    "is no Workflow": "apiVersion: v1\nkind: Pod\n",
    "is no Workflow: apiVersion must be vapora.dev/v1alpha1 and kind Workflow": "- 1\n",
}


@pytest.mark.parametrize(("message", "source"), BAD_FILES.items(), ids=BAD_FILES)
def test_what_is_no_workflow_is_said(message: str, source: str) -> None:
    with pytest.raises(BadFile, match=message):
        read_manifest(source)


def test_params_are_json_where_they_can_be() -> None:
    pairs = ["n=5", "text=five", "list=[1,2]", 'quoted="5"', "empty=", "formula=a=b"]
    assert read_params(pairs) == {
        "n": 5,
        "text": "five",
        "list": [1, 2],
        "quoted": "5",
        "empty": "",
        "formula": "a=b",
    }


@pytest.mark.parametrize("pair", ["novalue", "=5"])
def test_a_param_without_key_or_value_is_refused(pair: str) -> None:
    with pytest.raises(BadFile, match="must be KEY=VALUE"):
        read_params([pair])


def test_params_given_win_over_those_of_the_file() -> None:
    filled = fill_in(build(params={"a": 1, "b": 2}), None, {"b": 3})
    assert filled["spec"]["params"] == {"a": 1, "b": 3}
    assert "namespace" not in filled["metadata"]


def test_the_namespace_asked_for_is_put_in_but_never_over_another() -> None:
    assert fill_in(build(), "team", {})["metadata"]["namespace"] == "team"
    other = build()
    other["metadata"]["namespace"] = "prod"
    with pytest.raises(BadFile, match="is for namespace prod, but -n says team"):
        fill_in(other, "team", {})


def test_a_workflow_needs_a_name_or_the_beginning_of_one() -> None:
    nameless = {**build(), "metadata": {}}
    with pytest.raises(BadFile, match="has no name"):
        fill_in(nameless, None, {})
    fill_in({**nameless, "metadata": {"generateName": "w-"}}, None, {})


REFUSED = {
    "InvalidSpec: spec.steps: a -> b -> a is a cycle": build(build_step("a", "b"), build_step("b", "a")),
    r"InvalidSpec: spec.steps\[a\].dependsOn: there is no step 'c'": build(build_step("a", "c")),
    r"InvalidSpec: spec.steps\[a\].timeout: ": build(build_step("a", timeout="soon")),
    r"InvalidSpec: spec.steps\[a\].when: ": build(build_step("a", when="1 +")),
}


@pytest.mark.parametrize(("message", "manifest"), REFUSED.items(), ids=REFUSED)
def test_a_spec_that_would_stall_is_refused_with_the_place(message: str, manifest: Json) -> None:
    with pytest.raises(Refused, match=message):
        check_spec(manifest["spec"])


def test_a_sound_spec_passes() -> None:
    check_spec(build(build_step("a"), build_step("b", "a"))["spec"])


TEMPLATE = {
    "spec": {
        "parameters": [{"name": "name", "default": "world"}],
        "workflow": {"steps": [{"name": "a", "run": {"image": "busybox", "args": ["{{ params.name }}"]}}]},
    }
}


def test_a_template_is_run_by_its_name_with_params() -> None:
    manifest = fill_in(build_of_template("report"), "apps", read_params(["name=you"]))
    assert manifest["metadata"] == {
        "generateName": "report-",
        "namespace": "apps",
        "labels": {"vapora.dev/created-by": "cli"},
    }
    assert find_template(manifest) == "report"
    resolved = resolve(manifest, TEMPLATE)
    assert resolved["steps"] == [{"name": "a", "run": {"image": "busybox", "args": ["you"]}}]
    check_spec(resolved)


def test_params_that_do_not_fit_a_template_are_refused_with_the_place() -> None:
    manifest = fill_in(build_of_template("report"), None, read_params(["nam=you"]))
    with pytest.raises(Refused, match=r"spec\.params\.nam: the template has no such parameter; near are name"):
        resolve(manifest, TEMPLATE)


def test_a_workflow_with_steps_names_no_template() -> None:
    assert find_template(build()) == ""
