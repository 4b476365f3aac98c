"""Text as words: what the detector compares, with the breaks between clauses and sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A word or number starts at each change between letters and digits, so that `llama3`, `A100` and `8xA100` read as
# people read them, and before an acronym of a model (`TinyBERT`). A full stop inside a name (`train.py`, `3.5`) ends no
# sentence.
_TOKEN = re.compile(
    r"(?<=\d)x(?=[A-Z])"
    r"|[^\W\d_]*[a-z](?=(?:RoBERTa|BERT|LSTM|GAN|CNN|RNN|LLM)s?\b)"
    r"|[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+(?:\.\d+)?"
    r"|(?P<hard>[.!?;:](?=\s|$)|\n|[()\[\]&|]|\s[-\u2013\u2014]+\s)|(?P<soft>,)"
)
_NO_PLURAL = ("ss", "us", "is")
_IRREGULAR = {
    "news": "news",
    "keras": "keras",
    "pandas": "pandas",
    "gpus": "gpu",
    "cpus": "cpu",
    "tpus": "tpu",
    "apis": "api",
    "logistics": "logistics",
}

_REACH = 40
NO_BREAK, COMMA, CLAUSE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Words:
    """Is a text in words.

    `raw` is each as written, `plain` in lower case and singular; `breaks[i]` is what stands before word i, `places[i]`
    where it begins and ends in `source`.
    """

    source: str
    places: tuple[tuple[int, int], ...]
    raw: tuple[str, ...]
    plain: tuple[str, ...]
    breaks: tuple[int, ...]

    def text(self, start: int, end: int) -> str:
        """Returns the words start..end-1 as they were written."""
        return self.source[self.places[start][0] : self.places[end - 1][1]]

    def has_break(self, start: int, end: int, level: int) -> bool:
        """Whether a break of at least `level` stands before one of the words start..end-1."""
        return any(found >= level for found in self.breaks[start:end])

    def run_end(self, position: int) -> int:
        """Returns the first word after `position` with a break before it."""
        end = position + 1
        while end < len(self.breaks) and not self.breaks[end]:
            end += 1
        return end

    def clause(self, position: int) -> tuple[int, int]:
        """Returns where the clause around a word begins and ends, at most 40 words away."""
        start, first = position, max(0, position - _REACH)
        while start > first and self.breaks[start] < CLAUSE:
            start -= 1
        end, last = position + 1, min(len(self.plain), position + _REACH)
        while end < last and self.breaks[end] < CLAUSE:
            end += 1
        return start, end


def read_words(text: str) -> Words:
    """Splits a text into words."""
    raw: list[str] = []
    places: list[tuple[int, int]] = []
    breaks: list[int] = []
    pending = NO_BREAK
    for found in _TOKEN.finditer(text):
        if found["hard"]:
            pending = CLAUSE
        elif found["soft"]:
            pending = max(pending, COMMA)
        else:
            raw.append(found[0])
            places.append(found.span())
            breaks.append(pending)
            pending = NO_BREAK
    return Words(text, tuple(places), tuple(raw), tuple([plain(word) for word in raw]), tuple(breaks))


def plain(word: str) -> str:
    """Returns a word in lower case and singular, without its possessive."""
    word = word.lower().replace("\u2019", "'")
    if "'" in word:
        word = word[:-2] if word.endswith("'s") else word.replace("'", "")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(_NO_PLURAL):
        return word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    return word


def plain_phrase(phrase: str) -> tuple[str, ...]:
    """Returns a phrase as the words that a text is compared with."""
    return read_words(phrase).plain
