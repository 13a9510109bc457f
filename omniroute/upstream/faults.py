"""Faults around any transport: what is scripted goes wrong, the same way each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from omniroute.config.faults import Fault, Faults
from omniroute.errors import Problem, UpstreamError, kind_of
from omniroute.upstream.frames import Frames, Framing, framing_of
from omniroute.upstream.headers import lowered, merged
from omniroute.upstream.transport import Inbound, Outbound, Transport

encode = msgspec.json.Encoder().encode

Send = Callable[[Outbound], Awaitable[Inbound]]

NONE = Fault()

PAGE = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"

USAGE = frozenset({"usage", "usageMetadata", "prompt_eval_count", "eval_count", "metrics"})
"""Keys under which the wire formats say what was used."""

_REFUSED = Problem(kind="bad_gateway", code="connect_error", message="The upstream could not be reached.")
_UNANSWERED = Problem(
    kind="timeout", code="connect_timeout", message="The upstream did not accept a connection in time."
)
_DISCONNECTED = Problem(
    kind="bad_gateway",
    code="disconnected",
    message="The upstream closed the connection without an answer.",
)
_CUT = Problem(kind="bad_gateway", code="cut", message="The upstream closed the connection in mid-answer.")


class Faulty:
    """A transport some of whose answers go wrong. The one below belongs to somebody else, who closes it."""

    def __init__(self, below: Transport, faults: Faults) -> None:
        self._below = below
        self._script = faults.script
        self._rate = faults.rate
        self._dice = random.Random(faults.seed)
        self._count = 0

    async def send(self, outbound: Outbound) -> Inbound:
        return await faulty(self._next(), outbound, self._below.send)

    async def close(self) -> None:
        """There is nothing of its own to let go of."""

    def _next(self) -> Fault:
        if not self._script:
            return NONE
        if self._rate is not None:
            hit = self._dice.random() < self._rate
            return self._dice.choice(self._script) if hit else NONE
        self._count += 1
        return self._script[(self._count - 1) % len(self._script)]


async def faulty(fault: Fault, outbound: Outbound, send: Send) -> Inbound:
    """The answer to a request, with what goes wrong. Raises `UpstreamError` as a transport does."""
    if fault.connect == "refused":
        raise UpstreamError(_REFUSED)
    if fault.connect == "timeout":
        await asyncio.sleep(outbound.connect)
        raise UpstreamError(_UNANSWERED)
    if fault.stall is not None and fault.after is None:
        await asyncio.sleep(fault.stall)
    if fault.disconnect:
        raise UpstreamError(_DISCONNECTED)
    inbound = _instead(fault, outbound)
    if inbound is None:
        inbound = await send(outbound)
    return Bent(fault, outbound, inbound)


class Whole:
    """An answer that is there from the start, whole or as events."""

    __slots__ = ("_chunks", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], chunks: list[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._chunks = chunks

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    async def close(self) -> None:
        """There is nothing to let go of."""


class Bent:
    """An answer that goes wrong on its way."""

    __slots__ = ("_fault", "_framing", "_inbound", "_outbound", "headers", "status")

    def __init__(self, fault: Fault, outbound: Outbound, inbound: Inbound) -> None:
        self._fault = fault
        self._outbound = outbound
        self._inbound = inbound
        self.status = inbound.status
        self.headers: Mapping[str, str] = merged(lowered(inbound.headers), lowered(fault.headers))
        self._framing: Framing = framing_of(self.headers.get("content-type", ""))

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        pieces = _Pieces(self._fault.split)
        async for part in self._bent():
            for piece in pieces.of(part):
                if self._fault.drip is not None:
                    await asyncio.sleep(self._fault.drip)
                yield piece

    async def close(self) -> None:
        await self._inbound.close()

    async def _bent(self) -> AsyncIterator[bytes]:
        """The events, with what happens at their places. An answer that is one whole is one event."""
        cut, place = _reach(self._fault.cut_after), _reach(self._fault.after)
        count = size = 0
        happened = False
        async for frame in self._frames():
            at = cut.within(count, size, frame, self._framing) if cut is not None else None
            if at is not None:
                yield frame[:at]
                raise UpstreamError(_CUT)
            here = (place or _START).within(count, size, frame, self._framing)
            if here is not None and not happened:
                happened = True
                if self._fault.stall is not None and place is not None:
                    yield frame[:here]
                    await asyncio.sleep(self._fault.stall)
                    size, frame = size + here, frame[here:]
                if self._fault.error is not None:
                    yield _error(self._fault.error, self._outbound, self._framing)
                    return
                if self._fault.malformed:
                    frame = _broken(frame, self._framing)
            yield frame
            count, size = count + 1, size + len(frame)
        if cut is not None and cut.met(count, size):
            raise UpstreamError(_CUT)

    async def _frames(self) -> AsyncIterator[bytes]:
        frames = Frames(self._framing)
        strip = self._fault.without_usage
        async for chunk in self._inbound.chunks():
            for frame in frames.feed(chunk):
                yield _stripped(frame) if strip else frame
        rest = frames.rest()
        if rest or self._framing == "none":
            yield _stripped(rest) if strip else rest


class _Reach(NamedTuple):
    """A place in an answer: behind so many events, or so many bytes."""

    amount: int
    unit: Literal["events", "bytes"]

    def within(self, count: int, size: int, frame: bytes, framing: Framing) -> int | None:
        """Where in this event the place is, with so many events and bytes before it; None when it is elsewhere."""
        if self.unit == "bytes":
            return self.amount - size if size <= self.amount < size + len(frame) else None
        if framing == "none":
            # A whole has no events to count: somewhere in its middle, if it is to have begun.
            return len(frame) // 2 if self.amount else 0
        return 0 if count == self.amount else None

    def met(self, count: int, size: int) -> bool:
        """Whether the place is the end of such an answer."""
        return self.amount == (size if self.unit == "bytes" else count)


_START = _Reach(0, "events")


def _reach(written: str | None) -> _Reach | None:
    if written is None:
        return None
    amount, _, unit = written.partition(" ")
    return _Reach(int(amount), "bytes" if unit.startswith("byte") else "events")


class _Pieces:
    """Cuts bytes into pieces of a size; without one, leaves them whole."""

    def __init__(self, most: int | None) -> None:
        self._most = most

    def of(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        most = self._most or len(data)
        return [data[start : start + most] for start in range(0, len(data), most)]


def _instead(fault: Fault, outbound: Outbound) -> Inbound | None:
    """The answer that takes the place of the provider's, if one does."""
    status = fault.status or 200
    if fault.html:
        return Whole(status, {"content-type": "text/html; charset=utf-8"}, [PAGE])
    if fault.empty:
        return Whole(status, _type_of(outbound), [])
    if fault.body is not None:
        return _scripted(fault.body, status, outbound)
    if fault.error is not None and fault.after is None:
        framing = framing_of(_type_of(outbound)["content-type"])
        return Whole(status, _type_of(outbound), [_error(fault.error, outbound, framing)])
    if status >= 300:
        problem = Problem(
            kind=kind_of(status), status=status, message=f"The upstream was told to answer {status}."
        )
        return Whole(status, {"content-type": "application/json"}, [_worded(problem, outbound)])
    return None


