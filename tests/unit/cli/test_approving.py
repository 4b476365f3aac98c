"""Which step a person speaks of at the command line, and as whom."""

import pytest

from vapora.api.stepbodies import Approvers
from vapora.cli.approving import CannotSay, choose_word, find_approvers, find_step
from vapora.core.workflow.approvals import Word

ALICE = Word("gate", "alice", is_approval=True)


def waiting(*names: str) -> dict[str, object]:
    rows: dict[str, object] = {name: {"state": "WaitingApproval"} for name in names}
    return {"status": {"steps": {"done": {"state": "Succeeded"}, **rows}}}


def test_the_only_step_that_waits_need_not_be_named() -> None:
    assert find_step(waiting("gate"), None) == "gate"
    assert find_step(waiting("gate", "exit"), "exit") == "exit"


STEPS = {"no step waits": ((), "no step waits"), "several wait": (("b", "a"), "name one of them: a, b")}


@pytest.mark.parametrize(("names", "words"), STEPS.values(), ids=STEPS)
def test_a_step_must_be_named_where(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(CannotSay, match=words):
        find_step(waiting(*names), None)


SPECS: dict[str, tuple[dict[str, object], Approvers | None]] = {
    "by name": ({"approvers": {"users": ["alice"]}}, Approvers(users=("alice",))),
    "not at all": ({}, None),
    "by a param": ({"approvers": {"users": ["{{ params.who }}"]}}, None),
    "wrongly": ({"approvers": {"users": "alice"}}, None),
}


@pytest.mark.parametrize(("body", "approvers"), SPECS.values(), ids=SPECS)
def test_a_step_names_its_approvers(body: dict[str, object], approvers: Approvers | None) -> None:
    spec = {"steps": [{"name": "a"}, {"name": "gate", "approval": body}]}
    assert find_approvers(spec, "gate") == approvers


GROUPS = {
    "a named user needs none": (Approvers(users=("alice",), groups=("sre",)), ""),
    "a member takes the one that is asked for": (Approvers(groups=("ops", "sre")), "sre"),
    "none is taken where none is asked for": (None, ""),
}


@pytest.mark.parametrize(("approvers", "group"), GROUPS.values(), ids=GROUPS)
def test_a_group_is_spoken_for_where_it_is_needed(approvers: Approvers | None, group: str) -> None:
    assert choose_word({}, approvers, ALICE, frozenset({"dev", "sre"})).group == group


def test_a_word_that_would_not_count_is_not_said() -> None:
    made = {"metadata": {"annotations": {"vapora.dev/author": "alice"}}}
    with pytest.raises(CannotSay, match="alice made the workflow"):
        choose_word(made, Approvers(users=("alice",)), ALICE, frozenset())
    with pytest.raises(CannotSay, match="alice may not approve; allowed are bob"):
        choose_word({}, Approvers(users=("bob",)), ALICE, frozenset())
