"""What was refused, as conditions: a refusal for good stalls the object, one that passes keeps it reconciling."""

from __future__ import annotations

from collections.abc import Iterable

from vapora.api.reasons import Reason
from vapora.core.conditions import Condition
from vapora.core.plan import Apply, Create, Delete, Problem


def find_refusal(problems: Iterable[Problem]) -> Condition | None:
    """Returns Stalled or Reconciling for the first refused write of a child, in the API server's own words.

    A conflict of field managers stalls: it ends when somebody gives the field back, never by force.
    """
    refused = [problem for problem in problems if isinstance(problem.action, Apply | Create | Delete)]
    for problem in refused:
        if problem.reason == "Conflict" and isinstance(problem.action, Apply):
            return Condition("Stalled", "True", Reason.NameConflict, _describe(problem))
        if problem.is_permanent:
            return Condition("Stalled", "True", Reason.AdmissionRefused, _describe(problem))
    return Condition("Reconciling", "True", Reason.ApiUnavailable, _describe(refused[0])) if refused else None


def _describe(problem: Problem) -> str:
    manifest = problem.action.manifest if isinstance(problem.action, Apply | Create) else {}
    kind = manifest.get("kind", "")
    return f"{kind}: {problem.message}" if kind else problem.message
