"""The page about templates and the sample do what they say."""

import re
from pathlib import Path

import yaml
from tests.unit.template.templates import Json

from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template, read_template
from vapora.core.template.resolution import resolve_template
from vapora.core.workflow.definition import Definition, read_definition

ROOT = Path(__file__).parents[3]
BLOCKS = [
    yaml.safe_load(block)
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "templates.md").read_text(), re.DOTALL)
]
SAMPLE = yaml.safe_load((ROOT / "manifests" / "samples" / "template.yaml").read_text())


def resolve(workflow: Json, template: Json) -> Json:
    found = resolve_template(workflow, template)
    assert not isinstance(found, SpecProblem), found
    assert isinstance(read_definition(found), Definition)
    return dict(found)


def test_the_example_becomes_what_the_page_says() -> None:
    template, workflow, schedule = BLOCKS
    greet, note = resolve(workflow["spec"], template["spec"])["steps"]
    assert greet["run"]["command"] == ["echo", "1. Ada, warmly; 2. Grace, warmly"]
    assert note["agent"]["input"] == {"people": ["Ada", "Grace"], "run": "${workflow.name}"}
    assert note["agent"]["title"] == "Greet 2 people"
    spec = {"workflow": {"steps": [{"name": "s", "run": {"image": "busybox"}}]}, **schedule}
    assert isinstance(read_template(spec), Template)


def test_the_sample_is_sound_and_renders_its_loop() -> None:
    assert isinstance(read_template(SAMPLE["spec"]), Template)
    resolved = resolve({"templateRef": {"name": "report"}, "params": {"regions": ["eu", "us"]}}, SAMPLE["spec"])
    assert resolved["description"] == "Reports on eu and us."
    lines = [line for line in resolved["steps"][1]["run"]["command"][2].splitlines() if line.strip()]
    assert lines == ['echo "1. EU, as text"', 'echo "2. US, as text"']
