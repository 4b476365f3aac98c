"""What a step gets after detection: the spec's word, an explicit GPU and the user's correction come before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vapora.core.gpu.classes import MlClass
from vapora.core.gpu.detector import Detection, Evidence
from vapora.core.gpu.profiles import DEFAULT_PROFILES, Profile, pick_profile

ANNOTATION_ML_CLASS = "vapora.dev/ml-class"
GPU_RESOURCE = "nvidia.com/gpu"
MAX_EVIDENCE = 12  # of each step in status, the strongest

MlMode = Literal["auto", "required", "never"]
MlSource = Literal["detection", "override", "resources", "spec"]

_GPU_RESOURCES = frozenset({GPU_RESOURCE, "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe"})
_MIG_PREFIX = "nvidia.com/mig-"
_MIG = re.compile(r"(\d+c\.)?\d+g\.\d+gb(\.me|\.gfx|\.all|\.me\.all)?")
_GPU_PREFIXES = (_MIG_PREFIX, "nvidia.com/gpu.shared")
_CLASSES: Mapping[str, MlClass] = {name: name for name in ("cpuOnly", "gpuRequired", "gpuOptional")}


@dataclass(frozen=True, slots=True)
class MlDecision:
    """Says what a step is and gets. `gpus` is at least 1 if and only if the class is not cpuOnly.

    `source` is what decided the class: the words, the annotation, the GPUs in `resources`, or `ml` in the spec.
    """

    is_ml: bool
    ml_class: MlClass
    source: MlSource
    confidence: float
    profile: Profile
    gpus: int
    evidence: tuple[Evidence, ...]
    sentence: str

    @property
    def wants_gpu(self) -> bool:
        """Is true where the step becomes a GPU Job."""
        return self.gpus > 0

    @property
    def may_run_on_cpu(self) -> bool:
        """Is true where the step runs without a GPU once it has waited for one long enough."""
        return self.ml_class == "gpuOptional"


def decide_ml(
    detection: Detection,
    *,
    mode: MlMode = "auto",
    override: MlClass | None = None,
    requested_gpus: int = 0,
    profiles: Mapping[str, Profile] = DEFAULT_PROFILES,
) -> MlDecision:
    """Decides in the order: GPUs in `resources`, `ml: never` and `ml: required`, the annotation, the words.

    `never` with GPUs in `resources` is a mistake in the spec, see find_ml_problem.
    """
    if requested_gpus > 0:
        sentence = f"Asks for {_count(requested_gpus)} in resources."
        return _decide(detection, "gpuRequired", "resources", requested_gpus, sentence, profiles)
    if mode == "never":
        return _decide(detection, "cpuOnly", "spec", 0, "No GPU: the step says ml: never.", profiles)
    if mode == "required":
        gpus = max(1, detection.gpus)
        return _decide(detection, "gpuRequired", "spec", gpus, "Needs a GPU: the step says ml: required.", profiles)
    if override is not None:
        gpus = 0 if override == "cpuOnly" else max(1, detection.gpus)
        sentence = f"{override}: the annotation {ANNOTATION_ML_CLASS} says so."
        return _decide(detection, override, "override", gpus, sentence, profiles)
    return MlDecision(
        is_ml=detection.is_ml,
        ml_class=detection.ml_class,
        source="detection",
        confidence=detection.confidence,
        profile=profiles[detection.profile],
        gpus=detection.gpus,
        evidence=detection.evidence,
        sentence=detection.sentence,
    )


def find_ml_problem(mode: MlMode, limits: Mapping[str, object], requests: Mapping[str, object]) -> str | None:
    """Says what of the GPUs in a step cannot be; None where all can. What is still to be filled in is not judged."""
    asked = {name: str(value) for name, value in {**requests, **limits}.items() if is_gpu_resource(name)}
    for name, value in asked.items():
        if name.startswith(_MIG_PREFIX) and not _MIG.fullmatch(name.removeprefix(_MIG_PREFIX)):
            return f"{name} is no MIG resource; allowed are such as {_MIG_PREFIX}1g.5gb"
        if "${" not in value and not value.strip().isdecimal():
            return f"{name} must be a whole number, found {value}"
        if name not in limits:
            return f"{name} stands in requests alone; GPUs are asked for in limits"
    requested = count_requested_gpus(limits, requests)
    if mode == "never" and requested > 0:
        return f"ml: never contradicts the {_count(requested)} in resources; remove one of them"
    return None


def count_requested_gpus(limits: Mapping[str, object], requests: Mapping[str, object]) -> int:
    """Counts the GPUs and slices of GPUs that a container's resources ask for; what is no number counts as one."""
    asked = {**requests, **limits}
    return sum(_read_count(value) for name, value in asked.items() if is_gpu_resource(name))


def is_gpu_resource(name: str) -> bool:
    """Whether an extended resource is a GPU or a slice of one."""
    return name in _GPU_RESOURCES or name.startswith(_GPU_PREFIXES)


def read_override(annotation: str, step: str, *, is_ml: bool) -> MlClass | None:
    """Reads the correction of a step: `cpuOnly` for all that were found, or `train=cpuOnly,serve=gpuOptional`.

    Raises ValueError for what is no class.
    """
    found: MlClass | None = None
    for entry in filter(None, (part.strip() for part in annotation.split(","))):
        name, _, word = entry.rpartition("=")
        if word.strip() not in _CLASSES:
            allowed = ", ".join(_CLASSES)
            raise ValueError(f"annotation {ANNOTATION_ML_CLASS}: {entry} is no class; allowed are {allowed}")
        if name.strip() == step:
            return _CLASSES[word.strip()]
        if not name and is_ml:
            found = _CLASSES[word.strip()]
    return found


def build_ml_status(decision: MlDecision) -> dict[str, object]:
    """Builds `status.steps[].ml`; `profile` is there where the step becomes a GPU Job."""
    return {
        "isMl": decision.is_ml,
        "class": decision.ml_class,
        "source": decision.source,
        "confidence": decision.confidence,
        **({"profile": decision.profile.name} if decision.wants_gpu else {}),
        "estimate": {"gpus": decision.gpus, "memory": decision.profile.memory, "cpu": decision.profile.cpu},
        "evidence": [
            {"term": found.term, "where": found.where, "weight": found.weight, "negated": found.negated}
            for found in decision.evidence[:MAX_EVIDENCE]
        ],
        "sentence": decision.sentence,
    }


def _decide(
    detection: Detection,
    ml_class: MlClass,
    source: MlSource,
    gpus: int,
    sentence: str,
    profiles: Mapping[str, Profile],
) -> MlDecision:
    return MlDecision(
        is_ml=detection.is_ml,
        ml_class=ml_class,
        source=source,
        confidence=1.0,
        profile=pick_profile(gpus, is_heavy=ml_class == "gpuRequired" and detection.is_ml, profiles=profiles),
        gpus=gpus,
        evidence=detection.evidence,
        sentence=sentence,
    )


def _count(gpus: int) -> str:
    return "1 GPU" if gpus == 1 else f"{gpus} GPUs"


def _read_count(value: object) -> int:
    text = str(value).strip()
    return int(text) if text.isdecimal() else 1
