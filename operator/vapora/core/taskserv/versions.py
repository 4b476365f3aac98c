"""Conditions on versions, such as `>=1.2,<2`."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version


def find_condition_problem(condition: str) -> str:
    """Says what is wrong with a condition; empty where nothing is."""
    try:
        SpecifierSet(condition)
    except InvalidSpecifier:
        return f"{condition!r} is no condition on a version: allowed are such as >=1.2 and >=1.2,<2"
    return ""


def find_mismatch(condition: str, version: str) -> str:
    """Says why a version is not good enough; empty where it is."""
    if not version:
        return f"says no version, {condition} is needed"
    try:
        found = Version(version)
    except InvalidVersion:
        return f"version {version} cannot be compared with {condition}"
    if SpecifierSet(condition).contains(found, prereleases=True):
        return ""
    return f"version {version}, {condition} is needed"
