"""Reading TOML, with the place of each key."""

from __future__ import annotations

import re
import tomllib

from vapora.importing.reading.places import Document, Path, Place, Refused, Remark, refuse

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_BULLET = re.compile(r"""\s*-\s*["']?([\w.-]+)["']?\s*(?:#\s*(.*))?$""")


def parse_toml(source: str, shown: str) -> Document:
    """Returns the document of a text of TOML; raises Refused with line and column."""
    try:
        value = tomllib.loads(source)
    except tomllib.TOMLDecodeError as problem:
        raise _explain(source, shown, str(problem)) from problem
    except RecursionError as problem:
        raise refuse(Place(shown), "its values are nested too deep") from problem
    return Document(shown, value, dict(_find_places(source, shown)))


def _explain(source: str, shown: str, said: str) -> Refused:
    at = _AT.search(said)
    lines = source.splitlines()
    line, column = (int(at[1]), int(at[2])) if at and at[1] else (max(len(lines), 1), 1)
    text = lines[line - 1] if line <= len(lines) else ""
    message = f"{_AT.sub('', said)}; found {text.strip()[:60]!r}"
    place = Place(shown, line, column)
    corrected = _correct_list(lines, line - 1) if _BULLET.match(text) else ""
    if corrected:
        message = f"a list of dashes is YAML, not TOML; found {text.strip()[:60]!r}. Write instead:\n{corrected}"
    return Refused(Remark(place, "error", message))


def _correct_list(lines: list[str], first: int) -> str:
    """Returns a block of dashed names as TOML; a comment with the word optional says which are."""
    header = next((lines[above].strip() for above in range(first - 1, -1, -1) if _TABLE.match(lines[above])), "")
    names: dict[bool, list[str]] = {True: [], False: []}
    for line in lines[first:]:
        found = _BULLET.match(line)
        if found:
            names["optional" not in (found[2] or "").lower()].append(found[1])
        elif line.strip():
            break
    written = {
        "required": ", ".join(f'"{name}"' for name in names[True]),
        "optional": ", ".join(f'"{name}"' for name in names[False]),
    }
    return "\n".join([f"    {header}", *(f"    {key} = [{value}]" for key, value in written.items() if value)])


def _find_places(source: str, shown: str) -> list[tuple[Path, Place]]:
    """Returns the places of tables and keys; entries of an array of tables are counted."""
    found: list[tuple[Path, Place]] = []
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(source.splitlines(), 1):
        column = len(line) - len(line.lstrip()) + 1
        if head := _TABLE.match(line):
            table = _split(head[1])
            if line.lstrip().startswith("[["):
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found.append((table, Place(shown, number, column)))
        elif key := _KEY.match(line):
            found.append(((*table, *_split(key[1])), Place(shown, number, column)))
    return found


def _split(key: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(key))