def _scripted(body: Any, status: int, outbound: Outbound) -> Inbound:
    if isinstance(body, str):
        return Whole(status, _type_of(outbound) if status < 300 else _JSON, [body.encode()])
    if isinstance(body, list) and streams(outbound) and status < 300:
        return Whole(status, _EVENTS, [b"data: " + encode(event) + b"\n\n" for event in body])
    return Whole(status, _JSON, [encode(body)])


_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}


def streams(outbound: Outbound) -> bool:
    """Whether the answer is to come in events."""
    return lowered(outbound.headers).get("accept", "") == "text/event-stream"


def _type_of(outbound: Outbound) -> Mapping[str, str]:
    """The content type that the request asks for."""
    if not streams(outbound):
        return _JSON
    return {"content-type": outbound.wire.stream_type} if outbound.wire is not None else _EVENTS


def _error(message: str, outbound: Outbound, framing: Framing) -> bytes:
    """An error in words of the provider's format, as an event or as a whole."""
    problem = Problem(kind="overloaded", message=message)
    if framing == "none" or outbound.wire is None:
        return _worded(problem, outbound)
    return outbound.wire.error_event(problem, "fault")


def _worded(problem: Problem, outbound: Outbound) -> bytes:
    if outbound.wire is None:
        return encode({"error": {"message": problem.message}})
    return encode(outbound.wire.write_error(problem, "fault"))


def _broken(frame: bytes, framing: Framing) -> bytes:
    """An event whose end is there and whose JSON is not: cut in the middle, with its line end."""
    body = frame.rstrip(b"\r\n")
    if framing == "aws":
        return frame[:-1] + bytes([frame[-1] ^ 0xFF])  # its checksum is the last thing in it
    start = body.find(b"{")
    middle = start + (len(body) - start) // 2 if start >= 0 else len(body) // 2
    return body[:middle] + frame[len(body) :]


def _stripped(frame: bytes) -> bytes:
    """An event, or a whole, that does not say what was used. One that is no JSON stays as it is."""
    start, end = frame.find(b"{"), frame.rfind(b"}")
    if start < 0 or end < start:
        return frame
    try:
        document = msgspec.json.decode(frame[start : end + 1])
    except msgspec.DecodeError:
        return frame
    return frame[:start] + encode(_without(document, USAGE)) + frame[end + 1 :]


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value
