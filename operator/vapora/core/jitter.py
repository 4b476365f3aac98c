"""Chance that a pure function may use: drawn from a seed, so that the same question has the same answer."""

from __future__ import annotations

import hashlib


def draw(seed: str) -> float:
    """Returns a number in 0..1, 1 not included, evenly spread over seeds."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") / 2.0**64
