"""Hearing what people said of the steps of a run: each word is kept with the time it was first seen."""

from __future__ import annotations

from dataclasses import replace

from vapora.core.naming import ANNOTATION_APPROVAL, APPROVE_ROLLBACK
from vapora.core.plan import EventType
from vapora.core.workflow.approvals import decide, read_words
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.status import Approval


def listen(draft: Draft) -> None:
    """Reads the approval annotations into decisions by step, and says once which of them do not count."""
    annotations = draft.observed.words
    if not any(name.startswith(ANNOTATION_APPROVAL) for name in annotations):
        return
    asking = {step.name: step for step in (*draft.whole.steps, *draft.whole.completion)}
    words, mistakes = read_words(annotations, [*asking, APPROVE_ROLLBACK])
    seen = {(word.step, word.user): word.at for word in draft.standing.approvals}
    approvals = list(draft.standing.approvals)
    for name in sorted({word.step for word in words}):
        body = asking[name].spec.approval if name in asking else None
        approvers = body.approvers if body else None
        heard, objections = decide(words, name, approvers, draft.observed.author, seen=seen, now=draft.now)
        draft.decisions[name] = heard
        mistakes += objections
        approvals += [
            Approval(name, word.user, word.is_approval, word.at, word.comment)
            for word in heard
            if (name, word.user) not in seen
        ]
    if len(approvals) > len(draft.standing.approvals):
        draft.standing = replace(draft.standing, approvals=tuple(approvals))
    if mistakes != list(draft.standing.ignored_words):
        draft.standing = replace(draft.standing, ignored_words=tuple(mistakes))
        for mistake in mistakes:
            draft.tell(EventType.WARNING, "ApprovalIgnored", mistake)
