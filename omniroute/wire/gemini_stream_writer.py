"""Streams of Gemini out: one event a delta, as `GenerateContentResponse`, in SSE or as one JSON array.

Finish, sources and usage leave in the last event; calls leave whole, in the order in which they began.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.carried_thinking import Thoughts
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    Citation,
    CitationDelta,
    Doc,
    Finish,
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
    WholePart,
)
from omniroute.wire.delta_writer import DeltaWriter, PendingCall, Table
from omniroute.wire.gemini_answer import write_finish, write_logprobs, write_usage
from omniroute.wire.gemini_errors import write_error
from omniroute.wire.gemini_grounding import write_grounding
from omniroute.wire.gemini_parts import WIRE, PartWriter, write_signature
from omniroute.wire.shapes import arguments_object
from omniroute.wire.sse import frame


def _is_whole(call: ToolCall) -> bool:
    given = call.kind == "function" and bool(call.arguments.strip())
    return given and arguments_object(call.arguments) is not None


class _Choice:
    """What a writer remembers of one choice."""

    def __init__(self) -> None:
        self.calls: dict[int, PendingCall] = {}
        self.kinds: dict[int, type[Part]] = {}
        self.blocks: dict[int, int] = {}
        self.thoughts = Thoughts()
        self.texts: dict[int, list[str]] = {}
        self.citations: dict[int, list[Citation]] = {}
        self.finish: Finish | None = None


class GeminiWriter(DeltaWriter):
    """Deltas to events. Finish, sources and usage leave in the last event; calls leave whole, in their order."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._parts = PartWriter(notes, answer=True)
        self._choices: dict[int, _Choice] = {}
        self._id = ""
        self._sent = False

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        out = b"".join([self._flush(index, last=problem is None) for index in sorted(self._choices)])
        self._over = True
        last = self._last() if problem is None else write_error(problem, "")
        out += self._event(last)
        return out + b"]" if self._reference.array else out

    # deltas ─────────────────────────────────────────────────────────────────────────────────────
    def _start(self, delta: Start) -> bytes:
        self._id = self._id or delta.id
        return b""

    def _text(self, delta: TextDelta) -> bytes:
        choice = self._choice(delta.choice)
        choice.texts.setdefault(delta.part, []).append(delta.text)
        return self._send(delta, Text(text=delta.text)) if delta.text else b""

    def _refusal(self, delta: RefusalDelta) -> bytes:
        return self._send(delta, Refusal(text=delta.text)) if delta.text else b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        choice = self._choice(delta.choice)
        choice.thoughts.add(delta)
        block = choice.blocks.get(delta.part, delta.block)
        choice.blocks[delta.part] = delta.block
        text = delta.text if block == delta.block else f"\n\n{delta.text}"
        return self._send(delta, Thinking(text=text)) if text else b""

    def _signature(self, delta: SignatureDelta) -> bytes:
        choice = self._choice(delta.choice)
        pending = choice.calls.get(delta.part)
        if pending is not None:
            pending.signature = delta.signature
            return b""
        kind = choice.kinds.get(delta.part)
        thought = kind is Thinking
        if thought or kind is None:
            choice.thoughts.sign(delta)
        doc: Doc = {"text": "", "thoughtSignature": write_signature(delta.signature)}
        return self._emit(delta.choice, doc | ({"thought": True} if thought else {}))

    def _call(self, delta: CallStart) -> bytes:
        out = self._flush(delta.choice)
        choice = self._choice(delta.choice)
        carried = choice.thoughts.take(WIRE)
        choice.calls[delta.part] = PendingCall(
            delta if delta.signature is not None else msgspec.structs.replace(delta, signature=carried)
        )
        return out

    def _arguments(self, delta: CallDelta) -> bytes:
        pending = self._choice(delta.choice).calls.get(delta.part)
        if pending is not None:
            pending.add(delta.arguments)
        return b""

    def _citation(self, delta: CitationDelta) -> bytes:
        self._choice(delta.choice).citations.setdefault(delta.part, []).append(delta.citation)
        return b""

    def _whole(self, delta: WholePart) -> bytes:
        return self._send(delta, delta.content)

    def _logprobs(self, delta: LogprobsDelta) -> bytes:
        result = write_logprobs(delta.logprobs)
        return self._event(self._body([{"index": delta.choice} | result])) if result else b""

    def _part_end(self, delta: PartEnd) -> bytes:
        pending = self._choice(delta.choice).calls.get(delta.part)
        if pending is None:
            return b""
        pending.ended = True
        return self._flush(delta.choice)

    def _take_finish(self, delta: Finished) -> bytes:
        out = self._flush(delta.choice, last=True)
        self._choice(delta.choice).finish = delta.finish
        return out

    # events ─────────────────────────────────────────────────────────────────────────────────────
    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _send(self, delta: Any, part: Part) -> bytes:
        self._choice(delta.choice).kinds[delta.part] = type(part)
        out = self._flush(delta.choice)
        doc = self._parts.write(part)
        return out if doc is None else out + self._emit(delta.choice, doc)

    def _flush(self, index: int, *, last: bool = False) -> bytes:
        """Send the calls that are complete, from the first on; all of them at the end."""
        calls = self._choice(index).calls
        out = b""
        while calls:
            number, pending = next(iter(calls.items()))
            call = pending.call()
            if not (last or pending.ended or _is_whole(call)):
                break
            del calls[number]
            out += self._emit(index, self._parts.call(call))
        return out

    def _emit(self, index: int, part: Doc) -> bytes:
        content = {"parts": [part], "role": "model"}
        return self._event(self._body([{"content": content, "index": index}]))

    def _body(self, candidates: list[Doc]) -> Doc:
        self._id = self._id or self._reference.new_id("")
        return {"candidates": candidates, "modelVersion": self._reference.model, "responseId": self._id}

    def _last(self) -> Doc:
        indexes = sorted(self._choices) or [0]
        body = self._body([self._final(index) for index in indexes])
        return body | ({"usageMetadata": write_usage(self._usage)} if self._usage is not None else {})

    def _final(self, index: int) -> Doc:
        choice = self._choice(index)
        candidate: Doc = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": index}
        candidate |= write_finish(choice.finish or Finish(reason="stop"))
        return candidate | write_grounding([(0, *_cited(choice))])

    def _event(self, doc: Doc) -> bytes:
        data = msgspec.json.encode(doc)
        first, self._sent = not self._sent, True
        if not self._reference.array:
            return frame(data)
        return (b"[" if first else b",\n") + data

    table: ClassVar[Table] = {
        **DeltaWriter.table,
        Start: _start,
        TextDelta: _text,
        RefusalDelta: _refusal,
        ThinkingDelta: _thinking,
        SignatureDelta: _signature,
        CallStart: _call,
        CallDelta: _arguments,
        CitationDelta: _citation,
        WholePart: _whole,
        LogprobsDelta: _logprobs,
        PartEnd: _part_end,
        Finished: _take_finish,
    }


def _cited(choice: _Choice) -> tuple[str, list[Citation]]:
    """All text of a choice, and its sources by their place in that: clients join what they are sent."""
    text, moved = "", []
    for number in sorted(choice.texts.keys() | choice.citations.keys()):
        for citation in choice.citations.get(number, []):
            start, end = citation.start, citation.end
            if start is not None and end is not None:
                citation = msgspec.structs.replace(citation, start=start + len(text), end=end + len(text))
            moved.append(citation)
        text += "".join(choice.texts.get(number, []))
    return text, moved
