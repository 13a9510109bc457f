"""An answer told again: to another caller, in another shape or wire format than it was made in, or much later.

Where the bytes of the first answer fit they are sent as they were. Else they are read as if an upstream of that format
had sent them, and written in the asking client's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import msgspec

from omniroute.pipeline import response_state
from omniroute.pipeline.exchange import Exchange, Reply, parse_object
from omniroute.state.responses import ResponseStore
from omniroute.wire.bridge import SPLITTERS, CrossTap, read_answer, write_answer
from omniroute.wire.codec import Event, Splitter, StreamReader, Wire
from omniroute.wire.conversation import Answer, Delta, End, Notes, Usage, UsageDelta
from omniroute.wire.custom_calls import CustomCalls
from omniroute.wire.json_array import JsonArraySplitter
from omniroute.wire.names import NameMap
from omniroute.wire.recast import Collected, deltas_of

SLICE = 64 * 1024
"""Bytes of a kept stream that are sent at once."""


class Kept(msgspec.Struct, array_like=True, kw_only=True):
    """An answer as it is stored. `digest` says to which request its bytes are the very answer, `at` when it was kept
    (epoch seconds); `headers` are those of the answer that still hold. `usage` is what it was charged for: not every
    stream tells."""

    digest: bytes
    wire: str
    streamed: bool
    at: float
    headers: dict[str, str]
    content: bytes
    usage: Usage | None


def pack(kept: Kept) -> bytes:
    return _ENCODER.encode(kept)


def unpack(raw: bytes) -> Kept | None:
    """None for what another version wrote."""
    try:
        return _DECODER.decode(raw)
    except msgspec.DecodeError:
        return None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Kept)


def slices(content: bytes) -> list[bytes]:
    return [content[start : start + SLICE] for start in range(0, len(content), SLICE)]


class Teller:
    """Tells an answer of `source` to the client of an exchange, in another shape or format. `usage` gives what is known
    of it, for a stream that does not tell; `array`: the stream is one JSON array."""

    def __init__(
        self, exchange: Exchange, source: Wire, usage: Callable[[], Usage | None], *, array: bool = False
    ) -> None:
        self._array = array
        self._exchange = exchange
        self._source = source
        self._usage = usage

    def plain_of_plain(self, body: bytes) -> bytes:
        return self._written(read_answer(body, self._source))

    async def plain_of_stream(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Raises `UpstreamError` for an error in the stream, `MalformedStream` for one that is broken."""
        splitter, reader, collected = self._splitter(), self._reader(), Collected()
        async for chunk in chunks:
            for event in splitter.feed(chunk):
                collected.add(reader.feed(event))
        for event in splitter.end():
            collected.add(reader.feed(event))
        collected.add(reader.end())
        return self._written(collected.answer())

    def stream_of_plain(self, body: bytes) -> bytes:
        exchange = self._exchange
        writer = exchange.wire.writer(exchange.reference(), Notes())
        answer = self._opened(read_answer(body, self._source))
        return b"".join([*map(writer.feed, deltas_of(answer)), writer.close()])

    def stream_of_stream(self) -> CrossTap:
        exchange = self._exchange
        writer = exchange.wire.writer(exchange.reference(), Notes())
        names = NameMap({}, None, None)
        return CrossTap(self._source, writer, names, exchange.talk, self._reader(), self._splitter())

    def _splitter(self) -> Splitter:
        return JsonArraySplitter() if self._array else SPLITTERS[self._source.framing]()

    def _reader(self) -> StreamReader:
        return _Counting(self._source.reader(), self._usage)

    def _written(self, answer: Answer) -> bytes:
        exchange = self._exchange
        return write_answer(self._opened(answer), exchange.wire, exchange.reference(), Notes())

    def _opened(self, answer: Answer) -> Answer:
        return CustomCalls(self._exchange.talk).opened_answer(answer)


class _Counting:
    """A reader that says before the end what the answer used, if the stream did not."""

    __slots__ = ("_reader", "_told", "_usage")

    def __init__(self, reader: StreamReader, usage: Callable[[], Usage | None]) -> None:
        self._reader = reader
        self._usage = usage
        self._told = False

    def feed(self, event: Event) -> Iterator[Delta]:
        return self._with_usage(self._reader.feed(event))

    def end(self) -> Iterator[Delta]:
        return self._with_usage(self._reader.end())

    def _with_usage(self, deltas: Iterable[Delta]) -> Iterator[Delta]:
        for delta in deltas:
            self._told = self._told or isinstance(delta, UsageDelta)
            if isinstance(delta, End) and not self._told:
                usage = self._usage()
                if usage is not None:
                    yield UsageDelta(usage=usage)
            yield delta


def remember(exchange: Exchange, reply: Reply, store: ResponseStore) -> None:
    """A Responses client may go on from an answer that it got from here, whoever asked for it first."""
    if not response_state.keeps(exchange):
        return
    if reply.stream is not None:
        reply.stream.tap(response_state.KeepTap(exchange, store))
    elif reply.body is not None:
        response_state.keep(exchange, parse_object(reply.body), store)
