"""What a task is given beside its work, money and a language model; it stands in the status with its pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vapora.core.views import number, text


@dataclass(frozen=True, slots=True)
class Grant:
    """Is what is reserved for a task, what it may cost at most, and which provider it uses and why; empty for none."""

    reserved: int = 0
    budget_cents: int | None = None
    provider: str = ""
    model: str = ""
    reason: str = ""


def encode_grant(grant: Grant) -> dict[str, object]:
    """Returns what a status says of a grant."""
    return {
        "reservedCents": grant.reserved,
        "budgetCents": grant.budget_cents,
        "provider": grant.provider,
        "model": grant.model,
        "providerReason": grant.reason,
    }


def decode_grant(row: Mapping[str, object]) -> Grant | None:
    """Reads a grant; None where a status does not tell of one."""
    limit = row.get("budgetCents")
    grant = Grant(
        reserved=number(row, "reservedCents"),
        budget_cents=limit if isinstance(limit, int) else None,
        provider=text(row, "provider"),
        model=text(row, "model"),
        reason=text(row, "providerReason"),
    )
    return None if grant == Grant() else grant
