"""The API reference: it tells every field, condition and reason with a sentence."""

import re
from pathlib import Path

import pytest

from vapora.api.conditiontypes import CONDITION_TYPES
from vapora.api.kinds import KINDS, Kind
from vapora.api.reasons import Reason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SOURCES = [path.read_text(encoding="utf-8") for path in (ROOT / "operator" / "vapora").rglob("*.py")]


def list_rows() -> list[list[str]]:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in PAGE.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_field_is_told_with_a_sentence() -> None:
    assert len(list_rows()) > 500
    assert [row[0] for row in list_rows() if not row[-1].rstrip(")`").endswith(".")] == []


def test_every_type_is_told_with_a_sentence() -> None:
    types = re.findall(r"^### (\w+)\n(.*)\n", PAGE.split("## Types")[1], re.MULTILINE)
    assert [name for name, sentence in types if "." not in sentence] == []


def test_every_reason_is_told_with_a_sentence() -> None:
    assert [reason for reason in Reason if not reason.meaning.endswith(".") or f"| {reason} | " not in PAGE] == []


def test_every_condition_that_the_operator_sets_is_told_with_a_sentence() -> None:
    found = {name for source in SOURCES for name in re.findall(r'\bCondition\(\s*"(\w+)"', source)}
    assert found <= set(CONDITION_TYPES)
    assert [name for name, (_, meaning) in CONDITION_TYPES.items() if not meaning.endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_names_its_conditions(kind: Kind) -> None:
    described = " ".join(str(kind.status_model.model_fields["conditions"].description).split())
    of_kind = [name for name, (kinds, _) in CONDITION_TYPES.items() if kind.name in kinds]
    assert sorted(described.rstrip(".").split(", ")) == sorted(of_kind)


def test_every_reason_of_an_event_or_a_condition_is_listed() -> None:
    pattern = r'(?:\btell\([^,]+, |\bEvent\([^,]+, |\bCondition\("\w+", "\w+", )"(\w+)"'
    said = {reason for source in SOURCES for reason in re.findall(pattern, source)}
    assert len(said) > 10
    assert said - {str(reason) for reason in Reason} == set()
