"""How a step that waits for people goes on."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from vapora.core.calls import Account
from vapora.core.procedures.approval import build_approval
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Decision, Failed, Finished, Next, Rest, Situation

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = START + timedelta(hours=1)
TWO = {"approvers": {"users": ["alice", "bob"], "groups": ["sre"], "minimum": 2}}
ALICE, BOB = (Decision(user, is_approval=True, at=START, comment=f"{user} agrees") for user in ("alice", "bob"))
NO = Decision("bob", is_approval=False, at=START, comment="too early")
SILENT = Decision("carol", is_approval=False, at=START)


@dataclass(frozen=True)
class Case:
    """A step's body, what was decided and how late it is, and what comes of it."""

    want: Next
    body: dict[str, object] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    minutes: int = 0
    unverifiable: str | None = None


CASES = {
    "nobody has said anything": Case(Rest(None, "waits for an approval", reason="WaitingForApproval")),
    "what is asked stands in the wait": Case(
        Rest(None, "waits for an approval: Go?", reason="WaitingForApproval"), {"message": "Go?"}
    ),
    "one of two has approved": Case(
        Rest(None, "waits for 1 of 2 approvals by alice, bob or group sre", reason="WaitingForApproval"),
        TWO,
        decisions=(ALICE,),
    ),
    "both have approved": Case(
        Finished({"approvedBy": ["alice", "bob"], "comment": "alice agrees\nbob agrees"}), TWO, decisions=(ALICE, BOB)
    ),
    "one is enough without approvers": Case(
        Finished({"approvedBy": ["alice"], "comment": "alice agrees"}), decisions=(ALICE,)
    ),
    "a rejection ends it, whatever others say": Case(
        Failed(Failure("ApprovalRejected", "rejected by bob: too early")), decisions=(ALICE, NO)
    ),
    "a rejection without a word": Case(Failed(Failure("ApprovalRejected", "rejected by carol")), TWO, (SILENT,)),
    "a timeout is waited for": Case(
        Rest(HOUR, "waits for an approval", reason="WaitingForApproval"), {"timeout": "1h"}, minutes=59
    ),
    "a timeout fails the step": Case(
        Failed(Failure("ApprovalTimedOut", "not approved within 1h")), {"timeout": "1h"}, minutes=60
    ),
    "a timeout of seconds": Case(
        Failed(Failure("ApprovalTimedOut", "not approved within 3600")), {"timeout": 3600}, minutes=61
    ),
    "a timeout may approve": Case(
        Finished({"approvedBy": [], "comment": ""}), {"timeout": "1h", "onTimeout": "approve"}, minutes=60
    ),
    "an approval that is seen late counts": Case(
        Finished({"approvedBy": ["alice"], "comment": "alice agrees"}), {"timeout": "1h"}, (ALICE,), minutes=90
    ),
    "a rejection that is seen late counts": Case(
        Failed(Failure("ApprovalRejected", "rejected by bob: too early")),
        {"timeout": "1h", "onTimeout": "approve"},
        (NO,),
        minutes=90,
    ),
    "nobody can prove to be an approver": Case(
        Rest(None, "no policy", reason="ApproverUnverifiable"), TWO, (ALICE, BOB), unverifiable="no policy"
    ),
    "nor can anybody reject": Case(
        Rest(None, "no policy", reason="ApproverUnverifiable"), TWO, (NO,), unverifiable="no policy"
    ),
    "what cannot be proven times out": Case(
        Failed(Failure("ApprovalTimedOut", "not approved within 1h")),
        {**TWO, "timeout": "1h"},
        (ALICE, BOB),
        minutes=60,
        unverifiable="no policy",
    ),
    "without approvers nothing has to be proven": Case(
        Finished({"approvedBy": ["alice"], "comment": "alice agrees"}), decisions=(ALICE,), unverifiable="no policy"
    ),
}


def decide(case: Case) -> Next:
    situation = Situation(
        namespace="default",
        workflow="w",
        uid="u",
        step="gate",
        key="u/gate/0/1",
        account=Account("default", "default"),
        body=case.body,
        started_at=START,
        now=START + timedelta(minutes=case.minutes),
        decisions=case.decisions,
    )
    return build_approval(case.unverifiable)(situation)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_approval_step_where(case: Case) -> None:
    assert decide(case) == case.want


BAD = {
    "a timeout that became no duration": {"timeout": "soon"},
    "approvers that became a list": {"approvers": {"users": [["alice"]]}},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_body_that_became_senseless_fails_the_step(body: dict[str, object]) -> None:
    failed = decide(Case(Rest(None, ""), body))
    assert isinstance(failed, Failed)
    assert failed.failure.reason == "InvalidInput"
