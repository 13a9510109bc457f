"""What a request cost, from tokens and prices."""

from __future__ import annotations

from omniroute.config.settings import Price
from omniroute.wire.conversation import Usage


def cost_of(usage: Usage, price: Price) -> float:
    """US dollars. What is cached, written, thought or spoken is a part of the totals and never charged twice."""
    return (_of_prompt(usage, price) + _of_answer(usage, price)) / 1_000_000


def _of_prompt(usage: Usage, price: Price) -> float:
    """Millionths of a dollar. What is not billed is the beginning of the prompt, which is what caches hold first; sound
    is told of the whole prompt only, and taken for the part that was not cached."""
    cached = max(0, usage.cached - usage.unbilled_input)
    written = usage.cache_write + usage.cache_write_1h
    plain = max(0, usage.input - usage.unbilled_input - cached - written)
    heard = min(usage.audio_input, plain)
    write = _or(price.cache_write, price.input)
    return (
        (plain - heard) * price.input
        + heard * _or(price.audio_input, price.input)
        + cached * _or(price.cached, price.input)
        + usage.cache_write * write
        + usage.cache_write_1h * _or(price.cache_write_1h, write)
    )


def _of_answer(usage: Usage, price: Price) -> float:
    """Millionths of a dollar."""
    billed = max(0, usage.output - usage.unbilled_output)
    thought = min(usage.reasoning, billed)
    spoken = min(usage.audio_output, billed - thought)
    return (
        (billed - thought - spoken) * price.output
        + thought * _or(price.reasoning, price.output)
        + spoken * _or(price.audio_output, price.output)
    )


def _or(price: float | None, other: float) -> float:
    return other if price is None else price


def estimated_cost(price: Price | None, free: bool, tokens: int, cached: float, output: int) -> float | None:
    """US dollars for a prompt of so many tokens, a share of which (0 to 1) comes from the provider's cache, and an
    answer of so many; None when the price is not known."""
    if price is None:
        return 0.0 if free else None
    return cost_of(Usage(input=tokens, cached=round(tokens * cached), output=output), price)
