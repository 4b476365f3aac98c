"""Kubernetes quantities as numbers, to compare and to add them."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i)?")
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
_UNITS = {
    **_SMALL,
    **{unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def parse_quantity(value: object) -> Decimal | None:
    """Returns the number that a quantity stands for; None for anything else."""
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, int | float | str) else None
    return Decimal(found[1]) * _UNITS.get(found[2] or "", Decimal(1)) if found else None
