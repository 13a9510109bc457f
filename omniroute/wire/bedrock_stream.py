"""The event stream of ConverseStream, in.

`messageStart`; blocks, each with deltas and an end, of which only calls and other things with a name announce
themselves; `messageStop` with the reason; then `metadata` with usage. An error is an exception in place of an event.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.aws_events import ERROR, EXCEPTION, AwsSplitter
from omniroute.wire.bedrock_answer import read_finish, read_usage
from omniroute.wire.bedrock_errors import problem_of_exception
from omniroute.wire.bedrock_parts import WIRE, is_server_call, read_answer_block, read_citation
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    Citation,
    CitationDelta,
    Delta,
    Doc,
    End,
    Finish,
    Finished,
    PartEnd,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import CUT, failure_of
from omniroute.wire.shapes import arguments_text, doc_of, docs_of, text_of
from omniroute.wire.signatures import unwrap_signature

decode = msgspec.json.Decoder().decode


class _Block:
    """A content block that is open. What only makes sense whole is gathered until its end."""

    __slots__ = ("citations", "image", "kind", "named", "part", "pieces", "sealed", "signature")

    def __init__(self, part: int, kind: str, named: Doc) -> None:
        self.part = part
        self.kind = kind
        self.named = named
        self.signature = ""
        self.sealed: list[str] = []
        self.citations: list[Citation] = []
        self.pieces: list[Any] = []
        self.image = ""


class BedrockReader:
    """Events of one stream into deltas."""

    def __init__(self) -> None:
        self._parts = 0
        self._blocks: dict[Any, _Block] = {}
        self._finished = False
        self._over = False
        self._events: dict[str, Callable[[Doc], Iterable[Delta]]] = {
            "messageStart": self._message_start,
            "contentBlockStart": self._block_start,
            "contentBlockDelta": self._block_delta,
            "contentBlockStop": self._block_stop,
            "messageStop": self._message_stop,
            "metadata": self._metadata,
        }
        self._pieces: dict[str, Callable[[_Block, Any], Iterable[Delta]]] = {
            "text": self._text,
            "reasoningContent": self._reasoning,
            "toolUse": self._arguments,
            "toolResult": self._gather,
            "citation": self._cite,
            "image": self._image,
        }

    def feed(self, event: Event) -> Iterable[Delta]:
        """Raises `MalformedStream` for a payload that is not JSON."""
        if self._over:
            return ()
        try:
            doc = decode(event.data) if event.data.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedStream(f"an event of the stream is not JSON: {error}") from error
        if event.name.startswith((EXCEPTION, ERROR)):
            return self._fail(event.name, doc)
        read = self._events.get(event.name)
        return list(read(doc_of(doc))) if read is not None else ()

    def end(self) -> Iterable[Delta]:
        """A stream may end without its figures; one without a stop reason was cut."""
        if self._over:
            return ()
        self._over = True
        if self._finished:
            return (End(),)
        return (CUT,)

    def _fail(self, name: str, payload: Any) -> Iterable[Delta]:
        self._over = True
        return (failure_of(problem_of_exception(name.partition("/")[2], payload)),)

    def _message_start(self, doc: Doc) -> Iterator[Delta]:
        yield Start()

    # blocks ─────────────────────────────────────────────────────────────────────────────────────
    def _block_start(self, doc: Doc) -> Iterator[Delta]:
        start = doc_of(doc.get("start"))
        kind = next((key for key in ("toolUse", "toolResult", "image") if key in start), "")
        if not kind:
            return
        named = doc_of(start[kind])
        block = self._open(doc.get("contentBlockIndex"), kind, named)
        if kind == "toolUse" and not is_server_call(named):
            yield CallStart(
                part=block.part, id=text_of(named.get("toolUseId")), name=text_of(named.get("name"))
            )

    def _open(self, index: Any, kind: str, named: Doc) -> _Block:
        block = self._blocks[_key(index)] = _Block(self._parts, kind, named)
        self._parts += 1
        return block

    def _block_delta(self, doc: Doc) -> Iterator[Delta]:
        for kind, piece in doc_of(doc.get("delta")).items():
            read = self._pieces.get(kind)
            if read is not None and piece is not None:
                yield from read(self._block(doc.get("contentBlockIndex"), kind), piece)

    def _block(self, index: Any, kind: str) -> _Block:
        """The block that a delta goes on with; texts and reasoning begin without a word."""
        found = self._blocks.get(_key(index))
        kind = "text" if kind == "citation" else kind
        if found is None or (found.kind != kind and {found.kind, kind} == {"text", "reasoningContent"}):
            return self._open(index, kind, {})
        return found

    def _text(self, block: _Block, text: Any) -> Iterator[Delta]:
        if text_of(text):
            yield TextDelta(part=block.part, text=text)

    def _reasoning(self, block: _Block, delta: Any) -> Iterator[Delta]:
        reasoning = doc_of(delta)
        text = text_of(reasoning.get("text"))
        if text:
            yield ThinkingDelta(part=block.part, text=text)
        block.signature += text_of(reasoning.get("signature"))
        if text_of(reasoning.get("redactedContent")):
            block.sealed.append(reasoning["redactedContent"])

    def _arguments(self, block: _Block, delta: Any) -> Iterator[Delta]:
        given = doc_of(delta).get("input")
        text = given if isinstance(given, str) else arguments_text(given)
        if not text:
            return
        block.pieces.append(text)
        if block.kind == "toolUse" and not is_server_call(block.named):
            yield CallDelta(part=block.part, arguments=text)

    def _gather(self, block: _Block, delta: Any) -> Iterator[Delta]:
        block.pieces += docs_of(delta)
        return iter(())

    def _cite(self, block: _Block, delta: Any) -> Iterator[Delta]:
        """Citations come before the text that they belong to."""
        block.citations.append(read_citation(doc_of(delta)))
        return iter(())

    def _image(self, block: _Block, delta: Any) -> Iterator[Delta]:
        block.image += text_of(doc_of(doc_of(delta).get("source")).get("bytes"))
        return iter(())

    def _block_stop(self, doc: Doc) -> Iterator[Delta]:
        block = self._blocks.pop(_key(doc.get("contentBlockIndex")), None)
        if block is not None:
            yield from _closed(block)

    # the end ────────────────────────────────────────────────────────────────────────────────────
    def _message_stop(self, doc: Doc) -> Iterator[Delta]:
        for block in self._blocks.values():
            yield from _closed(block)
        self._blocks.clear()
        self._finished = True
        finish = read_finish(doc.get("stopReason"), doc.get("additionalModelResponseFields"))
        yield Finished(finish=finish or Finish())

    def _metadata(self, doc: Doc) -> Iterator[Delta]:
        usage = read_usage(doc.get("usage"))
        if usage is not None:
            yield UsageDelta(usage=usage)
        if self._finished:
            self._over = True
            yield End()


def _key(index: Any) -> Any:
    return index if isinstance(index, int | str) else 0


def _closed(block: _Block) -> Iterator[Delta]:
    """What a block has come to, and its end."""
    yield from _ENDS.get(block.kind, _end_plain)(block)
    yield PartEnd(part=block.part)


def _end_plain(block: _Block) -> Iterator[Delta]:
    for citation in block.citations:
        yield CitationDelta(part=block.part, citation=citation)


def _end_reasoning(block: _Block) -> Iterator[Delta]:
    if block.sealed:
        sealed = unwrap_signature(_joined(block.sealed), WIRE)
        yield SignatureDelta(part=block.part, signature=sealed, redacted=True)
    elif block.signature:
        yield SignatureDelta(part=block.part, signature=unwrap_signature(block.signature, WIRE))


def _end_call(block: _Block) -> Iterator[Delta]:
    """A call without arguments comes without a word about them; one that ran at the provider is one thing."""
    if not is_server_call(block.named):
        if not block.pieces:
            yield CallDelta(part=block.part, arguments="{}")
        return
    try:
        asked = decode("".join(block.pieces) or "{}")
    except msgspec.DecodeError:
        asked = {}
    yield _whole(block, {"toolUse": block.named | {"input": asked}})


def _end_result(block: _Block) -> Iterator[Delta]:
    yield _whole(block, {"toolResult": block.named | {"content": block.pieces}})


def _end_image(block: _Block) -> Iterator[Delta]:
    if block.image:
        yield _whole(block, {"image": block.named | {"source": {"bytes": block.image}}})


def _whole(block: _Block, doc: Doc) -> WholePart:
    return WholePart(part=block.part, content=read_answer_block(doc))


_ENDS: dict[str, Callable[[_Block], Iterator[Delta]]] = {
    "reasoningContent": _end_reasoning,
    "toolUse": _end_call,
    "toolResult": _end_result,
    "image": _end_image,
}


def _joined(sealed: list[str]) -> str:
    """Base64 of all bytes, which come as base64 of some each."""
    if len(sealed) == 1:
        return sealed[0]
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in sealed)).decode()
    except (BadBase64, ValueError):
        return "".join(sealed)


class BedrockTap:
    """Looks for the two last events."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._splitter = AwsSplitter()
        self._broken = False

    def feed(self, chunk: bytes) -> None:
        if self.finished or self._broken:
            return
        try:
            for event in self._splitter.feed(chunk):
                self._look(event)
        except (MalformedStream, msgspec.DecodeError):
            # It is the client's to read: whether it is whole is all that is wanted here.
            self._broken = True

    def _look(self, event: Event) -> None:
        if event.name == "messageStop":
            doc = doc_of(decode(event.data))
            self.finish = read_finish(doc.get("stopReason"), doc.get("additionalModelResponseFields"))
        elif event.name == "metadata":
            self.usage = read_usage(doc_of(decode(event.data)).get("usage"))
            self.finished = True
        elif event.name.startswith((EXCEPTION, ERROR)):
            self.finished = True
