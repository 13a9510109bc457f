"""How much goes to a key, provider, account or model at once and in a minute, and who waits for it.

Requests and tokens are counted over the last 60 s, so that no minute ever holds more than the limit (a fixed window
lets twice as much through around its edge, a token bucket in any minute after a pause). Waiting is first in, first
out, in turn between callers: one that sends much does not make the others wait.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from omniroute.state.shared import Heard, Shared

MINUTE = 60.0
SLICE = 0.25
"""Seconds that are counted as one: a slice is over when its youngest event is."""

HEARTBEAT = 30.0
"""Seconds after which another process that has said nothing no longer counts as running requests."""

RUNNING = "running/"
TAKEN = "taken/"


class SlidingCount:
    """An amount over the last minute."""

    __slots__ = ("_slices", "_sum")

    def __init__(self) -> None:
        self._slices: deque[list[float]] = deque()
        self._sum = 0.0

    def add(self, now: float, amount: float) -> None:
        begin = now - now % SLICE
        if self._slices and self._slices[-1][0] >= begin:
            self._slices[-1][1] += amount
        else:
            self._slices.append([begin, amount])
        self._sum += amount

    def sum(self, now: float) -> float:
        slices = self._slices
        while slices and now >= slices[0][0] + SLICE + MINUTE:
            self._sum -= slices.popleft()[1]
        if not slices:
            self._sum = 0.0
        return self._sum

    def free_at(self, now: float, limit: float, amount: float) -> float:
        """When `amount` fits below `limit`: now, or the moment when enough is a minute old. An amount larger than
        the limit fits when nothing else is there."""
        used = self.sum(now)
        if used <= 0 or used + amount <= limit:
            return now
        for begin, gone in self._slices:
            used -= gone
            if used <= 0 or used + amount <= limit:
                return begin + SLICE + MINUTE
        return now


class _Waiter:
    __slots__ = ("caller", "granted", "limit", "tokens")

    def __init__(self, limit: Limit, caller: str, tokens: int) -> None:
        self.limit = limit
        self.caller = caller
        self.tokens = tokens
        self.granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Gauge:
    """What one subject has taken, here and elsewhere, and who waits for it. Outlives a reload."""

    __slots__ = ("_book", "_timer", "elsewhere", "latest", "name", "requests", "running", "tokens", "waiting")

    def __init__(self, name: str, book: LimitBook) -> None:
        self.name = name
        self._book = book
        self.requests = SlidingCount()
        self.tokens = SlidingCount()
        self.running = 0
        self.latest = -math.inf
        self.elsewhere: dict[str, tuple[int, float]] = {}
        self.waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def running_everywhere(self, now: float) -> int:
        return self.running + sum(count for count, until in self.elsewhere.values() if until > now)

    @property
    def queued(self) -> int:
        return sum(len(line) for line in self.waiting.values())

    def take(self, now: float, tokens: int) -> None:
        self.requests.add(now, 1)
        if tokens:
            self.tokens.add(now, tokens)
        self.latest = now
        self.running += 1
        self._book.took(self, 1, tokens)

    def leave(self, now: float, correction: int) -> None:
        """One ended. `correction` is what its tokens differ from what was taken."""
        self.running -= 1
        if correction:
            self.tokens.add(now, correction)
        self._book.took(self, 0, correction)
        self.serve()

    def give_back(self, now: float, tokens: int) -> None:
        """One was taken and never sent."""
        self.requests.add(now, -1)
        if tokens:
            self.tokens.add(now, -tokens)
        self.running -= 1
        self._book.took(self, -1, -tokens)
        self.serve()

    def room(self, caller: str, size: int) -> bool:
        """Whether one more of that caller may wait: the queue has a place, or another caller has taken more of them."""
        if self.queued < size:
            return True
        own = len(self.waiting.get(caller, ()))
        return any(len(line) > own + 1 for line in self.waiting.values())

    def make_room(self, size: int) -> None:
        """The last of whoever has the most places gives one up."""
        if self.queued >= size:
            longest = max(self.waiting.values(), key=len)
            longest.pop().granted.set_result(False)

    def join(self, waiter: _Waiter) -> None:
        self.waiting.setdefault(waiter.caller, deque()).append(waiter)
        self.serve()

    def quit(self, waiter: _Waiter) -> None:
        line = self.waiting.get(waiter.caller)
        if line is not None and waiter in line:
            line.remove(waiter)
            if not line:
                del self.waiting[waiter.caller]

    def serve(self) -> None:
        """Let in who may come in now; look again when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self.waiting:
            now = self._book.clock()
            caller, line = next(iter(self.waiting.items()))
            first = line[0]
            ready = first.limit.free_at(now, first.tokens)
            if ready > now:
                if ready < math.inf:
                    loop = asyncio.get_running_loop()
                    self._timer = loop.call_later(ready - now, self.serve)
                return
            line.popleft()
            self.waiting.move_to_end(caller)
            if not line:
                del self.waiting[caller]
            if not first.granted.done():
                self.take(now, first.tokens)
                first.granted.set_result(True)


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """The limits of one subject, with its gauge. `queue` is how many may wait, for `wait` seconds at most."""

    name: str
    gauge: Gauge
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    min_interval: float | None = None
    queue: int = 0
    wait: float = 0.0

    def free_at(self, now: float, tokens: int) -> float:
        """When a request may begin: now, later, or `inf` when one that runs has to end first."""
        gauge = self.gauge
        if self.concurrency is not None and gauge.running_everywhere(now) >= self.concurrency:
            return math.inf
        ready = now
        if self.rpm is not None:
            ready = max(ready, gauge.requests.free_at(now, self.rpm, 1))
        if self.tpm is not None:
            ready = max(ready, gauge.tokens.free_at(now, self.tpm, tokens))
        if self.min_interval is not None:
            ready = max(ready, gauge.latest + self.min_interval)
        return ready

    def full(self, now: float, tokens: int, caller: str = "") -> tuple[str, float | None] | None:
        """Why a request can neither begin nor wait now, and when one can (None: unknown); None when it can."""
        gauge = self.gauge
        ready = self.free_at(now, tokens)
        if ready <= now and not gauge.waiting:
            return None
        soon = ready - now <= self.wait or ready == math.inf
        if self.queue and soon and gauge.room(caller, self.queue):
            return None
        reason = f"rate limit of {self.name}: {self._which(now, tokens)}"
        return reason, None if ready == math.inf else max(ready, now)

    def _which(self, now: float, tokens: int) -> str:
        gauge = self.gauge
        if self.concurrency is not None and gauge.running_everywhere(now) >= self.concurrency:
            return f"{self.concurrency} at once"
        if self.rpm is not None and gauge.requests.free_at(now, self.rpm, 1) > now:
            return f"{self.rpm} requests a minute"
        if self.tpm is not None and gauge.tokens.free_at(now, self.tpm, tokens) > now:
            return f"{self.tpm} tokens a minute"
        if self.min_interval is not None and gauge.latest + self.min_interval > now:
            return f"{self.min_interval:g} s between two requests"
        return f"{gauge.queued} wait already"

    def take(self, now: float, tokens: int) -> bool:
        """Begin a request if one may begin at once; those that wait come first."""
        if self.gauge.waiting or self.free_at(now, tokens) > now:
            return False
        self.gauge.take(now, tokens)
        return True

    async def admit(self, clock: Callable[[], float], caller: str, tokens: int) -> bool:
        """Begin a request, now or after a wait in the queue; False when it may not."""
        now = clock()
        if self.take(now, tokens):
            return True
        if self.full(now, tokens, caller) is not None:
            return False
        self.gauge.make_room(self.queue)
        waiter = _Waiter(self, caller, tokens)
        self.gauge.join(waiter)
        try:
            async with asyncio.timeout(self.wait):
                return await waiter.granted
        except TimeoutError:
            return self._given_up(waiter)
        except asyncio.CancelledError:
            if self._given_up(waiter):
                self.gauge.give_back(clock(), tokens)
            raise

    def _given_up(self, waiter: _Waiter) -> bool:
        """Leave the queue; whether it was let in at the very last moment all the same."""
        self.gauge.quit(waiter)
        granted = waiter.granted
        return granted.done() and not granted.cancelled() and granted.result()


