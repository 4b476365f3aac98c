"""Which exit code a workflow is."""

from typing import Any

import pytest
from tests.unit.cli.objects import FAILED, REFUSED, RUNNING, UNSEEN, build_workflow

from vapora.cli.exits import Exit, find_exit, find_refusal

CASES: dict[str, tuple[dict[str, Any], Exit | None]] = {
    "a workflow that runs goes on": (RUNNING, None),
    "one that nobody has looked at goes on": (UNSEEN, None),
    "success is 0": (build_workflow([], {"phase": "Succeeded"}), Exit.DONE),
    "failure is 1": (FAILED, Exit.FAILED),
    "a cancelled one is 1": (build_workflow([], {"phase": "Cancelled"}), Exit.FAILED),
    "one that was rolled back is 1": (build_workflow([], {"phase": "RolledBack"}), Exit.FAILED),
    "one that the operator refuses is 4": (REFUSED, Exit.REFUSED),
}


@pytest.mark.parametrize(("workflow", "code"), CASES.values(), ids=CASES)
def test_exit_code(workflow: dict[str, Any], code: Exit | None) -> None:
    assert find_exit(workflow) is code


def test_the_numbers_are_a_promise() -> None:
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "REFUSED": 4,
        "TIMEOUT": 5,
    }


def test_a_failed_workflow_is_stalled_but_not_refused() -> None:
    assert find_refusal(FAILED) == ""
    assert find_refusal(REFUSED) == "InvalidSpec: spec.steps: a -> b -> a is a cycle"
