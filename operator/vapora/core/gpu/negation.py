"""Which words of a text are denied: `no GPU`, `do not use deep learning`, `a GPU is not needed`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from vapora.core.gpu.vocabulary import Negation, Phrases
from vapora.core.gpu.words import CLAUSE, COMMA, NO_BREAK, Words

_REACH_AFTER = 4
_REACH_DOUBLE = 6
_REACH_LIST = 7

Span = tuple[int, int]


class Stance(Enum):
    """Says how a text stands to one of its terms."""

    STATED = "stated"
    DENIED = "denied"
    DEMANDED = "demanded"  # denied twice: cannot run without


@dataclass(frozen=True, slots=True)
class _Cue:
    start: int
    end: int
    is_narrow: bool
    is_adjacent: bool


def find_stances(words: Words, spans: Sequence[Span], negation: Negation) -> list[Stance]:
    """Says of each span, in the order of the text, whether it is stated, denied or demanded."""
    before, after = _find_cues(words, negation)
    stances: list[Stance] = []
    for place, span in enumerate(spans):
        if _is_denied_after(words, span, after, negation):
            stances.append(Stance.DENIED)
            continue
        previous = spans[place - 1] if place else None
        stances.append(_stance_before(words, span, before, negation, previous, stances[-1] if stances else None))
    return stances


def _find_cues(words: Words, negation: Negation) -> tuple[list[_Cue], list[Span]]:
    """Finds the cues that deny what follows, and those that deny what precedes."""
    before: list[_Cue] = []
    after: list[Span] = []
    position = 0
    while position < len(words.plain):
        if spared := negation.exceptions.find(words.plain, position):
            position += len(spared)
        elif denied := negation.after.find(words.plain, position):
            after.append((position, position + len(denied)))
            position += len(denied)
        elif cue := negation.cues.find(words.plain, position):
            end = position + len(cue)
            before.append(_Cue(position, end, cue in negation.narrow, cue in negation.adjacent))
            position = end
        else:
            position += 1
    return before, after


def _is_denied_after(words: Words, span: Span, after: Sequence[Span], negation: Negation) -> bool:
    _, end = span
    if end < len(words.plain) and not words.breaks[end] and words.plain[end] in negation.after_adjacent:
        closes = end + 1 == len(words.plain) or words.breaks[end + 1] or words.plain[end] == "free"
        closes = closes or (words.plain[end] == "less" and words.plain[end + 1] != "than")
        if closes:
            return True
    for start, _ in after:
        if end <= start <= end + _REACH_AFTER and not words.has_break(end, start + 1, COMMA):
            return not negation.conditions.intersection(words.plain[end:start])
    return False


def _stance_before(
    words: Words,
    span: Span,
    cues: Sequence[_Cue],
    negation: Negation,
    previous: Span | None,
    previous_stance: Stance | None,
) -> Stance:
    start, _ = span
    cue = max((cue for cue in cues if cue.end <= start), key=lambda cue: cue.end, default=None)
    if cue is None:
        return Stance.STATED
    if previous is not None and previous[0] >= cue.end:  # only the first term after a cue is denied by the cue itself
        joined = previous_stance is Stance.DENIED and _is_joined(words, previous, span, cue, negation)
        return Stance.DENIED if joined else Stance.STATED
    if not _reaches(words, cue, start, negation):
        return Stance.STATED
    return Stance.DEMANDED if _is_denied_twice(words, cue, cues) else Stance.DENIED


def _reaches(words: Words, cue: _Cue, start: int, negation: Negation) -> bool:
    between = words.plain[cue.end : start]
    if cue.is_adjacent:
        return not between
    if len(between) > negation.gap or words.has_break(cue.end, start + 1, COMMA):
        return False
    breakers = negation.breakers | negation.narrow_breakers if cue.is_narrow else negation.breakers
    return breakers.isdisjoint(between)


def _is_joined(words: Words, previous: Span, span: Span, cue: _Cue, negation: Negation) -> bool:
    """Whether a term continues a list that began with a denied one: `no X, Y or Z`."""
    start, _ = span
    if words.has_break(previous[1], start + 1, CLAUSE):
        return False
    joiners = negation.joiners if cue.is_narrow else negation.joiners | negation.narrow_breakers
    if not joiners.issuperset(words.plain[previous[1] : start]):
        return False
    if words.plain[start] in negation.verb_forms and words.plain[previous[0]] not in negation.verb_forms:
        return False
    if words.breaks[start] == NO_BREAK:
        return True
    return not {"or", "nor"}.isdisjoint(words.plain[start : start + _REACH_LIST])


def _is_denied_twice(words: Words, cue: _Cue, cues: Sequence[_Cue]) -> bool:
    if not cue.is_narrow:
        return False
    return any(
        0 <= cue.start - other.end <= _REACH_DOUBLE
        and not other.is_narrow
        and not words.has_break(other.end, cue.start + 1, COMMA)
        for other in cues
    )


def has_phrase(words: Words, phrases: Phrases, start: int, end: int) -> bool:
    """Whether one of the phrases begins at one of the words start..end-1."""
    return any(phrases.find(words.plain, position) for position in range(max(start, 0), min(end, len(words.plain))))
