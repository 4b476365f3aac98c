"""Reading a definition file as text, of a size that a person may have written."""

from __future__ import annotations

from pathlib import Path

from vapora.importing.reading.places import Place, refuse

MAX_BYTES = 4 * 1024 * 1024


def read_text(path: Path, shown: str) -> str:
    """Returns the text of a file; raises Refused where it is too large, unreadable or no UTF-8."""
    place = Place(shown)
    try:
        with path.open("rb") as file:
            payload = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise refuse(place, f"it cannot be read: {problem.strerror}") from problem
    if len(payload) > MAX_BYTES:
        size = path.stat().st_size
        raise refuse(place, f"it has {size} bytes; a definition file has at most {MAX_BYTES}")
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = payload.count(b"\n", 0, problem.start) + 1
        column = problem.start - payload.rfind(b"\n", 0, problem.start)
        found = payload[problem.start]
        raise refuse(Place(shown, line, column), f"found the byte 0x{found:02x}; allowed is UTF-8 text") from problem
