"""The gate between an operator and the outside: it counts the operator's writes, and strikes at a chosen one."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.cluster.process import ManagedProcess

_LONGEST_FROST = 120.0


class Side(StrEnum):
    """Whether the write takes effect before the fault strikes; the operator never gets its answer."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, order=True)
class Write:
    """One write of a run, by what it is and the how-manieth of its kind.

    A bare number would not name the same write twice: Events are sent beside the rest, in no order with it.
    """

    verb: str
    target: str
    number: int

    def __str__(self) -> str:
        return f"{self.verb} {self.target} {self.number}"


@dataclass(frozen=True, slots=True)
class Kill:
    """Ends the operator as a crash would: the one that made the write, which the gate fills in."""

    side: Side
    victim: ManagedProcess | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answers in the API server's stead; what was asked is not done."""

    status: int
    reason: str
    retry_after: int | None = None

    @property
    def side(self) -> Side:
        return Side.BEFORE


@dataclass(frozen=True, slots=True)
class Reset:
    """Breaks the connection."""

    side: Side


@dataclass(frozen=True, slots=True)
class Cut:
    """Breaks every connection to the API server, watches too, once the write has taken effect."""

    @property
    def side(self) -> Side:
        return Side.AFTER


@dataclass(frozen=True, slots=True)
class Expire:
    """Ends every watch with 410 Gone, once the write has taken effect; what exists must be listed again."""

    @property
    def side(self) -> Side:
        return Side.AFTER


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stops the operator that made the write, as a host that hangs does; the write goes its way after the thaw."""

    victim: ManagedProcess | None = None
    thawed: threading.Event = field(default_factory=threading.Event)

    @property
    def side(self) -> Side:
        return Side.BEFORE

    def thaw(self) -> None:
        """Let operator and write go on."""
        if self.victim is not None:
            self.victim.signal(signal.SIGCONT)
        self.thawed.set()


Fault = Kill | Refuse | Reset | Cut | Expire | Freeze


class Gate:
    """Counts the writes for one workflow at a time. Safe to use from any thread."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._lock = threading.Lock()
        self._workflow = ""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._faults: dict[Write, Fault] = {}
        self._struck: list[Fault] = []
        self.victim: ManagedProcess | None = None
        self.killed: list[ManagedProcess] = []

    def begin(self, workflow: str, faults: Mapping[Write, Fault]) -> None:
        """Count anew from here, for this workflow, and let each fault strike at its write."""
        with self._lock:
            self._workflow = workflow
            self._counts.clear()
            self._faults = dict(faults)
            self._struck = []
            self.killed = []

    def end(self) -> None:
        """Count no more, and let no fault strike that has not."""
        with self._lock:
            self._workflow, self._faults = "", {}

    def pass_through(self, verb: str, target: str, name: str) -> Fault | None:
        """Count a write to an object on its way, and return the fault that strikes at it.

        What is made for a workflow begins with its name; a size is set by nothing but a workflow's step.
        """
        with self._lock:
            rest = name.removeprefix(self._workflow)
            if target != "agentpools/scale" and (rest == name or (rest and rest[0] not in "-.")):
                return None
            self._counts[verb, target] += 1
            fault = self._faults.pop(Write(verb, target, self._counts[verb, target]), None)
            if isinstance(fault, Kill | Freeze):
                fault = replace(fault, victim=self.victim)
            if fault is not None:
                self._struck.append(fault)
            return fault

    def strike(self, fault: Fault) -> None:
        """Kill or stop the victim, if that is the fault, and return when it is dead or stopped."""
        if isinstance(fault, Freeze) and fault.victim is not None:
            fault.victim.signal(signal.SIGSTOP)
        if isinstance(fault, Kill) and fault.victim is not None:
            fault.victim.kill()
            fault.victim.wait(10)
            self.killed.append(fault.victim)

    @property
    def struck(self) -> list[Fault]:
        """The faults that have struck since `begin`, or are about to: their write is on its way."""
        with self._lock:
            return list(self._struck)

    @property
    def is_striking(self) -> bool:
        """Whether a kill is on its way and the victim still lives."""
        return len(self.killed) < sum(isinstance(fault, Kill) for fault in self.struck)

    @property
    def writes(self) -> list[Write]:
        """What was written since `begin`, by kind."""
        with self._lock:
            return [
                Write(verb, target, number)
                for (verb, target), count in sorted(self._counts.items())
                for number in range(1, count + 1)
            ]


async def hold(gate: Gate, fault: Freeze) -> None:
    """Stop the operator, and return at its thaw."""
    gate.strike(fault)
    await asyncio.to_thread(fault.thawed.wait, _LONGEST_FROST)
