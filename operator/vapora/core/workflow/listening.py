"""Hearing what people said of the steps of a run: each word is kept with the time it was first seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from vapora.core.naming import ANNOTATION_APPROVAL, APPROVE_ROLLBACK
from vapora.core.plan import EventType
from vapora.core.workflow.approvals import Word, decide, read_words, weigh
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.status import Approval

MAX_WORDS = 1000  # of all people on all steps: each is a row of the status
MAX_REPEATED = 10  # of one person on one step, those of earlier runs included


def listen(draft: Draft) -> None:
    """Reads the approval annotations into decisions by step, and says once which of them do not count."""
    annotations = draft.observed.words
    if not any(name.startswith(ANNOTATION_APPROVAL) for name in annotations):
        return
    asking = {step.name: step for step in (*draft.whole.steps, *draft.whole.completion)}
    words, mistakes = read_words(annotations, [*asking, APPROVE_ROLLBACK])
    former = {word.key for word in draft.standing.approvals if word.is_former}
    current = [word for word in words if word.key not in former]
    for name in sorted({word.step for word in current}):
        body = asking[name].spec.approval if name in asking else None
        said = (word for word in current if word.step == name)
        counting, objections = weigh(said, body.approvers if body else None, draft.observed.author)
        ignored = _hear(draft, counting)
        seen = {word.key: word.at for word in draft.standing.approvals}
        draft.decisions[name] = decide((word for word in counting if word.key in seen), seen)
        mistakes += objections + ignored
    if mistakes != list(draft.standing.ignored_words):
        draft.standing = replace(draft.standing, ignored_words=tuple(mistakes))
        for mistake in mistakes:
            draft.tell(EventType.WARNING, "ApprovalIgnored", mistake)


def _hear(draft: Draft, words: Iterable[Word]) -> list[str]:
    """Keeps the words that are new, as many as there is room for; returns what is wrong with the others."""
    approvals = list(draft.standing.approvals)
    known = {word.key for word in approvals}
    count = Counter((word.step, word.user) for word in approvals)
    ignored = []
    for word in words:
        if word.key in known:
            continue
        if len(approvals) >= MAX_WORDS or count[word.step, word.user] >= MAX_REPEATED:
            limits = f"at most {MAX_REPEATED} words of a person on a step are heard, and {MAX_WORDS} of all people"
            ignored.append(f"{ANNOTATION_APPROVAL}{word.key}: is ignored; {limits}")
            continue
        count[word.step, word.user] += 1
        approvals.append(Approval(word.step, word.user, word.is_approval, draft.now, word.comment, word.key))
    if len(approvals) > len(known):
        draft.standing = replace(draft.standing, approvals=tuple(approvals))
    return ignored
