"""The depth of a queue: a number that was read, or the reason why it could not be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A depth that was read."""

    value: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A depth that could not be read. It is not zero: nothing scales, fails or succeeds on it."""

    reason: str


Depth = Known | Unknown
