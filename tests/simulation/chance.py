"""Chance that can be repeated: streams of random numbers, each named after what it decides."""

import hashlib
import random
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, name: str) -> random.Random:
    """Makes the stream of random numbers for one purpose, which others cannot shift."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest))


def pick(weights: Mapping[T, float], where: float) -> T:
    """Returns the one that lies at `where`, from 0 to 1, of all weights laid end to end."""
    left = where * sum(weights.values())
    for what, weight in weights.items():
        left -= weight
        if left < 0:
            return what
    return next(reversed(list(weights)))


def point(seed: int, *parts: object) -> float:
    """Returns a number from 0 to 1 that depends on the seed and the parts alone."""
    words = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=7).digest()) / 2.0**56
