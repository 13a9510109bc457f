"""A plan in heats: most of one target, some of several that are asked at once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from omniroute.pipeline.exchange import ALL_LANES
from omniroute.routing.directory import Combo, Member
from omniroute.routing.plan import Step


class Heat(NamedTuple):
    """What is asked together, at most so many `at_once`: each step with the lane of its accounts that is for it."""

    at_once: int
    lanes: list[tuple[Step, slice]]


def heat_of(steps: deque[Step], *, racing: bool) -> Heat:
    """Take the next heat from the front of `steps`, which are not empty; of one step where nothing is worth `racing`.

    The members of a combo that races are one heat, as far as its strategy lets them run together; so are the accounts of
    a provider that does, each in a lane of its own.
    """
    first = steps.popleft()
    if not racing or (not first.path and first.target.provider.strategy.at_once == 1):
        return Heat(1, [(first, ALL_LANES)])
    found = _racing(first)
    if found is None:
        return _accounts(first)
    combo, member = found
    heat = [first]
    while steps and (other := _racing(steps[0])) is not None:
        if other[0] is not combo or not combo.strategy.together(member, other[1]):
            break
        heat.append(steps.popleft())
    return Heat(min(combo.strategy.at_once, len(heat)), [(step, ALL_LANES) for step in heat])


def _racing(step: Step) -> tuple[Combo, Member] | None:
    return next((place for place in step.path if place[0].strategy.at_once > 1), None)


def _accounts(step: Step) -> Heat:
    provider = step.target.provider
    at_once = provider.strategy.at_once
    if at_once > 1:
        at_once = min(at_once, sum(account.inactive is None for account in provider.accounts))
    if at_once <= 1:
        return Heat(1, [(step, ALL_LANES)])
    return Heat(at_once, [(step, slice(number, None, at_once)) for number in range(at_once)])
