"""The data plane: what clients call. Everything but HTTP itself and the running of exchanges."""

from __future__ import annotations

import asyncio
import html
import logging
import math
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Protocol

import msgspec

from omniroute import __version__
from omniroute.config.settings import Cors, ServerLimits
from omniroute.engine.generation import Generation
from omniroute.errors import Problem, Refused
from omniroute.pipeline.keys import Caller
from omniroute.pipeline.patterns import Test, networks
from omniroute.pipeline.turns import in_turns
from omniroute.server import refusals, stored_responses
from omniroute.server.cors import Origins
from omniroute.server.endpoints import FIXED, MODELS, SHOW, Endpoints
from omniroute.server.inbound import Answerer, address_of, request_id, to_request
from omniroute.server.incoming import Answer, Incoming, Slow, TooLarge
from omniroute.server.log import printable
from omniroute.state.state import State
from omniroute.upstream.coding import Garbled
from omniroute.wire.bulk import HUGE, cut_out
from omniroute.wire.codec import ModelCard
from omniroute.wire.ollama import asked_model, write_model

log = logging.getLogger("omniroute")
encode = msgspec.json.Encoder().encode


class Serving(Protocol):
    """What serves now, and the state that outlives it."""

    @property
    def generation(self) -> Generation: ...
    @property
    def state(self) -> State: ...


