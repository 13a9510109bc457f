"""What a wire format has to offer: the seam between codecs and everything else.

A codec file reads top to bottom as: request in, request out, answer in, answer out, stream in, stream out,
errors, glances. Same order in every file, so that two can be compared side by side. Most of it is a table: which
function of the wire's other files does what.

What several wires need stands in files of its own: `shapes` (what JSON holds at a place), `settings`, `functions` (tools
that have to be functions), `content`, `pairing` and `turn_order` (what APIs want of a history), `losses` (what is noted),
`failures`, `delta_writer` and `block_writer` (streams out).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

import msgspec

from omniroute.errors import Problem
from omniroute.wire.conversation import Answer, Conversation, Delta, Doc, Finish, Notes, Usage
from omniroute.wire.rate_limit_headers import Family

if TYPE_CHECKING:
    from omniroute.wire.embeddings import Embeddings

Operation = Literal["chat", "count_tokens", "embed"]
Position = Literal["prepend", "append"]


class Event(NamedTuple):
    """One event of a stream: its name (`event:` of SSE, else "") and its payload, undecoded."""

    name: str
    data: bytes


class NameRule(NamedTuple):
    """Names that a wire accepts: `allowed` is a character class's inside (`a-zA-Z0-9_-`), `longest` in characters."""

    allowed: str
    longest: int
    first: str = ""
    """What a name must start with, if that is narrower than `allowed`."""


class Peek(NamedTuple):
    """What every request is asked: the model's name, and whether the answer is to be streamed.

    `strange`: the body is one of another wire (see `Wire.adopt`).
    """

    model: str
    stream: bool
    strange: bool = False


class Asked(msgspec.Struct):
    """What most bodies say of themselves, for a `peek`."""

    model: str
    stream: bool | None = None


class _Object(msgspec.Struct):
    """Any JSON object."""


_asked = msgspec.json.Decoder(Asked).decode
_object = msgspec.json.Decoder(_Object).decode


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What the target of a `write_request` accepts. Made from the catalogue; a wire never knows a provider.

    `max_output` is the most output tokens the model can give; `quirks` are words that codecs and the
    catalogue share (listed in docs/reference); `thinking_levels` are the effort words the model knows,
    `thinking_min` and `thinking_max` its budget in tokens; `capabilities` None means unknown.
    """

    model: str = ""
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    quirks: frozenset[str] = frozenset()
    thinking_levels: tuple[str, ...] = ()
    thinking_min: int | None = None
    thinking_max: int | None = None
    prompt_cache: Literal["keep", "auto"] = "keep"


class Reference(msgspec.Struct, kw_only=True):
    """What an answer refers back to: who asked, and how.

    `model` is the name the client asked for; `request` the client's own JSON (settings that an answer
    repeats, `stream_options`); `created` epoch seconds; `new_id(prefix)` gives a fresh id such as `msg_…`.
    """

    model: str
    request: Doc
    created: int
    new_id: Callable[[str], str]
    array: bool = False
    """Gemini only: a stream without `alt=sse` is one JSON array."""


class Glance(msgspec.Struct, kw_only=True):
    """What the gateway wants to know of an answer that it passes through as bytes.

    `empty` is True for a 200 that carries neither content nor a reason for having none; `problem` is set
    when a 200 body holds an error.
    """

    usage: Usage | None = None
    finish: Finish | None = None
    model: str = ""
    empty: bool = False
    problem: Problem | None = None

    @classmethod
    def of(cls, answer: Answer, problem: Problem | None = None) -> Glance:
        """For a wire whose whole answer is decoded to look at it. Tokens that were generated, but not for the client
        to see, are no failure, and neither is a finish reason that explains why there is nothing."""
        choice = answer.choices[0]
        spent = answer.usage is not None and answer.usage.output > 0
        meant = choice.finish is not None and choice.finish.reason not in ("stop", "tool_calls", "other")
        empty = not (choice.parts or meant or spent)
        return cls(usage=answer.usage, finish=choice.finish, empty=empty, problem=problem)


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a model list. `created` epoch seconds; `capabilities` None means unknown."""

    id: str
    owner: str = "omniroute"
    name: str | None = None
    created: int = 0
    context: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None


class Splitter(Protocol):
    """Cuts the bytes of a stream into events. One per stream; chunks may be cut anywhere."""

    def feed(self, chunk: bytes) -> list[Event]: ...

    def end(self) -> list[Event]:
        """The connection closed: what a last event without its end has come to."""
        ...


class StreamReader(Protocol):
    """Turns upstream events into deltas. One per stream; never raises on strange but legal JSON."""

    def feed(self, event: Event) -> Iterable[Delta]:
        """Raises `MalformedStream` when the payload is not what the wire allows."""
        ...

    def end(self) -> Iterable[Delta]:
        """The connection closed. Ends with `End`, or with `Failure(kind="bad_gateway")` when the answer was cut."""
        ...


class StreamWriter(Protocol):
    """Turns deltas into the bytes of a legal event stream of this wire, ready to send."""

    def feed(self, delta: Delta) -> bytes:
        """Bytes to send now, possibly none. An event leaves as soon as it is known."""
        ...

    def close(self, problem: Problem | None = None) -> bytes:
        """Finish legally: close what is open, then the terminal event; with a problem, the error event."""
        ...


