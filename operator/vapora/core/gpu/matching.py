"""What the vocabulary finds in one field of a step: terms with their weight there, unless neighbours say otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from vapora.core.gpu.negation import Stance, find_stances, has_phrase
from vapora.core.gpu.subjects import Found, drop_handled, drop_subjects
from vapora.core.gpu.vocabulary import Effect, Phrase, Term, Vocabulary, Where
from vapora.core.gpu.words import CLAUSE, COMMA, Words, read_words

_CODE: frozenset[Where] = frozenset({"name", "env", "args", "command", "image", "frameworks"})
_COMMAND: frozenset[Where] = frozenset({"command", "args"})
_REACH_DEMAND = 4
_REACH_OPTION = 8
_REACH_PURPOSE = 3
_REACH_BACKING = 4
_BACKS = 0.45  # what a term must prove to vouch for one beside it
_NO_TEXT = -1
_MAX_TEXT = 4_000  # characters of one field; what a step is stands at its beginning


@dataclass(frozen=True, slots=True)
class Match:
    """Is one term found in one field.

    `said` is how the field writes it, `weight` what it proves there. `is_demanded`, of GPUs and CPUs: the text asks for
    it; `is_option`: it says that it would do without. `is_action`: it is told what to do (`and train it`), not what
    something is for; `is_purpose`: it stands after `for`. `start` and `end` count words; both are -1 where the field is
    no text.
    """

    term: str
    effect: Effect
    where: Where
    said: str
    weight: float
    start: int = _NO_TEXT
    end: int = _NO_TEXT
    is_negated: bool = False
    is_demanded: bool = False
    is_option: bool = False
    is_action: bool = True
    is_purpose: bool = False
    is_means: bool = False


def find_in_text(text: str, where: Where, vocabulary: Vocabulary) -> tuple[Match, ...]:
    """Finds the terms of a text."""
    if not text:
        return ()
    words = read_words(text[:_MAX_TEXT])
    found = [
        (term, start, end)
        for term, start, end in _find_terms(words, where, vocabulary)
        if _weigh(term, words, start, end, where) is not None and _means_it(term, words, start, end)
    ]
    found = _drop_everyday(words, found, where)
    found = drop_subjects(words, found, vocabulary.subjects)
    if where in _COMMAND:
        found = drop_handled(words, found, vocabulary.subjects)
    stances = find_stances(words, [(start, end) for _, start, end in found], vocabulary.negation)
    return tuple(
        _build_match(words, where, term, (start, end), stance, vocabulary)
        for (term, start, end), stance in zip(found, stances, strict=True)
    )


def find_in_image(image: str, vocabulary: Vocabulary) -> tuple[Match, ...]:
    """Finds what an image's name says: its publisher, its program, the build."""
    path = f"/{image.lower()}"
    if not image or any(name in path for name in vocabulary.everyday_images):
        return ()
    ruled = tuple(
        Match(
            term=name.strip("/-"),
            effect=rule.effect,
            where="image",
            said=name.strip("/-"),
            weight=raise_weight(rule.weight, "image", vocabulary),
            is_demanded=True,
        )
        for name, rule in vocabulary.images.items()
        if name in path
    )
    known = {match.term for match in ruled} | {"cuda"}  # in a tag, cuda says what the image is built for: a rule above
    named = find_in_text(image, "image", vocabulary)
    return (*ruled, *(match for match in named if match.term.lower() not in known))


def raise_weight(weight: float, where: Where, vocabulary: Vocabulary) -> float:
    """Returns what a term proves in a field; one that proves nothing alone never does, wherever it stands."""
    raised = 1 - math.pow(1 - weight, vocabulary.where[where])
    return raised if weight >= vocabulary.threshold else min(raised, vocabulary.threshold - 0.02)


def _find_terms(words: Words, where: Where, vocabulary: Vocabulary) -> Iterator[tuple[Term, int, int]]:
    position = 0
    while position < len(words.plain):
        phrase: Phrase | None = vocabulary.phrases.find(words.plain, position)
        if phrase is not None and words.has_break(position + 1, position + len(phrase), COMMA):
            phrase = vocabulary.phrases.find(words.plain, position, words.run_end(position))
        if phrase is None:
            position += 1
            continue
        term = vocabulary.terms[phrase]
        if where not in term.not_in:
            yield term, position, position + len(phrase)
        position += len(phrase)


