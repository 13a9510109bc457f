"""A model inside of the gateway: no network, no key, the same answer to the same question."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from typing import NamedTuple, get_args
from urllib.parse import unquote

import msgspec

from omniroute.declare import Options, transport
from omniroute.errors import Problem, Refused, UnsupportedContent, UpstreamError, kind_of
from omniroute.registry import load
from omniroute.upstream.demo_answer import CREATED, answer
from omniroute.upstream.demo_deltas import deltas
from omniroute.upstream.demo_embedding import embedded
from omniroute.upstream.demo_request import count_tokens
from omniroute.upstream.frames import Frames
from omniroute.upstream.transport import Inbound, Outbound, Transport
from omniroute.wire.codec import Operation, Reference, Wire
from omniroute.wire.conversation import Conversation, Doc, Notes
from omniroute.wire.embeddings import Embeddings

encode = msgspec.json.Encoder().encode

_ANY_MODEL = "MODEL"
"""Stands for a model's name in the paths of a wire whose paths hold one."""

_ERROR = re.compile(r"demo-error-([45]\d\d)")

_CUT = Problem(kind="bad_gateway", code="cut", message="The upstream closed the connection in mid-answer.")


@transport("demo", example="demo")
class Demo(Options, frozen=True, kw_only=True):
    """A model inside of the gateway, for first steps and tests: no network, no key, no cost.

    It speaks every wire format, streams word by word, and answers the same to the same request:

    - it tells what it saw of the request, and repeats the end of it;
    - it thinks first when reasoning is asked for, with a signature of the wire format;
    - it calls a tool when the user names one, or asks to run a command, to read or list files, or for a tool. The
      arguments are the least that the tool's schema demands, or the JSON object that the user put in backticks; a
      command is always `echo hello from omniroute`. "Two tools" or "in parallel" gives two calls. Tools that write,
      send or delete are called only by their full name (for a name that is a plain word: "the write tool").
      It answers a tool's result in words;
    - it answers JSON, made from the schema, when structured output is asked for;
    - it turns texts into vectors (256 numbers, or as many as are asked for): texts that share words are near each
      other;
    - it keeps to `max_tokens` and to stop sequences, and counts four characters as a token.

    A model's name chooses how it behaves: `demo` waits 15 ms between words, `demo-fast` not at all, `demo-slow`
    2 s at first and 0.25 s between words; `demo-cut` breaks off in mid-answer; `demo-error-429` (any 4xx or 5xx)
    answers with that status, 429 and 503 with `Retry-After: 1`.
    """

    def build(self) -> Transport:
        return DemoTransport(_wires())


@cache
def _wires() -> tuple[Wire, ...]:
    """One of each that is installed; they keep nothing."""
    return tuple(declaration.cls() for declaration in load().all("wire"))


class Pace(NamedTuple):
    """Seconds before the answer, and between its events."""

    first: float
    between: float


_PACES = {"demo-fast": Pace(0.0, 0.0), "demo-slow": Pace(2.0, 0.25)}
_USUAL = Pace(0.0, 0.015)


class Route(NamedTuple):
    """What is asked for at a path. `stream` is None where the body says it; `embeddings` is set where vectors are."""

    path: re.Pattern[str]
    wire: Wire
    operation: Operation
    stream: bool | None
    embeddings: Embeddings | None = None


class DemoTransport:
    """Answers what any of `wires` asks, at the paths that they themselves give."""

    def __init__(self, wires: Iterable[Wire]) -> None:
        routes = [route for wire in wires for route in _routes(wire)]
        # A path without a model's name is none of a model that is called so.
        self._routes = sorted(routes, key=lambda route: "model" in route.path.groupindex)

    async def send(self, outbound: Outbound) -> Inbound:
        path = outbound.url.partition(":")[2].partition("?")[0]
        for route in self._routes:
            match = route.path.fullmatch(path)
            if match is not None:
                named = match.groupdict().get("model")
                return await _Request(route, outbound.body, unquote(named) if named else None).answer()
        return DemoInbound(404, {}, [b'{"error":{"message":"The demo model has no such endpoint."}}'])

    async def close(self) -> None:
        """There is nothing to let go of."""


