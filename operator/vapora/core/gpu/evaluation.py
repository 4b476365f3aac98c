"""How good the detector is: cases with their right answers, what it says of them, and the weights that fit them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vapora.core.gpu.classes import MlClass
from vapora.core.gpu.decision import MlDecision, MlMode, count_requested_gpus, decide_ml
from vapora.core.gpu.detector import DetectionInput, detect, find_terms
from vapora.core.gpu.vocabulary import Vocabulary

_STEP = 0.05
_LEAST, _MOST = 0.05, 0.97
_ROUNDS = 6


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class _Resources(_Part):
    limits: dict[str, str | int] = Field(default_factory=dict)
    requests: dict[str, str | int] = Field(default_factory=dict)


class Want(_Part):
    """Is the right answer; what is None is not asked for."""

    class_: MlClass = Field(alias="class")
    is_ml: bool
    source: str | None = None
    gpus: int | None = None


class Case(_Part):
    """Is a step as the detector gets it, with the right answer; `text` is its description."""

    text: str
    want: Want
    name: str = ""
    title: str = ""
    workflow_description: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    ml: MlMode = "auto"
    annotation: MlClass | None = None
    resources: _Resources = Field(default_factory=_Resources)
    confidence_at_least: float = 0.0

    @property
    def input(self) -> DetectionInput:
        """Returns what the detector reads."""
        return DetectionInput(
            name=self.name,
            title=self.title,
            description=self.text,
            workflow_description=self.workflow_description,
            image=self.image,
            command=self.command,
            args=self.args,
            env_names=self.env,
            frameworks=self.frameworks,
        )


class _File(_Part):
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """Is a case that came out otherwise."""

    case: Case
    found: MlDecision


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Says how many cases are right; precision and recall are of `isMl`, and 1 where there is nothing to find."""

    total: int
    accuracy: float
    precision: float
    recall: float
    wrong: tuple[Wrong, ...]


def read_cases(document: str) -> tuple[Case, ...]:
    """Reads `{"cases": [...]}`; raises ValidationError with the place for anything else. Unknown fields are ignored."""
    return _File.model_validate_json(document).cases


def evaluate(cases: Sequence[Case], vocabulary: Vocabulary) -> Evaluation:
    """Has every case decided as a step would be."""
    found = [_decide(case, vocabulary) for case in cases]
    pairs = list(zip(cases, found, strict=True))
    hits = sum(case.want.is_ml and decision.is_ml for case, decision in pairs)
    wrong = tuple(Wrong(case, decision) for case, decision in pairs if not is_right(case, decision))
    return Evaluation(
        total=len(pairs),
        accuracy=_ratio(len(pairs) - len(wrong), len(pairs)),
        precision=_ratio(hits, sum(decision.is_ml for decision in found)),
        recall=_ratio(hits, sum(case.want.is_ml for case in cases)),
        wrong=wrong,
    )


def is_right(case: Case, found: MlDecision) -> bool:
    """Returns whether a decision is all that the case asks for."""
    want = case.want
    return (
        (found.ml_class, found.is_ml) == (want.class_, want.is_ml)
        and want.source in {None, found.source}
        and want.gpus in {None, found.gpus}
        and found.confidence >= case.confidence_at_least
    )


def refit(cases: Sequence[Case], vocabulary: Vocabulary) -> Mapping[str, float]:
    """Returns new weights, by term, with which fewer of the cases are wrong; empty where none helps.

    One weight after the other moves by small steps, only where that makes fewer cases wrong in all. No word is
    learnt: a term that the vocabulary lacks must be written into it.
    """
    fitted: dict[str, float] = {}
    for _ in range(_ROUNDS):
        best = _find_best(cases, vocabulary, evaluate(cases, vocabulary).wrong)
        if best is None:
            return fitted
        name, weight = best
        fitted[name] = weight
        vocabulary = with_weight(vocabulary, name, weight)
    return fitted


def with_weight(vocabulary: Vocabulary, name: str, weight: float) -> Vocabulary:
    """Returns a vocabulary in which a term has another weight."""
    terms = dict(vocabulary.terms)
    for phrase, term in vocabulary.terms.items():
        if term.name == name:
            code = weight if term.code_weight == term.weight else term.code_weight
            terms[phrase] = replace(term, weight=weight, code_weight=code)
    return replace(vocabulary, terms=terms)


def write_weights(document: str, weights: Mapping[str, float]) -> str:
    """Returns a vocabulary's JSON with other weights."""
    content = json.loads(document)
    for group in content["groups"]:
        for name in weights.keys() & group["terms"].keys():
            entry = group["terms"][name]
            group["terms"][name] = {**entry, "weight": weights[name]} if isinstance(entry, dict) else weights[name]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _find_best(cases: Sequence[Case], vocabulary: Vocabulary, wrong: Sequence[Wrong]) -> tuple[str, float] | None:
    """Returns the change of one weight that leaves the fewest cases wrong, of equal ones the smallest."""
    fewest, best = len(wrong), None
    weights = {term.name: term.weight for term in vocabulary.terms.values() if term.weight > 0}
    named = [(case, find_terms(case.input, vocabulary)) for case in cases]
    wanted = frozenset[str]().union(*(find_terms(entry.case.input, vocabulary) for entry in wrong))
    for name in sorted(weights.keys() & wanted):
        affected = [case for case, terms in named if name in terms]
        rest = len(wrong) - sum(entry.case in affected for entry in wrong)
        for weight in _candidates(weights[name]):
            changed = with_weight(vocabulary, name, weight)
            left = rest + sum(not is_right(case, _decide(case, changed)) for case in affected)
            if left < fewest:
                fewest, best = left, (name, weight)
    return best


def _candidates(weight: float) -> Iterable[float]:
    steps = sorted(range(-12, 13), key=abs)
    moved = (round(weight + step * _STEP, 2) for step in steps if step)
    return [weight for weight in moved if _LEAST <= weight <= _MOST]


def _decide(case: Case, vocabulary: Vocabulary) -> MlDecision:
    requested = count_requested_gpus(case.resources.limits, case.resources.requests)
    found = detect(case.input, vocabulary)
    return decide_ml(found, mode=case.ml, override=case.annotation, requested_gpus=requested)


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0
