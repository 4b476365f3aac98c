"""What people say of steps that wait for them: one annotation each, whose user the admission policy has proven.

`approval.vapora.dev/<key>: "<approve|reject> <step> <user>"`; beside it `<key>.comment` and `<key>.group`, a group by
which the user may approve. The key only has to be free: who says the same of a later run says it under another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vapora.api.stepbodies import Approvers
from vapora.core.conditions import cut
from vapora.core.naming import ANNOTATION_APPROVAL, ANNOTATION_AUTHOR
from vapora.core.views import text
from vapora.core.workflow.procedure import Decision

_VERBS = {"approve": True, "reject": False}
_COMMENT, _GROUP = ".comment", ".group"
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Word:
    """Is what one person said of one step; `group` is the one that the person spoke for, empty for none."""

    step: str
    user: str
    is_approval: bool
    group: str = ""
    comment: str = ""
    key: str = field(default="", compare=False)  # what follows the prefix where it was read

    @property
    def value(self) -> str:
        """Returns what the annotation says."""
        return f"{'approve' if self.is_approval else 'reject'} {self.step} {self.user}"


def read_author(annotations: Mapping[str, object]) -> str:
    """Returns who made the object; empty where nothing proves it."""
    return text(annotations, ANNOTATION_AUTHOR)


def describe_approvers(approvers: Approvers) -> str:
    """Returns them as a text such as `alice, bob or group sre`."""
    names = [*approvers.users, *(f"group {name}" for name in approvers.groups)]
    if not names:
        return "anyone but the author"
    if len(names) > _MAX_NAMED:
        names = [*names[: _MAX_NAMED - 1], f"{len(names) - _MAX_NAMED + 1} others"]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def read_words(annotations: Mapping[str, object], steps: Collection[str]) -> tuple[list[Word], list[str]]:
    """Returns what was said of steps, and what is wrong with annotations that say nothing, by key."""
    words: list[Word] = []
    mistakes: list[str] = []
    for key in sorted(key for key in annotations if key.startswith(ANNOTATION_APPROVAL)):
        if key.endswith((_COMMENT, _GROUP)):
            continue
        word = _read_word(annotations, key)
        if word is None:
            mistakes.append(f"{cut(key, 128)}: is ignored; allowed is: <approve|reject> <step> <user>")
        elif word.step not in steps:
            mistakes.append(f"{cut(key, 128)}: is ignored; there is no step {cut(word.step, 128)}")
        else:
            words.append(word)
    return words, mistakes


def _read_word(annotations: Mapping[str, object], key: str) -> Word | None:
    verb, step, user = [*text(annotations, key).split(" ", 2), "", ""][:3]
    if verb not in _VERBS or not step or not user:
        return None
    comment, group = text(annotations, key + _COMMENT), text(annotations, key + _GROUP)
    return Word(step, user, _VERBS[verb], group, cut(comment), key.removeprefix(ANNOTATION_APPROVAL))


def find_objection(word: Word, approvers: Approvers | None, author: str) -> str | None:
    """Says why a word does not count; None where it does.

    Without `approvers` every word does; with empty ones that of anyone but the author.
    """
    if approvers is None:
        return None
    if word.user == author:
        return f"{word.user} made the workflow and cannot approve it"
    is_open = not approvers.users and not approvers.groups
    if is_open or word.user in approvers.users or (word.group and word.group in approvers.groups):
        return None
    spoken = f" (who spoke for group {word.group})" if word.group else ""
    return f"{word.user}{spoken} may not approve; allowed are {describe_approvers(approvers)}"


def weigh(words: Iterable[Word], approvers: Approvers | None, author: str) -> tuple[list[Word], list[str]]:
    """Returns the words on a step that count, and why those of other people do not."""
    counting: list[Word] = []
    objections: dict[str, str] = {}
    for word in words:
        objection = find_objection(word, approvers, author)
        if objection is None:
            counting.append(word)
        else:
            objections[word.user] = f"step {word.step}: {objection}"
    heard = {word.user for word in counting}
    return counting, sorted(objection for user, objection in objections.items() if user not in heard)


def decide(words: Iterable[Word], seen: Mapping[str, datetime]) -> tuple[Decision, ...]:
    """Returns what people decided by words that count, one decision a person, oldest first.

    `seen` says by key when a word was first seen. Who both approves and rejects has rejected.
    """
    decisions: dict[str, Decision] = {}
    for word in sorted(words, key=lambda word: (word.is_approval, seen[word.key])):
        decision = Decision(word.user, word.is_approval, seen[word.key], word.comment)
        decisions.setdefault(word.user, decision)
    return tuple(sorted(decisions.values(), key=lambda decision: (decision.at, decision.user)))


def find_unverifiable(author: str, policy_problem: str | None) -> str | None:
    """Says why nobody can prove to be one of the `approvers`; None where everybody can."""
    if policy_problem is not None:
        return policy_problem
    if not author:
        return (
            f"nothing says who made the workflow: it lacks the annotation {ANNOTATION_AUTHOR}, which is set when an "
            "object is created, by the component author or by hand"
        )
    return None


def build_annotations(word: Word, present: Mapping[str, object], former: Collection[str] = ()) -> dict[str, str]:
    """Builds the annotations that say a word, under the first key that is free; none where it is said already.

    `former` are the keys of words that count no more.
    """
    for key, value in present.items():
        counts = key.startswith(ANNOTATION_APPROVAL) and key.removeprefix(ANNOTATION_APPROVAL) not in former
        if counts and value == word.value and text(present, key + _GROUP) == word.group:
            return {}
    key = next(key for number in range(len(present) + 1) if (key := _key(word, number)) not in present)
    notes = {key + _COMMENT: word.comment, key + _GROUP: word.group}
    return {key: word.value, **{name: value for name, value in notes.items() if value}}


def _key(word: Word, number: int) -> str:
    digest = hashlib.sha256(f"{word.step} {word.user} {number or ''}".strip().encode()).hexdigest()
    return ANNOTATION_APPROVAL + digest[:8]
