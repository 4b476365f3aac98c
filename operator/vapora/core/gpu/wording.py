"""The decision in a sentence for people."""

from __future__ import annotations

from vapora.core.gpu.classes import Facts, MlClass
from vapora.core.gpu.vocabulary import Effect

_MAX_TERMS = 3
_KINDS: tuple[tuple[Effect, str], ...] = (
    ("generative", "a generative model"),
    ("large", "a large model"),
    ("deep", "deep learning"),
    ("model", "a deep model"),
    ("task", "a task of deep models"),
    ("framework", "a deep-learning framework"),
    ("classical", "classical machine learning"),
    ("hint", "classical machine learning"),
    ("generic", "machine learning"),
)


def describe(facts: Facts, ml_class: MlClass) -> str:
    """Says the class and the words that decided it."""
    if not facts.is_ml:
        return _describe_other(facts, ml_class)
    reasons = _list_reasons(facts)
    match ml_class:
        case "gpuRequired":
            return f"Needs a GPU: {reasons}."
        case "gpuOptional":
            return f"A GPU is preferred: {reasons}."
        case _:
            return f"Machine learning without a GPU: {reasons}."


def _describe_other(facts: Facts, ml_class: MlClass) -> str:
    if ml_class == "gpuRequired":
        return f"No machine learning was found, but the step asks for a GPU ({_quote(facts.terms.get('gpu', ()))})."
    if facts.has("hosted"):
        return f"The model runs elsewhere ({_quote(facts.terms.get('hosted', ()))}), so no GPU is needed here."
    return "No machine learning was found."


def _list_reasons(facts: Facts) -> str:
    reasons: list[str] = []
    if facts.denies_gpu:
        reasons.append(f"the step wants none ({_quote(facts.denies_gpu)})")
    elif facts.demands_cpu and not facts.has("gpu"):
        reasons.append("the step asks for CPUs")
    if facts.trains:
        reasons.append(f"training ({_quote(facts.trains)})")
    elif facts.has("inference"):
        reasons.append(f"inference ({_quote(facts.terms['inference'])})")
    reasons += [f"{kind} ({_quote(facts.terms[effect])})" for effect, kind in _KINDS if facts.has(effect)][:2]
    if facts.has("gpu"):
        reasons.append(f"GPU words ({_quote(facts.terms['gpu'])})")
    if facts.has("gpuBuild"):
        reasons.append(f"an image built for GPUs ({_quote(facts.terms['gpuBuild'])})")
    return ", ".join(reasons) or "by its data"


def _quote(terms: tuple[str, ...]) -> str:
    return ", ".join(f'"{term}"' for term in terms[:_MAX_TERMS])
