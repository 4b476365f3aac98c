"""The vocabulary of the detector: a data file, read once and handed on as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vapora.core.gpu.words import plain, plain_phrase, read_words

Effect = Literal[
    "deep",  # deep learning as such: a GPU, unless it only infers
    "generative",
    "large",
    "model",  # a deep model: a GPU helps
    "task",  # what deep models do best: a GPU helps, unless a classical method is named
    "framework",
    "classical",
    "hint",  # speaks for classical work where nothing speaks for deep learning
    "generic",
    "data",
    "training",
    "inference",
    "gpu",
    "gpuBuild",  # an image built for GPUs
    "cpu",
    "hosted",  # a model behind somebody else's API
    "everyday",  # no evidence, whatever words it holds
]
Where = Literal["name", "title", "description", "workflowDescription", "env", "args", "command", "image", "frameworks"]
Phrase = tuple[str, ...]

_ACRONYM_IN_CODE = 0.45  # what an acronym proves where all is written in lower case
_PAIR, _MIN_JOINED = 2, 3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class _TermEntry(_Part):
    weight: float = Field(ge=0, lt=1)
    code: float | None = None
    also: tuple[str, ...] = ()
    own_case: bool = False
    other_case: float = 0.0
    not_after: tuple[str, ...] = ()
    not_before: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    not_in: tuple[Where, ...] = ()


class _Group(_Part):
    name: str
    effect: Effect
    terms: dict[str, float | _TermEntry]


class ImageRule(_Part):
    """Says what an image means whose name holds a text."""

    effect: Effect
    weight: float = Field(ge=0, lt=1)


class _ExplicitEntry(_Part):
    gpu_before: tuple[str, ...]
    gpu_after: tuple[str, ...]
    cpu_before: tuple[str, ...]
    cpu_after: tuple[str, ...]
    between: tuple[str, ...]


class _NegationEntry(_Part):
    narrow: tuple[str, ...]
    wide: tuple[str, ...]
    adjacent: tuple[str, ...]
    exceptions: tuple[str, ...]
    after: tuple[str, ...]
    after_adjacent: tuple[str, ...]
    breakers: tuple[str, ...]
    narrow_breakers: tuple[str, ...]
    joiners: tuple[str, ...]
    conditions: tuple[str, ...]
    verb_forms: tuple[str, ...]
    gap: int


class _SubjectsEntry(_Part):
    pages: tuple[str, ...]
    compounds: tuple[str, ...]
    topics: tuple[str, ...]
    loose_topics: tuple[str, ...]
    bystanders: tuple[str, ...]
    links: tuple[str, ...]
    loose_links: tuple[str, ...]
    means: tuple[str, ...]
    apart: tuple[str, ...]


class _File(_Part):
    version: Literal[1]
    threshold: float
    near: int
    where: dict[Where, float]
    groups: tuple[_Group, ...]
    images: dict[str, ImageRule]
    everyday_images: tuple[str, ...]
    explicit: _ExplicitEntry
    negation: _NegationEntry
    subjects: _SubjectsEntry
    preparation: tuple[str, ...]
    application: tuple[str, ...]
    optional: tuple[str, ...]
    small: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """Is one term: what it says (`effect`), how much (`weight`), and the neighbours that take its meaning away.

    `spellings` are the only ones with full weight, where the term must stand in its own case; any other gets
    `other_case`. In code (images, commands, names) case says nothing, so `code_weight` holds.
    """

    name: str
    effect: Effect
    weight: float
    code_weight: float
    spellings: frozenset[str]
    other_case: float
    not_after: frozenset[str]
    not_before: frozenset[str]
    not_with: frozenset[str]
    not_in: frozenset[Where]


class Phrases:
    """Finds the longest of many phrases that starts at a word."""

    __slots__ = ("_by_first",)

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        by_first: dict[str, list[Phrase]] = {}
        for phrase in set(phrases):
            by_first.setdefault(phrase[0], []).append(phrase)
        self._by_first = {first: sorted(rest, key=len, reverse=True) for first, rest in by_first.items()}

    def find(self, words: Phrase, start: int, end: int | None = None) -> Phrase | None:
        """Returns the longest phrase that starts at a word and ends before word `end`; None without one."""
        for phrase in self._by_first.get(words[start], ()):
            stop = start + len(phrase)
            if words[start:stop] == phrase and (end is None or stop <= end):
                return phrase
        return None


@dataclass(frozen=True, slots=True)
class Explicit:
    """Holds the words around `GPU` and `CPU` that make them a demand."""

    gpu_before: frozenset[str]
    gpu_after: frozenset[str]
    cpu_before: frozenset[str]
    cpu_after: frozenset[str]
    between: frozenset[str]


@dataclass(frozen=True, slots=True)
class Negation:
    """Holds the words that deny, and those that end their reach.

    A narrow cue denies the nouns after it, an adjacent one the next word, any other all that follows; the phrases in
    `after` deny what stands before them.
    """

    cues: Phrases
    narrow: frozenset[Phrase]
    adjacent: frozenset[Phrase]
    exceptions: Phrases
    after: Phrases
    after_adjacent: frozenset[str]
    breakers: frozenset[str]
    narrow_breakers: frozenset[str]
    joiners: frozenset[str]
    conditions: frozenset[str]
    verb_forms: frozenset[str]
    gap: int


@dataclass(frozen=True, slots=True)
class Subjects:
    """Holds the words by which a text is only about something.

    `heads` are all phrases of which what stands before them is but a description (`compounds`, `pages`), or that begin
    what they are about (`topics`). Pages are about what follows a link. Loose links (`for`) and topics (`about`) also
    tell what something is used for, so that a term after one of the `means` (`for readers with XGBoost`) stands.
    """

    heads: Phrases
    pages: frozenset[Phrase]
    topics: frozenset[Phrase]
    loose_topics: frozenset[Phrase]
    bystanders: frozenset[str]
    links: frozenset[str]
    loose_links: frozenset[str]
    means: frozenset[str]
    apart: frozenset[str]
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Is all the detector knows; a value that is passed to it."""

    version: int
    threshold: float
    near: int
    where: Mapping[Where, float]
    phrases: Phrases
    terms: Mapping[Phrase, Term]
    images: Mapping[str, ImageRule]
    everyday_images: tuple[str, ...]
    explicit: Explicit
    negation: Negation
    subjects: Subjects
    preparation: frozenset[str]
    application: frozenset[str]
    optional: Phrases
    small: frozenset[str]


