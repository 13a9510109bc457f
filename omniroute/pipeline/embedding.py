"""One request for embeddings in the words of one target: what `translate` does where the answer is vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from omniroute.errors import MalformedStream, Problem, Refused, UnsupportedContent, UpstreamError
from omniroute.pipeline.asked_in_parts import asked_in_parts
from omniroute.pipeline.client_words import (
    ESTIMATED,
    limits_told,
    not_strict,
    tell_dropped,
    tell_status,
    unsupported,
)
from omniroute.pipeline.edits import applied, edited_answer, names_of, select
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply, parse_object
from omniroute.pipeline.parts import Edit, Handler
from omniroute.routing.directory import Target
from omniroute.upstream.headers import outgoing_headers
from omniroute.wire.bridge import encode
from omniroute.wire.codec import Wire
from omniroute.wire.conversation import Usage
from omniroute.wire.embeddings import EmbeddingAnswer, Embeddings, Vector, read_embeddings


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
    path = crossing.embeddings.path(target.model)
    parts = [_outgoing(upstream.wire, path, headers, written, crossing) for written in crossing.written()]
    if len(parts) == 1:
        exchange.outgoing = parts[0]
        replies = [await proceed(exchange)]
    else:
        replies = await asked_in_parts(exchange, parts, crossing.estimates(), proceed)
    return _answered(exchange, replies, crossing, clock(), same=same)


def _answered(
    exchange: Exchange, replies: list[Reply], crossing: _Crossing, now: float, *, same: bool
) -> Reply:
    """The reply for the client, whose head is that of the last one."""
    reply = replies[-1]
    tell_dropped(exchange, reply)
    reply.headers.update(limits_told(exchange, reply, now, same=same))
    if reply.problem is not None:
        tell_status(exchange, reply, reply.problem)
        if not same:
            reply.body = None
        return reply
    reply.bulk = None
    body = crossing.told([crossing.edited(one.body or b"", "upstream", one) for one in replies], reply)
    reply.body = crossing.edited(body, "client", reply)
    return reply


def _outgoing(
    wire: Wire, path: str, headers: dict[str, str], written: bytes, crossing: _Crossing
) -> Outgoing:
    outgoing = Outgoing(wire, path, dict(headers))
    outgoing.body = crossing.prepared(written, outgoing.headers)
    return outgoing


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

    @abstractmethod
    def written(self) -> list[bytes]:
        """The requests for the target, before their edits: mostly one."""

    def estimates(self) -> list[int]:
        """Tokens that each of several requests has, roughly."""
        return []

    @abstractmethod
    def told(self, bodies: list[bytes], reply: Reply) -> bytes:
        """The answers to all requests in the client's words. Raises `UpstreamError` for what is none."""

    def prepared(self, written: bytes, headers: dict[str, str]) -> bytes:
        """What is sent of it, after edits, which may change `headers`."""
        edits = select(self._edits, "request", "upstream")
        params = self._exchange.member.params if self._exchange.member is not None else {}
        if not edits and not params:
            return written
        document = {**parse_object(written), **params}
        changed = applied(edits, document, names_of(self._exchange), headers)
        if changed is None and not params:
            return written
        if self._exchange.path == "same":
            self._exchange.path = "edited"
        return encode(document if changed is None else changed)

    def edited(self, body: bytes, side: str, reply: Reply) -> bytes:
        """An answer after its edits."""
        edits = select(self._edits, "response", side)
        return edited_answer(body, edits, names_of(self._exchange), reply.headers) if edits else body


class _Same(_Crossing):
    """The upstream speaks the client's format: only the model's name is another."""

    def __init__(self, exchange: Exchange, target: Target) -> None:
        super().__init__(exchange, target, spoken_by_client(exchange))
        exchange.path = "edited" if exchange.edited else "same"

    def written(self) -> list[bytes]:
        exchange, dialect = self._exchange, self._target.dialect
        if exchange.edited:
            document = parse_object(encode(exchange.doc))
            self.embeddings.readdress(document, dialect)
            return [encode(document)]
        # What was cut out of the body is none of the business here: nothing looks into it.
        top = exchange.top if exchange.bulk is None else None
        return [self.embeddings.readdressed(exchange.request.body, exchange.model, dialect, top)]

    def told(self, bodies: list[bytes], reply: Reply) -> bytes:
        return bodies[0]


class _Cross(_Crossing):
    """The upstream speaks another format."""

    def __init__(self, exchange: Exchange, target: Target, embeddings: Embeddings, *, strict: bool) -> None:
        exchange.path = "cross"
        try:
            self._asked = spoken_by_client(exchange).read_request(exchange.doc)
            embeddings = embeddings.fitting(self._asked)
            self._parts = self._asked.in_parts(embeddings.most)
            documents = [embeddings.write_request(p, target.dialect, exchange.notes) for p in self._parts]
        except UnsupportedContent as error:
            raise Refused(_unsupported_content(error)) from error
        if strict and exchange.notes.dropped:
            raise Refused(not_strict(exchange.notes.dropped, target))
        self._documents = documents
        super().__init__(exchange, target, embeddings)

    def written(self) -> list[bytes]:
        return [encode(document) for document in self._documents]

    def estimates(self) -> list[int]:
        return [part.estimated_tokens for part in self._parts]

    def told(self, bodies: list[bytes], reply: Reply) -> bytes:
        exchange, asked = self._exchange, self._asked
        vectors: list[Vector] = []
        try:
            for body, part in zip(bodies, self._parts, strict=True):
                vectors += read_embeddings(body, self.embeddings, len(part.inputs)).vectors
        except MalformedStream as error:
            raise UpstreamError(
                Problem(kind="bad_gateway", code="malformed_answer", message=f"{error}.")
            ) from error
        if exchange.usage is None:
            exchange.usage, exchange.estimated = Usage(input=asked.estimated_tokens), True
        if exchange.estimated:
            reply.headers[ESTIMATED] = "tokens"
        answer = EmbeddingAnswer(vectors=vectors, usage=exchange.usage)
        return encode(spoken_by_client(exchange).write_answer(answer, asked, exchange.reference()))


def spoken_by_client(exchange: Exchange) -> Embeddings:
    """The shape in which the client asked."""
    if exchange.endpoint.embeddings is None:
        raise RuntimeError(f"{exchange.endpoint.path} is no endpoint for embeddings")
    return exchange.endpoint.embeddings


def _unsupported_content(error: UnsupportedContent) -> Problem:
    return Problem(kind="invalid_request", code="unsupported_content", message=str(error), param=error.path)
