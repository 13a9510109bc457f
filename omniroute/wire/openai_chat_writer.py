"""A streamed Chat Completions answer for a client: chunks, an optional usage chunk, `[DONE]`.

Chunks of calls carry an index, so pieces that arrive mixed can go out mixed: nothing is held back but the argument
of a custom tool that came as JSON. https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.carried_thinking import Thoughts
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    Audio,
    CallDelta,
    CallStart,
    CitationDelta,
    Doc,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
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
from omniroute.wire.custom_calls import free_text
from omniroute.wire.delta_writer import DeltaWriter, Table
from omniroute.wire.losses import label_of
from omniroute.wire.openai_chat_answer import (
    answer_id,
    habits_of,
    write_annotation,
    write_audio,
    write_finish,
    write_images,
    write_usage,
)
from omniroute.wire.openai_chat_errors import write_error
from omniroute.wire.openai_chat_parts import WIRE, write_detail, write_extra_signature
from omniroute.wire.sse import comment, frame

DONE = frame(b"[DONE]")
KEEP_ALIVE = comment("keep-alive")


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """The event that tells a client of a failure in mid-stream, and the end of the stream."""
    return frame(msgspec.json.encode(write_error(problem, request_id))) + DONE


class _Call:
    """A call that was opened. `held`: the fragments of a custom tool's JSON, which goes out as plain text."""

    __slots__ = ("closed", "custom", "empty", "held", "index")

    def __init__(self, index: int, custom: bool, held: bool) -> None:
        self.index = index
        self.custom = custom
        self.held: list[str] | None = [] if held else None
        self.empty = True
        self.closed = False


class _Choice:
    """What went out of one choice. Spans are the offsets in the content at which texts began and ended."""

    __slots__ = (
        "block",
        "calls",
        "cited",
        "details",
        "finished",
        "images",
        "length",
        "spans",
        "started",
        "thoughts",
    )

    def __init__(self) -> None:
        self.started = False
        self.finished = False
        self.calls: dict[int, _Call] = {}
        self.length = 0
        self.spans: dict[int, tuple[int, int]] = {}
        self.block: tuple[int, int] | None = None
        self.thoughts = Thoughts()
        self.details = 0
        self.cited = 0
        self.images = 0


