"""Profiles: what a machine-learning Job of a certain size gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Is one size, of which requests and limits are the same; `shm` is the size of /dev/shm, empty without one."""

    name: str
    gpus: int
    memory: str
    cpu: str
    shm: str = ""


DEFAULT_PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("small", gpus=0, memory="4Gi", cpu="2"),
        Profile("medium", gpus=1, memory="8Gi", cpu="2", shm="2Gi"),
        Profile("large", gpus=1, memory="16Gi", cpu="4", shm="4Gi"),
        Profile("xlarge", gpus=2, memory="16Gi", cpu="4", shm="4Gi"),
        Profile("2xlarge", gpus=4, memory="64Gi", cpu="16", shm="16Gi"),
        Profile("4xlarge", gpus=8, memory="128Gi", cpu="32", shm="32Gi"),
    )
}


def pick_profile(gpus: int, *, is_heavy: bool, profiles: Mapping[str, Profile]) -> Profile:
    """Picks the smallest profile with at least that many GPUs; heavy work gets more memory than the smallest.

    More GPUs than any profile has: the largest.
    """
    by_size = sorted(profiles.values(), key=lambda profile: (profile.gpus, _bytes_order(profile), profile.name))
    enough = [profile for profile in by_size if profile.gpus >= gpus and (profile.gpus > 0) == (gpus > 0)]
    if not enough:
        return by_size[-1]
    same = [profile for profile in enough if profile.gpus == enough[0].gpus]
    return same[-1] if is_heavy else same[0]


def _bytes_order(profile: Profile) -> float:
    units = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    for unit, factor in units.items():
        if profile.memory.endswith(unit):
            return float(profile.memory.removesuffix(unit)) * factor
    return float(profile.memory)
