"""Quantities as Kubernetes writes them: 500m, 2, 4Gi."""

from __future__ import annotations

from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate(("K", "M", "G", "T", "P", "E"), 1)},
}


def parse_quantity(value: int | str) -> Decimal:
    """Reads a quantity, in units; raises ValueError for what is none."""
    text = str(value)
    suffix = next((end for end in (text[-2:], text[-1:]) if end in _SUFFIXES), "")
    try:
        return Decimal(text.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
    except ArithmeticError as problem:
        raise ValueError(f"{text!r} is no quantity: allowed are such as 500m, 2, 4Gi") from problem