class Writer(DeltaWriter):
    """Events for one answer. `close` may come at any time and always leaves a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._habits = habits_of(reference.request)
        self._choices: dict[int, _Choice] = {}
        self._begun = False
        self._id = ""
        self._head = b""
        self._tail = b""

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        if problem is not None:
            self._over = True
            return error_event(problem)
        out = self._begin("")
        for index, choice in self._choices.items():
            if not choice.finished:
                out += self._finish_choice(index, choice, None)
        self._over = True
        if self._habits.include_usage and self._usage is not None:
            out += frame(msgspec.json.encode(self._envelope([]) | {"usage": write_usage(self._usage)}))
        return out + DONE

    # chunks ──────────────────────────────────────────────────────────────────────────────────────

    def _envelope(self, choices: list[Doc]) -> Doc:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._reference.created,
            "model": self._reference.model,
            "choices": choices,
        }

    def _begin(self, given_id: str) -> bytes:
        """The first chunk, with the role; what all chunks share is encoded once."""
        if self._begun:
            return b""
        self._begun = True
        self._id = answer_id(given_id, self._reference)
        envelope = msgspec.json.encode(self._envelope([]))
        self._head = b"data: " + envelope.removesuffix(b"]}")
        # A client that asked for usage gets the key in every chunk, null until the last.
        self._tail = b',"usage":null}\n\n' if self._habits.include_usage else b"}\n\n"
        return self._open(0)

    def _open(self, index: int) -> bytes:
        choice = self._choices[index] = self._choices.get(index) or _Choice()
        choice.started = True
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, index: int, delta: Doc, finish: str | None = None, logprobs: Doc | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._head + msgspec.json.encode(choice) + b"]" + self._tail

    def _choice(self, index: int) -> tuple[_Choice, bytes]:
        """A choice, and the chunks that open it if this is its first delta."""
        opening = self._begin("")
        if index not in self._choices:
            opening += self._open(index)
        return self._choices[index], opening

    # deltas ──────────────────────────────────────────────────────────────────────────────────────

    def _on_start(self, delta: Start) -> bytes:
        return self._begin(delta.id)

    def _on_text(self, delta: TextDelta) -> bytes:
        choice, opening = self._choice(delta.choice)
        start = choice.spans.get(delta.part, (choice.length, 0))[0]
        choice.length += len(delta.text)
        choice.spans[delta.part] = (start, choice.length)
        return opening + self._chunk(delta.choice, {"content": delta.text})

    def _on_refusal(self, delta: RefusalDelta) -> bytes:
        _, opening = self._choice(delta.choice)
        return opening + self._chunk(delta.choice, {"refusal": delta.text})

    def _on_thinking(self, delta: ThinkingDelta) -> bytes:
        choice, opening = self._choice(delta.choice)
        block = (delta.part, delta.block)
        apart = choice.block is not None and choice.block != block
        choice.block = block
        choice.thoughts.add(delta)
        text = f"\n\n{delta.text}" if apart else delta.text
        return opening + self._chunk(delta.choice, {"reasoning_content": text})

    def _on_signature(self, delta: SignatureDelta) -> bytes:
        choice, opening = self._choice(delta.choice)
        extra = write_extra_signature(delta.signature)
        call = choice.calls.get(delta.part)
        if call is not None and not self._habits.legacy:
            # The SDK wants the function in every fragment of a call.
            body = {"custom": {"input": ""}} if call.custom else {"function": {"arguments": ""}}
            signed: Doc = {"tool_calls": [{"index": call.index, **body, "extra_content": extra}]}
        elif call is not None or (delta.part in choice.spans and not delta.redacted):
            signed = {"extra_content": extra}
        else:
            choice.thoughts.sign(delta)
            text = choice.thoughts.text(delta.part)
            thinking = Thinking(text=text, signature=delta.signature, redacted=delta.redacted)
            signed = {"reasoning_details": [write_detail(thinking, choice.details)]}
            choice.details += 1
        return opening + self._chunk(delta.choice, signed)

    def _on_call(self, delta: CallStart) -> bytes:
        choice, opening = self._choice(delta.choice)
        # Some clients read a signature only where the call begins.
        carried = choice.thoughts.take(WIRE)
        signature = delta.signature or carried
        emulated = delta.kind == "function" and delta.name in self._habits.custom
        custom = emulated or delta.kind == "custom"
        call = choice.calls[delta.part] = _Call(len(choice.calls), custom, emulated)
        if self._habits.legacy:
            if call.index > 0:
                self._notes.drop("tool_calls[1:]")
                return opening
            name = {"name": delta.name, "arguments": ""}
            return opening + self._chunk(delta.choice, {"function_call": name})
        body = {"name": delta.name, "input" if custom else "arguments": ""}
        kind = "custom" if custom else "function"
        id = delta.id or self._reference.new_id("call_")
        entry = {"index": call.index, "id": id, "type": kind, kind: body}
        if signature is not None:
            entry["extra_content"] = write_extra_signature(signature)
        return opening + self._chunk(delta.choice, {"tool_calls": [entry]})

    def _on_arguments(self, delta: CallDelta) -> bytes:
        choice, opening = self._choice(delta.choice)
        call = choice.calls.get(delta.part)
        if call is None or not delta.arguments:
            return opening
        if call.held is not None:
            call.held.append(delta.arguments)
            return opening
        return opening + self._fragment(delta.choice, call, delta.arguments)

    def _fragment(self, index: int, call: _Call, arguments: str) -> bytes:
        call.empty = False
        if self._habits.legacy:
            first = call.index == 0
            return self._chunk(index, {"function_call": {"arguments": arguments}}) if first else b""
        body = {"custom": {"input": arguments}} if call.custom else {"function": {"arguments": arguments}}
        return self._chunk(index, {"tool_calls": [{"index": call.index, **body}]})

    def _close_call(self, index: int, call: _Call) -> bytes:
        """What is still due: the text of a held argument, or the empty object that clients can parse."""
        if call.closed:
            return b""
        call.closed = True
        if call.held is not None:
            return self._fragment(index, call, free_text("".join(call.held)))
        return self._fragment(index, call, "{}") if call.empty and not call.custom else b""

    def _on_citation(self, delta: CitationDelta) -> bytes:
        choice, opening = self._choice(delta.choice)
        start, end = choice.spans.get(delta.part, (choice.length, choice.length))
        annotation = write_annotation(delta.citation, start, end)
        if annotation is None:
            self._notes.drop("citations")
            return opening
        # The SDK joins lists of several chunks by the index of their entries.
        indexed = {"index": choice.cited, **annotation}
        choice.cited += 1
        return opening + self._chunk(delta.choice, {"annotations": [indexed]})

    def _on_whole(self, delta: WholePart) -> bytes:
        show = _WHOLE.get(type(delta.content))
        if show is None:
            self._notes.drop(label_of(delta.content))
            return b""
        return show(self, delta)

    def _whole_text(self, delta: WholePart) -> bytes:
        text = delta.content.text  # type: ignore[union-attr]  # the table says which
        return self._on_text(TextDelta(part=delta.part, text=text, choice=delta.choice))

    def _whole_refusal(self, delta: WholePart) -> bytes:
        text = delta.content.text  # type: ignore[union-attr]  # the table says which
        return self._on_refusal(RefusalDelta(part=delta.part, text=text, choice=delta.choice))

    def _whole_thinking(self, delta: WholePart) -> bytes:
        content: Any = delta.content
        out = b""
        if content.text:
            out += self._on_thinking(ThinkingDelta(part=delta.part, text=content.text, choice=delta.choice))
        if content.signature is not None:
            out += self._on_signature(
                SignatureDelta(
                    part=delta.part,
                    signature=content.signature,
                    redacted=content.redacted,
                    choice=delta.choice,
                )
            )
        return out

    def _whole_call(self, delta: WholePart) -> bytes:
        call: Any = delta.content
        start = CallStart(
            part=delta.part,
            id=call.id,
            name=call.name,
            kind=call.kind,
            signature=call.signature,
            choice=delta.choice,
        )
        arguments = CallDelta(part=delta.part, arguments=call.arguments, choice=delta.choice)
        return self._on_call(start) + self._on_arguments(arguments)

    def _whole_image(self, delta: WholePart) -> bytes:
        choice, opening = self._choice(delta.choice)
        images = [{"index": choice.images, **image} for image in write_images(delta.content)]  # type: ignore[arg-type]  # the table says which
        choice.images += 1
        return opening + self._chunk(delta.choice, {"images": images})

    def _whole_audio(self, delta: WholePart) -> bytes:
        content: Any = delta.content
        _, opening = self._choice(delta.choice)
        return opening + self._chunk(delta.choice, {"audio": write_audio(content, self._reference)})

    def _on_logprobs(self, delta: LogprobsDelta) -> bytes:
        _, opening = self._choice(delta.choice)
        return opening + self._chunk(delta.choice, {}, logprobs=delta.logprobs)

    def _on_part_end(self, delta: PartEnd) -> bytes:
        choice = self._choices.get(delta.choice)
        call = choice.calls.get(delta.part) if choice is not None else None
        return self._close_call(delta.choice, call) if call is not None else b""

    def _on_finished(self, delta: Finished) -> bytes:
        choice, opening = self._choice(delta.choice)
        return (
            opening if choice.finished else opening + self._finish_choice(delta.choice, choice, delta.finish)
        )

    def _finish_choice(self, index: int, choice: _Choice, finish: Finish | None) -> bytes:
        choice.finished = True
        out = b"".join(self._close_call(index, call) for call in choice.calls.values())
        word = write_finish(finish, bool(choice.calls))
        if word == "tool_calls" and self._habits.legacy:
            word = "function_call"
        return out + self._chunk(index, {}, finish=word)

    table: ClassVar[Table] = {
        **DeltaWriter.table,
        Start: _on_start,
        TextDelta: _on_text,
        RefusalDelta: _on_refusal,
        ThinkingDelta: _on_thinking,
        SignatureDelta: _on_signature,
        CallStart: _on_call,
        CallDelta: _on_arguments,
        CitationDelta: _on_citation,
        WholePart: _on_whole,
        LogprobsDelta: _on_logprobs,
        PartEnd: _on_part_end,
        Finished: _on_finished,
    }


_WHOLE: dict[type, Callable[[Writer, WholePart], bytes]] = {
    Text: Writer._whole_text,
    Refusal: Writer._whole_refusal,
    Thinking: Writer._whole_thinking,
    ToolCall: Writer._whole_call,
    Image: Writer._whole_image,
    Audio: Writer._whole_audio,
}
