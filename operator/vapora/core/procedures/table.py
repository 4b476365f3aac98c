"""Which procedure carries out which kind of step, and which one undoes it."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core.procedures.apply import apply
from vapora.core.procedures.http import call_http
from vapora.core.procedures.scale import scale, undo_scale
from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.procedures.wait import wait
from vapora.core.tasks.registry import Registry
from vapora.core.workflow.procedure import Procedure


def build_procedures(registry: Registry) -> Mapping[str, Procedure]:
    """Returns the procedures by the step's body."""
    return {"http": call_http, "wait": wait, "apply": apply, "scale": scale, "task": build_task(registry)}


def build_undoings(registry: Registry) -> Mapping[str, Procedure]:
    """Returns the procedures that undo a step, by its body; what has none is undone by the step's `compensate`."""
    return {"apply": undo_apply, "scale": undo_scale, "task": build_undo_task(registry)}
