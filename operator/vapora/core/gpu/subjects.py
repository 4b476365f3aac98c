"""What a text is only about: `blog post about fine-tuning`, `the deep learning team`, `git clone bert`."""

from __future__ import annotations

from collections.abc import Sequence

from vapora.core.gpu.negation import Span
from vapora.core.gpu.vocabulary import Phrase, Subjects, Term
from vapora.core.gpu.words import COMMA, Words

_REACH_LINK = 3
_NOUN = 0.25  # what a thing to work on proves: `interview`, `photo`
_REACH_PROGRAM = 3
_BEFORE_PROGRAM = " \n\"'"

Found = tuple[Term, int, int]


def drop_subjects(words: Words, found: list[Found], subjects: Subjects) -> list[Found]:
    """Drops the terms that a text is only about."""
    if not found:
        return found
    dropped: set[int] = set()
    position = 0
    while position < len(words.plain):
        head = subjects.heads.find(words.plain, position)
        if head is None:
            position += 1
            continue
        span = (position, position + len(head))
        if head not in subjects.topics | subjects.loose_topics:
            dropped |= _described_by(words, found, position, subjects)
        dropped |= _told_after(words, found, span, head, subjects)
        position = span[1]
    return [entry for place, entry in enumerate(found) if place not in dropped]


def drop_handled(words: Words, found: list[Found], subjects: Subjects) -> list[Found]:
    """Drops the terms that a command only prints, copies or looks for: `echo training done`."""
    return [entry for entry in found if not _is_handled(words, entry[1], subjects)]


def _is_handled(words: Words, position: int, subjects: Subjects) -> bool:
    first, _ = words.clause(position)
    for place in range(first, min(first + _REACH_PROGRAM, position)):  # `sh -c git ...`
        begin = words.places[place][0]
        is_alone = begin == 0 or words.source[begin - 1] in _BEFORE_PROGRAM
        if is_alone and words.plain[place] in subjects.bystanders:
            return True
    return False


def _described_by(words: Words, found: Sequence[Found], head: int, subjects: Subjects) -> set[int]:
    """Returns the terms right before a head, which they only describe."""
    places: set[int] = set()
    edge, gap = head, 1
    for place in range(len(found) - 1, -1, -1):
        _, start, end = found[place]
        if end > edge:
            continue
        between = words.plain[end:edge]
        if (
            len(between) > gap
            or words.has_break(end, edge + 1, COMMA)
            or not subjects.apart.isdisjoint(words.plain[end - 1 : edge])  # `clustering of shops` is no shop
            or words.plain[start] in subjects.verbs  # `transcribe lectures` does it
        ):
            break
        places.add(place)
        edge, gap = start, 0
    return places


def _told_after(words: Words, found: Sequence[Found], span: Span, head: Phrase, subjects: Subjects) -> set[int]:
    """Returns the terms after a page, course or the like that is about them, or after `introduction to`."""
    start, end = span
    first, last = words.clause(start)
    if any(first <= begin < start and term.weight > _NOUN for term, begin, _ in found):
        return set()  # something is done with the pages: `classify articles about ...`
    told = {place for place, (_, begin, _) in enumerate(found) if end <= begin < last}
    if not told or head in subjects.topics:
        return told
    term = min(found[place][1] for place in told)
    has_means = not subjects.means.isdisjoint(words.plain[end:term])
    if head in subjects.loose_topics and not has_means and not words.plain[end].isdigit():
        return told
    if head not in subjects.pages:
        return set()
    link = words.plain[end : min(end + _REACH_LINK, term)]  # `article classification on a GPU`: no article about GPUs
    if not subjects.links.isdisjoint(link):
        return told
    return set() if has_means or subjects.loose_links.isdisjoint(link) else told
