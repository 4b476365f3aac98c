"""What a Workflow with `templateRef` runs: the template's workflow, rendered with its params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from vapora.api.reasons import Reason
from vapora.api.workflow import WorkflowSpec
from vapora.api.workflowtemplate import Parameter, WorkflowTemplateSpec
from vapora.core.conditions import cut
from vapora.core.plan import Manifest
from vapora.core.supported import SpecProblem, describe_validation
from vapora.core.template.language import Language, check_text, is_text
from vapora.core.template.parameters import fill_params, find_param_problems
from vapora.core.template.sandbox import TextProblem
from vapora.core.views import child

_MAX_TOLD = 5
_OF_THE_REFERENCE = frozenset({"templateRef", "params"})


def resolve_template(spec: Manifest, template_spec: Manifest) -> Manifest | SpecProblem:
    """Returns the raw spec that a raw Workflow spec with `templateRef` stands for, or what is wrong, with the place.

    Its fields are the template's; one that the Workflow sets to another value than the field's default takes the place
    of the template's as a whole (the API server fills defaults in, so a default cannot be told from what was left out).
    Its account is the Workflow's own in any case: the template's is one that its author may use, and others may not.
    Its params are those of the template's workflow, the parameters' defaults and those given, later ones over earlier.
    """
    try:
        template = WorkflowTemplateSpec.model_validate(template_spec)
        user = WorkflowSpec.model_validate(spec)
    except ValidationError as error:
        return SpecProblem(Reason.InvalidSpec, describe_validation(error))
    given = child(spec, "params")
    problems = list(find_param_problems(template.parameters, given))
    if problems:
        return _refuse(problems)
    params = fill_params(template.parameters, given)
    rendered = render_workflow(child(template_spec, "workflow"), params)
    if isinstance(rendered, SpecProblem):
        return rendered
    account = {"serviceAccountName": user.service_account_name}
    return {**rendered, **_pick_set(user, spec), **account, "params": {**child(rendered, "params"), **params}}


def render_workflow(workflow: Manifest, params: Mapping[str, object]) -> Manifest | SpecProblem:
    """Returns a template's workflow with its texts rendered, or where one of them gives no value."""
    language = Language(params)
    try:
        rendered = _render(workflow, "workflow", language)
    except TextProblem as problem:
        return SpecProblem(Reason.InvalidSpec, cut(f"the template's spec.{problem}"))
    return child({"workflow": rendered}, "workflow")


def find_text_problems(workflow: Manifest) -> Iterator[str]:
    """Yields the texts of a template's workflow that can never be rendered, each with its place."""
    for place, text in _find_texts(workflow, "spec.workflow"):
        try:
            check_text(text)
        except TextProblem as problem:
            yield f"{place}: {problem}"


def has_texts(workflow: Manifest) -> bool:
    """Returns whether anything in a template's workflow is to be rendered."""
    return any(True for _ in _find_texts(workflow, ""))


def lacks_values(parameters: tuple[Parameter, ...]) -> bool:
    """Returns whether some parameter has a value only when one is given."""
    return any(parameter.default is None for parameter in parameters)


def _refuse(problems: list[str]) -> SpecProblem:
    more = f"; and {len(problems) - _MAX_TOLD} more" if len(problems) > _MAX_TOLD else ""
    return SpecProblem(Reason.InvalidSpec, cut("; ".join(problems[:_MAX_TOLD]) + more))


def _pick_set(user: WorkflowSpec, spec: Manifest) -> dict[str, object]:
    picked = {}
    for name, info in WorkflowSpec.model_fields.items():
        alias = info.alias or name
        is_set = getattr(user, name) != info.get_default(call_default_factory=True, validated_data={})
        if is_set and alias not in _OF_THE_REFERENCE:
            picked[alias] = spec[alias]
    return picked


def _render(value: object, place: str, language: Language) -> object:
    if isinstance(value, str):
        if not is_text(value):
            return value
        try:
            return language.render(value)
        except TextProblem as problem:
            raise TextProblem(f"{place}: {problem}") from problem
    if isinstance(value, Mapping):
        return {name: _render(entry, f"{place}.{name}", language) for name, entry in value.items()}
    if isinstance(value, list):
        return [_render(entry, _place(place, index, entry), language) for index, entry in enumerate(value)]
    return value


def _find_texts(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and is_text(value):
        yield place, value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _find_texts(entry, f"{place}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _find_texts(entry, _place(place, index, entry))


def _place(place: str, index: int, entry: object) -> str:
    """Names an entry of a list: a step by its name, anything else by its number."""
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return f"{place}[{name if isinstance(name, str) else index}]"
