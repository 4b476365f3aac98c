"""What the documentation and the examples show is imported as they say."""

import re
from pathlib import Path

import pytest
from tests.unit.importing.folder import find_spec, list_names, list_said, load

from vapora.importing.bundle import Options, import_files
from vapora.importing.lint import lint
from vapora.importing.values import read_values

ROOT = Path(__file__).parents[3]
WORKSPACE = ROOT / "examples" / "vapora-wrksp"


def test_the_sample_of_the_documentation_becomes_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "importing.md").read_text()
    (sample,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    bundle = load(tmp_path, {"grow.yaml": sample})
    spec = find_spec(bundle, "Workflow", "grow")
    assert spec["steps"][1]["when"] == "steps.depth.outputs.queue_depth > 10"
    assert (spec["type"], spec["deadline"], spec["steps"][1]["onFailure"]) == ("sequential", "1h", "fail")
    assert list_names(bundle, "AgentPool") == ["developer", "tester"]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_workspace_is_whole(environment: str) -> None:
    values = read_values(WORKSPACE / "env" / f"{environment}.yaml")
    bundle = import_files([WORKSPACE], Options(values=values))
    assert (bundle.errors, list_said(bundle, "warning"), lint(bundle)) == ([], [], [])
    workflows = ["deploy-fleet", "deploy-fleet-migrated", "disaster-recovery", "upgrade-vapora"]
    assert list_names(bundle, "Workflow") == workflows
    assert (len(list_names(bundle, "Taskserv")), len(list_names(bundle, "AgentPool"))) == (8, 12)
    assert find_spec(bundle, "Workflow", "deploy-fleet")["params"]["HOST"] == values["HOST"]


def test_the_variant_migrates_before_it_checks_the_health() -> None:
    spec = find_spec(import_files([WORKSPACE], Options()), "Workflow", "deploy-fleet-migrated")
    needs = {step["name"]: step.get("dependsOn", []) for step in spec["steps"]}
    assert "migrate" in needs["health"]
    assert "health" not in needs["migrate"]
