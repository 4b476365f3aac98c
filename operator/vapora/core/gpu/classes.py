"""From terms to a class: negation first, then explicit words, classical work, training, and the kind of model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vapora.core.gpu.matching import Match
from vapora.core.gpu.vocabulary import Effect

MlClass = Literal["cpuOnly", "gpuRequired", "gpuOptional"]

_DEEP: frozenset[Effect] = frozenset({"deep", "generative", "large", "model", "framework"})
_AT_WORK: frozenset[Effect] = _DEEP | {"task"}
_MEANS: frozenset[Effect] = _AT_WORK - {"framework"}


@dataclass(frozen=True, slots=True)
class Facts:
    """Is what the terms of a step say together. The `*_terms` name those that say it, strongest first."""

    is_ml: bool
    terms: dict[Effect, tuple[str, ...]]
    denies_gpu: tuple[str, ...]
    demands_cpu: bool
    demands_gpu: bool
    is_gpu_option: bool
    is_multi_gpu: bool
    trains: tuple[str, ...]
    is_small: bool
    is_preparation: bool
    has_means: bool
    is_application: bool

    @property
    def trains_deep(self) -> bool:
        """Whether a deep model is trained."""
        return bool(self.trains) and self.has(*_AT_WORK)

    def has(self, *effects: Effect) -> bool:
        """Whether a term of one of these effects stands."""
        return any(self.terms.get(effect) for effect in effects)


def gather_facts(
    matches: Sequence[Match], *, is_ml: bool, is_small: bool, is_preparation: bool, is_application: bool
) -> Facts:
    """Sums up the terms; those that are denied only count as denied."""
    stated = sorted((match for match in matches if not match.is_negated), key=lambda match: -match.weight)
    terms: dict[Effect, tuple[str, ...]] = {}
    has_task = any(match.effect == "task" and not match.is_purpose for match in stated)
    for match in stated:
        if has_task and match.effect == "large" and match.is_purpose:
            continue  # embeddings for an LLM need no LLM
        if match.effect != "cpu" or match.is_demanded:
            terms[match.effect] = _append(terms.get(match.effect, ()), match.said)
    gpu = [match for match in matches if match.effect == "gpu"]
    trains = [match for match in stated if match.effect == "training" and (match.is_action or not is_preparation)]
    is_hosted = bool(terms.get("hosted")) and not trains and not any(_is_local(match) for match in stated)
    return Facts(
        is_ml=is_ml and not is_hosted,
        terms=terms,
        denies_gpu=_unique(match.said for match in gpu if match.is_negated),
        demands_cpu=bool(terms.get("cpu")),
        demands_gpu=any(match.is_demanded and not match.is_negated for match in gpu),
        is_gpu_option=any(match.is_option and not match.is_negated for match in gpu),
        is_multi_gpu=any(match.term == "multi-GPU" for match in gpu if not match.is_negated),
        trains=_unique(match.said for match in trains),
        is_small=is_small,
        is_preparation=is_preparation,
        is_application=is_application,
        has_means=any(match.is_means and match.effect in _MEANS for match in stated),
    )


def classify(facts: Facts) -> MlClass:
    """Decides the class; the first rule that applies wins."""
    explicit = _classify_explicit(facts)
    if explicit is not None:
        return explicit
    if not facts.is_ml or _is_classical(facts):
        return "cpuOnly"
    if facts.trains:
        return "gpuRequired"
    if facts.is_preparation and not facts.has("inference") and not facts.has_means:
        return "cpuOnly"
    return _classify_by_model(facts)


def _classify_explicit(facts: Facts) -> MlClass | None:
    """Decides by the words GPU and CPU; None where they say nothing."""
    if facts.denies_gpu:
        return "cpuOnly"
    if facts.is_gpu_option:
        return "gpuOptional" if facts.is_ml else "cpuOnly"
    if facts.demands_gpu or (facts.is_ml and facts.has("gpu")):
        return "gpuRequired"
    return "cpuOnly" if facts.demands_cpu else None


def _is_classical(facts: Facts) -> bool:
    """Whether classical methods do all the work; a mere sign of them says nothing of a task for deep models."""
    return not facts.has(*_DEEP) and (facts.has("classical") or (facts.has("hint") and not facts.has("task")))


def _classify_by_model(facts: Facts) -> MlClass:
    infers = facts.has("inference") or facts.is_application or facts.is_preparation  # `convert calls to text by ...`
    if facts.has("generative"):
        return "gpuRequired"
    if facts.has("large"):
        return "gpuOptional" if facts.is_small else "gpuRequired"
    if facts.has("deep", "gpuBuild"):
        return "gpuOptional" if infers or facts.is_small else "gpuRequired"
    if facts.has("model", "task", "framework"):
        return "gpuOptional"
    return "gpuOptional" if infers else "cpuOnly"


def _is_local(match: Match) -> bool:
    return match.where in {"image", "command", "args", "frameworks"} and match.effect in _AT_WORK


def _append(terms: tuple[str, ...], term: str) -> tuple[str, ...]:
    return terms if term in terms else (*terms, term)


def _unique(terms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))
