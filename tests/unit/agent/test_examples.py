"""The examples in the docstrings of the SDK and in its guide are run."""

import doctest
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vapora.agent
from vapora.agent import Agent, AgentSettings, Task

GUIDE = Path(__file__).parents[3] / "docs" / "agents.md"
METHODS = [Agent.task, Agent.perform, Agent.run, Agent.serve, Agent.stop, AgentSettings.from_environment, Task.progress]
# Words whose meaning is all there is to them.
WITHOUT_EXAMPLE = {"AgentNotFound", "ProviderChoice", "SettingsError", "TaskError", "TaskResult", "Tokens", "run_agent"}


def find_examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(recurse=True)
    yield from finder.find(vapora.agent, "vapora.agent", module=False)
    for name in vapora.agent.__all__:
        yield from finder.find(getattr(vapora.agent, name), name, module=False)


EXAMPLES = {example.name: example for example in find_examples() if example.examples}


def run(example: doctest.DocTest) -> str:
    told: list[str] = []
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    doctest.DocTestRunner(optionflags=flags).run(example, out=told.append)
    return "".join(told)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_an_example_does_what_it_says(example: doctest.DocTest) -> None:
    assert run(example) == ""


def test_what_is_public_has_an_example() -> None:
    assert {name for name in vapora.agent.__all__ if name not in EXAMPLES} == WITHOUT_EXAMPLE


def test_what_is_public_says_what_it_is() -> None:
    things = [*(getattr(vapora.agent, name) for name in vapora.agent.__all__), *METHODS]
    assert [thing for thing in things if not inspect.getdoc(thing)] == []


BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {number}" for number in range(1, len(BLOCKS) + 1)])
def test_the_guide_does_what_it_says(block: str) -> None:
    assert ">>>" in block, "a block that nothing runs may be wrong"
    assert run(doctest.DocTestParser().get_doctest(block, {}, "guide", str(GUIDE), 0)) == ""
