"""Many changes of single steps as few changes of workflows with many steps: each step is changed in one field."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos.edit_tables import GATE, OTHER
from tests.chaos.schema_changes import Change

Json = dict[str, Any]
LISTS = ("steps", "onCompletion")
_AT_MOST = 60  # as many as onCompletion takes


def is_about_a_step(change: Change) -> bool:
    """Whether a change is one of a single step."""
    return change.path.startswith(tuple(f"{where}[]" for where in LISTS))


def widen(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes of whole workflows that make all the given changes of their steps at once."""
    for where in LISTS:
        of_it = [change for change in changes if change.path.startswith(f"{where}[]")]
        for start in range(0, len(of_it), _AT_MOST):
            some = of_it[start : start + _AT_MOST]
            before = [_name(change.before[where][0], f"s{number}") for number, change in enumerate(some)]
            after = [_name(change.after[where][0], f"s{number}") for number, change in enumerate(some)]
            told = ", ".join(f"s{number} {change.path}" for number, change in enumerate(some))
            yield Change(told, "", _build(where, before), _build(where, after))


def _name(step: Json, name: str) -> Json:
    step = copy.deepcopy(step)
    step["name"] = name if step["name"] == "step" else f"{step['name']}-{name}"
    return step


def _build(where: str, steps: list[Json]) -> Json:
    gates = [GATE, OTHER]
    return {"steps": [*gates, *steps]} if where == "steps" else {"steps": gates, where: steps}
