"""Lengths of time as people read them."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def describe_span(seconds: float) -> str:
    """Writes a length of time with its two largest units: 12s, 1m05s, 2h00m, 3d04h."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def describe_between(start: datetime | None, end: datetime | None) -> str:
    """Writes the time from one moment to another; empty where one of them is not known."""
    return describe_span((end - start).total_seconds()) if start and end else ""
