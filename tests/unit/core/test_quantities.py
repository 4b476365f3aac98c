from decimal import Decimal

import pytest

from vapora.core.quantities import parse_quantity

CASES = {
    "a whole number": (2, "2"),
    "thousandths": ("500m", "0.5"),
    "binary multiples": ("4Gi", "4294967296"),
    "decimal multiples": ("4G", "4000000000"),
    "an exponent": ("1e3", "1000"),
    "a fraction": ("0.25", "0.25"),
}


@pytest.mark.parametrize(("written", "want"), CASES.values(), ids=CASES.keys())
def test_read(written: int | str, want: str) -> None:
    assert parse_quantity(written) == Decimal(want)


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="'much' is no quantity"):
        parse_quantity("much")
