"""Hours of traffic in a moment: a gateway without sockets, providers that behave as they are told, virtual time.

    def day(world: World) -> …:
        async with world.traffic("combo", rate=5, seconds=3600): …

Everything but the network is the real thing: planner, stages, codecs, state. Chance comes from one seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import textwrap
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from omniroute import virtual_time
from omniroute.config.cases import Scripted
from omniroute.config.load import load_text
from omniroute.config.settings import Provider
from omniroute.errors import Problem, UpstreamError
from omniroute.registry import Registry, load
from omniroute.simulation.gateway import Answered, Asking, SimulatedGateway
from omniroute.simulation.upstream import said
from omniroute.transforms.expressions import condition
from omniroute.upstream.faults import Whole
from omniroute.upstream.transport import Inbound, Outbound, Transport

START = 1_700_000_000.0
REFUSED = 0
"""In the place of a status: nobody listens there."""

T = TypeVar("T")


@cache
def registry() -> Registry:
    return load(plugins=False)


@dataclass(frozen=True)
class Sent:
    """A request that a provider got, and when (seconds since the start)."""

    at: float
    provider: str
    model: str
    account: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A failure that a provider told, and for how long it wants to be left alone."""

    at: float
    account: str
    status: int
    retry_after: float | None


@dataclass(slots=True)
class Place:
    """How a provider behaves. `fails` gives a status (or `REFUSED`) for a request, or None when it is well; `latency` is
    how long it thinks, `retry_after` what it says with a 429."""

    latency: float | Callable[[Sent], float] = 0.2
    fails: Callable[[Sent], int | None] = lambda sent: None
    retry_after: float | None = None
    error: str | None = None
    """The body of its errors."""


@dataclass(slots=True)
class World:
    """A configuration under traffic. `places` by provider; those that are not named are always well."""

    config: str
    places: dict[str, Place] = field(default_factory=dict)
    seed: int = 1
    sent: list[Sent] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    answers: list[tuple[float, int, str]] = field(default_factory=list)
    """Time of the answer, status, and who served."""
    gateway: SimulatedGateway = field(init=False)
    dice: random.Random = field(init=False)
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    """Most requests that were under way at each provider."""

    def run(self, main: Callable[[World], Awaitable[T]]) -> T:
        """Build it and let `main` happen in virtual time."""

        async def begin() -> T:
            text = textwrap.dedent(self.config)
            text = text if "version:" in text else f"version: 1\n{text}"
            loaded = load_text(text, env={}, registry=registry(), condition=condition)
            self.dice = random.Random(self.seed)
            self.gateway = SimulatedGateway(
                loaded, registry(), self._transport, virtual_time.clock, seed=self.seed
            )
            return await main(self)

        return virtual_time.run(begin(), start=START)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return virtual_time.clock() - START

    async def ask(self, model: str, *, stream: bool = False, text: str = "hi", **more: Any) -> Answered:
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more}
        answered = await self.gateway.ask(
            Asking("/v1/chat/completions", json.dumps(body).encode(), headers=headers)
        )
        served = answered.headers.get("X-OmniRoute-Target", "") if answered.status == 200 else ""
        self.answers.append((self.now, answered.status, served))
        return answered

    async def traffic(
        self, model: str, *, rate: float, seconds: float, stream: bool = False, **more: Any
    ) -> None:
        """So many requests a second, at random (a Poisson process), until the last of them is answered."""
        end = self.now + seconds
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self.dice.expovariate(rate))
                if self.now >= end:
                    return
                tasks.create_task(self.ask(model, stream=stream, **more))

    # ── what happened ────────────────────────────────────────────────────────────────────────────

    def shares(self, after: float = 0.0) -> dict[str, float]:
        """The share of each target among the answers that came after that moment."""
        served = Counter(target for at, status, target in self.answers if status == 200 and at >= after)
        return {target: count / served.total() for target, count in sorted(served.items())}

    def statuses(self) -> Counter[int]:
        return Counter(status for _, status, _ in self.answers)

    def asked(self, provider: str, after: float = 0.0, before: float = float("inf")) -> list[Sent]:
        return [sent for sent in self.sent if sent.provider == provider and after <= sent.at < before]

    def disturbed(self) -> Iterator[tuple[Failed, Sent]]:
        """Requests that went to an account in the time for which it had asked to be left alone."""
        for failure in self.failed:
            if failure.retry_after is not None:
                for sent in self.sent:
                    if sent.account == failure.account and 0 < sent.at - failure.at < failure.retry_after:
                        yield failure, sent

    # ── providers ────────────────────────────────────────────────────────────────────────────────

    def _transport(self, provider: str, settings: Provider) -> Transport:
        return _Played(self, provider, self.places.setdefault(provider, Place()))

    async def answer(self, provider: str, place: Place, outbound: Outbound) -> Inbound:
        body = json.loads(outbound.body)
        key = outbound.headers.get("Authorization", "Bearer none").removeprefix("Bearer ")
        sent = Sent(self.now, provider, body["model"], f"{provider}/{key}", body)
        self.sent.append(sent)
        self.running[provider] += 1
        self.most[provider] = max(self.most[provider], self.running[provider])
        try:
            await asyncio.sleep(
                place.latency if isinstance(place.latency, float | int) else place.latency(sent)
            )
            status = place.fails(sent)
        finally:
            self.running[provider] -= 1
        if status is None:
            return said(Scripted(text="ok"), outbound)
        return self._failure(sent, status, place)

    def _failure(self, sent: Sent, status: int, place: Place) -> Inbound:
        retry_after = place.retry_after if status == 429 else None
        self.failed.append(Failed(self.now, sent.account, status, retry_after))
        if status == REFUSED:
            raise UpstreamError(
                Problem(kind="bad_gateway", code="connect_failed", message="Nobody listens there.")
            )
        headers = {"content-type": "application/json"}
        if retry_after is not None:
            headers["retry-after"] = f"{retry_after:g}"
        body = place.error or json.dumps({"error": {"message": f"status {status}"}})
        return Whole(status, headers, [body.encode()])


@dataclass(slots=True)
class _Played:
    """One provider of a world."""

    world: World
    provider: str
    place: Place

    async def send(self, outbound: Outbound) -> Inbound:
        return await self.world.answer(self.provider, self.place, outbound)

    async def close(self) -> None:
        """There is nothing to let go of."""


def between(begin: float, end: float, status: int = 503) -> Callable[[Sent], int | None]:
    """An outage from `begin` to `end`, by the time at which a request was sent."""
    return lambda sent: status if begin <= sent.at < end else None


def at_random(share: float, status: int, dice: random.Random) -> Callable[[Sent], int | None]:
    """Failures by chance."""
    return lambda sent: status if dice.random() < share else None