class DemoInbound:
    """An answer that is known to its end. With `cut` it breaks off after its last chunk."""

    __slots__ = ("_between", "_chunks", "_closed", "_cut", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        chunks: list[bytes],
        between: float = 0.0,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/json", **headers}
        self._chunks = chunks
        self._between = between
        self._cut = cut
        self._closed = False

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for number, chunk in enumerate(self._chunks):
            if number and self._between:
                await asyncio.sleep(self._between)
            if self._closed:
                return
            yield chunk
        if self._cut:
            raise UpstreamError(_CUT)

    async def close(self) -> None:
        self._closed = True


class _Request:
    """One request at one path."""

    def __init__(self, route: Route, body: bytes, model: str | None) -> None:
        self._route = route
        self._wire = route.wire
        self._body = body
        self._model = model
        self._digest = hashlib.sha256(body)
        self._numbers = count()

    async def answer(self) -> DemoInbound:
        try:
            document = msgspec.json.decode(self._body, type=dict)
            if self._route.embeddings is not None:
                return await self._embedded(self._route.embeddings, document)
            talk = self._wire.read_request(document)
        except (msgspec.MsgspecError, UnicodeDecodeError, UnsupportedContent) as error:
            return self._failed(Problem(kind="invalid_request", message=str(error)))
        except Refused as refused:
            return self._failed(refused.problem)
        talk.model = self._model or talk.model or "demo"
        problem = _problem_of(talk.model)
        if problem is not None:
            return self._failed(problem)
        if self._route.operation == "count_tokens":
            return DemoInbound(200, {}, [encode(self._wire.write_count(count_tokens(talk)))])
        return await self._said(talk, document)

    async def _embedded(self, embeddings: Embeddings, document: Doc) -> DemoInbound:
        asked = embeddings.read_request(document)
        model = self._model or str(document.get("model") or "demo")
        problem = _problem_of(model)
        if problem is not None:
            return self._failed(problem)
        await asyncio.sleep(_PACES.get(model, _USUAL).first)
        reference = Reference(model=model, request=document, created=CREATED, new_id=self._new_id)
        whole = encode(embeddings.write_answer(embedded(asked), asked, reference))
        cut = model == "demo-cut"
        return DemoInbound(200, {}, [whole[: len(whole) // 2] if cut else whole], cut=cut)

    async def _said(self, talk: Conversation, document: Doc) -> DemoInbound:
        pace = _PACES.get(talk.model, _USUAL)
        await asyncio.sleep(pace.first)
        said = answer(talk, self._wire.name, self._new_id)
        reference = Reference(model=talk.model, request=document, created=CREATED, new_id=self._new_id)
        cut = talk.model == "demo-cut"
        if talk.stream if self._route.stream is None else self._route.stream:
            writer = self._wire.writer(reference, Notes())
            frames = Frames(self._wire.framing)
            chunks = [event for delta in deltas(said) for event in frames.feed(writer.feed(delta))]
            headers = {"content-type": self._wire.stream_type}
            return DemoInbound(200, headers, chunks[: len(chunks) // 2] if cut else chunks, pace.between, cut)
        whole = encode(self._wire.write_answer(said, reference, Notes()))
        return DemoInbound(200, {}, [whole[: len(whole) // 2] if cut else whole], cut=cut)

    def _failed(self, problem: Problem) -> DemoInbound:
        wait = {"retry-after": f"{problem.retry_after:g}"} if problem.retry_after is not None else {}
        return DemoInbound(
            problem.http_status, wait, [encode(self._wire.write_error(problem, self._new_id("req_")))]
        )

    def _new_id(self, prefix: str) -> str:
        """Different in one answer, and the same whenever the same is asked."""
        digest = self._digest.copy()
        digest.update(str(next(self._numbers)).encode())
        return prefix + digest.hexdigest()[:24]


def _routes(wire: Wire) -> Iterator[Route]:
    for operation in get_args(Operation):
        plain, streamed = (wire.path(_ANY_MODEL, stream, operation) for stream in (False, True))
        if plain is None or streamed is None:
            continue
        if plain == streamed:
            yield Route(_pattern(plain), wire, operation, None)
        else:
            yield Route(_pattern(plain), wire, operation, False)
            yield Route(_pattern(streamed), wire, operation, True)
    for embeddings in wire.embeddings.variants if wire.embeddings is not None else ():
        yield Route(_pattern(embeddings.path(_ANY_MODEL)), wire, "embed", False, embeddings)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path.partition("?")[0]).replace(_ANY_MODEL, "(?P<model>.+)"))


def _problem_of(model: str) -> Problem | None:
    """The failure that a model's name asks for."""
    match = _ERROR.fullmatch(model)
    if match is None:
        return None
    status = int(match[1])
    return Problem(
        kind=kind_of(status),
        status=status,
        code="demo_error",
        message=f"The demo model was asked to fail with {status}.",
        retry_after=1.0 if status in (429, 503) else None,
    )
