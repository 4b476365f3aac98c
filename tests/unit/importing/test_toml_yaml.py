"""TOML and YAML: places of values, and bad input told with line and column."""

import pytest

from vapora.importing.reading.places import Place, Refused
from vapora.importing.reading.toml_file import parse_toml
from vapora.importing.reading.yaml_file import MAX_NODES, MAX_TEXT, parse_yaml

BAD_TOML = {
    "a list of dashes, with the corrected form": (
        '[taskserv]\nname = "a"\n\n[dependencies]\n- "db"   # Must exist\n- queue\n- "cache" # Optional, for speed\n',
        "f.toml:5:3: error: a list of dashes is YAML, not TOML; found '- \"db\"   # Must exist'. Write instead:\n"
        '    [dependencies]\n    required = ["db", "queue"]\n    optional = ["cache"]',
    ),
    "a text that is not closed": ('a = "b\n', "f.toml:1:7: error: Illegal character '\\n'; found 'a = \"b'"),
    "a name that stands twice": ("a = 1\na = 2\n", "f.toml:2:6: error: Cannot overwrite a value; found 'a = 2'"),
    "an end too early": ("a = [1,\n", "f.toml:1:1: error:"),
    "a date out of range": ("a = 2026-13-01\n", "f.toml:1:"),
}


@pytest.mark.parametrize(("source", "told"), BAD_TOML.values(), ids=BAD_TOML.keys())
def test_toml_is_refused_with_the_place(source: str, told: str) -> None:
    with pytest.raises(Refused) as problem:
        parse_toml(source, "f.toml")
    assert str(problem.value).startswith(told)


def test_toml_knows_where_its_values_stand() -> None:
    document = parse_toml('[a]\nb = 1\n\n[[c]]\nd = 1\n[[c]]\n  "e.f" = 2\n[g.h]\ni.j = 3\n', "f.toml")
    places = {("a", "b"): (2, 1), ("c", 1, "e.f"): (7, 3), ("g", "h", "i", "j"): (9, 1), ("g", "h", "i", "k"): (8, 1)}
    assert {path: document.place(*path) for path in places} == {
        path: Place("f.toml", *place) for path, place in places.items()
    }


BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
)
BAD_YAML = {
    "aliases that unfold without end": (BOMB, f"it holds more than {MAX_NODES} values, each alias counted"),
    "an alias inside what it names": ("a: &a\n  b: *a\n", "f.yaml:1:4: error: an alias stands inside what it names"),
    "an object of another language": (
        "a: !!python/object:os.system {}\n",
        "f.yaml:1:4: error: found the tag tag:yaml.org,2002:python/object",
    ),
    "a name that stands twice": ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: 'a' stands twice"),
    "a number as a name": ("1: a\n", "f.yaml:1:1: error: found '1' as a name; allowed is text"),
    "a tab": ("a:\n\tb: 1\n", "f.yaml:2:1: error: it is no YAML: found character '\\t'"),
    "a list": ("- a\n", "f.yaml:1:1: error: found a list; allowed is a mapping"),
    "a text that nobody wrote": ("a: x\n" * 200_000, f"it has 1000000 characters; YAML has at most {MAX_TEXT}"),
    "brackets without end": ("a: " + "[" * 2000, "f.yaml"),
}


@pytest.mark.parametrize(("source", "told"), BAD_YAML.values(), ids=BAD_YAML.keys())
def test_yaml_is_refused_with_the_place(source: str, told: str) -> None:
    with pytest.raises(Refused) as problem:
        parse_yaml(source, "f.yaml")
    assert told in str(problem.value)


def test_yaml_knows_where_its_values_stand_and_leaves_dates_as_text() -> None:
    first, second = parse_yaml("a:\n  - b: 2026-01-02\n  - {c: 1, ...}\n---\n---\nd: 1\n", "f.yaml")
    assert first.value == {"a": [{"b": "2026-01-02"}, {"c": 1, "...": None}]}
    assert first.place("a", 1, "...") == Place("f.yaml", 3, 12)
    assert (second.value, second.place("d")) == ({"d": 1}, Place("f.yaml", 6, 1))
