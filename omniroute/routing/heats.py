"""A plan in heats: most of one target, some of several that are asked at once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from omniroute.pipeline.exchange import ALL_LANES
from omniroute.routing.directory import Combo
from omniroute.routing.plan import Step


class Heat(NamedTuple):
    """What is asked together, at most so many `at_once`: each step with the lane of its accounts that is for it."""

    at_once: int
    lanes: list[tuple[Step, slice]]


def heat_of(steps: deque[Step]) -> Heat:
    """Take the next heat from the front of `steps`, which are not empty.

    The members of a combo that races are one heat; so are the accounts of a provider that does, each in a lane of its
    own.
    """
    first = steps.popleft()
    racing = _racing(first)
    if racing is None:
        return _accounts(first)
    heat = [first]
    while steps and _racing(steps[0]) is racing:
        heat.append(steps.popleft())
    return Heat(min(racing.strategy.at_once, len(heat)), [(step, ALL_LANES) for step in heat])


def _racing(step: Step) -> Combo | None:
    return next((combo for combo, _ in step.path if combo.strategy.at_once > 1), None)


def _accounts(step: Step) -> Heat:
    provider = step.target.provider
    at_once = provider.strategy.at_once
    if at_once > 1:
        at_once = min(at_once, sum(account.inactive is None for account in provider.accounts))
    if at_once <= 1:
        return Heat(1, [(step, ALL_LANES)])
    return Heat(at_once, [(step, slice(number, None, at_once)) for number in range(at_once)])
