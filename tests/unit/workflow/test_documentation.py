"""The page about workflows: its examples can be run, its table of reasons is the one that decides."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from vapora.api.stepbodies import BODY_KINDS
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.registry import read_task
from vapora.core.workflow.definition import Definition, read_definition
from vapora.core.workflow.failure import CLASSES, FailureClass

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "workflows.md").read_text()
EXAMPLES: list[Json] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
CRD: Json = yaml.safe_load((ROOT / "crds" / "vapora.dev_workflows.yaml").read_text())
SCHEMA: Json = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
CLASS_OF_ROW = {
    "the work": FailureClass.APPLICATION,
    "the cluster, or a service outside": FailureClass.INFRASTRUCTURE,
    "the spec, or a person": FailureClass.PERMANENT,
}


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda spec: spec["steps"][0]["name"])
def test_an_example_can_be_run(spec: Json) -> None:
    jsonschema.validate(spec, SCHEMA, jsonschema.Draft202012Validator)
    read = read_definition(spec)
    assert isinstance(read, Definition), read
    for step in spec["steps"]:
        if "task" in step:
            read_task(BUILT_IN, step["task"]["type"], step["task"]["params"])


def test_every_kind_of_step_has_an_example() -> None:
    assert {kind for kind in BODY_KINDS for step in EXAMPLES[0]["steps"] if kind in step} == set(BODY_KINDS)


def test_the_table_of_reasons_is_the_one_that_decides() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| the ")]
    told = {
        reason: CLASS_OF_ROW[row[0].removeprefix("| ")]
        for row in rows
        for reason in row[2].removesuffix(" |").split(", ")
    }
    assert told == dict(CLASSES)