class DataPlane:
    """Answers one HTTP request after the other. `connections` counts those that are open now, `stopping` tells
    whether the gateway is."""

    def __init__(
        self,
        runtime: Serving,
        endpoints: Endpoints,
        answerer: Answerer,
        *,
        connections: Callable[[], int],
        stopping: Callable[[], bool],
    ) -> None:
        self.reading = 0
        """Requests whose body is on its way: a stop waits for them, too."""
        self.runtime = runtime
        self.endpoints = endpoints
        self._answerer = answerer
        self._connections = connections
        self._stopping = stopping
        self._trusted: tuple[tuple[str, ...], Test] = ((), networks(()))
        self._browsers: tuple[Generation | None, Origins] = (None, Origins(Cors(), True))

    async def answer(self, incoming: Incoming) -> Answer | None:
        try:
            return await self._answer(incoming)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed inside the gateway", incoming.method, printable(incoming.path))
            if incoming.begun:
                raise ConnectionResetError from None
            return self._refuse(incoming, {}, refusals.OURS)

    async def _answer(self, incoming: Incoming) -> Answer | None:
        started = perf_counter()
        generation = self.runtime.generation
        path = incoming.path
        found = self.endpoints.find(path, incoming.query)
        origins = self._origins(generation)
        extra = origins.headers(incoming.headers)
        if self._stopping():
            extra["Connection"] = "close"
        if not origins.allow(incoming.headers.get("origin")) and not generation.keyring.required:
            return self._refuse(incoming, extra, refusals.FOREIGN_ORIGIN)
        if path in SHOW and incoming.method == "POST":
            return await self._show(incoming, extra)
        if found is None or incoming.method != "POST":
            return await self._other(incoming, extra, known=found is not None)
        id = request_id(incoming.headers, self._answerer.ids)
        try:
            limits = generation.loaded.settings.server.limits
            refused = self._over_limits(incoming, limits)
            if refused is not None:
                raise Refused(refused)
            body = incoming.at_hand(limits.body)
            if body is None:
                body = await self._body(incoming, limits)
                # It may have taken its time: the request begins now, on what serves now.
                generation = self.runtime.generation
        except Refused as error:
            extra["Connection"] = "close"
            return self._refuse(incoming, extra, error.problem, id)
        huge = len(body) > HUGE
        bulk = await in_turns(cut_out(body)) if huge else None
        trusted = self._trust(generation.loaded.settings.server.trusted_proxies)
        now = self.runtime.state.clock()
        request = to_request(incoming, body, id, received=now, started=started, trusted=trusted)
        exchange = generation.exchange(request, found.endpoint, found.peek, self._answerer.ids, bulk)
        exchange.array = found.array
        if found.stream is not None:
            exchange.stream = found.stream
        if huge:
            await asyncio.sleep(0)
        await self._answerer.answer(incoming, generation, exchange, extra)
        return None

    async def _body(self, incoming: Incoming, limits: ServerLimits) -> bytes:
        """The whole body. Raises `Refused`, after which the connection is of no more use."""
        self.reading += 1
        try:
            return await incoming.body(limits.body)
        except TooLarge as error:
            raise Refused(refusals.too_large(limits.body)) from error
        except Slow as error:
            raise Refused(refusals.SLOW) from error
        except Garbled as error:
            raise Refused(refusals.GARBLED) from error
        finally:
            self.reading -= 1

    def _over_limits(self, incoming: Incoming, limits: ServerLimits) -> Problem | None:
        if incoming.header_size > limits.headers:
            return refusals.too_many_headers(limits.headers)
        if limits.connections and self._connections() > limits.connections:
            return refusals.TOO_MANY_CONNECTIONS
        return None

    def _origins(self, generation: Generation) -> Origins:
        if self._browsers[0] is not generation:
            cors = generation.loaded.settings.server.cors
            self._browsers = (generation, Origins(cors, generation.keyring.required))
        return self._browsers[1]

    def _trust(self, proxies: tuple[str, ...]) -> Test:
        if self._trusted[0] is not proxies:
            self._trusted = (proxies, networks(proxies))
        return self._trusted[1]

    async def _other(self, incoming: Incoming, extra: dict[str, str], *, known: bool) -> Answer:
        """Everything that is not a call of a model: preflights, model lists, the front page, and what is not here."""
        method, path = incoming.method, incoming.path
        if method == "OPTIONS":
            origins = self._origins(self.runtime.generation)
            return Answer(204, headers=origins.headers(incoming.headers, preflight=True))
        if path == "/" and method in ("GET", "HEAD"):
            return self._front_page(incoming, extra)
        models = MODELS.fullmatch(path)
        if models is not None and method in ("GET", "HEAD"):
            return self._models(incoming, extra, models["base"] or models["tags"], models["model"])
        if path in FIXED and method in ("GET", "HEAD"):
            return self._json(incoming, extra, FIXED[path])
        if stored_responses.PATH.fullmatch(path):
            return await self._stored(incoming, extra)
        if known or models is not None:
            allowed = "POST" if known else "GET, HEAD"
            extra["Allow"] = allowed
            problem = Problem(
                kind="method_not_allowed",
                code="method_not_allowed",
                message=f"{path} answers {allowed}, not {method}.",
            )
            return self._refuse(incoming, extra, problem)
        return self._refuse(incoming, extra, refusals.no_such_path(method, path))

    def _models(self, incoming: Incoming, extra: dict[str, str], base: str | None, one: str | None) -> Answer:
        cards = self._cards(incoming)
        if isinstance(cards, Problem):
            return self._refuse(incoming, extra, cards)
        wire = self.endpoints.models_wire(base, incoming.headers)
        document = wire.write_models(cards)
        if one is not None:
            document = _one_of(document, cards, one)
            if not document:
                return self._refuse(incoming, extra, refusals.no_such_model(one))
        return self._json(incoming, extra, document)

    def _caller(self, incoming: Incoming) -> Caller | None:
        """Who asks, where no pipeline does the asking. Raises `Refused`."""
        generation = self.runtime.generation
        trusted = self._trust(generation.loaded.settings.server.trusted_proxies)
        return generation.keyring.admit(
            incoming.headers,
            incoming.query,
            incoming.path,
            address_of(incoming, trusted),
            self.runtime.state.clock(),
        )

    def _cards(self, incoming: Incoming) -> list[ModelCard] | Problem:
        """What the calling key may use; or why it may not ask."""
        generation = self.runtime.generation
        try:
            caller = self._caller(incoming)
        except Refused as error:
            return error.problem
        providers = generation.directory.providers
        return [
            card
            for card in generation.directory.cards()
            if caller is None or _may_see(caller, card, card.owner in providers)
        ]

    async def _stored(self, incoming: Incoming, extra: dict[str, str]) -> Answer:
        """A response that the gateway keeps."""
        try:
            caller = self._caller(incoming)
        except Refused as error:
            return self._refuse(incoming, extra, error.problem)
        name = caller.name if caller is not None else ""
        responses = self.runtime.state.responses
        found = await stored_responses.answer(incoming.method, incoming.path, name, responses)
        if isinstance(found, Problem):
            if found.kind == "method_not_allowed":
                extra["Allow"] = "GET, DELETE"
            return self._refuse(incoming, extra, found)
        return self._json(incoming, extra, found)

    async def _show(self, incoming: Incoming, extra: dict[str, str]) -> Answer:
        """One model, asked for by a name in the body."""
        cards = self._cards(incoming)
        if isinstance(cards, Problem):
            return self._refuse(incoming, extra, cards)
        most = self.runtime.generation.loaded.settings.server.limits.body
        try:
            name = asked_model(await incoming.body(most))
        except TooLarge:
            return self._refuse(incoming, extra | {"Connection": "close"}, refusals.too_large(most))
        except Slow:
            return self._refuse(incoming, extra | {"Connection": "close"}, refusals.SLOW)
        card = next((card for card in cards if card.id == name), None)
        if card is None:
            return self._refuse(incoming, extra, refusals.no_such_model(name))
        return self._json(incoming, extra, write_model(card))

    def _json(self, incoming: Incoming, extra: dict[str, str], document: Mapping[str, object]) -> Answer:
        headers = {
            "Content-Type": "application/json",
            "X-Request-Id": request_id(incoming.headers, self._answerer.ids),
            "X-OmniRoute-Config": self.runtime.generation.tag,
            **extra,
        }
        return Answer(200, encode(document), headers)

    def _front_page(self, incoming: Incoming, extra: dict[str, str]) -> Answer:
        generation = self.runtime.generation
        facts = {
            "name": "OmniRoute",
            "version": __version__,
            "config": generation.tag,
            "endpoints": [
                "/v1/chat/completions",
                "/v1/responses",
                "/v1/messages",
                "/v1beta/models",
                "/api/chat",
                "/v1/embeddings",
                "/v1/models",
            ],
            "admin": "/-/health",
            "try": {"model": "demo"},
        }
        if "text/html" in incoming.headers.get("accept", ""):
            rows = "".join(f"<li><code>{html.escape(p)}</code></li>" for p in facts["endpoints"])
            page = (
                "<!doctype html><meta charset=utf-8><title>OmniRoute</title>"
                "<style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}</style>"
                f"<h1>OmniRoute {html.escape(__version__)}</h1><p>The gateway is running, on configuration "
                f"<code>{html.escape(generation.tag)}</code>. Point an SDK or a coding CLI here; "
                f"the model <code>demo</code> always answers.</p><ul>{rows}</ul>"
            )
            return Answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8", **extra})
        return Answer(200, encode(facts), {"Content-Type": "application/json", **extra})

    def _refuse(
        self, incoming: Incoming, extra: dict[str, str], problem: Problem, id: str | None = None
    ) -> Answer:
        """An error before there is an exchange; logged like any other."""
        id = id if id is not None else request_id(incoming.headers, self._answerer.ids)
        wire = self.endpoints.spoken_at(incoming.path, incoming.headers)
        log.info(
            "%s %s %s: %s (%s)",
            problem.http_status,
            incoming.method,
            printable(incoming.path),
            printable(problem.message),
            id,
        )
        headers = {
            "Content-Type": "application/json",
            "X-Request-Id": id,
            "X-OmniRoute-Config": self.runtime.generation.tag,
            **extra,
        }
        if problem.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(problem.retry_after))
        return Answer(problem.http_status, encode(wire.write_error(problem, id)), headers)


def _one_of(document: dict[str, object], cards: list[ModelCard], one: str) -> dict[str, object]:
    """The entry of one model in a list of any shape: lists keep the order of the cards."""
    wanted = one.removeprefix("models/")
    for rows in document.values():
        if isinstance(rows, list) and len(rows) == len(cards):
            for card, row in zip(cards, rows, strict=True):
                if card.id == wanted:
                    return dict(row)
    return {}


def _may_see(caller: Caller, card: ModelCard, of_provider: bool) -> bool:
    """Whether a card belongs in the list of this key: what it may ask for, or reach at a provider."""
    return caller.may_use(card.id, card.id, card.owner) if of_provider else caller.may_ask(card.id)
