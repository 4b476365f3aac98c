"""The trace that a run has with everybody who works for it, in the form of the W3C Trace Context."""

from __future__ import annotations

import hashlib


def build_traceparent(uid: str, effect: str) -> str:
    """Returns the same trace for all of a run, and in it a span for each effect: nothing has to be remembered."""
    return f"00-{build_trace_id(uid)}-{hashlib.sha256(effect.encode()).hexdigest()[:16]}-01"


def build_trace_id(uid: str) -> str:
    """Returns the id of the trace of a run."""
    return hashlib.sha256(uid.encode()).hexdigest()[:32]
