"""What a person says of a step that waits for people, from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from vapora.api.stepbodies import Approvers
from vapora.core.views import child, rows, text
from vapora.core.workflow.approvals import Word, find_objection, read_author


class CannotSay(ValueError):
    """Says why a word would not count, or which step it is about."""


def find_step(workflow: Mapping[str, object], wanted: str | None) -> str:
    """Returns the wanted step, else the only one that waits for approval; raises CannotSay."""
    if wanted is not None:
        return wanted
    status = child(workflow, "status")
    steps = {**child(status, "steps"), **child(status, "rollback", "steps")}
    waiting = [name for name in steps if text(child(steps, name), "state") == "WaitingApproval"]
    if len(waiting) == 1:
        return waiting[0]
    if not waiting:
        raise CannotSay("no step waits for approval; name the step to approve it in advance")
    raise CannotSay(f"several steps wait for approval, name one of them: {', '.join(sorted(waiting))}")


def find_approvers(spec: Mapping[str, object], step: str) -> Approvers | None:
    """Returns who may approve a step by the spec; None where it does not say, or leaves it to a template's params."""
    listed = [*rows(spec, "steps"), *rows(spec, "onCompletion")]
    row = next((row for row in listed if row.get("name") == step), {})
    approvers = child(row, "approval").get("approvers")
    if approvers is None or "{{" in json.dumps(approvers):
        return None
    try:
        return Approvers.model_validate(approvers)
    except ValidationError:  # the operator says what is wrong with it
        return None


def list_former(workflow: Mapping[str, object]) -> frozenset[str]:
    """Returns the keys of what people said before the workflow was started again: that must be said anew."""
    words = rows(child(workflow, "status"), "approvals")
    return frozenset(text(word, "key") for word in words if word.get("former") is True)


def choose_word(
    workflow: Mapping[str, object],
    approvers: Approvers | None,
    word: Word,
    groups: frozenset[str],
) -> Word:
    """Returns the word, for a group where that makes it count; raises CannotSay where nothing does."""
    if approvers is not None and word.user not in approvers.users:
        group = next((name for name in approvers.groups if name in groups), "")
        word = Word(word.step, word.user, word.is_approval, group, word.comment)
    objection = find_objection(word, approvers, read_author(child(workflow, "metadata", "annotations")))
    if objection is not None:
        raise CannotSay(f"step {word.step}: {objection}")
    return word
