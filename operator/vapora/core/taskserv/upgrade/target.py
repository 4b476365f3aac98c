"""Which revision is to run: the one of the spec, unless a rollback holds another one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vapora.api.reasons import Reason
from vapora.core.conditions import Condition, cut
from vapora.core.plan import Event, EventType, Manifest
from vapora.core.taskserv.upgrade.revisions import HEALTHY, History, Revision, describe_failure
from vapora.core.views import child, text
from vapora.core.workflow.requests import Request, read_request

SPEC, REQUEST, FAILURE = "spec", "request", "failure"
_MAX_NAMED = 512  # bytes of a message that names revisions


@dataclass(frozen=True, slots=True)
class Pin:
    """Holds a revision instead of the one that the spec asks for, until the spec asks for another one.

    `by` says who wanted it: spec.rollbackTo, a request, or the failure of the other one.
    """

    revision: str
    instead: str
    by: str
    reason: str
    message: str

    def write(self) -> Manifest:
        """Writes it as part of the status."""
        return {"instead": self.instead, "by": self.by, "reason": self.reason, "message": cut(self.message)}


@dataclass(frozen=True, slots=True)
class Target:
    """Is the revision that is to run, and what was settled on the way there.

    `handled_rollback_to` is the value of spec.rollbackTo that was acted upon; `problem` is what is wrong with it.
    `failed` is the outcome of the spec's revision where that was given up just now.
    """

    revision: Revision
    pin: Pin | None
    handled_rollback_to: str = ""
    handled_request: str = ""
    problem: str = ""
    failed: str = ""
    events: tuple[Event, ...] = ()


def choose_target(
    status: Manifest, history: History, *, rollback_to: str | None, asked: str, uid: str, running: Revision | None
) -> Target:
    """Says which revision is to run; `asked` is the request annotation, `running` what runs now."""
    pin = _read_pin(status, history, rollback_to)
    pin, handled, problem = _heed_spec(status, history, rollback_to, pin)
    pin, events = _heed_request(status, history, asked, uid, pin, running)
    revision = (history.find(pin.revision) if pin else None) or history.desired
    return Target(revision, pin, handled, asked, problem, events=events)


def fall_back(target: Target, history: History, good: Revision, reason: str, message: str) -> Target:
    """Goes back to a good revision after the failure of the one that was to run."""
    failed = target.revision
    said = f"{failed} failed: {message}; {good} runs until version or template change"
    pin = Pin(good.id, history.desired.id, FAILURE, reason, said)
    event = Event(EventType.WARNING, Reason.RolledBack, f"{failed} -> {good}: {reason}: {message}")
    outcome = describe_failure(reason, message)
    return replace(target, revision=good, pin=pin, failed=outcome, events=(*target.events, event))


def describe_pin(pin: Pin) -> tuple[Condition, ...]:
    """Says that another revision runs than the spec's; after a failure that is not what was wanted."""
    conditions = [Condition("RolledBack", "True", pin.reason, pin.message)]
    if pin.by == FAILURE:
        conditions.append(Condition("Stalled", "True", Reason.RolledBack, pin.message))
    return tuple(conditions)


def _read_pin(status: Manifest, history: History, rollback_to: str | None) -> Pin | None:
    """Reads the pin of the status, unless what it was set for is over."""
    said, number = child(status, "rollback"), text(status, "pinnedRevision")
    pin = Pin(number, *(text(said, name) for name in ("instead", "by", "reason", "message")))
    is_over = pin.instead != history.desired.id or (pin.by == SPEC and rollback_to is None)
    return None if is_over or history.find(number) is None else pin


def _heed_spec(
    status: Manifest, history: History, rollback_to: str | None, pin: Pin | None
) -> tuple[Pin | None, str, str]:
    """Acts on spec.rollbackTo when it says something new; it may stay there afterwards."""
    handled = text(status, "handledRollbackTo")
    if not rollback_to or rollback_to == handled:
        return pin, rollback_to or "", ""
    if history.revisions == (history.desired,) and history.desired.view is None:
        return pin, rollback_to, ""  # a new service has nothing to go back to
    found = history.find_named(rollback_to)
    if found is None:
        return pin, handled, f"spec.rollbackTo: {_describe_unknown(rollback_to, history)}"
    return _pin(found, history, SPEC, f"spec.rollbackTo holds {found}"), rollback_to, ""


def _heed_request(
    status: Manifest, history: History, asked: str, uid: str, pin: Pin | None, running: Revision | None
) -> tuple[Pin | None, tuple[Event, ...]]:
    request = read_request(asked, uid)
    if request is None or asked == text(status, "handledRequest"):
        return pin, ()
    found = _find_requested(request, history, running)
    if isinstance(found, str):
        return pin, (Event(EventType.WARNING, Reason.RequestRefused, found),)
    message = f"{found} was asked for; it runs until version or template change"
    event = Event(EventType.NORMAL, Reason.RollbackRequested, message)
    return _pin(found, history, REQUEST, message), (event,)


def _find_requested(request: Request, history: History, running: Revision | None) -> Revision | str:
    """Returns the revision that is asked for, or why there is none."""
    if request.verb != "rollback":
        return f"there is no {request.verb!r}; allowed is rollback, or rollback/ and a revision"
    if request.step:
        return history.find_named(request.step) or _describe_unknown(request.step, history)
    others = [r for r in history.revisions if r.outcome == HEALTHY and r != running]
    others.sort(key=lambda r: running is not None and r.number > running.number)  # older ones first
    return others[0] if others else f"no other revision was healthy; kept are {history.tell()}"


def _pin(found: Revision, history: History, by: str, message: str) -> Pin | None:
    if found == history.desired:
        return None
    return Pin(found.id, history.desired.id, by, Reason.RollbackRequested, message)


def _describe_unknown(name: str, history: History) -> str:
    return cut(f"there is no version or revision {name}; kept are {history.tell()}", _MAX_NAMED)
