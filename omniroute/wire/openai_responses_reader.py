"""Responses events → deltas.

Items are known by `output_index`, since some servers change an item's id between `added` and `done`. What a `done`
event or the terminal response holds and no delta brought is delivered late rather than never.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from omniroute.errors import MalformedStream
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
    LogprobsDelta,
    PartEnd,
    Ping,
    RefusalDelta,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import failure_of
from omniroute.wire.openai_responses_content import read_annotation
from omniroute.wire.openai_responses_errors import problem_in
from omniroute.wire.openai_responses_items import read_output_item, read_reasoning
from omniroute.wire.openai_responses_object import finish_of, read_usage
from omniroute.wire.openai_responses_shapes import said, whole
from omniroute.wire.shapes import docs_of

Flavour = Literal["text", "refusal", "summary", "raw", "call"]


class _Piece:
    """A part of the answer as far as it has come: `sent` counts characters by paragraph."""

    __slots__ = ("ended", "flavour", "noted", "number", "sent", "started")

    def __init__(self, number: int, flavour: Flavour) -> None:
        self.number = number
        self.flavour = flavour
        self.sent: dict[int, int] = {}
        self.noted = 0
        self.started = False
        self.ended = False


class _Slot:
    """An output item: its pieces, by flavour and (for message content) by content index."""

    __slots__ = ("done", "id", "item", "pieces")

    def __init__(self, item: Doc) -> None:
        self.item = item
        self.id = said(item, "id")
        self.pieces: dict[tuple[Flavour, int], _Piece] = {}
        self.done = False

    def places(self, flavours: tuple[Flavour, ...], count: int) -> list[int]:
        """The content indexes of the finished item's entries.

        They are the entries' positions, unless the deltas had an index that no entry has: some servers count from
        1, or on from the item before. Then what was streamed first is the first entry.
        """
        pieces = [piece for (flavour, _), piece in self.pieces.items() if flavour in flavours]
        streamed = sorted({index for piece in pieces for index in piece.sent})
        if not streamed or streamed[-1] < count:
            return list(range(count))
        return [*streamed, *range(streamed[-1] + 1, streamed[-1] + 1 + count)][:count]


class ResponsesReader:
    """Reads one stream. What follows the terminal event is not part of it."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._count = 0
        self._started = False
        self._calls = False
        self._over = False
        self._last = 0

    def feed(self, event: Event) -> list[Delta]:
        """Raises `MalformedStream` for data that is no JSON."""
        data = event.data.strip()
        if self._over or not data or data == b"[DONE]":
            return []
        try:
            doc = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedStream(f"an event of the stream is no JSON: {error}") from error
        if not isinstance(doc, dict):
            return []
        read = _EVENTS.get(said(doc, "type") or event.name)
        if read is not None:
            return list(read(self, doc))
        return self._fail(doc) if doc.get("error") and "type" not in doc else []

    def end(self) -> list[Delta]:
        if self._over:
            return []
        self._over = True
        return [
            Failure(kind="bad_gateway", message="The upstream's stream ended before its answer was complete.")
        ]

    # start and end ──────────────────────────────────────────────────────────────────────────────

    def _start(self, doc: Doc) -> Iterator[Delta]:
        if self._started:
            return
        self._started = True
        response = _object(doc, "response")
        yield Start(
            id=said(response, "id") or "",
            model=said(response, "model") or "",
            created=whole(response.get("created_at")),
        )

    def _finish(self, doc: Doc, status: str) -> Iterator[Delta]:
        yield from self._start(doc)
        response = _object(doc, "response")
        for index, item in enumerate(docs_of(response.get("output"))):
            yield from self._unseen(index, item)
        self._over = True
        usage = read_usage(response.get("usage"))
        if usage is not None:
            yield UsageDelta(usage=usage)
        yield Finished(finish=finish_of(status, response.get("incomplete_details"), calls=self._calls))
        yield End()

    def _completed(self, doc: Doc) -> Iterator[Delta]:
        response = _object(doc, "response")
        if response.get("status") == "failed":
            return self._failed(doc)
        return self._finish(doc, said(response, "status") or "completed")

    def _incomplete(self, doc: Doc) -> Iterator[Delta]:
        return self._finish(doc, "incomplete")

    def _failed(self, doc: Doc) -> Iterator[Delta]:
        response = _object(doc, "response")
        usage = read_usage(response.get("usage"))
        if usage is not None:
            yield UsageDelta(usage=usage)
        yield from self._fail(response)

    def _error(self, doc: Doc) -> Iterator[Delta]:
        yield from self._fail(doc)

    def _fail(self, doc: Doc) -> list[Delta]:
        self._over = True
        return [failure_of(problem_in(doc))]

    def _alive(self, doc: Doc) -> Iterator[Delta]:
        yield Ping()

    # items ──────────────────────────────────────────────────────────────────────────────────────

    def _slot(self, doc: Doc) -> _Slot:
        """The item that an event is about: by its index, else by its id, else the one before."""
        index = whole(doc.get("output_index"), -1)
        if index < 0:
            item_id = said(doc, "item_id") or said(_object(doc, "item"), "id")
            known = [number for number, slot in self._slots.items() if slot.id == item_id]
            index = known[0] if known and item_id is not None else self._last
        self._last = index
        return self._slots.setdefault(index, _Slot({}))

    def _item_added(self, doc: Doc) -> Iterator[Delta]:
        item = _object(doc, "item")
        if whole(doc.get("output_index"), -1) < 0 and self._last in self._slots:
            self._last = max(self._slots) + 1
            self._slots[self._last] = _Slot(item)
        slot = self._slot(doc)
        slot.item, slot.id = item, said(item, "id")
        if said(item, "type") in _CALLS:
            yield from self._open_call(slot, item)

    def _item_done(self, doc: Doc) -> Iterator[Delta]:
        yield from self._close(self._slot(doc), _object(doc, "item"))

    def _unseen(self, index: int, item: Doc) -> Iterator[Delta]:
        """An item of the terminal response that was not streamed, or not to its end."""
        item_id = said(item, "id")
        by_id = [slot for slot in self._slots.values() if item_id is not None and slot.id == item_id]
        slot = by_id[0] if by_id else self._slots.setdefault(index, _Slot(item))
        yield from self._close(slot, item)

    def _close(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        if slot.done:
            return
        slot.done = True
        item = item or slot.item
        if not item:
            return
        kind = item.get("type")
        close = _CLOSERS.get(kind, ResponsesReader._close_other) if isinstance(kind, str) else None
        if close is not None:
            yield from close(self, slot, item)
        for piece in slot.pieces.values():
            yield from self._end_piece(piece)

    def _close_message(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        entries = docs_of(item.get("content"))
        for index, entry in zip(slot.places(("text", "refusal"), len(entries)), entries, strict=True):
            yield from self._content(slot, index, entry)

    def _close_reasoning(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        for index, entry in enumerate(docs_of(item.get("summary"))):
            yield from self._rest(slot, "summary", index, said(entry, "text"))
        raw = docs_of(item.get("content"))
        for index, entry in zip(slot.places(("raw",), len(raw)), raw, strict=True):
            yield from self._rest(slot, "raw", index, said(entry, "text"))
        # An answer of servers that stream their summary without repeating it still has its signature.
        thoughts = read_reasoning(item, replayed=False)
        signature = thoughts[-1].signature if thoughts else None
        if signature is not None:
            redacted = not slot.pieces
            piece = list(slot.pieces.values())[-1] if slot.pieces else self._piece(slot, "raw", 0)
            yield SignatureDelta(part=piece.number, signature=signature, redacted=redacted)

    def _close_call(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        yield from self._open_call(slot, item)
        yield from self._rest(slot, "call", 0, said(item, "input") or said(item, "arguments"))

    def _close_other(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        for content in read_output_item(item):
            yield WholePart(part=self._take_number(), content=content)

    # pieces ─────────────────────────────────────────────────────────────────────────────────────

    def _take_number(self) -> int:
        self._count += 1
        return self._count - 1

    def _piece(self, slot: _Slot, flavour: Flavour, index: int) -> _Piece:
        key = (flavour, index if flavour in ("text", "refusal") else 0)
        piece = slot.pieces.get(key)
        if piece is None:
            piece = slot.pieces[key] = _Piece(self._take_number(), flavour)
        return piece

    def _grow(self, slot: _Slot, flavour: Flavour, index: int, text: str | None) -> Iterator[Delta]:
        if not text:
            return
        piece = self._piece(slot, flavour, index)
        if piece.ended or (flavour == "call" and not piece.started):
            return
        piece.sent[index] = piece.sent.get(index, 0) + len(text)
        yield _FRAGMENTS[flavour](piece.number, text, index)

    def _rest(self, slot: _Slot, flavour: Flavour, index: int, text: str | None) -> Iterator[Delta]:
        """What a whole text has beyond what its deltas brought."""
        if text:
            piece = slot.pieces.get((flavour, index if flavour in ("text", "refusal") else 0))
            sent = piece.sent.get(index, 0) if piece is not None else 0
            yield from self._grow(slot, flavour, index, text[sent:])

    def _end_piece(self, piece: _Piece) -> Iterator[Delta]:
        if not piece.ended and (piece.started or piece.flavour != "call"):
            piece.ended = True
            yield PartEnd(part=piece.number)

    def _open_call(self, slot: _Slot, item: Doc) -> Iterator[Delta]:
        name, call_id = said(item, "name"), said(item, "call_id") or said(item, "id")
        piece = self._piece(slot, "call", 0)
        if piece.started or name is None or call_id is None:
            return
        piece.started = self._calls = True
        yield CallStart(
            part=piece.number,
            id=call_id,
            name=name,
            kind="custom" if item.get("type") == "custom_tool_call" else "function",
            namespace=said(item, "namespace"),
        )

    # content ────────────────────────────────────────────────────────────────────────────────────

    def _content(self, slot: _Slot, index: int, entry: Doc) -> Iterator[Delta]:
        yield from self._rest(slot, "refusal", index, said(entry, "refusal"))
        yield from self._rest(slot, "text", index, said(entry, "text"))
        piece = slot.pieces.get(("text", index))
        if piece is None or piece.ended:
            return
        for note in docs_of(entry.get("annotations"))[piece.noted :]:
            piece.noted += 1
            yield CitationDelta(part=piece.number, citation=read_annotation(note))

    def _content_done(self, doc: Doc) -> Iterator[Delta]:
        slot, index, entry = self._slot(doc), whole(doc.get("content_index")), _object(doc, "part")
        if entry.get("type") == "reasoning_text":
            return
        yield from self._content(slot, index, entry)
        for flavour in ("text", "refusal"):
            piece = slot.pieces.get((flavour, index))
            if piece is not None:
                yield from self._end_piece(piece)

    def _text_delta(self, doc: Doc) -> Iterator[Delta]:
        logprobs = docs_of(doc.get("logprobs"))
        if logprobs:
            yield LogprobsDelta(logprobs={"content": logprobs})
        yield from self._grow(self._slot(doc), "text", whole(doc.get("content_index")), said(doc, "delta"))

    def _text_done(self, doc: Doc) -> Iterator[Delta]:
        return self._rest(self._slot(doc), "text", whole(doc.get("content_index")), said(doc, "text"))

    def _annotation(self, doc: Doc) -> Iterator[Delta]:
        piece = self._piece(self._slot(doc), "text", whole(doc.get("content_index")))
        if not piece.ended:
            piece.noted += 1
            yield CitationDelta(part=piece.number, citation=read_annotation(_object(doc, "annotation")))

    def _refusal_delta(self, doc: Doc) -> Iterator[Delta]:
        return self._grow(self._slot(doc), "refusal", whole(doc.get("content_index")), said(doc, "delta"))

    def _refusal_done(self, doc: Doc) -> Iterator[Delta]:
        return self._rest(self._slot(doc), "refusal", whole(doc.get("content_index")), said(doc, "refusal"))

    def _summary_delta(self, doc: Doc) -> Iterator[Delta]:
        return self._grow(self._slot(doc), "summary", whole(doc.get("summary_index")), said(doc, "delta"))

    def _summary_done(self, doc: Doc) -> Iterator[Delta]:
        return self._rest(self._slot(doc), "summary", whole(doc.get("summary_index")), said(doc, "text"))

    def _raw_delta(self, doc: Doc) -> Iterator[Delta]:
        return self._grow(self._slot(doc), "raw", whole(doc.get("content_index")), said(doc, "delta"))

    def _raw_done(self, doc: Doc) -> Iterator[Delta]:
        return self._rest(self._slot(doc), "raw", whole(doc.get("content_index")), said(doc, "text"))

    def _call_delta(self, doc: Doc) -> Iterator[Delta]:
        return self._grow(self._slot(doc), "call", 0, said(doc, "delta"))

    def _call_done(self, doc: Doc) -> Iterator[Delta]:
        return self._rest(self._slot(doc), "call", 0, said(doc, "input") or said(doc, "arguments"))


_CALLS = frozenset({"function_call", "custom_tool_call"})

_FRAGMENTS: dict[Flavour, Callable[[int, str, int], Delta]] = {
    "text": lambda part, text, index: TextDelta(part=part, text=text),
    "refusal": lambda part, text, index: RefusalDelta(part=part, text=text),
    "summary": lambda part, text, index: ThinkingDelta(part=part, text=text, summary=True, block=index),
    "raw": lambda part, text, index: ThinkingDelta(part=part, text=text, block=index),
    "call": lambda part, text, index: CallDelta(part=part, arguments=text),
}

_CLOSERS: dict[str, Callable[[ResponsesReader, _Slot, Doc], Iterator[Delta]]] = {
    "message": ResponsesReader._close_message,
    "reasoning": ResponsesReader._close_reasoning,
    "function_call": ResponsesReader._close_call,
    "custom_tool_call": ResponsesReader._close_call,
}

_EVENTS: dict[str, Callable[[ResponsesReader, Doc], Any]] = {
    "response.created": ResponsesReader._start,
    "response.queued": ResponsesReader._start,
    "response.in_progress": ResponsesReader._start,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.content_part.done": ResponsesReader._content_done,
    "response.output_text.delta": ResponsesReader._text_delta,
    "response.output_text.done": ResponsesReader._text_done,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal_delta,
    "response.refusal.done": ResponsesReader._refusal_done,
    "response.reasoning_summary_text.delta": ResponsesReader._summary_delta,
    "response.reasoning_summary_text.done": ResponsesReader._summary_done,
    "response.reasoning_text.delta": ResponsesReader._raw_delta,
    "response.reasoning_text.done": ResponsesReader._raw_done,
    "response.function_call_arguments.delta": ResponsesReader._call_delta,
    "response.function_call_arguments.done": ResponsesReader._call_done,
    "response.custom_tool_call_input.delta": ResponsesReader._call_delta,
    "response.custom_tool_call_input.done": ResponsesReader._call_done,
    "response.completed": ResponsesReader._completed,
    "response.done": ResponsesReader._completed,
    "response.incomplete": ResponsesReader._incomplete,
    "response.failed": ResponsesReader._failed,
    "error": ResponsesReader._error,
    "keepalive": ResponsesReader._alive,
    "ping": ResponsesReader._alive,
}
"""Events that carry something. The others tell of the progress of server tools, whose items come whole."""


def _object(doc: Doc, key: str) -> Doc:
    value = doc.get(key)
    return value if isinstance(value, dict) else {}
