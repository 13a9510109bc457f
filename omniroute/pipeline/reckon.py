"""What an exchange used and cost, written down when it is over."""

from __future__ import annotations

from omniroute.pipeline.estimate import estimate
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.routing.cost import cost_of


def reckon(exchange: Exchange, reply: Reply) -> None:
    """Once: an answer that several share is reckoned by the twin that made it, and charged to one of them."""
    if exchange.reckoned:
        return
    exchange.reckoned = True
    guess = estimate(exchange, reply)
    if guess is not None:
        exchange.usage, exchange.estimated = guess, True
    target = exchange.target
    if exchange.usage is not None and target is not None and target.facts.price is not None:
        exchange.cost = cost_of(exchange.usage, target.facts.price)
    if exchange.cost_of_lost:
        exchange.cost = (exchange.cost or 0.0) + exchange.cost_of_lost
