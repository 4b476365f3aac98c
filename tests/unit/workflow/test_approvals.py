"""What annotations say of steps, and which of it counts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from vapora.api.stepbodies import Approvers
from vapora.core.workflow.approvals import (
    Word,
    build_annotations,
    decide,
    describe_approvers,
    find_unverifiable,
    read_author,
    read_words,
    weigh,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = "approval.vapora.dev/"
SRE = Approvers(users=("alice", "x alice"), groups=("sre",))


def annotate(**notes: str) -> dict[str, object]:
    return {f"{PREFIX}{key.replace('__', '.')}": value for key, value in notes.items()}


READ = {
    "an approval": (annotate(k="approve gate alice"), [Word("gate", "alice", is_approval=True)]),
    "a rejection": (annotate(k="reject gate alice"), [Word("gate", "alice", is_approval=False)]),
    "a user with spaces": (annotate(k="approve gate  x alice "), [Word("gate", " x alice ", is_approval=True)]),
    "a comment and a group": (
        annotate(k="approve gate bob", k__comment="fine", k__group="sre"),
        [Word("gate", "bob", is_approval=True, group="sre", comment="fine")],
    ),
    "other annotations": ({"vapora.dev/request": "pause 1", "approvals.vapora.dev/k": "approve gate alice"}, []),
    "a comment on nothing": (annotate(k__comment="fine"), []),
}


@pytest.mark.parametrize(("annotations", "words"), READ.values(), ids=READ)
def test_annotations_are_read(annotations: dict[str, object], words: list[Word]) -> None:
    assert read_words(annotations, {"gate"}) == (words, [])


HOW = "is ignored; allowed is: <approve|reject> <step> <user>"
MISTAKES = {
    "another verb": ("Approve gate alice", HOW),
    "no user": ("approve gate", HOW),
    "an empty user": ("approve gate ", HOW),
    "no step": ("approve", HOW),
    "nothing": ("", HOW),
    "a step that is not there": ("approve exit alice", "is ignored; there is no step exit"),
}


@pytest.mark.parametrize(("value", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_what_makes_no_sense_is_ignored_and_said(value: str, mistake: str) -> None:
    assert read_words(annotate(k=value), {"gate"}) == ([], [f"{PREFIX}k: {mistake}"])


def test_an_unknown_author_is_none() -> None:
    assert (read_author({"vapora.dev/author": "alice"}), read_author({})) == ("alice", "")


@dataclass(frozen=True)
class Case:
    """Words as the annotations hold them, `<verb> <step> <user>`, some for a group, and whose decisions count."""

    words: tuple[str, ...]
    approvers: Approvers | None = SRE
    groups: dict[str, str] = field(default_factory=dict)
    author: str = "carol"
    want: dict[str, bool] = field(default_factory=dict)
    objections: tuple[str, ...] = ()


ALLOWED = "allowed are alice, x alice or group sre"
CASES = {
    "a named user counts": Case(("approve gate alice",), want={"alice": True}),
    "a name with a space is a name of its own": Case(("approve gate x alice",), want={"x alice": True}),
    "a name that ends alike does not count": Case(
        ("approve gate y alice",), objections=(f"step gate: y alice may not approve; {ALLOWED}",)
    ),
    "a member of a named group counts": Case(("approve gate bob",), groups={"bob": "sre"}, want={"bob": True}),
    "a member of another group does not": Case(
        ("approve gate bob",),
        groups={"bob": "dev"},
        objections=(f"step gate: bob (who spoke for group dev) may not approve; {ALLOWED}",),
    ),
    "who shows no group does not": Case(
        ("approve gate bob",), objections=(f"step gate: bob may not approve; {ALLOWED}",)
    ),
    "a group is no user": Case(("approve gate sre",), objections=(f"step gate: sre may not approve; {ALLOWED}",)),
    "the author does not count, though named": Case(
        ("approve gate alice",),
        author="alice",
        objections=("step gate: alice made the workflow and cannot approve it",),
    ),
    "the author does not count by a group": Case(
        ("approve gate bob",),
        author="bob",
        groups={"bob": "sre"},
        objections=("step gate: bob made the workflow and cannot approve it",),
    ),
    "without approvers everybody counts, the author too": Case(
        ("approve gate carol", "approve gate bob"), approvers=None, want={"bob": True, "carol": True}
    ),
    "empty approvers are anyone but the author": Case(
        ("approve gate carol", "approve gate bob"),
        approvers=Approvers(minimum=2),
        want={"bob": True},
        objections=("step gate: carol made the workflow and cannot approve it",),
    ),
    "another step's do not count": Case(("approve exit alice",)),
    "a person counts once": Case(("approve gate alice", "approve gate alice"), want={"alice": True}),
    "who approves and rejects has rejected": Case(("approve gate alice", "reject gate alice"), want={"alice": False}),
    "a rejection by a stranger is none": Case(
        ("reject gate bob",), objections=(f"step gate: bob may not approve; {ALLOWED}",)
    ),
    "two people are two": Case(
        ("approve gate alice", "approve gate bob"), groups={"bob": "sre"}, want={"alice": True, "bob": True}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_who_counts(case: Case) -> None:
    notes: dict[str, object] = {}
    for number, value in enumerate(case.words):
        notes |= annotate(**{f"k{number}": value})
        if group := case.groups.get(value.split(" ", 2)[2]):
            notes |= annotate(**{f"k{number}__group": group})
    words, mistakes = read_words(notes, {"gate", "exit"})
    counting, objections = weigh([word for word in words if word.step == "gate"], case.approvers, case.author)
    decisions = decide(counting, dict.fromkeys((word.key for word in counting), NOW))
    assert mistakes == []
    assert {decision.user: decision.is_approval for decision in decisions} == case.want
    assert tuple(objections) == case.objections


def test_a_decision_keeps_the_time_at_which_it_was_first_seen_and_the_oldest_comes_first() -> None:
    words, _ = read_words(annotate(a="approve gate alice", b="approve gate bob"), {"gate"})
    early = NOW - timedelta(hours=1)
    decisions = decide(words, {"a": NOW, "b": early})
    assert [(decision.user, decision.at) for decision in decisions] == [("bob", early), ("alice", NOW)]


def test_what_is_proven_needs_the_policy_and_an_author() -> None:
    assert find_unverifiable("alice", None) is None
    assert find_unverifiable("alice", "the policy is away") == "the policy is away"
    assert "vapora.dev/author" in str(find_unverifiable("", None))


NAMES = {
    "anyone but the author": Approvers(),
    "alice": Approvers(users=("alice",)),
    "alice or group sre": Approvers(users=("alice",), groups=("sre",)),
    "u0, u1, u2, u3 or 252 others": Approvers(users=tuple(f"u{number}" for number in range(256))),
}


@pytest.mark.parametrize(("words", "approvers"), NAMES.items(), ids=NAMES)
def test_approvers_are_told_in_a_line(words: str, approvers: Approvers) -> None:
    assert describe_approvers(approvers) == words


WORD = Word("gate", "x alice", is_approval=True, group="sre", comment="fine")


def test_what_is_written_is_read_again() -> None:
    assert read_words(build_annotations(WORD, {}), {"gate"}) == ([WORD], [])


def test_what_was_said_already_is_not_said_again_and_no_key_is_taken_twice() -> None:
    said = build_annotations(WORD, {})
    assert build_annotations(WORD, said) == {}
    other = Word("gate", "x alice", is_approval=False)
    more = build_annotations(other, said)
    assert not more.keys() & said.keys()
    assert len(read_words({**said, **more}, {"gate"})[0]) == 2


def test_what_was_said_in_an_earlier_run_is_said_again_under_another_key() -> None:
    said = build_annotations(WORD, {})
    [former] = {key.removeprefix(PREFIX) for key in said if "." not in key.removeprefix(PREFIX)}
    again = build_annotations(WORD, said, {former})
    assert not again.keys() & said.keys()
    assert set(again.values()) == set(said.values())
    assert build_annotations(WORD, {**said, **again}, {former}) == {}
