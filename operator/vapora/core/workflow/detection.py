"""Whether a run step is machine learning: decided when it starts, kept in its status with the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.stepbodies import RunBody
from vapora.core.gpu.decision import build_ml_status, count_requested_gpus, decide_ml
from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.views import child
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.observed import Surroundings


def detect_step(
    definition: Definition, step: StepDefinition, body: RunBody, surroundings: Surroundings
) -> Mapping[str, object]:
    """Returns `status.steps[].ml`; empty for a step that is no machine learning and asks for no GPU.

    The step's own words decide; the workflow's description only strengthens them.
    """
    said = DetectionInput(
        name=step.name,
        description=step.spec.description or "",
        workflow_description=definition.spec.description or "",
        image=body.image,
        command=body.command,
        args=body.args,
        env_names=tuple(body.env),
    )
    requested = count_requested_gpus(body.resources.limits, body.resources.requests)
    decision = decide_ml(detect(said, surroundings.vocabulary), mode=body.ml, requested_gpus=requested)
    ml = build_ml_status(decision) if decision.is_ml or decision.wants_gpu else {}
    if ml and not needs_gpu_job(ml):  # one that only prefers a GPU runs without: no GPU is chosen
        ml = {**ml, "estimate": {**child(ml, "estimate"), "gpus": 0}}
        ml.pop("profile", None)
    return ml


def needs_gpu_job(ml: Mapping[str, object]) -> bool:
    """Returns whether a step with this `ml` becomes a GPU Job."""
    return ml.get("class") == "gpuRequired"