class StreamTap(Protocol):
    """Watches a stream that passes as bytes, and only looks; fed with whole chunks, split anywhere."""

    usage: Usage | None
    finish: Finish | None
    finished: bool
    """The wire's terminal event went by."""

    def feed(self, chunk: bytes) -> None: ...


class Wire(ABC):
    """One wire format. Instances have no state: everything per stream is in readers and writers."""

    name: ClassVar[str]
    """As in the config: `openai-chat`, `anthropic-messages`, `openai-responses`, `gemini`, …"""
    framing: ClassVar[Literal["sse", "ndjson", "aws"]] = "sse"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    """The content type of a streamed answer."""
    event_ends: ClassVar[tuple[bytes, ...]] = (b"\n\n", b"\r\n\r\n")
    """How an event of the stream may end: only there is room for a keep-alive."""
    model_in_body: ClassVar[bool] = True
    """Whether the body has a top-level `model` (else it stands in the path)."""
    tool_names: ClassVar[NameRule | None] = None
    """What tool names this wire accepts; the bridge renames others one to one, and back in the answer."""
    call_ids: ClassVar[NameRule | None] = None
    """Likewise for the ids of tool calls."""
    names_model_once: ClassVar[bool] = False
    """Whether a stream names its model in its first event only, and clients hold it against the name they asked for."""
    reasoning_keys: ClassVar[tuple[str, ...]] = ()
    """Dotted paths of a request's settings that say how much to think, or that thinking limits."""
    not_counted: ClassVar[frozenset[str]] = frozenset()
    """Settings of a request that the wire's count endpoint refuses."""
    foreign_statuses: ClassVar[Mapping[int, int]] = {529: 503}
    """HTTP status that clients of this wire do not know → the one that says the same to them."""
    limits: ClassVar[Family | None] = None
    """In whose headers clients of this wire look for their rate limits."""
    wants_pairs: ClassVar[bool] = False
    """Whether a request is refused in which a call has no result, or a result no call."""
    namespaces: ClassVar[bool] = False
    """Whether tools may stand in named groups; elsewhere the bridge makes one name of both."""
    paths: ClassVar[Mapping[Operation, str]] = {}
    """What follows `base_url`, where the model stands in the body."""
    embeddings: ClassVar[Embeddings | None] = None
    """How targets of this wire embed; None: it has no words for it."""
    keep_alive: ClassVar[bytes]
    """Bytes that tell an idle client that we live."""

    said: ClassVar[re.Pattern[bytes] | None] = None
    """What stands in a stream only where its content has begun, up to the end of that line. Most answers are committed
    by it without being read; a stream in which it is not found, or that speaks of an error, is read all the same."""

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        """Reads nothing else. Raises `msgspec.DecodeError`/`ValidationError` for what is not such a request."""
        if not self.model_in_body:
            _object(raw)
            return Peek("", False)
        asked = _asked(raw)
        return Peek(asked.model, bool(asked.stream))

    @abstractmethod
    def read_request(self, doc: Doc) -> Conversation:
        """Raises `UnsupportedContent` for unknown content and `Refused` (invalid_request) for a wrong shape."""

    @abstractmethod
    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        """The body for a target of this wire; never changes `talk` (a fallback writes it again)."""

    def adopt(self, doc: Doc) -> Doc:
        """A request of this wire, made of one that came in another wire's words. Raises as `read_request` does."""
        return doc

    def count_request(self, doc: Doc, model: str) -> Doc:
        """The body for the count endpoint, made of one for an answer."""
        return {name: value for name, value in doc.items() if name not in self.not_counted}

    @abstractmethod
    def add_system(self, doc: Doc, text: str, position: Position) -> None:
        """Put a system text into a request of this wire, before or after the system texts that are there."""

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        """What follows `base_url`, with the query that the wire needs; None: no such operation."""
        return self.paths.get(operation)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    @abstractmethod
    def read_answer(self, doc: Doc) -> Answer: ...

    @abstractmethod
    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc: ...

    @abstractmethod
    def read_count(self, doc: Doc) -> int:
        """Input tokens from an answer of the wire's count endpoint."""

    @abstractmethod
    def write_count(self, tokens: int) -> Doc: ...

    @abstractmethod
    def write_models(self, cards: list[ModelCard]) -> Doc: ...

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    @abstractmethod
    def reader(self) -> StreamReader: ...

    @abstractmethod
    def writer(self, reference: Reference, notes: Notes) -> StreamWriter: ...

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    @abstractmethod
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        """Of an upstream's error answer; HTML, empty and broken bodies too. Header names are lower case."""

    @abstractmethod
    def write_error(self, problem: Problem, request_id: str) -> Doc: ...

    @abstractmethod
    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """For a stream that passed as bytes and broke: the error event and what ends the stream."""

    # glances: for what passes as bytes ──────────────────────────────────────────────────────────
    @abstractmethod
    def glance(self, raw: bytes) -> Glance:
        """Typed partial decoding of a plain answer. Raises `msgspec.DecodeError` when it is not JSON."""

    def ask_for_usage(self, body: bytes) -> bytes | None:
        """The request for a stream that tells what it used, where it would not by itself and was not asked to."""
        return None

    @abstractmethod
    def tap(self) -> StreamTap: ...