def load_vocabulary() -> Vocabulary:
    """Reads the vocabulary that comes with the operator."""
    return parse_vocabulary(read_document())


def read_document() -> str:
    """Returns the vocabulary that comes with the operator as it is written: JSON."""
    return resources.files(__package__).joinpath("vocabulary.json").read_text("utf-8")


def parse_vocabulary(document: str) -> Vocabulary:
    """Reads a vocabulary from JSON; raises ValueError for one of another form or version."""
    file = _File.model_validate_json(document)
    terms = {
        phrase: _read_term(name, group.effect, entry)
        for group in file.groups
        for name, entry in group.terms.items()
        for phrase in _phrases_of(name, entry)
    }
    return Vocabulary(
        version=file.version,
        threshold=file.threshold,
        near=file.near,
        where=file.where,
        phrases=Phrases(terms),
        terms=terms,
        images=file.images,
        everyday_images=file.everyday_images,
        explicit=Explicit(
            gpu_before=_plain(file.explicit.gpu_before),
            gpu_after=_plain(file.explicit.gpu_after),
            cpu_before=_plain(file.explicit.cpu_before),
            cpu_after=_plain(file.explicit.cpu_after),
            between=_plain(file.explicit.between),
        ),
        negation=_read_negation(file.negation),
        subjects=_read_subjects(file.subjects, file.negation.verb_forms),
        preparation=_plain(file.preparation),
        application=_plain(file.application),
        optional=_read_phrases(file.optional),
        small=_plain(file.small),
    )


def _read_term(name: str, effect: Effect, entry: float | _TermEntry) -> Term:
    said = entry if isinstance(entry, _TermEntry) else _TermEntry(weight=entry)
    code = said.code if said.code is not None else max(said.other_case, min(said.weight, _ACRONYM_IN_CODE))
    return Term(
        name=name,
        effect=effect,
        weight=said.weight,
        code_weight=code if said.own_case or said.code is not None else said.weight,
        spellings=frozenset(_spelling(text) for text in (name, *said.also)) if said.own_case else frozenset(),
        other_case=said.other_case,
        not_after=_plain(said.not_after),
        not_before=_plain(said.not_before),
        not_with=_plain(said.not_with),
        not_in=frozenset(said.not_in),
    )


def _spelling(text: str) -> str:
    return " ".join(read_words(text).raw)


def _phrases_of(name: str, entry: float | _TermEntry) -> Iterable[Phrase]:
    also = entry.also if isinstance(entry, _TermEntry) else ()
    for text in (name, *also):
        phrase = plain_phrase(text)
        yield phrase
        if len(phrase) == _PAIR and all(word.isalpha() and len(word) >= _MIN_JOINED for word in phrase):
            yield (phrase[0] + phrase[1],)  # written as one word: finetuning


def _read_negation(entry: _NegationEntry) -> Negation:
    return Negation(
        cues=_read_phrases((*entry.narrow, *entry.wide, *entry.adjacent)),
        narrow=frozenset(plain_phrase(cue) for cue in (*entry.narrow, *entry.adjacent)),
        adjacent=frozenset(plain_phrase(cue) for cue in entry.adjacent),
        exceptions=_read_phrases(entry.exceptions),
        after=_read_phrases(entry.after),
        after_adjacent=_plain(entry.after_adjacent),
        breakers=_plain(entry.breakers),
        narrow_breakers=_plain(entry.narrow_breakers),
        joiners=_plain(entry.joiners),
        conditions=_plain(entry.conditions),
        verb_forms=_plain(entry.verb_forms),
        gap=entry.gap,
    )


def _read_subjects(entry: _SubjectsEntry, verbs: Iterable[str]) -> Subjects:
    return Subjects(
        heads=_read_phrases((*entry.pages, *entry.compounds, *entry.topics, *entry.loose_topics)),
        pages=frozenset(plain_phrase(page) for page in entry.pages),
        topics=frozenset(plain_phrase(topic) for topic in entry.topics),
        loose_topics=frozenset(plain_phrase(topic) for topic in entry.loose_topics),
        bystanders=_plain(entry.bystanders),
        links=_plain(entry.links),
        loose_links=_plain(entry.loose_links),
        means=_plain(entry.means),
        apart=_plain(entry.apart),
        verbs=_plain(verbs),
    )


def _read_phrases(texts: Iterable[str]) -> Phrases:
    return Phrases(plain_phrase(text) for text in texts)


def _plain(words: Iterable[str]) -> frozenset[str]:
    return frozenset(plain(word) for word in words)
