"""What a strategy must offer. Strategies order the targets of a combo and the accounts of a provider alike.

A candidate is what is ordered: a member of a combo, or an account. What it leads to in the end are its leaves, targets
or accounts, and all figures are theirs: where a combo is a member of a combo, the best of its usable leaves counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TypeVar

import msgspec

from omniroute.config.settings import Price, Spec, Tier
from omniroute.declare import Options
from omniroute.routing.facts import Facts
from omniroute.state.health import Health
from omniroute.state.quota import Allowance, Ledger
from omniroute.state.rotation import Rotation

UNKNOWN = float("inf")
"""A figure that nobody knows: such a candidate goes last."""


class Leaf(Protocol):
    """A target or an account."""

    @property
    def health_id(self) -> str: ...
    @property
    def tier(self) -> Tier: ...
    @property
    def price(self) -> Price | None: ...
    @property
    def purses(self) -> Sequence[Sequence[Allowance]]:
        """The quotas of each account that it can be used with."""
        ...


class Candidate(Protocol):
    """A target, a nested combo or an account."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def priority(self) -> int: ...
    @property
    def leaves(self) -> Sequence[Leaf]:
        """What it leads to, usable or not."""
        ...


C = TypeVar("C", bound=Candidate)
Usable = Callable[[Candidate], Sequence[Leaf]]


class Turn(msgspec.Struct, frozen=True):
    """What an ordering may look at. `scope` names the combo or provider whose candidates are ordered, `usable` tells
    which leaves of a candidate can be used now (None: nobody asks)."""

    scope: str
    facts: Facts
    rotation: Rotation
    health: Health
    ledger: Ledger
    dice: random.Random
    now: float
    usable: Usable | None = None

    def is_usable(self, candidate: Candidate) -> bool:
        return self.usable is None or bool(self.usable(candidate))

    def best(self, candidate: Candidate, figure: Callable[[Leaf], float]) -> float:
        """The lowest figure of the leaves that can be used now; of all of them where none can."""
        leaves = self.usable(candidate) if self.usable is not None else ()
        return min([figure(leaf) for leaf in leaves or candidate.leaves], default=UNKNOWN)

    def left(self, leaf: Leaf) -> float:
        """The share (0 to 1) that is left of the quotas of a leaf: of those of the account that has most."""
        shares = [min([self._left(a) for a in purse], default=1.0) for purse in leaf.purses]
        return max(shares, default=1.0)

    def _left(self, allowance: Allowance) -> float:
        return self.ledger.standing(allowance, self.now).left / allowance.limit if allowance.limit else 0.0


class Strategy(Protocol):
    """`at_once` is how many candidates a request goes to at the same time."""

    @property
    def at_once(self) -> int: ...

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        """The candidates, best first. Pure: it changes nothing, and but for chance asking twice gives the same."""
        ...

    def taken(self, name: str, turn: Turn) -> None:
        """A request now goes to `name`, whether it will be served or not: count it, remember it. Told at the start,
        so that requests that arrive together do not all go to the same one."""
        ...

    def together(self, one: Candidate, other: Candidate) -> bool:
        """Whether the two may be asked at the same time, where several are."""
        ...

    def why(self, candidate: Candidate, turn: Turn) -> str:
        """The figure that gave a candidate its place, in words for `explain`; empty where there is none."""
        ...


class Ordering(Options, frozen=True, kw_only=True):
    """Base of a declared strategy. Most are what they declare; one that has another inside is built of it."""

    at_once: ClassVar[int] = 1

    def build(self, make: Callable[[Spec], Strategy]) -> Strategy:
        """The strategy at work. `make` builds the strategies that it names."""
        strategy: Strategy = self  # type: ignore[assignment]  # a subclass with `order`, or with a `build` of its own
        return strategy

    def taken(self, name: str, turn: Turn) -> None:
        """Most have nothing to remember."""

    def together(self, one: Candidate, other: Candidate) -> bool:
        return True

    def why(self, candidate: Candidate, turn: Turn) -> str:
        return ""
