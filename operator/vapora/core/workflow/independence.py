"""Which steps must not be done by the same pool: nobody reviews their own work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vapora.api.steps import Step
from vapora.core.workflow.graph import InvalidSpec


def find_rivals(steps: Sequence[Step]) -> Mapping[str, tuple[str, ...]]:
    """Returns the steps that each is independent of; of two it is enough that one says so.

    Raises InvalidSpec for a step that is not there or is the step itself.
    """
    known = {step.name for step in steps}
    found: dict[str, dict[str, None]] = {}
    for step in steps:
        for name in step.agent.independent_of if step.agent else ():
            where = f"spec.steps[{step.name}].agent.independentOf"
            if name not in known or name == step.name:
                others = ", ".join(other.name for other in steps if other is not step)
                raise InvalidSpec(f"{where}: {name!r} is no other step; there are {others or 'none'}")
            found.setdefault(step.name, {})[name] = None
            found.setdefault(name, {})[step.name] = None
    return {name: tuple(others) for name, others in found.items()}
