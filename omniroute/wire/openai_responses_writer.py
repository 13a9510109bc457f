"""Deltas → Responses events, in the order that the official SDK and Codex expect.

One message or reasoning item is open at a time: clients take a delta to belong to the item that was added last.
Calls stay open until they are known to be complete, so that their fragments may interleave. An item once closed
stays closed; what still comes for its part goes into an item of its own.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    Answer,
    Audio,
    CallDelta,
    CallStart,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
    Opaque,
    PartEnd,
    Ping,
    Refusal,
    RefusalDelta,
    Signature,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import problem_of
from omniroute.wire.losses import first_choice, label_of
from omniroute.wire.openai_responses_errors import error_fields
from omniroute.wire.openai_responses_items import write_link
from omniroute.wire.openai_responses_object import fail_frame, finish_frame, response_frame, tier_word
from omniroute.wire.openai_responses_output import CallItem, Events, ImageItem, MessageItem, ReasoningItem
from omniroute.wire.openai_responses_shapes import WIRE
from omniroute.wire.signatures import wrap_signature
from omniroute.wire.sse import comment

KEEP_ALIVE = comment("keep-alive")

Linear = MessageItem | ReasoningItem


class ResponsesWriter:
    """Writes one stream. Every `added` has its `done`, but for calls that a failure cut: a client would run those."""

    def __init__(self, reference: Reference, notes: Notes, *, silent: bool = False) -> None:
        self._reference = reference
        self._notes = notes
        self._events = Events(reference.new_id, silent=silent)
        self._frame: Doc | None = None
        self._linear: Linear | None = None
        self._calls: dict[int, CallItem] = {}
        self._ids: dict[int, str] = {}
        self._early: dict[int, Signature] = {}
        self._links: list[tuple[str, Signature]] = []
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._over = False
        reasoning = reference.request.get("reasoning")
        self._summaries = isinstance(reasoning, dict) and bool(reasoning.get("summary"))

    def feed(self, delta: Delta) -> bytes:
        if self._over:
            return b""
        if getattr(delta, "choice", 0):
            self._notes.drop("n")
            return b""
        write = _DELTAS.get(type(delta))
        if write is not None:
            write(self, delta)
        return self._events.take()

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        if problem is not None:
            self._fail(problem)
        else:
            self._complete()
        return self._events.take()

    @property
    def response(self) -> Doc:
        """The response object as far as it has come."""
        return self._begin()

    # start and end ──────────────────────────────────────────────────────────────────────────────

    def _begin(self, upstream_id: str = "") -> Doc:
        """The frame of the response; announces it the first time."""
        if self._frame is None:
            frame = response_frame(self._reference, upstream_id)
            if not self._events.silent:
                # Repeated three times in a stream, and the largest thing in it for a coding agent.
                frame["tools"] = msgspec.Raw(msgspec.json.encode(frame["tools"]))
            self._frame = frame
            self._events.emit("response.created", {"response": frame})
            self._events.emit("response.in_progress", {"response": frame})
        return self._frame

    def _start(self, delta: Start) -> None:
        self._begin(delta.id)

    def _finished(self, delta: Finished) -> None:
        """Everything is closed now; the terminal event waits for the usage."""
        self._begin()
        self._finish = delta.finish
        cut = delta.finish.reason in ("length", "content_filter")
        self._close_all("incomplete" if cut else "completed")

    def _close_all(self, status: str) -> None:
        self._close_linear(status)
        for call in self._calls.values():
            call.close(status)
        self._calls.clear()
        early, self._early = self._early, {}
        for part, signature in early.items():
            self._redacted(part, signature)
        self._close_linear(status)

    def _complete(self) -> None:
        frame = self._begin()
        if self._finish is None:
            self._finish = Finish()
        self._close_all("completed")
        status = finish_frame(frame, self._finish, self._usage, self._events.output())
        self._events.emit(f"response.{status}", {"response": frame})
        self._over = True

    def _fail(self, problem: Problem) -> None:
        frame = self._begin()
        self._close_linear("incomplete")
        self._events.emit("error", error_fields(problem))
        fail_frame(frame, problem, self._usage, self._events.output())
        self._events.emit("response.failed", {"response": frame})
        self._over = True

    def _failure(self, delta: Failure) -> None:
        self._fail(problem_of(delta))

    def _end(self, delta: End) -> None:
        self._complete()

    def _count(self, delta: UsageDelta) -> None:
        self._usage = delta.usage

    def _ping(self, delta: Ping) -> None:
        self._events.write(KEEP_ALIVE)

    # items one after another ────────────────────────────────────────────────────────────────────

    def _close_linear(self, status: str = "completed") -> None:
        """Close the open message or reasoning item, then send what could not be said inside it."""
        if self._linear is not None:
            self._linear.close(status)
            self._linear = None
        links, self._links = self._links, []
        for target, signature in links:
            ReasoningItem(self._events, "", write_link(target, signature)).close("completed")

    def _message(self, part: int) -> MessageItem:
        self._begin()
        if not isinstance(self._linear, MessageItem):
            self._close_linear()
            self._linear = MessageItem(self._events)
        self._ids[part] = self._linear.id
        self._take_early(part)
        return self._linear

    def _reasoning(self, part: int, item_id: str = "") -> ReasoningItem:
        self._begin()
        item = self._linear
        if not isinstance(item, ReasoningItem) or item.part != part:
            self._close_linear()
            item = self._linear = ReasoningItem(self._events, item_id)
            item.part = part
            self._ids[part] = item.id
            early = self._early.pop(part, None)
            if early is not None:
                item.encrypted = wrap_signature(early, WIRE)
        return item

    def _text(self, delta: TextDelta) -> None:
        if delta.text:
            self._message(delta.part).text(delta.part, delta.text)

    def _refusal(self, delta: RefusalDelta) -> None:
        if delta.text:
            self._message(delta.part).refusal(delta.part, delta.text)

    def _thinking(self, delta: ThinkingDelta) -> None:
        """Raw thoughts are shown as a summary to a client that asked for one."""
        if delta.text:
            item = self._reasoning(delta.part)
            item.grow(delta.text, summary=delta.summary or self._summaries, block=delta.block)

    def _citation(self, delta: CitationDelta) -> None:
        known = self._ids.get(delta.part)
        if known is not None and (not isinstance(self._linear, MessageItem) or self._linear.id != known):
            self._notes.drop("citations")
        elif not self._message(delta.part).annotate(delta.part, delta.citation):
            self._notes.drop("citations")

    def _logprobs(self, delta: LogprobsDelta) -> None:
        """Sent with the text that follows, or at the end of the text that came before."""
        self._events.logprobs += delta.logprobs.get("content") or []

    def _part_end(self, delta: PartEnd) -> None:
        call = self._calls.pop(delta.part, None)
        if call is not None:
            call.close("completed")
        elif isinstance(self._linear, ReasoningItem):
            if self._linear.part == delta.part:
                self._close_linear()
        elif self._linear is not None:
            self._linear.end_part(delta.part)

    # calls ──────────────────────────────────────────────────────────────────────────────────────

    def _call_start(self, delta: CallStart) -> None:
        self._begin()
        self._part_end(PartEnd(part=delta.part))
        self._close_linear()
        call_id = delta.id or self._reference.new_id("call_")
        call = ToolCall(id=call_id, name=delta.name, kind=delta.kind, namespace=delta.namespace)
        self._ids[delta.part] = call_id
        self._take_early(delta.part)
        if delta.signature is not None and delta.signature.wire != WIRE:
            self._links.append((call_id, delta.signature))
        self._close_linear()
        self._calls[delta.part] = CallItem(self._events, call)

    def _call_delta(self, delta: CallDelta) -> None:
        call = self._calls.get(delta.part)
        if call is not None and delta.arguments:
            call.grow(delta.arguments)

    # signatures ─────────────────────────────────────────────────────────────────────────────────

    def _signature(self, delta: SignatureDelta) -> None:
        if isinstance(self._linear, ReasoningItem) and self._linear.part == delta.part:
            self._linear.encrypted = wrap_signature(delta.signature, WIRE) or None
        elif delta.redacted:
            self._redacted(delta.part, delta.signature)
        elif delta.part not in self._ids:
            self._early[delta.part] = delta.signature
        elif delta.signature.wire != WIRE:
            self._links.append((self._ids[delta.part], delta.signature))
            if not isinstance(self._linear, MessageItem):
                self._close_linear()

    def _redacted(self, part: int, signature: Signature) -> None:
        own = signature.wire == WIRE
        item = self._reasoning(part, signature.id or "" if own else "")
        item.encrypted = wrap_signature(signature, WIRE) or None

    def _take_early(self, part: int) -> None:
        """A signature that came before the first fragment of the call or text that it belongs to."""
        early = self._early.pop(part, None)
        if early is not None and early.wire != WIRE:
            self._links.append((self._ids[part], early))

    # whole parts ────────────────────────────────────────────────────────────────────────────────

    def _whole(self, delta: WholePart) -> None:
        write = _WHOLES.get(type(delta.content))
        if write is None:
            self._notes.drop(label_of(delta.content))
        else:
            write(self, delta.part, delta.content)

    def _whole_text(self, part: int, content: Text) -> None:
        self._text(TextDelta(part=part, text=content.text))
        for citation in content.citations:
            self._citation(CitationDelta(part=part, citation=citation))
        if content.signature is not None:
            self._signature(SignatureDelta(part=part, signature=content.signature))
        self._part_end(PartEnd(part=part))

    def _whole_refusal(self, part: int, content: Refusal) -> None:
        self._refusal(RefusalDelta(part=part, text=content.text))
        self._part_end(PartEnd(part=part))

    def _whole_thinking(self, part: int, content: Thinking) -> None:
        signature = content.signature
        if not content.text and signature is None:
            return
        self._reasoning(part, signature.id or "" if signature is not None and signature.wire == WIRE else "")
        self._thinking(ThinkingDelta(part=part, text=content.text, summary=content.summary))
        if signature is not None:
            self._signature(SignatureDelta(part=part, signature=signature))
        self._part_end(PartEnd(part=part))

    def _whole_call(self, part: int, content: ToolCall) -> None:
        self._call_start(
            CallStart(
                part=part,
                id=content.id,
                name=content.name,
                kind=content.kind,
                namespace=content.namespace,
            )
        )
        self._call_delta(CallDelta(part=part, arguments=content.arguments))
        self._part_end(PartEnd(part=part))
        if content.signature is not None:
            self._signature(SignatureDelta(part=part, signature=content.signature))

    def _whole_audio(self, part: int, content: Audio) -> None:
        """Messages hold no sound; what was said is said in words."""
        self._notes.drop("audio")
        self._text(TextDelta(part=part, text=content.transcript or ""))
        self._part_end(PartEnd(part=part))

    def _whole_image(self, part: int, content: Image) -> None:
        if content.source.data is None:
            self._notes.drop("image")
            return
        self._begin()
        self._close_linear()
        ImageItem(self._events).show(content)

    def _whole_opaque(self, part: int, content: Opaque) -> None:
        if content.wire != WIRE:
            self._notes.drop(label_of(content))
            return
        self._begin()
        self._close_linear()
        self._events.whole(content.doc)


_DELTAS: dict[type, Callable[[ResponsesWriter, Any], None]] = {
    Start: ResponsesWriter._start,
    TextDelta: ResponsesWriter._text,
    RefusalDelta: ResponsesWriter._refusal,
    ThinkingDelta: ResponsesWriter._thinking,
    SignatureDelta: ResponsesWriter._signature,
    CallStart: ResponsesWriter._call_start,
    CallDelta: ResponsesWriter._call_delta,
    CitationDelta: ResponsesWriter._citation,
    WholePart: ResponsesWriter._whole,
    LogprobsDelta: ResponsesWriter._logprobs,
    PartEnd: ResponsesWriter._part_end,
    Finished: ResponsesWriter._finished,
    UsageDelta: ResponsesWriter._count,
    Failure: ResponsesWriter._failure,
    Ping: ResponsesWriter._ping,
    End: ResponsesWriter._end,
}

_WHOLES: dict[type, Callable[[ResponsesWriter, int, Any], None]] = {
    Text: ResponsesWriter._whole_text,
    Refusal: ResponsesWriter._whole_refusal,
    Thinking: ResponsesWriter._whole_thinking,
    ToolCall: ResponsesWriter._whole_call,
    Audio: ResponsesWriter._whole_audio,
    Image: ResponsesWriter._whole_image,
    Opaque: ResponsesWriter._whole_opaque,
}


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    """A plain answer, through the same items that a stream goes through. Only the first choice has a place."""
    writer = ResponsesWriter(reference, notes, silent=True)
    writer.feed(Start(id=answer.id))
    choice = first_choice(answer, notes)
    if choice.logprobs is not None:
        writer.feed(LogprobsDelta(logprobs=choice.logprobs))
    for number, part in enumerate(choice.parts):
        writer.feed(WholePart(part=number, content=part))
    if answer.usage is not None:
        writer.feed(UsageDelta(usage=answer.usage))
    writer.feed(Finished(finish=choice.finish or Finish()))
    writer.close()
    return writer.response | {"service_tier": tier_word(answer.service_tier)}
