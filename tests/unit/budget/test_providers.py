"""The provider of a task: the best for its price, and the cheapest where money is short."""

import pytest

from vapora.api.agentpool import ModelProvider
from vapora.core.budget.providers import choose_provider, estimate_cents, rank_provider
from vapora.core.budget.spending import Tier


def provider(name: str, quality: float = 0.5, price: tuple[float, float] = (0, 0)) -> ModelProvider:
    read, written = price
    return ModelProvider.model_validate(
        {
            "name": name,
            "model": f"{name}-1",
            "quality": quality,
            "centsPerMillionTokens": {"input": read, "output": written},
        }
    )


STRONG = provider("strong", 0.95, (2500, 10_000))
SMALL = provider("small", 0.8, (15, 60))
FREE = provider("free", 0.3)


def test_a_rank_is_quality_by_the_cents_of_a_task() -> None:
    assert estimate_cents(STRONG, 4000) == pytest.approx(17.5)  # 3,000 tokens read, 1,000 written
    assert rank_provider(STRONG, 4000) == pytest.approx(95 / 18.5)
    assert rank_provider(FREE, 4000) == 30


CHOICES = {
    "the best for its price": ((STRONG, SMALL, FREE), Tier.NORMAL, 4000, "small"),
    "with few tokens quality decides": ((STRONG, SMALL, FREE), Tier.NORMAL, 10, "strong"),
    "with very many what is free": ((STRONG, SMALL, FREE), Tier.NORMAL, 10_000_000, "free"),
    "the cheapest where money is short": ((STRONG, SMALL, FREE), Tier.CHEAPER, 4000, "free"),
    "of equally cheap ones the better": ((provider("a", 0.1), provider("b", 0.9)), Tier.CHEAPER, 4000, "b"),
    "of equals the first by name": ((provider("b"), provider("a")), Tier.NORMAL, 4000, "a"),
    "the only one": ((STRONG,), Tier.CHEAPER, 4000, "strong"),
}


@pytest.mark.parametrize(("providers", "tier", "tokens", "want"), CHOICES.values(), ids=CHOICES)
def test_choices(providers: tuple[ModelProvider, ...], tier: Tier, tokens: float, want: str) -> None:
    chosen = choose_provider(providers, tier, "has spent much", tokens)
    assert chosen is not None
    assert (chosen.name, chosen.model) == (want, f"{want}-1")


def test_a_pool_without_providers_has_none_to_choose() -> None:
    assert choose_provider((), Tier.CHEAPER) is None


def test_the_reason_says_what_decided() -> None:
    best = choose_provider((STRONG, SMALL), Tier.NORMAL)
    assert best is not None
    assert (
        best.reason == "small ranks highest by quality and price: about 0.105 cents a task, 72.4, next strong with 5.1"
    )
    cheap = choose_provider((STRONG, SMALL), Tier.CHEAPER, "has spent 85 of 100 cents this week")
    assert cheap is not None
    words = "small is the cheapest, about 0.105 cents a task, as the pool has spent 85 of 100 cents this week"
    assert cheap.reason == words
