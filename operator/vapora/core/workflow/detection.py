"""What a step is and gets: whether it is machine learning, with how many GPUs, and what of that there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vapora.api.stepbodies import AgentBody, RunBody
from vapora.core.conditions import cut
from vapora.core.gpu.capacity import Capacity, Fit, fit
from vapora.core.gpu.decision import (
    ANNOTATION_ML_CLASS,
    GPU_RESOURCE,
    MlDecision,
    build_ml_status,
    count_requested_gpus,
    decide_ml,
    find_ml_problem,
    read_override,
)
from vapora.core.gpu.detector import DetectionInput
from vapora.core.views import child, text
from vapora.core.workflow.definition import StepDefinition
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import Failure

UNREAD = "the nodes and quotas of the namespace are being read"
Ml = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NotYet:
    """Says why a try cannot start yet, as a reason and a sentence."""

    reason: str
    message: str


def detect_step(draft: Draft, step: StepDefinition, body: RunBody) -> Ml | NotYet | Failure:
    """Returns `status.steps[].ml`; empty for a step that is no machine learning and gets no GPU.

    What is estimated is clamped to the cluster and the namespace; what can never be had is a Failure. Raises ValueError
    for an annotation that is no correction.
    """
    limits, requests = body.resources.limits, body.resources.requests
    if problem := find_ml_problem(body.ml, limits, requests):
        return Failure("InvalidInput", problem)
    decision = _decide(draft, step, _read_words(draft, step, body), body)
    if not decision.wants_gpu:
        return build_ml_status(decision) if decision.is_ml else {}
    capacity = find_capacity(draft)
    if capacity is None:
        return NotYet("WaitingForCapacity", UNREAD)
    ml = build_ml_status(decision)
    found = fit(child(ml, "estimate"), limits, requests, capacity, resource=_resource(draft))
    if found.refusal and not decision.may_run_on_cpu:
        return Failure("QuotaExceeded", found.refusal)
    if decision.may_run_on_cpu and (why := found.refusal or found.absence):
        return without_gpu(ml, why)
    return _told(ml, found)


def detect_task(draft: Draft, step: StepDefinition, body: AgentBody) -> Ml:
    """Returns `status.steps[].ml` of an agent's task, which says what it is; the task runs where its agent is.

    Raises ValueError for an annotation that is no correction.
    """
    said = DetectionInput(
        name=step.name,
        title=body.title or "",
        description=body.description or "",
        workflow_description=draft.definition.spec.description or "",
    )
    decision = _decide(draft, step, said)
    ml = build_ml_status(decision) if decision.is_ml or decision.wants_gpu else {}
    return {name: value for name, value in ml.items() if name != "profile"}


def find_capacity(draft: Draft) -> Capacity | None:
    """Returns what the namespace can get; None where that is yet to be read, which the plan then asks for."""
    draft.wants_capacity = True
    known = draft.observed.surroundings.capacities
    return Capacity() if known is None else known.get(draft.observed.identity.namespace)


def without_gpu(ml: Ml, why: str) -> Ml:
    """Returns the `ml` of a step that only prefers a GPU and gets none."""
    kept = {name: value for name, value in ml.items() if name != "profile"}
    estimate = {**child(ml, "estimate"), "gpus": 0}
    return {**kept, "estimate": estimate, "sentence": cut(f"{text(ml, 'sentence')} It runs without a GPU: {why}.")}


def has_gpu(ml: Ml | None) -> bool:
    """Returns whether a step with this `ml` becomes a GPU Job."""
    return "profile" in (ml or {})


def may_fall_back(ml: Ml | None) -> bool:
    """Returns whether a step that waits for a GPU runs without one after a while."""
    return has_gpu(ml) and (ml or {}).get("class") == "gpuOptional"


def _read_words(draft: Draft, step: StepDefinition, body: RunBody) -> DetectionInput:
    return DetectionInput(
        name=step.name,
        description=step.spec.description or "",
        workflow_description=draft.definition.spec.description or "",
        image=body.image,
        command=tuple(body.command),
        args=tuple(body.args),
        env_names=tuple(body.env),
    )


def _decide(draft: Draft, step: StepDefinition, said: DetectionInput, body: RunBody | None = None) -> MlDecision:
    """Decides by the words, and by what a run step says beside them."""
    found = draft.observed.surroundings.detector.detect(said)
    annotation = text(draft.observed.words, ANNOTATION_ML_CLASS)
    return decide_ml(
        found,
        mode=body.ml if body is not None else "auto",
        override=read_override(annotation, step.name, is_ml=found.is_ml) if annotation else None,
        requested_gpus=0 if body is None else count_requested_gpus(body.resources.limits, body.resources.requests),
        profiles=draft.observed.surroundings.gpu.profiles,
    )


def _told(ml: Ml, found: Fit) -> Ml:
    if not found.limits:
        return ml
    sentence = f"{text(ml, 'sentence')} It gets {', '.join(found.limits)}."
    return {**ml, "estimate": dict(found.estimate), "sentence": cut(sentence)}


def _resource(draft: Draft) -> str:
    return draft.observed.surroundings.gpu.resource or GPU_RESOURCE
