"""What runs between a store and the copy of it in this process: changes out, changes in, and what when it is away.

connected      changes go to and fro, many times a second
away           the store does not answer: everything goes on here; tried again, ever more slowly
catching up    it is back: what it may have lost is given back, and what it has missed is sent
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from omniroute.state.replica import Replica
from omniroute.state.shelf import Shelf
from omniroute.state.store import Change, News, Store, StoreAway, StoreUnusable

log = logging.getLogger("omniroute")

BATCH = 500
"""Changes sent at once."""
REST = 0.05
"""Seconds between two exchanges that send something: what comes in between goes together."""
PATIENCE = 6.0
"""Seconds before a store that does not answer counts as away."""
START = 2.0
"""Seconds that a start waits for the store."""
END = 2.0
"""Seconds that a stop waits for it."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds until it is tried again, doubling."""

Standing = Literal["connected", "away", "catching up"]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How it is with the store. `since` is epoch seconds; `behind` how many changes it has yet to get."""

    kind: str
    state: Standing
    since: float
    behind: int
    why: str = ""


class Link:
    """`start`, then `stop`. One task, which ends with the gateway."""

    def __init__(
        self,
        store: Store,
        replica: Replica,
        shelf: Shelf,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._replica = replica
        self._shelf = shelf
        self._clock = clock
        self._state: Standing = "away"
        self._since = clock()
        self._why = "not reached yet"
        self._told = False
        """Whether the log has been told how it is."""
        self._life = self._run_of_server = ""
        self._cursor = 0
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._pause = FIRST_PAUSE
        self._task: asyncio.Task[None] | None = None

    @property
    def health(self) -> StoreHealth:
        behind = self._replica.behind + self._shelf.behind
        return StoreHealth(self._store.kind, self._state, self._since, behind, self._why)

    async def start(self) -> None:
        """Until what the store holds is here, or it is clear that it takes too long. Raises `StoreUnusable`."""
        self._shelf.attach(
            self._store,
            here=lambda: self._state != "away",
            failed=lambda why: self._away(why or "no answer"),
            due=self._woken.set,
        )
        self._replica.share(self._woken.set)
        try:
            async with asyncio.timeout(START):
                await self._catch_up()
            self._set("connected")
        except StoreUnusable:
            self._shelf.detach()
            await self._store.close()
            raise
        except (StoreAway, TimeoutError) as error:
            self._away(str(error) or f"no answer within {START:g} s")
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"store-{self._store.kind}")

    async def stop(self) -> None:
        """Send what is left, and let go of the store."""
        self._stop.set()
        self._woken.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=END)
            if not done:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
        left = self.health.behind
        if left:
            log.warning("the store (%s) did not get %d changes", self._store.kind, left)
        self._shelf.detach()
        try:
            async with asyncio.timeout(END):
                await self._store.close()
        except (StoreAway, TimeoutError) as error:
            log.warning("the store (%s) was not closed: %s", self._store.kind, error)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        while not (self._stop.is_set() and (self._state == "away" or not self.health.behind)):
            try:
                await self._turn()
            except (StoreAway, StoreUnusable, TimeoutError) as error:
                self._away(str(error) or "no answer")
            except Exception as error:
                # The store may be a plugin, and state must go on whatever it does.
                log.exception("the store (%s) failed", self._store.kind)
                self._away(type(error).__name__)

    async def _turn(self) -> None:
        if self._state == "away":
            if await self._happens(self._stop, self._pause):
                return
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            await self._catch_up()
            return
        sent = await self._exchange_and_hear()
        async with asyncio.timeout(PATIENCE):
            more = await self._shelf.carry_over()
        if sent == BATCH or more:
            return
        self._set("connected")
        if not self._stop.is_set():
            await self._rest(sent)

    async def _rest(self, sent: int) -> None:
        """Until there is something to send, or it is time to look what others did."""
        if sent:
            await asyncio.sleep(REST)
        if not self._replica.behind:
            await self._happens(self._woken, self._store.pace)

    async def _happens(self, event: asyncio.Event, seconds: float) -> bool:
        """Whether it does within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False

    async def _exchange_and_hear(self) -> int:
        """How much was sent."""
        self._woken.clear()
        writes = self._replica.take(BATCH)
        news = await self._exchange(writes, self._cursor)
        if not self._is_same(news):
            self._replica.acknowledge(writes, set())
            await self._start_over(news)
            return len(writes)
        if news.gap:
            self._replica.acknowledge(writes, set())
            await self._load(whole=True)
            return len(writes)
        self._take_in(news, writes)
        while news.more:
            news = await self._exchange([], self._cursor)
            self._take_in(news, [])
        return len(writes)

    def _take_in(self, news: News, writes: list[Change]) -> None:
        dropped = self._replica.hear(news.changes)
        self._replica.acknowledge(writes, dropped)
        self._cursor = news.cursor

    async def _exchange(self, writes: list[Change], since: int) -> News:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._store.exchange(self._replica.origin, writes, since)
        except BaseException:
            self._replica.give_back(writes)
            raise

    # ── coming back ──────────────────────────────────────────────────────────────────────────────

    async def _catch_up(self) -> None:
        """Find out whether the store is the one that we know, and send what it has missed."""
        news = await self._exchange([], self._cursor)
        self._pause = FIRST_PAUSE
        if self._life:
            self._set("catching up")
        if not self._is_same(news):
            await self._start_over(news)
        elif news.gap:
            await self._load(whole=True)
        else:
            self._take_in(news, [])

    def _is_same(self, news: News) -> bool:
        """Whether nothing can have been lost since we heard from it."""
        return (news.life, news.run) == (self._life, self._run_of_server)

    async def _start_over(self, news: News) -> None:
        """The store is new to us, or may have lost something: hear what others did meanwhile, load what it holds, and
        give back what we know."""
        first, reborn = not self._life, news.life != self._life
        if not first:
            log.warning(
                "the store (%s) was started anew: what it may have lost is given back", self._store.kind
            )
            await self._hear_from(0 if reborn else self._cursor)
        await self._load(whole=False)
        if not first:
            known = self._replica.known()
            while some := list(islice(known, BATCH)):
                await self._exchange_known(some)
        self._replica.tell_all()
        self._life, self._run_of_server = news.life, news.run

    async def _hear_from(self, cursor: int) -> None:
        more = True
        while more:
            news = await self._exchange([], cursor)
            self._replica.hear(news.changes)
            cursor, more = news.cursor, news.more

    async def _exchange_known(self, changes: list[Change]) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._store.exchange(self._replica.origin, changes, self._cursor)

    async def _load(self, *, whole: bool) -> None:
        async with asyncio.timeout(PATIENCE * 4):
            news = await self._store.load()
        for start in range(0, len(news.changes), BATCH):
            self._replica.hear(news.changes[start : start + BATCH])
            await asyncio.sleep(0)  # requests go on in between
        if whole:
            self._replica.hear_rest({change.key for change in news.changes})
        self._cursor = news.cursor

    # ── how it is ────────────────────────────────────────────────────────────────────────────────

    def _away(self, why: str) -> None:
        if self._state != "away" or self._why != why:
            self._set("away", why)

    def _set(self, state: Standing, why: str = "") -> None:
        before, self._state, self._why = self._state, state, why
        if state == before and self._told:
            return
        self._since, self._told = self._clock(), True
        if state == "away":
            log.error("the store (%s) is away, going on without it: %s", self._store.kind, why)
        else:
            log.info("the store (%s) is %s", self._store.kind, state)
