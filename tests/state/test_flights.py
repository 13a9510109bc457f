"""An answer that several read: all of it for each, no matter how slow, and nothing left when they are gone."""

from __future__ import annotations

import asyncio

import pytest

from omniroute.errors import UpstreamError
from omniroute.state.flights import AHEAD, LOST, Flight, Flights, Keeping, Reader

KEY, DIGEST = b"key", b"digest"


async def everything(reader: Reader[None]) -> bytes:
    return b"".join([chunk async for chunk in reader])


def writing(*chunks: bytes, gate: asyncio.Event | None = None):  # type: ignore[no-untyped-def]  # a maker of flights
    async def make(flight: Flight[None]) -> None:
        flight.tell()
        for chunk in chunks:
            flight.write(chunk)
            await flight.drained()
        if gate is not None:
            await gate.wait()

    return make


async def test_a_late_reader_gets_what_was_and_what_comes() -> None:
    flights: Flights[None] = Flights()
    gate = asyncio.Event()
    flight = flights.begin(KEY, DIGEST, None, writing(b"one ", b"two", gate=gate))
    first = flight.join()
    assert await anext(first) == b"one "
    late = flights.find(KEY)
    assert late is flight
    second = late.join()
    gate.set()
    assert await asyncio.gather(everything(first), everything(second)) == [b"two", b"one two"]
    await asyncio.sleep(0)
    assert flights.find(KEY) is None
    await first.aclose()
    await second.aclose()
    assert (len(flights), flights.kept) == (0, 0)


async def test_the_maker_waits_for_the_fastest_reader_only() -> None:
    flights: Flights[None] = Flights()
    chunks = [b"x" * (AHEAD // 2)] * 20
    flight = flights.begin(KEY, DIGEST, None, writing(*chunks))
    fast, slow = flight.join(), flight.join()
    await flight.known
    await asyncio.sleep(0)
    assert flights.kept <= 2 * AHEAD, "nobody has read, and still it goes on"
    assert len(await everything(fast)) == sum(map(len, chunks))
    assert len(await everything(slow)) == sum(map(len, chunks))


async def test_who_falls_too_far_behind_loses_the_answer_and_nobody_else_does() -> None:
    keeping = Keeping(most=10_000, most_of_one=1_000, ahead=300)
    flights: Flights[None] = Flights(keeping)
    flight = flights.begin(KEY, DIGEST, None, writing(*[b"x" * 300] * 10))
    fast, slow = flight.join(), flight.join()
    read = 0
    async for chunk in fast:
        read += len(chunk)
        assert flights.kept <= 1_600
    assert read == 3_000
    assert flights.find(KEY) is None, "its beginning is gone"
    with pytest.raises(UpstreamError) as lost:
        await everything(slow)
    assert lost.value.problem is LOST
    await fast.aclose()
    await slow.aclose()
    assert flights.kept == 0


async def test_all_answers_together_are_bounded() -> None:
    keeping = Keeping(most=1_000, most_of_one=900, ahead=100)
    flights: Flights[None] = Flights(keeping)
    gate = asyncio.Event()
    readers = []
    for number in range(10):
        flight = flights.begin(bytes([number]), DIGEST, None, writing(*[b"x" * 100] * 5, gate=gate))
        readers.append(flight.join())
        for _ in range(5):
            await anext(readers[-1])
        assert flights.kept <= 1_300
    assert flights.find(b"\x00") is not None
    assert flights.find(b"\x09") is None, "there was no room to keep it for others"
    gate.set()
    for reader in readers:
        assert await everything(reader) == b""
        await reader.aclose()
    assert flights.kept == 0


async def test_the_last_reader_ends_the_making() -> None:
    flights: Flights[None] = Flights()
    ended = asyncio.Event()

    async def make(flight: Flight[None]) -> None:
        flight.tell()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    flight = flights.begin(KEY, DIGEST, None, make)
    first, second = flight.join(), flight.join()
    await flight.known
    await first.aclose()
    assert not ended.is_set()
    await second.aclose()
    assert ended.is_set()
    assert flight.payer is second
    assert (len(flights), flights.kept) == (0, 0)


async def test_nobody_joins_an_answer_that_was_given_up() -> None:
    flights: Flights[None] = Flights()
    found: list[Flight[None] | None] = []

    async def make(flight: Flight[None]) -> None:
        flight.tell()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            found.append(flights.find(KEY))

    flight = flights.begin(KEY, DIGEST, None, make)
    reader = flight.join()
    await flight.known
    await reader.aclose()
    assert found == [None]


async def test_an_error_before_the_head_is_told_to_all() -> None:
    flights: Flights[None] = Flights()

    async def make(flight: Flight[None]) -> None:
        raise ValueError("broken")

    flight = flights.begin(KEY, DIGEST, None, make)
    readers = [flight.join(), flight.join()]
    for reader in readers:
        with pytest.raises(ValueError, match="broken"):
            await asyncio.shield(flight.known)
        await reader.aclose()
    assert flight.payer is readers[0]
    assert len(flights) == 0


async def test_an_error_in_the_middle_is_no_clean_end(caplog: pytest.LogCaptureFixture) -> None:
    flights: Flights[None] = Flights()

    async def make(flight: Flight[None]) -> None:
        flight.tell()
        flight.write(b"half ")
        raise ValueError("broken")

    flight = flights.begin(KEY, DIGEST, None, make)
    reader = flight.join()
    assert await anext(reader) == b"half "
    with pytest.raises(UpstreamError):
        await anext(reader)
    assert "shared failed" in caplog.text
