"""Which language model a task uses: the one that gives most for its price, or where money is short the cheapest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vapora.api.agentpool import ModelProvider
from vapora.core.budget.spending import Tier

TYPICAL_TOKENS = 4_000.0  # of a task, before any has told how many it took
_READ_SHARE = 0.75  # of a task's tokens; the graph keeps only how many they are together
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Is the provider of a task, and why that one."""

    name: str
    model: str
    reason: str


def choose_provider(
    providers: Sequence[ModelProvider], tier: Tier, why: str = "", tokens: float = TYPICAL_TOKENS
) -> Chosen | None:
    """Chooses among a pool's providers for a task of so many tokens; None where it has none."""
    if not providers:
        return None
    by_rank = sorted(providers, key=lambda provider: (-rank_provider(provider, tokens), provider.name))
    by_price = sorted(by_rank, key=lambda provider: estimate_cents(provider, tokens))
    best = by_price[0] if tier is Tier.CHEAPER else by_rank[0]
    return Chosen(best.name, best.model or "", _explain(best, by_rank, tier, why, tokens))


def rank_provider(provider: ModelProvider, tokens: float = TYPICAL_TOKENS) -> float:
    """Returns `quality * 100 / (cents + 1)`, the cents being those of a task of so many tokens."""
    return provider.quality * 100 / (estimate_cents(provider, tokens) + 1)


def estimate_cents(provider: ModelProvider, tokens: float) -> float:
    """Returns what so many tokens cost at a provider."""
    price = provider.cents_per_million_tokens
    return tokens * (_READ_SHARE * price.input + (1 - _READ_SHARE) * price.output) / _MILLION


def _explain(best: ModelProvider, by_rank: Sequence[ModelProvider], tier: Tier, why: str, tokens: float) -> str:
    if len(by_rank) == 1:
        return f"{best.name} is the pool's only provider"
    cents = f"about {estimate_cents(best, tokens):.3g} cents a task"
    if tier is Tier.CHEAPER:
        return f"{best.name} is the cheapest, {cents}, as the pool {why}"
    other = by_rank[1]
    ranks = f"{rank_provider(best, tokens):.1f}, next {other.name} with {rank_provider(other, tokens):.1f}"
    return f"{best.name} ranks highest by quality and price: {cents}, {ranks}"
