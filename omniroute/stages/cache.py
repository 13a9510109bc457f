"""The same answer again, without asking for it twice."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec

from omniroute.config.units import Count, Duration, Size
from omniroute.declare import Options, option, stage
from omniroute.errors import Refused, UnsupportedContent
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Around, Handler
from omniroute.pipeline.shared_answer import CACHE, IDEMPOTENT, Sharing, Ticket
from omniroute.pipeline.site import Site
from omniroute.routing.facts import facts_of
from omniroute.routing.fingerprint import Fingerprints, decided
from omniroute.routing.plan import plan
from omniroute.wire.conversation import Conversation

EXPLAIN = "x-omniroute-explain"
NO_CACHE = "x-omniroute-no-cache"
KEY = "idempotency-key"


LARGE = 4 * 2**20
"""Bytes of a request from which on the loop is not held up for it."""


class Idempotency(Options, frozen=True, kw_only=True):
    """What becomes of requests with the header `Idempotency-Key`."""

    ttl: Annotated[Duration, option("How long a finished answer is given again.")] = Duration(600)
    entries: Annotated[Count, option("Most answers that are kept.")] = Count(10_000)
    bytes: Annotated[Size, option("Most bytes of them.")] = Size(64 * 2**20)


class Exact(Options, frozen=True, kw_only=True):
    """Which answers are kept for requests that say the same."""

    ttl: Annotated[Duration, option("How long an answer is good.")] = Duration(3600)
    entries: Annotated[Count, option("Most answers that are kept.")] = Count(10_000)
    bytes: Annotated[Size, option("Most bytes of them.")] = Size(256 * 2**20)
    scope: Annotated[
        Literal["key", "global"],
        option(
            "key: callers get answers to requests of their own key; global: of any key that may use the same."
        ),
    ] = "key"
    deterministic_only: Annotated[
        bool, option("Only requests that ask for temperature 0, and embeddings; false: all requests.")
    ] = True


class SingleFlight(Options, frozen=True, kw_only=True):
    """What becomes of the same body from the same key, twice in a row."""

    window: Annotated[Duration, option("How long after the first one the second gets the same answer.")] = (
        Duration(5)
    )
    entries: Annotated[Count, option("Most finished answers that are kept.")] = Count(1_000)
    bytes: Annotated[Size, option("Most bytes of them.")] = Size(64 * 2**20)


@stage("cache", example="{stage: cache, exact: {ttl: 1h, scope: key}, single_flight: {window: 5s}}")
class Cache(Options, frozen=True, kw_only=True):
    """Gives an answer again instead of asking for it twice: to a repeated request, as a stream or whole.

    A bare `cache` only keeps the promise of `Idempotency-Key`: who sends the same key and request again joins the
    answer that is under way, or gets the one that was given. `exact` keeps answers for requests that say the same,
    in whatever format; `single_flight` joins the same body of the same key within a few seconds. Errors and cut
    streams are never kept. `X-OmniRoute-No-Cache: 1` or `Cache-Control: no-store` asks anew.
    """

    idempotency: Annotated[
        Idempotency | None, option("Requests with an `Idempotency-Key`; empty: they are like any other.")
    ] = Idempotency()
    exact: Annotated[
        Exact | None, option("Keeps answers. Not set: it does not; `{}`: with its defaults.")
    ] = None
    single_flight: Annotated[
        SingleFlight | None, option("Joins identical requests. Not set: it does not.")
    ] = None

    def build(self, site: Site) -> Around:
        idempotency = _Idempotency(site, self.idempotency) if self.idempotency is not None else None
        layers: list[_Layer] = []
        if self.exact is not None:
            layers.append(_Exact(site, self.exact))
        if self.single_flight is not None:
            layers.append(_SingleFlight(site, self.single_flight))

        async def through(exchange: Exchange, proceed: Handler) -> Reply:
            if _skips(exchange):
                return await _bypassed(exchange, proceed, told=self.exact is not None)
            return await _nested(layers, exchange, proceed)

        inner = through if layers else None

        def run(exchange: Exchange, proceed: Handler) -> Awaitable[Reply]:
            headers = exchange.request.headers
            if inner is None and KEY not in headers:
                return proceed(exchange)
            if exchange.endpoint.operation == "count_tokens" or EXPLAIN in headers:
                return proceed(exchange)
            onward = proceed if inner is None else _onward(inner, proceed)
            if idempotency is None or not headers.get(KEY):
                return onward(exchange)
            return idempotency.run(exchange, onward)

        return Around(run)


Inner = Callable[[Exchange, Handler], Awaitable[Reply]]


def _onward(inner: Inner, proceed: Handler) -> Handler:
    async def onward(exchange: Exchange) -> Reply:
        return await inner(exchange, proceed)

    return onward


async def _nested(layers: list[_Layer], exchange: Exchange, proceed: Handler) -> Reply:
    if not layers:
        return await proceed(exchange)

    async def onward(exchange: Exchange) -> Reply:
        return await _nested(layers[1:], exchange, proceed)

    return await layers[0].run(exchange, onward)


def _skips(exchange: Exchange) -> bool:
    """Whether the client wants an answer of its own."""
    headers = exchange.request.headers
    if headers.get(NO_CACHE, "0").lower() not in ("0", "false"):
        return True
    return "no-store" in headers.get("cache-control", "").lower()


async def _bypassed(exchange: Exchange, proceed: Handler, *, told: bool) -> Reply:
    reply = await proceed(exchange)
    if told:
        exchange.cache = exchange.cache or "bypass"
        reply.headers[CACHE] = "BYPASS"
    return reply


# ── the three ways ───────────────────────────────────────────────────────────────────────────────


class _Layer(ABC):
    """One way of sharing, as a part of the stage."""

    def __init__(self, site: Site, kind: str, ttl: float, entries: int, size: int) -> None:
        state = site.state
        self._kind = kind
        self._clock = state.clock
        self._sharing = Sharing(
            state.cache.flights,
            state.cache.drawer(kind, entries, size),
            ttl,
            clock=state.clock,
            wire=site.wire,
            responses=state.responses,
        )

    @abstractmethod
    async def run(self, exchange: Exchange, proceed: Handler) -> Reply:
        """The reply, shared where this way says so."""

    def _key(self, *parts: bytes) -> bytes:
        digest = hashlib.sha256(self._kind.encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    async def _again(self, exchange: Exchange, ticket: Ticket, proceed: Handler) -> Reply:
        """A reply that says when it was made for another request."""
        reply, _, fresh = await self._sharing.answer(exchange, ticket, proceed)
        if not fresh:
            exchange.cache = "idempotent"
            reply.headers[IDEMPOTENT] = "true"
        return reply


class _Idempotency(_Layer):
    def __init__(self, site: Site, options: Idempotency) -> None:
        super().__init__(site, "idempotent", options.ttl, options.entries, options.bytes)

    async def run(self, exchange: Exchange, proceed: Handler) -> Reply:
        given = exchange.request.headers[KEY].encode("utf-8", "surrogateescape")
        ticket = Ticket(self._key(caller_of(exchange), given), await digest_of(exchange), same=True)
        return await self._again(exchange, ticket, proceed)


class _SingleFlight(_Layer):
    def __init__(self, site: Site, options: SingleFlight) -> None:
        super().__init__(site, "single", options.window, options.entries, options.bytes)
        self._window = options.window

    async def run(self, exchange: Exchange, proceed: Handler) -> Reply:
        digest = await digest_of(exchange)
        ticket = Ticket(self._key(caller_of(exchange), digest), digest, within=self._window)
        return await self._again(exchange, ticket, proceed)


class _Exact(_Layer):
    def __init__(self, site: Site, options: Exact) -> None:
        super().__init__(site, "exact", options.ttl, options.entries, options.bytes)
        self._site = site
        self._options = options
        self._fingerprints = Fingerprints(site.settings)
        # The order of targets is no part of the key: chance that is not that of routing leaves its turns alone.
        self._dice = random.Random(0)

    async def run(self, exchange: Exchange, proceed: Handler) -> Reply:
        # The same texts have the same vectors: they are known by the bytes that ask for them, and told in no other way.
        embeds = exchange.endpoint.operation == "embed"
        said = await digest_of(exchange) if embeds else self._said(exchange)
        plan = self._planned(exchange) if said is not None else None
        if said is None or plan is None:
            return await _bypassed(exchange, proceed, told=True)
        scope = caller_of(exchange) if self._options.scope == "key" else b""
        ticket = Ticket(self._key(scope, said, plan), await digest_of(exchange))
        reply, head, fresh = await self._sharing.answer(exchange, ticket, proceed)
        exchange.cache = "miss" if fresh else "hit"
        reply.headers[CACHE] = exchange.cache.upper()
        if head.at is not None:
            reply.headers["Age"] = str(max(0, math.floor(self._clock() - head.at)))
        return reply

    def _said(self, exchange: Exchange) -> bytes | None:
        """All of the request that changes the answer, in no format; None when its answer is not to be kept."""
        body = exchange.request.body
        if len(body) >= LARGE:
            # It would have to be taken apart here, while others wait; and hardly anybody sends it twice.
            return None
        if self._options.deterministic_only and not exchange.edited and b"temperature" not in body:
            return None
        try:
            talk = exchange.conversation
        except (Refused, UnsupportedContent):
            # What a codec does not know may pass as bytes all the same.
            return None
        if self._options.deterministic_only and talk.temperature != 0:
            return None
        if talk.previous_id is not None or b"item_reference" in body:
            # What it refers to belongs to one caller and is not in the request.
            return None
        return _encode([exchange.pipeline, exchange.model, _meaning(talk)])

    def _planned(self, exchange: Exchange) -> bytes | None:
        """Who may answer; None when nobody may, which others say better."""
        state = self._site.state
        facts = facts_of(exchange)
        made = plan(self._site.directory, facts, state, now=state.clock(), dice=self._dice)
        if made is None or all(map(decided, made.steps)):
            return None
        return self._fingerprints.of(made) + _encode(self._fingerprints.asking(facts))


# ── what a request is known by ───────────────────────────────────────────────────────────────────

_encode = msgspec.msgpack.Encoder(order="deterministic").encode

CARRIED = frozenset({"stream", "stream_options"})
"""Settings of one wire format that change how an answer is carried, not what it says."""


def _meaning(talk: Conversation) -> Conversation:
    """A conversation without what changes no word of its answer."""
    extras = {
        wire: {name: value for name, value in settings.items() if name not in CARRIED}
        for wire, settings in talk.extras.items()
    }
    return msgspec.structs.replace(
        talk,
        stream=False,
        user=None,
        metadata=None,
        store=None,
        prompt_cache_key=None,
        extras={wire: settings for wire, settings in extras.items() if settings},
    )


def caller_of(exchange: Exchange) -> bytes:
    return exchange.caller.name.encode() if exchange.caller is not None else b""


async def digest_of(exchange: Exchange) -> bytes:
    """Equal for requests whose answers are equal to the last byte."""
    endpoint = exchange.endpoint
    asked = f"{endpoint.path}\0{exchange.model}\0{exchange.stream}\0{exchange.array}\0"
    body = msgspec.json.encode(exchange.doc) if exchange.edited else exchange.request.body
    digest = hashlib.sha256(asked.encode())
    if len(body) < LARGE:
        digest.update(body)
    else:
        await asyncio.to_thread(digest.update, body)
    return digest.digest()
