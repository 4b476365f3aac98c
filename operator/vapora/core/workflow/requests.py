"""What people ask of a workflow through its request annotation: `<verb>[/<step>] [<object uid>] <unique id>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

VERBS = ("pause", "resume", "cancel", "stop", "terminate", "retry", "rollback")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Request:
    """Is one request: a verb, and the step it is about where it names one."""

    verb: str
    step: str


def find_mistake(request: Request) -> str:
    """Returns what makes a request none that can ever be carried out."""
    if request.verb not in VERBS:
        return f"there is no {request.verb!r}; allowed are {', '.join(VERBS)}"
    if request.step and request.verb != "retry":
        return f"{request.verb} is of the whole workflow; only retry names a step"
    return ""


def read_request(text: str, uid: str) -> Request | None:
    """Reads the annotation; None for none, and for one that was made for another object of the same name."""
    words = text.split()
    if not words:
        return None
    verb, _, step = words[0].partition("/")
    if len(words) > 2 and _UID.fullmatch(words[1]) and words[1] != uid:  # verb, uid, id
        return None
    return Request(verb, step)


def write_request(asked: str, uid: str, unique_id: str) -> str:
    """Writes a request annotation that holds for one object only."""
    return f"{asked} {uid} {unique_id}"