def _weigh(term: Term, words: Words, start: int, end: int, where: Where) -> float | None:
    """Returns the weight by the term's own case; None where it is no evidence in that case."""
    if term.effect == "everyday":
        return None
    if term.spellings:
        written = " ".join(words.raw[start:end])
        if written not in term.spellings and written.removesuffix("s") not in term.spellings:
            weight = term.code_weight if where in _CODE else term.other_case
            return weight or None
        return term.weight
    return term.code_weight if where in _CODE else term.weight


def _means_it(term: Term, words: Words, start: int, end: int) -> bool:
    """Whether no word beside the term gives it its everyday meaning."""
    if term.not_after and start and not words.breaks[start] and words.plain[start - 1] in term.not_after:
        return False
    return not (
        term.not_before and end < len(words.plain) and not words.breaks[end] and words.plain[end] in term.not_before
    )


def _drop_everyday(words: Words, found: list[Found], where: Where) -> list[Found]:
    """Drops terms that their clause gives an everyday meaning, unless one that has none stands close by.

    `Train the dog` is no machine learning, `train a CNN on pictures of dogs` is.
    """
    sure = [entry for entry in found if not _is_everyday(words, *entry)]
    backing = [entry for entry in sure if (_weigh(entry[0], words, *entry[1:], where) or 0.0) >= _BACKS]
    return [
        (term, start, end)
        for term, start, end in found
        if (term, start, end) in sure
        or any(start - _REACH_BACKING <= other[2] and other[1] <= end + _REACH_BACKING for other in backing)
    ]


def _is_everyday(words: Words, term: Term, start: int, end: int) -> bool:
    if not term.not_with:
        return False
    first, last = words.clause(start)
    return not term.not_with.isdisjoint((*words.plain[first:start], *words.plain[end:last]))


def _build_match(
    words: Words, where: Where, term: Term, span: tuple[int, int], stance: Stance, vocabulary: Vocabulary
) -> Match:
    start, end = span
    weight = _weigh(term, words, start, end, where) or 0.0
    before = words.plain[max(words.clause(start)[0], start - _REACH_PURPOSE) : start]
    return Match(
        term=term.name,
        effect=term.effect,
        where=where,
        said=words.text(start, end),
        weight=raise_weight(weight, where, vocabulary),
        start=start,
        end=end,
        is_negated=stance is Stance.DENIED,
        is_demanded=stance is Stance.DEMANDED or _is_demanded(words, term.effect, span, vocabulary),
        is_option=term.effect == "gpu" and _is_option(words, start, end, vocabulary),
        is_action=start == 0 or words.breaks[start] > 0 or words.plain[start - 1] in {"and", "then"},
        is_purpose="for" in before,
        is_means=not vocabulary.subjects.means.isdisjoint(before),
    )


def _is_demanded(words: Words, effect: Effect, span: tuple[int, int], vocabulary: Vocabulary) -> bool:
    if effect not in {"gpu", "cpu"}:
        return False
    start, end = span
    explicit = vocabulary.explicit
    before, after = (
        (explicit.gpu_before, explicit.gpu_after) if effect == "gpu" else (explicit.cpu_before, explicit.cpu_after)
    )
    if end < len(words.plain) and words.breaks[end] < CLAUSE and words.plain[end] in after:
        return True
    for position in range(start - 1, max(start - 1 - _REACH_DEMAND, -1), -1):
        if words.breaks[position + 1] >= CLAUSE:
            return False
        if words.plain[position] in before:
            return True
        if words.plain[position] not in explicit.between and not words.plain[position][0].isdigit():
            return False
    return False


def _is_option(words: Words, start: int, end: int, vocabulary: Vocabulary) -> bool:
    first, last = words.clause(start)
    low, high = max(first, start - _REACH_OPTION), min(last, end + _REACH_OPTION)
    return has_phrase(words, vocabulary.optional, low, high)
