"""What a request cost, from tokens and prices."""

from __future__ import annotations

from omniroute.config.settings import Price
from omniroute.wire.conversation import Usage


def cost_of(usage: Usage, price: Price) -> float:
    """US dollars. Cached, written and reasoning tokens are parts of the totals and are never charged twice."""
    plain_input = usage.input - usage.cached - usage.cache_write - usage.cache_write_1h
    write = price.cache_write if price.cache_write is not None else price.input
    millionths = (
        max(0, plain_input) * price.input
        + usage.cached * (price.cached if price.cached is not None else price.input)
        + usage.cache_write * write
        + usage.cache_write_1h * (price.cache_write_1h if price.cache_write_1h is not None else write)
        + max(0, usage.output - usage.reasoning) * price.output
        + usage.reasoning * (price.reasoning if price.reasoning is not None else price.output)
    )
    return millionths / 1_000_000


def estimated_cost(price: Price | None, free: bool, tokens: int, cached: float, output: int) -> float | None:
    """US dollars for a prompt of so many tokens, a share of which (0 to 1) comes from the provider's cache, and an
    answer of so many; None when the price is not known."""
    if price is None:
        return 0.0 if free else None
    return cost_of(Usage(input=tokens, cached=round(tokens * cached), output=output), price)
