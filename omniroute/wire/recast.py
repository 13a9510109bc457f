"""A plain answer where a stream was asked for, and a stream where a plain answer was: each made into the other.

Some servers do not stream, others do nothing else. What comes in the wrong shape is put into the right one in the
upstream's own words, so that all that follows (transforms, translation, usage) needs to know only one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from omniroute.errors import MalformedStream, Problem, UpstreamError
from omniroute.wire.aws_events import STREAM_TYPE
from omniroute.wire.bridge import FRAMES, SPLITTERS, encode, read_answer
from omniroute.wire.codec import Reference, Splitter, Wire
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finished,
    LogprobsDelta,
    Notes,
    Part,
    PartEnd,
    Refusal,
    RefusalDelta,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import problem_of
from omniroute.wire.json_array import JsonArraySplitter

STREAMS = (
    "text/event-stream",
    "application/x-ndjson",
    "application/jsonl",
    "application/stream+json",
    STREAM_TYPE,
)
"""Content types that only a stream has."""

# ── plain → stream ───────────────────────────────────────────────────────────────────────────────


def as_stream(body: bytes, wire: Wire, request: Doc, new_id: Callable[[str], str]) -> bytes:
    """The events of this wire that tell what a whole answer says. `request` is the JSON that was answered.

    A JSON array (Gemini without `alt=sse`) has its elements as events; lines of a stream under the type of JSON are
    left as they are. Raises `MalformedStream`.
    """
    start = body.lstrip()[:1]
    if start == b"[":
        splitter = JsonArraySplitter()
        elements = [*splitter.feed(body), *splitter.end()]
        return b"".join(FRAMES[wire.framing](encode(_decoded(e.data)), "") for e in elements if e.data)
    if body.startswith((b"data:", b"event:", b":")) or wire.framing == "ndjson":
        return body
    answer = read_answer(body, wire)
    writer = wire.writer(_reference(answer, request, new_id), Notes())
    return b"".join(map(writer.feed, deltas_of(answer)))


def deltas_of(answer: Answer) -> Iterator[Delta]:
    """An answer as a stream would tell it, each piece in one delta."""
    yield Start(id=answer.id, model=answer.model, created=answer.created)
    number = 0
    for index, choice in enumerate(answer.choices):
        for part in choice.parts:
            yield from _TELL.get(type(part), _whole)(part, number, index)
            yield PartEnd(part=number, choice=index)
            number += 1
        if choice.logprobs is not None:
            yield LogprobsDelta(logprobs=choice.logprobs, choice=index)
        if choice.finish is not None:
            yield Finished(finish=choice.finish, choice=index)
    if answer.usage is not None:
        yield UsageDelta(usage=answer.usage)
    yield End()


def _text(part: Text, number: int, choice: int) -> Iterator[Delta]:
    yield TextDelta(part=number, text=part.text, choice=choice)
    for citation in part.citations:
        yield CitationDelta(part=number, citation=citation, choice=choice)
    if part.signature is not None:
        yield SignatureDelta(part=number, signature=part.signature, choice=choice)


def _refusal(part: Refusal, number: int, choice: int) -> Iterator[Delta]:
    yield RefusalDelta(part=number, text=part.text, choice=choice)


def _thinking(part: Thinking, number: int, choice: int) -> Iterator[Delta]:
    if part.text or part.signature is None:
        yield ThinkingDelta(part=number, text=part.text, choice=choice, summary=part.summary)
    if part.signature is not None:
        yield SignatureDelta(part=number, signature=part.signature, redacted=part.redacted, choice=choice)


def _call(part: ToolCall, number: int, choice: int) -> Iterator[Delta]:
    yield CallStart(
        part=number,
        id=part.id,
        name=part.name,
        kind=part.kind,
        namespace=part.namespace,
        signature=part.signature,
        choice=choice,
    )
    yield CallDelta(part=number, arguments=part.arguments, choice=choice)


def _whole(part: Part, number: int, choice: int) -> Iterator[Delta]:
    yield WholePart(part=number, content=part, choice=choice)


_TELL: dict[type, Callable[[Any, int, int], Iterator[Delta]]] = {
    Text: _text,
    Refusal: _refusal,
    Thinking: _thinking,
    ToolCall: _call,
}

# ── stream → plain ───────────────────────────────────────────────────────────────────────────────


def as_answer(body: bytes, wire: Wire, request: Doc, new_id: Callable[[str], str]) -> bytes:
    """The plain answer of this wire that a stream tells.

    Raises `UpstreamError` for an error in the stream or a cut one, `MalformedStream` for one that is broken.
    """
    splitter: Splitter = JsonArraySplitter() if body.lstrip()[:1] == b"[" else SPLITTERS[wire.framing]()
    reader = wire.reader()
    answer = Collected()
    for event in [*splitter.feed(body), *splitter.end()]:
        answer.add(reader.feed(event))
    answer.add(reader.end())
    told = answer.answer()
    return encode(wire.write_answer(told, _reference(told, request, new_id), Notes()))


def is_stream(body: bytes, kind: str) -> bool:
    """Whether a body of this content type is a stream, or the array that Gemini makes of one."""
    return kind.lower().startswith(STREAMS) or body[:1] == b"["


class Collected:
    """An answer that grows delta by delta."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._parts: dict[int, Part] = {}
        self._block: dict[int, int] = {}
        self._failure: Problem | None = None

    def add(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            take = _TAKE.get(type(delta))
            if take is not None:
                take(self, delta)

    def answer(self) -> Answer:
        """What has come. Raises `UpstreamError` when an error came with it."""
        if self._failure is not None:
            raise UpstreamError(self._failure)
        return self._answer

    def _choice(self, index: int) -> Choice:
        choices = self._answer.choices
        while len(choices) <= index:
            choices.append(Choice())
        return choices[index]

    def _start(self, delta: Start) -> None:
        self._answer.id, self._answer.model = delta.id, delta.model
        self._answer.created = delta.created

    def _grown(self, kind: type[Any], delta: Any) -> Any:
        """The part that a delta belongs to; a number that comes again for another kind is another part."""
        part = self._parts.get(delta.part)
        if not isinstance(part, kind):
            part = kind() if kind is Thinking else kind(text="")
            self._put(delta, part)
        return part

    def _put(self, delta: Any, part: Part) -> None:
        self._parts[delta.part] = part
        self._choice(delta.choice).parts.append(part)

    def _text(self, delta: TextDelta) -> None:
        self._grown(Text, delta).text += delta.text

    def _refusal(self, delta: RefusalDelta) -> None:
        self._grown(Refusal, delta).text += delta.text

    def _thinking(self, delta: ThinkingDelta) -> None:
        part = self._grown(Thinking, delta)
        if part.text and delta.block != self._block.get(delta.part, delta.block):
            part.text += "\n\n"
        self._block[delta.part] = delta.block
        part.text += delta.text
        part.summary = delta.summary

    def _signature(self, delta: SignatureDelta) -> None:
        part = self._parts.get(delta.part)
        if not isinstance(part, Text | Thinking | ToolCall):
            part = Thinking(redacted=delta.redacted)
            self._put(delta, part)
        part.signature = delta.signature

    def _call(self, delta: CallStart) -> None:
        call = ToolCall(id=delta.id, name=delta.name, arguments="", kind=delta.kind)
        call.namespace, call.signature = delta.namespace, delta.signature
        self._put(delta, call)

    def _arguments(self, delta: CallDelta) -> None:
        part = self._parts.get(delta.part)
        if isinstance(part, ToolCall):
            part.arguments += delta.arguments

    def _citation(self, delta: CitationDelta) -> None:
        self._grown(Text, delta).citations.append(delta.citation)

    def _whole(self, delta: WholePart) -> None:
        self._put(delta, delta.content)

    def _logprobs(self, delta: LogprobsDelta) -> None:
        choice = self._choice(delta.choice)
        choice.logprobs = (
            delta.logprobs if choice.logprobs is None else _joined(choice.logprobs, delta.logprobs)
        )

    def _finish(self, delta: Finished) -> None:
        self._choice(delta.choice).finish = delta.finish

    def _usage(self, delta: UsageDelta) -> None:
        self._answer.usage = delta.usage

    def _fail(self, delta: Failure) -> None:
        self._failure = self._failure or problem_of(delta)


_TAKE: dict[type, Callable[[Collected, Any], None]] = {
    Start: Collected._start,
    TextDelta: Collected._text,
    RefusalDelta: Collected._refusal,
    ThinkingDelta: Collected._thinking,
    SignatureDelta: Collected._signature,
    CallStart: Collected._call,
    CallDelta: Collected._arguments,
    CitationDelta: Collected._citation,
    WholePart: Collected._whole,
    LogprobsDelta: Collected._logprobs,
    Finished: Collected._finish,
    UsageDelta: Collected._usage,
    Failure: Collected._fail,
}


def _joined(one: Doc, more: Doc) -> Doc:
    """Log probabilities of a run of tokens and of the next one."""
    out = dict(one)
    for name, value in more.items():
        known = out.get(name)
        out[name] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value
    return out


def _reference(answer: Answer, request: Doc, new_id: Callable[[str], str]) -> Reference:
    return Reference(model=answer.model, request=request, created=answer.created, new_id=new_id)


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStream(f"the upstream's stream is not JSON: {error}") from error
