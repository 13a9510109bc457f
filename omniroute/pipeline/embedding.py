"""One request for embeddings in the words of one target: what `translate` does where the answer is vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from omniroute.errors import MalformedStream, Problem, Refused, UnsupportedContent, UpstreamError
from omniroute.pipeline.client_words import (
    ESTIMATED,
    limits_told,
    not_strict,
    tell_dropped,
    tell_status,
    unsupported,
)
from omniroute.pipeline.edits import apply, edited_answer, names_of, select
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply, parse_object
from omniroute.pipeline.parts import Edit, Handler
from omniroute.routing.directory import Target
from omniroute.upstream.headers import outgoing_headers
from omniroute.wire.bridge import encode
from omniroute.wire.conversation import Usage
from omniroute.wire.embeddings import Embeddings, read_embeddings


async def embed(
    exchange: Exchange, target: Target, clock: Callable[[], float], proceed: Handler, *, strict: bool
) -> Reply:
    """Bytes through where the target speaks the client's format, else translated there and back.

    Raises `Refused` for what the target cannot take, and with `strict` for what would be lost."""
    upstream = target.embedder(exchange.wire.name)
    embeddings = upstream.wire.embeddings if upstream is not None else None
    if upstream is None or embeddings is None:
        raise Refused(unsupported("embeddings", target))
    exchange.notes.dropped.clear()
    exchange.notes.emulated.clear()
    same = upstream.wire is exchange.wire
    crossing: _Crossing = (
        _Same(exchange, target) if same else _Cross(exchange, target, embeddings, strict=strict)
    )
    headers = outgoing_headers(exchange.request.headers, upstream, same=same)
    outgoing = Outgoing(upstream.wire, crossing.embeddings.path(target.model), headers)
    outgoing.body = crossing.body(headers)
    exchange.outgoing = outgoing
    reply = await proceed(exchange)
    tell_dropped(exchange, reply)
    reply.headers.update(limits_told(exchange, reply, clock(), same=same))
    if reply.problem is not None:
        tell_status(exchange, reply, reply.problem)
        if not same:
            reply.body = None
        return reply
    return crossing.answered(reply)


class _Crossing(ABC):
    """What both ways have in common: the edits of what goes out and comes in. `embeddings` is the shape at the
    upstream."""

    def __init__(self, exchange: Exchange, target: Target, embeddings: Embeddings) -> None:
        self._exchange = exchange
        self._target = target
        self.embeddings = embeddings
        self._edits: tuple[Edit, ...] = (
            *target.provider.edits,
            *exchange.request_edits,
            *exchange.reply_edits,
        )

    def body(self, headers: dict[str, str]) -> bytes:
        """What is sent; `headers` are those of the request to come, for edits."""
        edits = select(self._edits, "request", "upstream")
        params = self._exchange.member.params if self._exchange.member is not None else {}
        if not edits and not params:
            return self._written()
        document = {**parse_object(self._written()), **params}
        return encode(apply(edits, document, names_of(self._exchange), headers))

    def answered(self, reply: Reply) -> Reply:
        """The reply with the client's body."""
        reply.bulk = None
        body = self._edited(reply.body or b"", "upstream", reply)
        reply.body = self._edited(self._told(body, reply), "client", reply)
        return reply

    def _edited(self, body: bytes, side: str, reply: Reply) -> bytes:
        edits = select(self._edits, "response", side)
        return edited_answer(body, edits, names_of(self._exchange), reply.headers) if edits else body

    @abstractmethod
    def _written(self) -> bytes:
        """The request for the target, before its edits."""

    @abstractmethod
    def _told(self, body: bytes, reply: Reply) -> bytes:
        """The answer in the client's words."""


class _Same(_Crossing):
    """The upstream speaks the client's format: only the model's name is another."""

    def __init__(self, exchange: Exchange, target: Target) -> None:
        super().__init__(exchange, target, spoken_by_client(exchange))
        params = exchange.member is not None and bool(exchange.member.params)
        edits = select(self._edits, "request", "upstream")
        exchange.path = "edited" if exchange.edited or params or edits else "same"

    def _written(self) -> bytes:
        exchange, dialect = self._exchange, self._target.dialect
        if exchange.edited:
            document = parse_object(encode(exchange.doc))
            self.embeddings.readdress(document, dialect)
            return encode(document)
        # What was cut out of the body is none of the business here: nothing looks into it.
        top = exchange.top if exchange.bulk is None else None
        return self.embeddings.readdressed(exchange.request.body, exchange.model, dialect, top)

    def _told(self, body: bytes, reply: Reply) -> bytes:
        return body


class _Cross(_Crossing):
    """The upstream speaks another format."""

    def __init__(self, exchange: Exchange, target: Target, embeddings: Embeddings, *, strict: bool) -> None:
        exchange.path = "cross"
        try:
            self._asked = spoken_by_client(exchange).read_request(exchange.doc)
            embeddings = embeddings.fitting(self._asked)
            self._document = embeddings.write_request(self._asked, target.dialect, exchange.notes)
        except UnsupportedContent as error:
            raise Refused(_unsupported_content(error)) from error
        if strict and exchange.notes.dropped:
            raise Refused(not_strict(exchange.notes.dropped, target))
        super().__init__(exchange, target, embeddings)

    def _written(self) -> bytes:
        return encode(self._document)

    def _told(self, body: bytes, reply: Reply) -> bytes:
        exchange, asked = self._exchange, self._asked
        try:
            answer = read_embeddings(body, self.embeddings, len(asked.inputs))
        except MalformedStream as error:
            raise UpstreamError(
                Problem(kind="bad_gateway", code="malformed_answer", message=f"{error}.")
            ) from error
        if answer.usage is None:
            answer.usage = exchange.usage = Usage(input=asked.estimated_tokens)
            exchange.estimated = True
            reply.headers[ESTIMATED] = "tokens"
        document = spoken_by_client(exchange).write_answer(answer, asked, exchange.reference())
        return encode(document)


def spoken_by_client(exchange: Exchange) -> Embeddings:
    """The shape in which the client asked."""
    if exchange.endpoint.embeddings is None:
        raise RuntimeError(f"{exchange.endpoint.path} is no endpoint for embeddings")
    return exchange.endpoint.embeddings


def _unsupported_content(error: UnsupportedContent) -> Problem:
    return Problem(kind="invalid_request", code="unsupported_content", message=str(error), param=error.path)
