"""Says whether a step is machine learning, whether it needs a GPU, and by which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

from vapora.core.gpu.classes import Facts, MlClass, classify, gather_facts
from vapora.core.gpu.matching import Match, find_in_image, find_in_text
from vapora.core.gpu.profiles import DEFAULT_PROFILES, Profile, pick_profile
from vapora.core.gpu.sizing import count_gpus, read_billions
from vapora.core.gpu.vocabulary import Vocabulary, Where
from vapora.core.gpu.wording import describe
from vapora.core.gpu.words import plain

_MAX_CONFIDENCE = 0.99
_DOUBT_OF_TRAINING = 0.25
_PROVES_NOTHING = 0.1  # terms up to that weight only say what is done
_PROVES_LITTLE = 0.2
_MAX_KNOWN = 2_000
_SMALL_BILLIONS = 3.0  # below that a model answers well without its own GPU


@dataclass(frozen=True, slots=True)
class DetectionInput:
    """Is what a step says of itself; `title` is that of an agent's task, `frameworks` what it declares to use."""

    name: str = ""
    description: str = ""
    workflow_description: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env_names: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Is one term that was found: where, what it proves there (0..1), and whether the text denies it."""

    term: str
    where: Where
    weight: float
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """Says what a step is; the evidence is strongest first.

    `gpus` is at least 1 if and only if the class is not cpuOnly.
    """

    is_ml: bool
    ml_class: MlClass
    confidence: float
    profile: str
    gpus: int
    memory: str
    cpu: str
    evidence: tuple[Evidence, ...]
    sentence: str


class Detector:
    """Detects by one vocabulary, and remembers what it said: steps are made of templates, again and again the same."""

    __slots__ = ("_known", "_vocabulary")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._known: dict[DetectionInput, Detection] = {}

    def detect(self, text: DetectionInput) -> Detection:
        """Returns what `detect` does."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            found = self._known[text] = detect(text, self._vocabulary)
        return found


def detect(
    text: DetectionInput, vocabulary: Vocabulary, profiles: Mapping[str, Profile] = DEFAULT_PROFILES
) -> Detection:
    """Decides by the terms of all fields, each alone independent proof, so that p = 1 - product(1 - weight)."""
    matches = _corroborate(_find(text, vocabulary), vocabulary)
    proof = _prove(matches)
    facts = gather_facts(
        matches,
        is_ml=proof >= vocabulary.threshold,
        is_small=_is_small(text, vocabulary),
        is_preparation=_read_verb(text) in vocabulary.preparation,
        is_application=_read_verb(text) in vocabulary.application,
    )
    ml_class = classify(facts)
    gpus = 0 if ml_class == "cpuOnly" else count_gpus(_lines(text), is_multi=facts.is_multi_gpu)
    profile = pick_profile(gpus, is_heavy=ml_class == "gpuRequired" and facts.is_ml, profiles=profiles)
    return Detection(
        is_ml=facts.is_ml,
        ml_class=ml_class,
        confidence=_rate(proof, facts),
        profile=profile.name,
        gpus=gpus,
        memory=profile.memory,
        cpu=profile.cpu,
        evidence=_list_evidence(matches),
        sentence=describe(facts, ml_class),
    )


def find_terms(text: DetectionInput, vocabulary: Vocabulary) -> frozenset[str]:
    """Returns the names of all terms that are in a step, also those that prove nothing there."""
    return frozenset(match.term for match in _find(text, vocabulary))


def _find(text: DetectionInput, vocabulary: Vocabulary) -> list[Match]:
    fields: tuple[tuple[Where, str], ...] = (
        ("name", text.name),
        ("title", text.title),
        ("description", text.description),
        ("workflowDescription", text.workflow_description),
        ("env", "\n".join(text.env_names)),
        ("command", " ".join(text.command)),
        ("args", " ".join(text.args)),
        ("frameworks", "\n".join(text.frameworks)),
    )
    found = [find_in_text(value, where, vocabulary) for where, value in fields if value]
    return [*chain.from_iterable(found), *find_in_image(text.image, vocabulary)]


def _corroborate(matches: list[Match], vocabulary: Vocabulary) -> list[Match]:
    """Drops terms with another everyday meaning that no other term is near, and what only the workflow says.

    The workflow's description is about all its steps, so it can only strengthen what a step says itself.
    """
    own = [match for match in matches if match.where != "workflowDescription" and not match.is_negated]
    acts = any(match.weight > _PROVES_LITTLE and match.effect not in {"data", "hosted"} for match in own)
    if not acts:
        matches = [match for match in matches if match.where != "workflowDescription"]
    return [match for match in matches if _stands(match, own, vocabulary)]


def _stands(match: Match, own: Sequence[Match], vocabulary: Vocabulary) -> bool:
    if match.is_negated or match.weight >= vocabulary.threshold or match.is_demanded or not match.weight:
        return True
    return any(
        other.term != match.term
        and not other.effect == match.effect == "gpu"  # graphics cards have other uses too
        and other.weight > _PROVES_NOTHING
        and (other.where != match.where or abs(other.start - match.start) <= vocabulary.near)
        for other in own
    )


def _prove(matches: Sequence[Match]) -> float:
    """Returns how sure it is that this is machine learning: each term counts once, where it proves most.

    Of the words for graphics processors only the strongest counts: many of them are no more than one, as such
    processors have other uses too.
    """
    best: dict[str, float] = {}
    for match in matches:
        if not match.is_negated:
            name = match.effect if match.effect == "gpu" else match.term
            best[name] = max(best.get(name, 0.0), match.weight)
    return 1 - prod(1 - weight for weight in best.values())


def _rate(proof: float, facts: Facts) -> float:
    """Returns how sure the answer is; that a deep model is trained leaves less doubt than its words one by one."""
    sure = proof if facts.is_ml else 1 - proof
    if facts.is_ml and facts.trains_deep:
        sure = 1 - (1 - proof) * _DOUBT_OF_TRAINING
    return round(min(sure, _MAX_CONFIDENCE), 3)


def _lines(text: DetectionInput) -> str:
    return "\n".join((text.title, text.description, " ".join(text.command), " ".join(text.args)))


def _is_small(text: DetectionInput, vocabulary: Vocabulary) -> bool:
    lines = _lines(text)
    billions = read_billions(lines)
    if billions is not None:
        return billions < _SMALL_BILLIONS
    return not vocabulary.small.isdisjoint(plain(word) for word in lines.replace("-", " ").split())


def _read_verb(text: DetectionInput) -> str:
    """Returns the word that a step begins with: getting files needs no GPU, classifying something trains nothing."""
    prose = text.description or text.title or text.name.replace("-", " ")
    first = prose.split(maxsplit=1)[0] if prose.strip() else ""
    return plain(first.rstrip(":,"))


def _list_evidence(matches: Sequence[Match]) -> tuple[Evidence, ...]:
    found = {
        (match.said, match.where, match.is_negated): Evidence(
            match.said, match.where, round(match.weight, 3), negated=match.is_negated
        )
        for match in matches
        if match.weight > _PROVES_NOTHING or match.effect == "hosted" or (match.effect == "cpu" and match.is_demanded)
    }
    return tuple(sorted(found.values(), key=lambda evidence: (-evidence.weight, evidence.where, evidence.term)))