class LimitBook:
    """The gauges of one process, by the name of what they measure (`key/ci`, `provider/glm`, `account/glm/main`)."""

    def __init__(self, clock: Callable[[], float], shared: Shared, gateway: str) -> None:
        self.clock = clock
        self._shared = shared
        self._gateway = gateway
        self._gauges: dict[str, Gauge] = {}
        shared.watch(TAKEN, self._heard_taken)
        shared.watch(RUNNING, self._heard_running)

    def gauge(self, name: str) -> Gauge:
        found = self._gauges.get(name)
        if found is None:
            found = self._gauges[name] = Gauge(name, self)
        return found

    def all(self) -> dict[str, Gauge]:
        return dict(sorted(self._gauges.items()))

    def took(self, gauge: Gauge, requests: int, tokens: int) -> None:
        """Tell the other processes."""
        if requests:
            self._shared.signal(f"{TAKEN}requests/{gauge.name}", requests)
        if tokens:
            self._shared.signal(f"{TAKEN}tokens/{gauge.name}", tokens)
        self._tell_running(gauge)

    async def keep_beating(self) -> None:
        """For ever: tell the other processes every few seconds that what runs here still does."""
        while True:
            await asyncio.sleep(HEARTBEAT / 3)
            for gauge in self._gauges.values():
                if gauge.running:
                    self._tell_running(gauge)

    def _tell_running(self, gauge: Gauge) -> None:
        key = f"{RUNNING}{self._gateway}/{gauge.name}"
        if gauge.running > 0:
            self._shared.put(key, str(gauge.running).encode(), HEARTBEAT)
        else:
            self._shared.drop(key)

    def _heard_taken(self, heard: Heard) -> None:
        if heard.verb != "signal":
            return
        what, _, name = heard.key.removeprefix(TAKEN).partition("/")
        gauge = self.gauge(name)
        now = self.clock()
        if what == "tokens":
            gauge.tokens.add(now, heard.amount)
            return
        gauge.requests.add(now, heard.amount)
        if heard.amount > 0:
            gauge.latest = now

    def _heard_running(self, heard: Heard) -> None:
        gateway, _, name = heard.key.removeprefix(RUNNING).partition("/")
        gauge = self.gauge(name)
        count = int(heard.value) if heard.verb == "put" else 0
        if gateway == self._gateway:
            return
        if count:
            gauge.elsewhere[gateway] = (count, self.clock() + HEARTBEAT)
        else:
            gauge.elsewhere.pop(gateway, None)
        if gauge.waiting:
            gauge.serve()
