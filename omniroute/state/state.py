"""All state of one gateway, in one place that a reload leaves alone."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable

from omniroute.state.breaker import Breakers
from omniroute.state.cache import Cache
from omniroute.state.cooldowns import Cooldowns
from omniroute.state.health import Health
from omniroute.state.learned import Learned
from omniroute.state.limits import LimitBook
from omniroute.state.link import Link, StoreHealth
from omniroute.state.quota import Ledger
from omniroute.state.replica import Replica
from omniroute.state.responses import ResponseStore
from omniroute.state.rotation import Rotation
from omniroute.state.shared import Shared
from omniroute.state.shelf import Shelf
from omniroute.state.store import Store
from omniroute.state.transitions import Transitions


class State:
    """`clock` gives epoch seconds; `dice` is the source of chance. Tests hand in their own.

    `shared` is for what is read on every request, `blobs` for large values that are looked up one by one.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        dice: random.Random | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.clock = clock
        self._began = clock()
        self.gateway = secrets.token_hex(6)
        """What tells this process from the others that share a store."""
        self._replica = Replica(clock, self.gateway)
        self._link: Link | None = None
        self.shared: Shared = shared if shared is not None else self._replica
        self.blobs = Shelf(clock)
        self.dice = dice if dice is not None else random.Random()
        self.transitions = Transitions(clock)
        self.breakers = Breakers(clock, self.shared, self.transitions)
        self.limits = LimitBook(clock, self.shared, self.gateway)
        self.learned = Learned(clock)
        self.ledger = Ledger(clock, self.shared, self.transitions)
        self.cooldowns = Cooldowns(clock, self.shared)
        self.health = Health(clock)
        self.rotation = Rotation(clock, self.shared)
        self.responses = ResponseStore(clock, self.blobs, self.shared)
        self.cache = Cache(clock, self.blobs, self.shared)

    async def open(self, store: Store) -> None:
        """Take over what a store holds, and share with the others from now on. Raises `StoreUnusable`."""
        if store.alone:
            return
        self._link = Link(store, self._replica, self.blobs, self.clock)
        await self._link.start()

    async def close(self) -> None:
        """Let the store have the last of it."""
        if self._link is not None:
            await self._link.stop()

    @property
    def store(self) -> StoreHealth:
        """How it is with the store."""
        if self._link is None:
            return StoreHealth("memory", "connected", self._began, 0)
        return self._link.health
