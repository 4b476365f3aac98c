"""A template's spec made ready: checked as far as it can be without params, with its schedule read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from vapora.api.durations import parse_duration
from vapora.api.reasons import Reason
from vapora.api.workflowtemplate import Schedule, WorkflowTemplateSpec
from vapora.core.conditions import cut
from vapora.core.supported import SpecProblem, describe_validation
from vapora.core.template.parameters import fill_params, find_parameter_problems, find_unfillable
from vapora.core.template.resolution import find_text_problems, has_texts, lacks_values, render_workflow
from vapora.core.template.slots import BadSchedule, Timetable, read_timetable
from vapora.core.views import child
from vapora.core.workflow.definition import read_definition


@dataclass(frozen=True, slots=True)
class Template:
    """Is a sound template; `schedule` and `timetable` are both there or both not."""

    schedule: Schedule | None
    timetable: Timetable | None
    starting_deadline: timedelta | None
    account: str = "default"  # that its scheduled runs act as


def read_template(raw: object) -> Template | SpecProblem:
    """Checks a template's spec as it stands in the object; returns what is wrong, with the place.

    Its workflow is compiled where every text of it can be rendered without params: where it has none, or where every
    parameter has a default.
    """
    try:
        spec = WorkflowTemplateSpec.model_validate(raw)
    except ValidationError as error:
        return SpecProblem(Reason.InvalidSpec, describe_validation(error, raw=raw, model=WorkflowTemplateSpec))
    problems = [*find_parameter_problems(spec.parameters), *_find_schedule_problems(spec), *_find_accounts(spec)]
    workflow = child({"spec": raw}, "spec", "workflow")
    problems += find_text_problems(workflow)
    if problems:
        return SpecProblem(Reason.InvalidSpec, cut("; ".join(problems)))
    if not has_texts(workflow) or not lacks_values(spec.parameters):
        params = fill_params(spec.parameters, {})
        rendered = render_workflow(workflow, params)
        found = rendered if isinstance(rendered, SpecProblem) else read_definition(rendered)
        if isinstance(found, SpecProblem):
            return SpecProblem(found.reason, cut(f"spec.workflow: {found.message}"))
    schedule = spec.schedule
    account = spec.workflow.service_account_name
    if schedule is None:
        return Template(None, None, None, account)
    deadline = schedule.starting_deadline
    return Template(
        schedule,
        read_timetable(schedule.cron, schedule.time_zone),
        None if deadline is None else timedelta(seconds=parse_duration(deadline)),
        account,
    )


def _find_accounts(spec: WorkflowTemplateSpec) -> Iterator[str]:
    """Yields the steps that name an account: whoever runs the template might not be allowed to use it."""
    for step in (*spec.workflow.steps, *spec.workflow.on_completion):
        bodies = [step.run, step.compensate.run if step.compensate else None]
        if any(body is not None and body.service_account_name for body in bodies):
            yield f"spec.workflow.steps[{step.name}].run.serviceAccountName: a template's steps use the run's account"


def _find_schedule_problems(spec: WorkflowTemplateSpec) -> Iterator[str]:
    if spec.schedule is None:
        return
    try:
        read_timetable(spec.schedule.cron, spec.schedule.time_zone)
    except BadSchedule as problem:
        yield f"spec.schedule.{problem}"
    for name in find_unfillable(spec.parameters):
        yield f"spec.parameters[{name}]: is required and has no default, but a scheduled run is given no params"
