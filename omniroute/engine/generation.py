"""An immutable snapshot of the configuration, compiled: what a request begins with it ends with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from omniroute.config.load import Loaded
from omniroute.errors import Problem, Refused, UnsupportedContent, UpstreamError
from omniroute.pipeline.compile import Pipeline
from omniroute.pipeline.exchange import Endpoint, Exchange, IdSource, Reply, Request, not_json, refusal
from omniroute.pipeline.keys import Keyring, presented_key
from omniroute.pipeline.patterns import Test
from omniroute.pipeline.reckon import reckon
from omniroute.routing.directory import Directory
from omniroute.wire.bulk import Bulk
from omniroute.wire.codec import Peek
from omniroute.wire.splice import TopLevel, top_level, without_bulk

log = logging.getLogger("omniroute")

LONGEST_MODEL = 512
"""Characters of a model name. Names are remembered and logged, so that they must not grow at a client's will."""

LARGE = 16 * 1024
"""Bytes of a body that is read through once, and then not again for the next who wants a value of it."""

_LONG_MODEL = Problem(
    kind="invalid_request",
    code="invalid_request",
    param="model",
    message=f"The name of the model is longer than {LONGEST_MODEL} characters.",
)


@dataclass(frozen=True, slots=True)
class PipelineRule:
    """A line of `routes`: all that is given must fit."""

    pipeline: Pipeline
    path: Test | None
    method: str | None
    model: Test | None
    key: Test | None
    headers: tuple[tuple[str, Test], ...]

    def fits(self, exchange: Exchange, keyring: Keyring) -> bool:
        request = exchange.request
        if self.path is not None and not self.path(request.path):
            return False
        if self.method is not None and self.method != request.method:
            return False
        if self.model is not None and not self.model(exchange.model):
            return False
        if not all(name in request.headers and test(request.headers[name]) for name, test in self.headers):
            return False
        return self.key is None or self.key(_key_name(exchange, keyring))


@dataclass(slots=True)
class Generation:
    """One compiled configuration. `running` counts the requests that are on it."""

    number: int
    digest: str
    loaded: Loaded
    directory: Directory
    keyring: Keyring
    pipelines: Mapping[str, Pipeline]
    families: Mapping[str, Pipeline]
    rules: tuple[PipelineRule, ...]
    running: int = 0
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        self.tag = f"{self.number}-{self.digest}"

    def exchange(
        self,
        request: Request,
        endpoint: Endpoint,
        peek: Peek | None,
        ids: IdSource,
        bulk: Bulk | None = None,
    ) -> Exchange:
        """What the request looks like to the pipeline. `peek` is given where the path says model and stream, `bulk`
        where large files were cut out of the body."""
        malformed: Problem | None = None
        top: TopLevel | None = None
        try:
            text = request.body if bulk is None else bulk.outline
            if len(text) > LARGE:
                top = top_level(text)
            peeking = endpoint.wire if endpoint.embeddings is None else endpoint.embeddings
            seen = peeking.peek(text if top is None else without_bulk(top))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if bulk is not None:
                # What is wrong, and where, is told of the body itself.
                return self.exchange(request, endpoint, peek, ids)
            seen, malformed = Peek("", False), _malformed(request.body, error)
        peek = peek if peek is not None else seen
        if len(peek.model) > LONGEST_MODEL:
            peek, malformed = Peek(peek.model[:LONGEST_MODEL], peek.stream), malformed or _LONG_MODEL
        exchange = Exchange(request, endpoint, peek, ids)
        exchange.malformed = malformed
        if seen.strange:
            _adopt(exchange)
        exchange.top = top
        exchange.bulk = bulk
        exchange.config = self.tag
        return exchange

    def pipeline(self, exchange: Exchange) -> Pipeline:
        for rule in self.rules:
            if rule.fits(exchange, self.keyring):
                return rule.pipeline
        return self.families[exchange.endpoint.family]

    async def serve(self, exchange: Exchange, pipeline: Pipeline) -> Reply:
        """Run the pipeline; whatever happens, there is a reply."""
        exchange.pipeline = pipeline.name
        try:
            reply = await pipeline.run(exchange)
            return reply if exchange.endpoint.dress is None else _dressed(exchange, reply)
        except Refused as error:
            return refusal(error.problem)
        except UpstreamError as error:
            return refusal(error.problem)
        except Exception:
            log.exception("request %s failed inside the gateway", exchange.request.id)
            return refusal(
                Problem(
                    kind="server",
                    code="internal_error",
                    message=f"The gateway failed on this request; its log has the details under {exchange.request.id}.",
                )
            )

    def over(self, exchange: Exchange, reply: Reply, pipeline: Pipeline) -> None:
        """The true end of an exchange: what it used is known, and the observers are told."""
        exchange.settle()
        reckon(exchange, reply)
        exchange.end()
        for done in pipeline.observers:
            try:
                done(exchange, reply)
            except Exception:
                # The answer is out: an observer that fails (it may be a plugin) must not undo it.
                log.exception("an observer of request %s failed", exchange.request.id)


def _dressed(exchange: Exchange, reply: Reply) -> Reply:
    """The reply in the words of its endpoint. Outside of the pipeline, so that what a stage keeps is in the wire's."""
    dress = exchange.endpoint.dress
    if dress is not None and reply.problem is None:
        if reply.stream is not None:
            reply.stream.tap(dress.stream())
        elif reply.body is not None:
            reply.body = dress.plain(reply.body)
    return reply


def _adopt(exchange: Exchange) -> None:
    """Put a body that came in another format's words into those of the endpoint's."""
    try:
        exchange.replace(exchange.wire.adopt(exchange.doc))
    except Refused as error:
        exchange.malformed = error.problem
    except UnsupportedContent as error:
        exchange.malformed = Problem(
            kind="invalid_request", code="unsupported_content", message=str(error), param=error.path
        )


def _malformed(body: bytes, error: Exception) -> Problem:
    if isinstance(error, RecursionError):
        return Problem(
            kind="invalid_request", code="json_too_deep", message="The JSON body is nested too deeply."
        )
    if isinstance(error, msgspec.ValidationError):
        return Problem(
            kind="invalid_request",
            code="invalid_request",
            message=f"The request body has a wrong shape: {error}.",
        )
    return not_json(body, error)


def _key_name(exchange: Exchange, keyring: Keyring) -> str:
    """The name of the calling key; before `auth` ran, that of the key presented."""
    if exchange.caller is not None:
        return exchange.caller.name
    request = exchange.request
    presented = presented_key(request.headers, request.query)
    caller = keyring.find(presented) if presented is not None else None
    return caller.name if caller is not None else ""
