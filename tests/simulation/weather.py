"""The faults that strike a run: a new one is an entry of a table, and a method of Strikes where it acts by itself."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.chance import pick

from vapora.controller.ports import ApiError, Conflict
from vapora.core.agentpool.broker import BrokerUnavailable

CLEARS_UP = 30.0  # seconds after which nothing strikes any more, so that everything must come to its end


@dataclass(frozen=True, slots=True)
class Fault:
    """Is one fault: how likely a seed has it, and whether the run must end as if it had not been.

    With a `rate` it strikes that part of the requests, else at up to three moments.
    """

    share: float
    is_disturbance: bool = True
    rate: float = 0.0


# Instead of the answer to a request, before or after it took effect.
REQUESTS: Mapping[str, Fault] = {
    "conflict": Fault(0.15, rate=0.1),
    "too many requests": Fault(0.1, rate=0.05),
    "server error": Fault(0.15, rate=0.05),
    "reset before": Fault(0.1, rate=0.05),
    "reset after": Fault(0.2, rate=0.1),
    "killed before": Fault(0.15, rate=0.02),
    "killed after": Fault(0.2, rate=0.03),
    "slow": Fault(0.1, rate=0.05),
}
# Of themselves; each is the method `<name>` of Strikes.
MOMENTS: Mapping[str, Fault] = {
    "watch_lost": Fault(0.2),
    "watch_late": Fault(0.2),
    "watch_silent": Fault(0.06, is_disturbance=False),
    "killed": Fault(0.15),
    "stopped": Fault(0.1),
    "usurped": Fault(0.08),
    "broker_away": Fault(0.15),
    "graph_away": Fault(0.12),
    "acks_lost": Fault(0.1),
    "clock_forward": Fault(0.04, is_disturbance=False),
    "clock_back": Fault(0.05, is_disturbance=False),
    "cancelled": Fault(0.05, is_disturbance=False),
    "ended_early": Fault(0.04, is_disturbance=False),
    "terminated": Fault(0.04, is_disturbance=False),
    "rollback_asked": Fault(0.05, is_disturbance=False),
    "paused": Fault(0.06, is_disturbance=False),
    "deleted": Fault(0.05, is_disturbance=False),
    "child_deleted": Fault(0.1, is_disturbance=False),
    "rival": Fault(0.06, is_disturbance=False),
    "deadline": Fault(0.05, is_disturbance=False),
    "spec_edited": Fault(0.05),
    "template_edited": Fault(0.05),
}
# What is asked of a run that has ended.
AGAIN: Mapping[str, float] = {"retry": 0.05, "retry/step": 0.05, "rollback": 0.04}


@dataclass(slots=True)
class Weather:
    """Is what a seed has in store: faults of requests, and moments at which others strike."""

    requests: list[tuple[str, float]]
    moments: list[tuple[float, str]]
    again: str = ""

    @property
    def is_harmless(self) -> bool:
        """Says whether the run must end as if nothing had struck."""
        return all(MOMENTS[name].is_disturbance for _, name in self.moments) and not self.again

    @property
    def is_clear(self) -> bool:
        return not self.requests and not self.moments and not self.again


def draw_weather(chance: random.Random) -> Weather:
    requests = [(name, fault.rate) for name, fault in REQUESTS.items() if chance.random() < fault.share]
    moments = []
    for name, fault in MOMENTS.items():
        if chance.random() < fault.share:
            times = 1 if not fault.is_disturbance else chance.randint(1, 3)
            moments += [(chance.random() ** 2 * 20, name) for _ in range(times)]
    again = pick({**AGAIN, "": 1 - sum(AGAIN.values())}, chance.random())
    return Weather(requests, sorted(moments), again)


def is_write(verb: str) -> bool:
    return verb not in {"get", "list", "read"}


def raise_refusal(name: str, verb: str, kind: str) -> None:
    """Raises what a caller sees of a fault, where it may meet this request."""
    if kind == "broker":
        if name in {"server error", "reset before", "reset after"}:
            raise BrokerUnavailable("no answer")
        return
    if kind == "outside":
        return  # it answers as fate says
    make = _REFUSALS.get(name)
    if make is not None and (name != "conflict" or verb.startswith("patch")):
        raise make()


_REFUSALS: Mapping[str, Callable[[], ApiError]] = {
    "conflict": lambda: Conflict("the object changed", status=409, reason="Conflict"),
    "too many requests": lambda: ApiError("slow down", status=429, reason="TooManyRequests", retry_after=1.0),
    "server error": lambda: ApiError("it broke", status=500, reason="InternalError"),
    "reset before": lambda: ApiError("no answer", reason="NoAnswer"),
    "reset after": lambda: ApiError("no answer", reason="NoAnswer"),
}
