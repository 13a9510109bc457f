"""The pump: whatever the upstream does, the client gets a legal end and the upstream is let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from omniroute import virtual_time
from omniroute.errors import MalformedStream, Problem, UpstreamError
from omniroute.pipeline.stream import Stream

BROKEN = Problem(kind="bad_gateway", message="cut")


class Source:
    """Chunks, then an ending; remembers that it was closed."""

    def __init__(self, chunks: list[bytes], ending: Exception | None = None, hang: bool = False) -> None:
        self._chunks = list(chunks)
        self._ending = ending
        self._hang = hang
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._ending is not None:
            raise self._ending
        if self._hang:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class Client:
    """Takes what it is given; `full` after `room` chunks, until `free` is called."""

    def __init__(self, room: int = 1000, gone: bool = False) -> None:
        self.out: list[bytes] = []
        self.room = room
        self._gone = gone
        self._free = asyncio.Event()
        self._told: tuple[Callable[[], None], Callable[[], None]] | None = None

    @property
    def full(self) -> bool:
        return self._gone or len(self.out) >= self.room

    def write(self, chunk: bytes) -> None:
        self.out.append(chunk)

    def flush(self) -> None:
        self.out.append(b"")

    async def drained(self) -> None:
        if self._gone:
            raise ConnectionResetError
        await self._free.wait()

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        self._told = (full, free)


class Pushing(Source):
    """Hands its chunks on by itself."""

    def __init__(self, chunks: list[bytes], ending: Exception | None = None) -> None:
        super().__init__(chunks, ending)
        self.held: list[str] = []

    async def flow(self, feed: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        async for chunk in self:
            feed(chunk)
            begun()

    def pause(self) -> None:
        self.held.append("pause")

    def resume(self) -> None:
        self.held.append("resume")


class Shout:
    """A tap that changes chunks, and tells at the end what broke."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk.upper()

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return (b"!" if problem is None else problem.message.encode()), None


@pytest.mark.parametrize(
    "ending, expected, cut",
    [
        (None, b"AB!", False),
        (UpstreamError(BROKEN), b"ABcut", True),
        (MalformedStream("bad"), b"ABThe upstream's stream broke: bad", True),
        (ValueError("a bug"), b"ABThe gateway failed in the middle of this answer.", True),
    ],
)
@pytest.mark.parametrize("kind", [Source, Pushing])
async def test_every_ending_is_a_legal_one(
    ending: Exception | None, expected: bytes, cut: bool, kind: type[Source]
) -> None:
    source = kind([b"a", b"b"], ending)
    stream = Stream(source)
    stream.tap(Shout())
    client = Client()
    await stream.pump(client)
    assert b"".join(client.out) == expected
    assert (stream.problem is not None) is cut
    assert source.closed


class Silent:
    """A tap that keeps everything to itself."""

    def feed(self, chunk: bytes) -> bytes:
        return b""

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return b"", problem


async def test_the_head_of_an_answer_does_not_wait_for_what_a_tap_keeps() -> None:
    stream = Stream(Pushing([b"a"]))
    stream.tap(Silent())
    client = Client()
    await stream.pump(client)
    assert client.out == [b""], "flushed, and nothing written"


async def test_a_client_that_is_gone_closes_the_upstream() -> None:
    source = Source([b"a"] * 10)
    with pytest.raises(ConnectionResetError):
        await Stream(source).pump(Client(gone=True))
    assert source.closed


async def test_a_slow_client_holds_the_upstream_back() -> None:
    source = Source([b"x"] * 100)
    pump = asyncio.ensure_future(Stream(source).pump(Client(room=3)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(source._chunks) == 97, "three were taken, the rest stays where it is"
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
    assert source.closed


async def test_a_source_that_pushes_is_told_of_a_slow_client() -> None:
    source, client = Pushing([b"x"]), Client()
    await Stream(source).pump(client)
    assert client._told is not None
    for tell in client._told:
        tell()
    assert source.held == ["pause", "resume"]


async def pumped(stream: Stream, client: Client, seconds: float) -> None:
    """So long, with a keep-alive every 15 s."""
    pump = asyncio.ensure_future(stream.pump(client, every=15))
    await asyncio.sleep(seconds)
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)


def test_an_idle_stream_is_kept_alive_between_events_only() -> None:
    events, lines = (b"\n\n",), (b"\n",)
    for ends, last, beats in (
        (events, b"data: x\n\n", True),
        (events, b"data: x\n", False),
        (events, b"data: ha", False),
        (lines, b'{"x": 1}\n', True),
        (lines, b'{"x": ', False),
    ):
        stream = Stream(Source([last], hang=True), keep_alive=b": alive\n\n")
        stream.event_ends = ends
        client = Client()
        virtual_time.run(pumped(stream, client, seconds=70))
        assert (b": alive\n\n" in client.out) is beats


def test_keep_alives_do_not_pile_up_behind_a_client_that_does_not_read() -> None:
    stream = Stream(Source([b"data: x\n\n"], hang=True), keep_alive=b": alive\n\n")
    client = Client(room=2)
    virtual_time.run(pumped(stream, client, seconds=300))
    assert client.out == [b"data: x\n\n", b": alive\n\n"]
