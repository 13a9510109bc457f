"""What a strategy must offer. Strategies order the targets of a combo and the accounts of a provider alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from omniroute.routing.facts import Facts
from omniroute.state.rotation import Rotation


class Candidate(Protocol):
    """A target, a nested combo or an account."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def priority(self) -> int: ...


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Turn:
    """What an ordering may look at. `scope` names the combo or provider whose candidates are ordered."""

    scope: str
    facts: Facts
    rotation: Rotation
    dice: random.Random
    now: float


class Strategy(Protocol):
    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        """The candidates, best first. Pure: asking twice gives the same and changes nothing."""
        ...

    def taken(self, name: str, turn: Turn) -> None:
        """A request now goes to `name`, whether it will be served or not: count it, remember it. Told at the start,
        so that requests that arrive together do not all go to the same one."""
        ...
