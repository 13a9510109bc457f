"""Reads the event stream of Anthropic Messages.

`message_start`, then blocks one after the other (`content_block_start`, `_delta`…, `_stop`), `message_delta` with the
stop reason and the usage, `message_stop`; `ping` and `error` anywhere.
https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.anthropic_answer import read_finish, read_usage
from omniroute.wire.anthropic_blocks import WIRE, arguments_of, read_answer_block, read_citation
from omniroute.wire.anthropic_errors import read_error_doc
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finished,
    PartEnd,
    Ping,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import failure_of
from omniroute.wire.shapes import doc_of, docs_of, text_of
from omniroute.wire.signatures import unwrap_signature

decode = msgspec.json.Decoder().decode

Deltas = tuple[Delta, ...]


class _Block:
    """A block that is being read. `doc` is kept only of blocks that are handed on whole."""

    __slots__ = ("doc", "input", "kind", "part", "said", "whole_input")

    def __init__(self, part: int, kind: str, doc: Doc) -> None:
        self.part = part
        self.kind = kind
        self.doc = doc
        self.input: list[str] = []
        self.said = False
        """Whether any delta of the part has been given out."""
        self.whole_input: Any = None
        """The `input` that a call came with at its start."""


class _TextPiece(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text_delta"]
    text: str


class _TextEvent(msgspec.Struct):
    """What most events are: one more piece of a text."""

    type: Literal["content_block_delta"]
    index: int
    delta: _TextPiece
    error: None = None


_text_event = msgspec.json.Decoder(_TextEvent).decode


class AnthropicReader:
    """Events of one stream into deltas."""

    def __init__(self) -> None:
        self._blocks: dict[Any, _Block] = {}
        self._parts = 0
        self._usage: Doc = {}
        self._started = False
        self._finished = False
        self._over = False
        self._events: dict[str, Callable[[Doc], Iterable[Delta]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "ping": lambda doc: (Ping(),),
            "error": self._error,
        }

    def feed(self, event: Event) -> Iterable[Delta]:
        data = event.data
        if self._over or not data or data.isspace() or data == b"[DONE]":
            return ()
        if b'"text_delta"' in data:
            piece = self._text_piece(data)
            if piece is not None:
                return (piece,)
        try:
            doc = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedStream(f"an event of the stream is not JSON: {error}") from error
        if not isinstance(doc, dict):
            return ()
        kind = text_of(doc.get("type")) or event.name
        read = self._events.get(kind)
        if read is None and "error" in doc:
            read = self._error
        if read is None:
            return ()
        deltas = read(doc)
        return deltas if type(deltas) is tuple else list(deltas)

    def _text_piece(self, data: bytes) -> TextDelta | None:
        """One more piece of a text that is open; None for all else."""
        try:
            event = _text_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        block = self._blocks.get(event.index)
        if block is None or block.kind != "text" or not event.delta.text:
            return None
        block.said = True
        return TextDelta(part=block.part, text=event.delta.text)

    def end(self) -> Iterable[Delta]:
        if self._over:
            return ()
        self._over = True
        if self._finished:
            return [*self._close_blocks(), End()]
        message = "The upstream's stream ended before its answer was complete."
        return [Failure(kind="bad_gateway", message=message)]

    def _message_start(self, doc: Doc) -> Iterator[Delta]:
        message = doc_of(doc.get("message"))
        if not self._started:
            self._started = True
            yield Start(id=text_of(message.get("id")), model=text_of(message.get("model")))
        yield from self._count(message.get("usage"))
        for index, block in enumerate(docs_of(message.get("content"))):
            # Some servers put blocks into the message that are over before the stream has begun.
            yield from self._block_start({"index": ("start", index), "content_block": block})
            yield from self._block_stop({"index": ("start", index)})

    def _count(self, usage: Any) -> Iterator[Delta]:
        """Totals replace earlier totals; what a later event leaves out stays."""
        known = {k: v for k, v in doc_of(usage).items() if v is not None}
        if known:
            self._usage |= known
            if "cache_creation_input_tokens" in known and "cache_creation" not in known:
                self._forget_stale_breakdown(known["cache_creation_input_tokens"])
            yield UsageDelta(usage=read_usage(self._usage))

    def _forget_stale_breakdown(self, written: Any) -> None:
        made = doc_of(self._usage.get("cache_creation"))
        if sum(v for v in made.values() if isinstance(v, int)) != written:
            self._usage.pop("cache_creation", None)

    def _block_start(self, doc: Doc) -> Iterator[Delta]:
        block = doc_of(doc.get("content_block"))
        kind = text_of(block.get("type"))
        opened = self._open(doc.get("index"), kind, block)
        start = _BLOCKS_IN.get(kind)
        if start is not None:
            yield from _noting(opened, start(opened, block))

    def _open(self, index: Any, kind: str, doc: Doc) -> _Block:
        block = _Block(self._parts, kind, doc)
        self._parts += 1
        self._blocks[_key(index)] = block
        return block

    def _block_delta(self, doc: Doc) -> Deltas:
        delta = doc_of(doc.get("delta"))
        kind = text_of(delta.get("type"))
        block = self._blocks.get(_key(doc.get("index")))
        if block is None:
            # A delta without its start: what it is tells what its block is.
            block = self._open(doc.get("index"), _BLOCK_OF_DELTA.get(kind, ""), {})
        if block.kind not in _BLOCKS_IN:
            _grow(block, delta)
            return ()
        read = _DELTAS_IN.get(kind)
        return _noting(block, read(block, delta)) if read is not None else ()

    def _block_stop(self, doc: Doc) -> Iterator[Delta]:
        block = self._blocks.pop(_key(doc.get("index")), None)
        if block is not None:
            yield from _closed(block)

    def _close_blocks(self) -> Iterator[Delta]:
        for block in self._blocks.values():
            yield from _closed(block)
        self._blocks = {}

    def _message_delta(self, doc: Doc) -> Iterator[Delta]:
        yield from self._count(doc.get("usage"))
        finish = read_finish(doc_of(doc.get("delta")))
        if finish is not None:
            yield from self._close_blocks()
            self._finished = True
            yield Finished(finish=finish)

    def _message_stop(self, doc: Doc) -> Iterator[Delta]:
        yield from self._close_blocks()
        self._over = True
        yield End()

    def _error(self, doc: Doc) -> Iterator[Delta]:
        self._over = True
        yield failure_of(read_error_doc(doc))


def _key(index: Any) -> Any:
    return index if isinstance(index, int | str | tuple) else 0


def _noting(block: _Block, deltas: Deltas) -> Deltas:
    if deltas:
        block.said = True
    return deltas


def _start_text(block: _Block, doc: Doc) -> Deltas:
    cited = (CitationDelta(part=block.part, citation=read_citation(c)) for c in docs_of(doc.get("citations")))
    return (*cited, *_text(block, doc))


def _start_thinking(block: _Block, doc: Doc) -> Deltas:
    return _thinking(block, doc) + _signature(block, doc)


def _start_redacted(block: _Block, doc: Doc) -> Deltas:
    data = text_of(doc.get("data"))
    if not data:
        return ()
    return (SignatureDelta(part=block.part, signature=unwrap_signature(data, WIRE), redacted=True),)


def _start_call(block: _Block, doc: Doc) -> Deltas:
    block.whole_input = doc.get("input")
    return (CallStart(part=block.part, id=text_of(doc.get("id")), name=text_of(doc.get("name"))),)


def _text(block: _Block, doc: Doc) -> Deltas:
    text = text_of(doc.get("text"))
    return (TextDelta(part=block.part, text=text),) if text else ()


def _thinking(block: _Block, doc: Doc) -> Deltas:
    text = text_of(doc.get("thinking"))
    return (ThinkingDelta(part=block.part, text=text),) if text else ()


def _signature(block: _Block, doc: Doc) -> Deltas:
    value = text_of(doc.get("signature"))
    return (SignatureDelta(part=block.part, signature=unwrap_signature(value, WIRE)),) if value else ()


def _input(block: _Block, doc: Doc) -> Deltas:
    fragment = text_of(doc.get("partial_json"))
    if not fragment:
        return ()
    block.whole_input = ...
    return (CallDelta(part=block.part, arguments=fragment),)


def _citation(block: _Block, doc: Doc) -> Deltas:
    citation = doc.get("citation")
    if not isinstance(citation, dict):
        return ()
    return (CitationDelta(part=block.part, citation=read_citation(citation)),)


_BLOCKS_IN: dict[str, Callable[[_Block, Doc], Deltas]] = {
    "text": _start_text,
    "thinking": _start_thinking,
    "redacted_thinking": _start_redacted,
    "tool_use": _start_call,
}
_DELTAS_IN: dict[str, Callable[[_Block, Doc], Deltas]] = {
    "text_delta": _text,
    "thinking_delta": _thinking,
    "signature_delta": _signature,
    "input_json_delta": _input,
    "citations_delta": _citation,
}
_BLOCK_OF_DELTA = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}


def _grow(block: _Block, delta: Doc) -> None:
    """Add a delta to a block that is handed on whole; never changes the block's own document."""
    fragment = delta.get("partial_json")
    if isinstance(fragment, str):
        block.input.append(fragment)
        return
    grown = dict(block.doc)
    for key, value in delta.items():
        if key != "type" and value is not None:
            before = grown.get(key)
            grown[key] = before + value if isinstance(before, str) and isinstance(value, str) else value
    block.doc = grown


def _closed(block: _Block) -> Iterator[Delta]:
    if block.kind not in _BLOCKS_IN:
        if block.doc:
            doc = block.doc | {"input": _joined(block.input)} if block.input else block.doc
            for content in read_answer_block(doc):
                yield WholePart(part=block.part, content=content)
        return
    if block.kind == "tool_use" and block.whole_input is not ...:
        yield CallDelta(part=block.part, arguments=arguments_of(block.whole_input))
    if block.said:
        yield PartEnd(part=block.part)


def _joined(fragments: list[str]) -> Any:
    text = "".join(fragments)
    try:
        return msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {"arguments": text}
