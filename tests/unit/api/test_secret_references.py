"""References to Secrets in environment values."""

import json
from pathlib import Path

import pytest

from vapora.api.secrets import parse_secret_reference

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "secret_references.json").read_text())["cases"]


@pytest.mark.parametrize(("value", "want"), CASES, ids=repr)
def test_a_value_is_a_reference_plain_or_refused(value: str, want: dict[str, dict[str, str]] | None) -> None:
    if want is None:
        with pytest.raises(ValueError, match="allowed is secret:<name>:<key>"):
            parse_secret_reference(value)
        return
    reference = parse_secret_reference(value)
    assert (reference and reference._asdict()) == want.get("secretKeyRef")
