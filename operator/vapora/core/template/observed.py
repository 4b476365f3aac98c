"""What one reconcile knows of a WorkflowTemplate."""

from __future__ import annotations

from dataclasses import dataclass

from vapora.core.plan import Manifest, Problem
from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template
from vapora.core.template.runs import Run
from vapora.core.views import Meta


@dataclass(frozen=True, slots=True)
class Observed:
    """Is the template and the runs that its schedule made."""

    meta: Meta
    author: str
    template: Template | SpecProblem
    status: Manifest
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...] = ()
