"""Durations: a number of seconds, or units such as ``1h30m``."""

import re

MAX_SECONDS = 3650 * 86400
"""The longest duration accepted, ten years: what is added to a date must stay a date."""

_NUMBER = r"[0-9]+(\.[0-9]+)?"
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_UNITS_PATTERN = "".join(f"({_NUMBER}{unit})?" for unit in _UNITS)
"""Each unit at most once, from the longest to the shortest; it also matches the empty string."""
DURATION_PATTERN = f"^([0-9]+|{_UNITS_PATTERN})$"
"""What the schema checks, beside a minimum length of 1."""

_PARSER = re.compile("".join(f"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS))
_ALLOWED = "seconds such as 300, or units in the order d, h, m, s, ms, each once, such as 1h30m or 500ms"


def parse_duration(value: object) -> float:
    """Return the seconds of a duration; ValueError says what was found and what is allowed."""
    seconds = _read_seconds(value)
    if seconds is None:
        raise ValueError(f"{value!r} is no duration: allowed are {_ALLOWED}")
    if seconds > MAX_SECONDS:
        raise ValueError(f"{value!r} is too long a duration: allowed are at most {MAX_SECONDS // 86400}d")
    return seconds


def _read_seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value) if value >= 0 else None
    if not isinstance(value, str) or not value:
        return None
    if re.fullmatch("[0-9]+", value):
        return float(value)
    match = _PARSER.fullmatch(value)
    if match is None:
        return None
    return sum(float(match[unit]) * factor for unit, factor in _UNITS.items() if match[unit])
