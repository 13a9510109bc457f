"""The pump: whatever the upstream does, the client gets a legal end and the upstream is let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

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
async def test_every_ending_is_a_legal_one(ending: Exception | None, expected: bytes, cut: bool) -> None:
    source = Source([b"a", b"b"], ending)
    stream = Stream(source)
    stream.tap(Shout())
    out: list[bytes] = []

    async def write(chunk: bytes) -> None:
        out.append(chunk)

    await stream.pump(write)
    assert b"".join(out) == expected
    assert (stream.problem is not None) is cut
    assert source.closed


async def test_a_client_that_is_gone_closes_the_upstream() -> None:
    source = Source([b"a"] * 10)
    stream = Stream(source)

    async def write(chunk: bytes) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await stream.pump(write)
    assert source.closed


async def test_a_slow_client_holds_the_upstream_back() -> None:
    source = Source([b"x"] * 100)
    stream = Stream(source)
    free = asyncio.Semaphore(3)

    async def write(chunk: bytes) -> None:
        await free.acquire()

    pump = asyncio.ensure_future(stream.pump(write))
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(source._chunks) == 96, "three were taken, one is in hand, the rest stays where it is"
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
    assert source.closed


async def test_an_idle_stream_is_kept_alive_between_events_only() -> None:
    events, lines = (b"\n\n",), (b"\n",)
    for ends, last, beats in (
        (events, b"data: x\n\n", True),
        (events, b"data: x\n", False),
        (events, b"data: ha", False),
        (lines, b'{"x": 1}\n', True),
        (lines, b'{"x": ', False),
    ):
        source = Source([last], hang=True)
        stream = Stream(source, keep_alive=b": alive\n\n")
        stream.event_ends = ends
        out: list[bytes] = []

        async def write(chunk: bytes, out: list[bytes] = out) -> None:
            out.append(chunk)

        pump = asyncio.ensure_future(stream.pump(write, every=0.02))
        await asyncio.sleep(0.1)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        assert (b": alive\n\n" in out) is beats


async def test_keep_alives_do_not_pile_up_behind_a_client_that_does_not_read() -> None:
    stream = Stream(Source([b"data: x\n\n"], hang=True), keep_alive=b": alive\n\n")

    async def write(chunk: bytes) -> None:
        if chunk.startswith(b":"):
            await asyncio.Event().wait()

    def beating() -> int:
        return sum(task.get_name() == "keep-alive" for task in asyncio.all_tasks())

    pump = asyncio.ensure_future(stream.pump(write, every=0.02))
    await asyncio.sleep(0.3)
    assert beating() == 1
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
    await asyncio.sleep(0)
    assert beating() == 0
