"""Circuit breakers: an outside system that fails again and again is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass

from vapora.controller.ports import Clock

FAILURES = 5  # in a row
REST = 30.0  # seconds


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    rests_until: float = 0.0
    problem: str = ""


class Breakers:
    """Keeps one circuit for each system, whose name is whatever tells it apart.

    A system that failed five times in a row rests for 30 seconds; after them one call is let through, and the others
    follow once that has succeeded.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    def admit(self, system: str) -> bool:
        """Returns whether a system may be asked now; who is admitted says afterwards what came of it."""
        circuit, now = self._circuits.get(system), self._clock.monotonic()
        if circuit is None or circuit.failures < FAILURES:
            return True
        if now < circuit.rests_until:
            return False
        circuit.rests_until = now + REST
        return True

    def succeeded(self, system: str) -> None:
        """Forgets all former failures."""
        self._circuits.pop(system, None)

    def failed(self, system: str, problem: str) -> None:
        """Counts a failure."""
        circuit = self._circuits.setdefault(system, _Circuit())
        circuit.failures += 1
        circuit.problem, circuit.rests_until = problem, self._clock.monotonic() + REST

    def describe(self, system: str) -> str:
        """Says what was wrong last, and from five failures on that the system rests; empty where all is well."""
        circuit = self._circuits.get(system, _Circuit())
        rests = f"; after {FAILURES} failures it is asked every {REST:.0f} s" if circuit.failures >= FAILURES else ""
        return circuit.problem + rests

    def forget_unused(self, systems: frozenset[str]) -> None:
        """Forgets the systems that nobody asks any more."""
        for system in self._circuits.keys() - systems:
            del self._circuits[system]
