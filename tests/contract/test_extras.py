"""The package alone brings the SDK and the command line; each of its extras what its name says."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
CYCLE = """
apiVersion: vapora.dev/v1alpha1
kind: Workflow
metadata: {name: w}
spec: {steps: [{name: a, dependsOn: [a], run: {image: "tool:1"}}]}
"""

# Runs `vapora ...` as it would be where only the package itself is installed.
WITHOUT_EXTRAS = """
import json, sys
hidden = set(json.loads(sys.argv.pop(1)))

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from vapora.cli import main
main(prog_name="vapora")
"""


def normalize(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def find_hidden() -> list[str]:
    """Return the modules of what only extras bring."""
    always = {normalize(Requirement(line).name) for line in PROJECT["dependencies"]}
    extras = {
        normalize(Requirement(line).name) for lines in PROJECT["optional-dependencies"].values() for line in lines
    }
    modules = packages_distributions().items()
    # `google` is a folder of many packages, all of which come with a2a-sdk.
    return sorted(name for name, found in modules if {normalize(one) for one in found} & (extras - always))


def call(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-W", "error", "-c", WITHOUT_EXTRAS, json.dumps(find_hidden()), *arguments]
    return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_hidden_here_is_what_extras_bring() -> None:
    assert {"kopf", "jinja2", "cronsim", "asyncpg", "a2a", "kcl_lib"} <= set(find_hidden())


WORK = {
    "the agents": (("agent", "exec", "--help"), "", 0, "Run a command for every task"),
    "trying an agent": (("agent", "dev", "nowhere.py"), "", 2, "there is no file nowhere.py"),
    "running a workflow": (("workflow", "run", "-"), CYCLE, 4, "is a cycle"),
}


@pytest.mark.parametrize(("arguments", "given", "code", "told"), WORK.values(), ids=WORK.keys())
def test_the_package_alone_is_enough_for(arguments: tuple[str, ...], given: str, code: int, told: str) -> None:
    done = call(*arguments, given=given)
    assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done.stderr


MORE = {
    "the operator": (("operator",), "operator"),
    "agents that speak A2A": (("agent", "http", "--target", "http://host", "--a2a"), "a2a"),
}


@pytest.mark.parametrize(("arguments", "extra"), MORE.values(), ids=MORE.keys())
def test_what_needs_more_says_what(arguments: tuple[str, ...], extra: str) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert f"pip install 'vapora-operator[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
