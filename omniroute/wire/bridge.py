"""From the client's wire to the target's and back, through the canonical conversation.

N codecs make N² bridges without a line for any pair. Where both wires are the same nothing here runs but a
`WatchTap`, which only looks at the bytes that go by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from omniroute.errors import MalformedStream, Problem
from omniroute.wire.aws_events import AwsSplitter, message
from omniroute.wire.codec import Dialect, Event, Reference, Splitter, StreamReader, StreamWriter, Wire
from omniroute.wire.conversation import (
    Answer,
    Conversation,
    Delta,
    Doc,
    Failure,
    Finish,
    Finished,
    Notes,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageDelta,
)
from omniroute.wire.custom_calls import CustomCalls
from omniroute.wire.failures import problem_of
from omniroute.wire.names import NameMap
from omniroute.wire.ndjson import LineSplitter, line
from omniroute.wire.pairing import paired
from omniroute.wire.sse import EventSplitter, frame

encode = msgspec.json.Encoder().encode

SPLITTERS: dict[str, Callable[[], Splitter]] = {
    "sse": EventSplitter,
    "ndjson": LineSplitter,
    "aws": AwsSplitter,
}
"""Framing → a new splitter of a stream of that framing."""
FRAMES: dict[str, Callable[[bytes, str], bytes]] = {"sse": frame, "ndjson": line, "aws": message}
"""Framing → an event of such a stream, made of its payload and its name."""


def translate_request(
    talk: Conversation, client: Wire, target: Wire, dialect: Dialect, notes: Notes
) -> tuple[Doc, NameMap]:
    """The body for a target of another wire, and the names that were changed on the way."""
    if target.wants_pairs:
        talk = paired(talk, notes)
    names = NameMap.of(talk, client, target)
    document = target.write_request(names.outward(talk), dialect, notes)
    if target.model_in_body:
        # The client's word may be an alias, a combo, a prefixed name: the target knows its own only.
        document["model"] = dialect.model
    return document, names


def read_answer(raw: bytes, source: Wire) -> Answer:
    """A plain answer. Raises `MalformedStream` when it is not a JSON object."""
    try:
        document = msgspec.json.decode(raw, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStream(f"the upstream's answer is not a JSON object: {error}") from error
    return source.read_answer(document)


def write_answer(answer: Answer, client: Wire, reference: Reference, notes: Notes) -> bytes:
    """A plain answer as the client's bytes."""
    return encode(client.write_answer(answer, reference, notes))


_WORDS = frozenset((TextDelta, ThinkingDelta))


class CrossTap:
    """Translates a stream chunk by chunk; what it learned of it is known when it has ended."""

    __slots__ = (
        "_customs",
        "_names",
        "_reader",
        "_splitter",
        "_unsent",
        "_writer",
        "cut",
        "ended",
        "finish",
        "usage",
    )

    def __init__(
        self,
        source: Wire,
        writer: StreamWriter,
        names: NameMap,
        talk: Conversation | None = None,
        reader: StreamReader | None = None,
        splitter: Splitter | None = None,
    ) -> None:
        self._splitter = splitter if splitter is not None else SPLITTERS[source.framing]()
        self._reader: StreamReader = reader if reader is not None else source.reader()
        self._writer = writer
        self._names = names
        self._customs = CustomCalls(talk)
        self._unsent = b""
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.cut: Problem | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        events = self._splitter.feed(chunk)
        if len(events) == 1:
            return self._write(self._reader.feed(events[0]))
        out = b""
        try:
            for event in events:
                out += self._write(self._reader.feed(event))
        except MalformedStream:
            # What came before the broken event was good: it goes out with the ending.
            self._unsent = out
            raise
        return out

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        if self.ended:
            return b"", None
        self.ended = True
        out = self._unsent
        if problem is None:
            try:
                out += self._drain()
            except MalformedStream as error:
                problem = Problem(
                    kind="bad_gateway",
                    code="malformed_stream",
                    message=f"The upstream's stream broke: {error}",
                )
        self.cut = self.cut or problem
        return out + self._writer.close(problem), None

    def _drain(self) -> bytes:
        events: list[Event] = self._splitter.end()
        out = b"".join([self._write(self._reader.feed(event)) for event in events])
        return out + self._write(self._reader.end())

    def _write(self, deltas: Iterable[Delta]) -> bytes:
        out = b""
        for delta in deltas:
            if type(delta) in _WORDS:
                # Most are: they name nothing, and there is nothing to note of them.
                out += self._writer.feed(delta)
                continue
            self._note(delta)
            for known in self._customs.feed(self._names.inward_delta(delta)):
                out += self._writer.feed(known)
        return out

    def _note(self, delta: Delta) -> None:
        if isinstance(delta, UsageDelta):
            self.usage = delta.usage
        elif isinstance(delta, Finished):
            self.finish = delta.finish
        elif isinstance(delta, Failure):
            self.cut = problem_of(delta)


_ERROR = b'"error"'
"""Stands in every event that tells of an error, in each wire."""


class WatchTap:
    """Lets a stream of the client's own wire through, and sees usage, finish, and whether it ended as it should."""

    __slots__ = ("_request_id", "_suspect", "_tap", "_wire", "cut")
    passive = True

    def __init__(self, wire: Wire, request_id: str) -> None:
        self._suspect = b""
        self._wire = wire
        self._tap = wire.tap()
        self._request_id = request_id
        self.cut: Problem | None = None

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    @property
    def finish(self) -> Finish | None:
        return self._tap.finish

    def feed(self, chunk: bytes) -> bytes:
        self._tap.feed(chunk)
        if _ERROR in chunk:
            self._suspect = chunk
        return chunk

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        if self._tap.finished:
            # All that was to come has come; how the connection ended after that is of no interest.
            self.cut = self._told() if self.finish is None else None
            return b"", None
        self.cut = problem or Problem(
            kind="bad_gateway",
            code="truncated",
            message="The upstream's stream ended before its answer was complete.",
        )
        return self._wire.error_event(self.cut, self._request_id), None

    def _told(self) -> Problem | None:
        """The error with which the upstream itself ended its stream, if it did; the client has read it there."""
        splitter, reader = SPLITTERS[self._wire.framing](), self._wire.reader()
        try:
            events = [*splitter.feed(self._suspect), *splitter.end()]
            deltas = [delta for event in events for delta in reader.feed(event)]
        except MalformedStream:
            return None
        return next((problem_of(delta) for delta in deltas if isinstance(delta, Failure)), None)


_MODEL = re.compile(rb'"model"\s*:\s*"[^"\\]*"')
_HEAD = 64 * 1024
"""Bytes in which the first event is looked for."""


class AskedModelTap:
    """Puts the name that the client asked for into the first event of a stream that passes as bytes.

    Claude Code drops the thinking of an answer whose model is not the one it asked for, so an alias or a combo would
    cost it its memory.
    """

    __slots__ = ("_done", "_head", "_named")

    def __init__(self, asked: str) -> None:
        self._named = b'"model":' + encode(asked)
        self._head = b""
        self._done = False

    def feed(self, chunk: bytes) -> bytes:
        if self._done:
            return chunk
        self._head += chunk
        if not (_MODEL.search(self._head) or len(self._head) > _HEAD):
            return b""
        return self._named_head()

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return (b"" if self._done else self._named_head()), problem

    def _named_head(self) -> bytes:
        self._done = True
        head, self._head = self._head, b""
        return _MODEL.sub(lambda _: self._named, head, count=1)
