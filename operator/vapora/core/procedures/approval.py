"""An approval step: waits until enough people approve, one rejects, or the time is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from vapora.api.durations import parse_duration
from vapora.api.stepbodies import ApprovalBody
from vapora.core.supported import describe_validation
from vapora.core.workflow.approvals import describe_approvers
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Decision, Failed, Finished, Next, Procedure, Rest, Situation

UNVERIFIABLE = "ApproverUnverifiable"


def build_approval(unverifiable: str | None) -> Procedure:
    """Builds the procedure; `unverifiable` says why nobody can prove to be an approver, None where everybody can."""

    def approve(situation: Situation) -> Next:
        try:
            body = ApprovalBody.model_validate(situation.body)
        except ValidationError as error:
            return Failed(Failure("InvalidInput", describe_validation(error)))
        until = None if body.timeout is None else situation.started_at + timedelta(seconds=parse_duration(body.timeout))
        if body.approvers is not None and unverifiable is not None:
            waiting = Rest(until, unverifiable, reason=UNVERIFIABLE)
        else:
            decided = _decide(body, situation.decisions)
            waiting = Rest(until, _describe_wait(body, situation.decisions), reason="WaitingForApproval")
            if decided is not None:
                return decided
        # What was said in time counts, also where it is seen only afterwards: so this comes last.
        return waiting if until is None or situation.now < until else _time_out(body)

    return approve


def _decide(body: ApprovalBody, decisions: Sequence[Decision]) -> Next | None:
    for decision in decisions:
        if not decision.is_approval:
            said = f": {decision.comment}" if decision.comment else ""
            return Failed(Failure("ApprovalRejected", f"rejected by {decision.user}{said}"))
    return _finish(decisions) if len(decisions) >= _count_needed(body) else None


def _time_out(body: ApprovalBody) -> Next:
    if body.on_timeout == "approve":
        return _finish(())
    return Failed(Failure("ApprovalTimedOut", f"not approved within {body.timeout}"))


def _finish(approvals: Sequence[Decision]) -> Finished:
    comments = [decision.comment for decision in approvals if decision.comment]
    return Finished({"approvedBy": [decision.user for decision in approvals], "comment": "\n".join(comments)})


def _describe_wait(body: ApprovalBody, approvals: Sequence[Decision]) -> str:
    needed = _count_needed(body)
    count = "an approval" if needed == 1 else f"{needed - len(approvals)} of {needed} approvals"
    by = f" by {describe_approvers(body.approvers)}" if body.approvers else ""
    return f"waits for {count}{by}" + (f": {body.message}" if body.message else "")


def _count_needed(body: ApprovalBody) -> int:
    return body.approvers.minimum if body.approvers else 1
