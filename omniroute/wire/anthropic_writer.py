"""Writes the event stream of Anthropic Messages, as the official SDKs expect it.

Blocks stand one after the other here, each whole. Pieces that come mixed are put in order: a text or a run of
reasoning is closed where another piece begins (and goes on in a new block), a call is held open until its arguments
are complete, and what comes meanwhile waits. https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.errors import Problem
from omniroute.wire.anthropic_answer import message_id, write_finish, write_parts, write_usage
from omniroute.wire.anthropic_blocks import WIRE, carry_signature, write_citation
from omniroute.wire.anthropic_errors import write_error
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finish,
    Finished,
    LogprobsDelta,
    Notes,
    PartEnd,
    Ping,
    Refusal,
    RefusalDelta,
    Signature,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import problem_of
from omniroute.wire.functions import CUSTOM_INPUT
from omniroute.wire.shapes import text_of
from omniroute.wire.signatures import wrap_signature
from omniroute.wire.sse import frame

encode = msgspec.json.Encoder().encode

PING = frame(b'{"type":"ping"}', "ping")

_DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":%s}}\n\n'
)
"""By far the most frequent event; filled in, it costs a fifth of what an encoded object would."""

_TEXT: Doc = {"type": "text", "text": ""}
_THINKING: Doc = {"type": "thinking", "thinking": "", "signature": ""}


def event(name: str, **fields: Any) -> bytes:
    """One event of this format: its type stands in the line above and in the payload."""
    return frame(encode({"type": name, **fields}), name)


class _OpenBlock:
    """The block that is being written."""

    __slots__ = ("arguments", "checked", "custom", "kind", "paragraph", "part")

    def __init__(self, part: int, kind: str, custom: bool = False) -> None:
        self.part = part
        self.kind = kind
        self.custom = custom
        self.arguments = ""
        self.checked = 0
        """How much of `arguments` is known not to be complete."""
        self.paragraph = 0

    def is_whole(self) -> bool:
        """Whether another block may begin. JSON that is an object and not empty can only be followed by blanks."""
        if self.kind != "tool_use":
            return True
        if self.custom or self.checked == len(self.arguments):
            return False
        self.checked = len(self.arguments)
        try:
            value = msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return False
        self.checked = -1
        return bool(value)


class AnthropicWriter:
    """Deltas of one answer into the bytes of a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        self._reference = reference
        self._notes = notes
        self._id = ""
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._started = False
        self._over = False
        self._called = False
        self._refused = False
        self._index = 0
        self._open: _OpenBlock | None = None
        self._kinds: dict[int, str] = {}
        self._call_ids: dict[int, str] = {}
        self._waiting: dict[int, list[Delta]] = {}
        self._unplaced: dict[int, Signature] = {}
        """Foreign signatures that came before anything else of their part."""
        self._carried: list[Doc] = []
        """Blocks with foreign signatures, to be written when the open block is closed."""
        self._write: dict[type, Callable[[Any], bytes]] = {
            Start: self._take_start,
            UsageDelta: self._take_usage,
            Finished: self._take_finish,
            LogprobsDelta: lambda delta: b"",
            Ping: lambda delta: self._begin() + PING,
            Failure: self._fail,
            End: lambda delta: self.close(),
            PartEnd: self._route,
        }
        self._emit: dict[type, Callable[[Any], bytes]] = {
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            CitationDelta: self._citation,
            ThinkingDelta: self._thinking,
            SignatureDelta: self._signature,
            CallStart: self._call,
            CallDelta: self._arguments,
            WholePart: self._whole,
            PartEnd: self._part_end,
        }

    def feed(self, delta: Delta) -> bytes:
        if self._over:
            return b""
        write = self._write.get(type(delta))
        if write is not None:
            return write(delta)
        return self._route(delta) if self._started else self._begin() + self._route(delta)

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        self._over = True
        if problem is not None:
            # An open block stays open, as when Anthropic itself fails: a client would take a closed call for whole.
            return error_event(problem)
        out = self._begin() + self._settle()
        delta = write_finish(self._finish or Finish(), called=self._called, refused=self._refused)
        out += event("message_delta", delta=delta, usage=write_usage(self._usage or Usage()))
        return out + event("message_stop")

    # what stands beside the content ─────────────────────────────────────────────────────────────
    def _take_start(self, delta: Start) -> bytes:
        """`message_start` waits for the first content: usage that comes at once can still go into it."""
        self._id = self._id or delta.id
        return b""

    def _take_usage(self, delta: UsageDelta) -> bytes:
        self._usage = delta.usage
        return b""

    def _take_finish(self, delta: Finished) -> bytes:
        if delta.choice:
            return b""
        self._finish = delta.finish
        return self._begin() + self._settle()

    def _fail(self, failure: Failure) -> bytes:
        return self.close(problem_of(failure))

    def _begin(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: Doc = {
            "id": message_id(self._id, self._reference),
            "type": "message",
            "role": "assistant",
            "model": self._reference.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage or Usage()),
        }
        return event("message_start", message=message)

    # one block at a time ────────────────────────────────────────────────────────────────────────
    def _route(self, delta: Any) -> bytes:
        """Write a delta, or let it wait until the open call is complete."""
        if delta.choice:
            self._notes.drop("n")
            return b""
        block = self._open
        if block is None or block.part == delta.part:
            out = self._emit[type(delta)](delta)
            return out + self._advance() if self._waiting else out
        if delta.part not in self._waiting:
            if type(delta) is PartEnd and delta.part in self._kinds:
                return b""
            if block.is_whole():
                return self._close_block() + self._emit[type(delta)](delta)
        self._waiting.setdefault(delta.part, []).append(delta)
        return b""

    def _advance(self, *, all: bool = False) -> bytes:
        """Write what has waited, as far as the open block allows; `all` of it when nothing more will come."""
        out = b""
        while self._waiting and (self._open is None or all or self._open.is_whole()):
            out += self._close_block()
            for delta in self._waiting.pop(next(iter(self._waiting))):
                out += self._emit[type(delta)](delta)
        return out

    def _settle(self) -> bytes:
        """Nothing more will come: write what waits and close what is open."""
        out = self._advance(all=True) + self._close_block()
        for signature in self._unplaced.values():
            out += self._open_block(-1, "thinking", _THINKING) + self._sign(signature) + self._close_block()
        self._unplaced = {}
        return out

    def _open_block(self, part: int, kind: str, start: Doc, custom: bool = False) -> bytes:
        out = self._close_block()
        self._open = _OpenBlock(part, kind, custom)
        self._kinds[part] = kind
        return out + event("content_block_start", index=self._index, content_block=start)

    def _close_block(self) -> bytes:
        if self._open is None:
            return b""
        out = self._fragment('"}') if self._open.custom else b""
        out += event("content_block_stop", index=self._index)
        self._open = None
        self._index += 1
        carried, self._carried = self._carried, []
        return out + b"".join(self._at_once(block) for block in carried)

    def _at_once(self, block: Doc) -> bytes:
        """A block without deltas."""
        out = self._close_block() + event("content_block_start", index=self._index, content_block=block)
        out += event("content_block_stop", index=self._index)
        self._index += 1
        return out

    def _delta(self, kind: bytes, field: bytes, value: Any) -> bytes:
        return _DELTA % (self._index, kind, field, encode(value))

    def _continue(self, part: int, kind: str, start: Doc) -> bytes:
        """Open a block for a text or for reasoning, unless it is open."""
        if self._open is not None and self._open.part == part and self._open.kind == kind:
            return b""
        return self._open_block(part, kind, start)

    # content ────────────────────────────────────────────────────────────────────────────────────
    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        block, text = self._open, encode(delta.text)
        if block is not None and block.part == delta.part and block.kind == "text" and not self._unplaced:
            return _DELTA % (self._index, b"text_delta", b"text", text)
        out = self._place_signature(delta.part) + self._continue(delta.part, "text", _TEXT)
        return out + _DELTA % (self._index, b"text_delta", b"text", text)

    def _refusal(self, delta: RefusalDelta) -> bytes:
        self._refused = True
        return self._text(delta)

    def _citation(self, delta: CitationDelta) -> bytes:
        out = self._continue(delta.part, "text", _TEXT)
        return out + self._delta(b"citations_delta", b"citation", write_citation(delta.citation))

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        out = self._continue(delta.part, "thinking", _THINKING)
        text = delta.text
        if self._open is not None and delta.block != self._open.paragraph:
            self._open.paragraph = delta.block
            text = "\n\n" + text
        return out + self._delta(b"thinking_delta", b"thinking", text)

    def _signature(self, delta: SignatureDelta) -> bytes:
        foreign = delta.signature.wire != WIRE
        kind = self._kinds.get(delta.part)
        if delta.redacted:
            self._kinds[delta.part] = "redacted_thinking"
            return self._at_once({"type": "redacted_thinking", "data": wrap_signature(delta.signature, WIRE)})
        if kind == "thinking" or (kind is None and not foreign):
            return self._continue(delta.part, "thinking", _THINKING) + self._sign(delta.signature)
        if kind is None:
            self._unplaced[delta.part] = delta.signature
            return b""
        if not foreign:
            return b""
        self._carried.append(carry_signature(delta.signature, self._call_ids.get(delta.part)))
        return b"" if self._open is not None else self._place_carried()

    def _sign(self, signature: Signature) -> bytes:
        return self._delta(b"signature_delta", b"signature", wrap_signature(signature, WIRE))

    def _place_carried(self) -> bytes:
        carried, self._carried = self._carried, []
        return b"".join(self._at_once(block) for block in carried)

    def _place_signature(self, part: int, call_id: str | None = None) -> bytes:
        """Write the signature that came before its part, now that it is known what the part is."""
        signature = self._unplaced.pop(part, None)
        return b"" if signature is None else self._at_once(carry_signature(signature, call_id))

    def _call(self, delta: CallStart) -> bytes:
        self._called = True
        id = delta.id or self._reference.new_id("toolu_")
        self._call_ids[delta.part] = id
        out = self._place_signature(delta.part, id)
        if delta.signature is not None and delta.signature.wire != WIRE:
            out += self._at_once(carry_signature(delta.signature, id))
        start: Doc = {"type": "tool_use", "id": id, "name": delta.name, "input": {}}
        custom = delta.kind == "custom"
        out += self._open_block(delta.part, "tool_use", start, custom)
        return out + self._fragment(f'{{"{CUSTOM_INPUT}":"') if custom else out

    def _arguments(self, delta: CallDelta) -> bytes:
        block = self._open
        if block is None or block.part != delta.part:
            if delta.arguments.strip():
                # The call is over, or was never named: there is no block that this could go into.
                self._notes.drop("tool_calls[].arguments")
            return b""
        if not delta.arguments:
            return b""
        if block.custom:
            return self._fragment(encode(delta.arguments)[1:-1].decode())
        block.arguments += delta.arguments
        return self._fragment(delta.arguments)

    def _fragment(self, partial: str) -> bytes:
        return self._delta(b"input_json_delta", b"partial_json", partial)

    def _whole(self, delta: WholePart) -> bytes:
        self._called = self._called or isinstance(delta.content, ToolCall)
        self._refused = self._refused or isinstance(delta.content, Refusal)
        self._kinds[delta.part] = "whole"
        blocks = write_parts([delta.content], self._reference, self._notes)
        return b"".join(self._whole_block(block) for block in blocks)

    def _whole_block(self, block: Doc) -> bytes:
        """A block that is known at once; clients expect texts and inputs to come as deltas all the same."""
        fill = _FILLED.get(text_of(block.get("type")))
        if fill is None or not block.get(fill):
            return self._at_once(block)
        value = block[fill]
        out = self._open_block(-1, "whole", block | {fill: type(value)()})
        if fill == "input":
            out += self._fragment(encode(value).decode())
        else:
            out += self._delta(f"{fill}_delta".encode(), fill.encode(), value)
        return out + self._close_block()

    def _part_end(self, delta: PartEnd) -> bytes:
        out = b""
        if delta.part in self._unplaced:
            out = self._continue(delta.part, "thinking", _THINKING) + self._sign(
                self._unplaced.pop(delta.part)
            )
        if self._open is not None and self._open.part == delta.part:
            out += self._close_block()
        return out


_FILLED = {"text": "text", "thinking": "thinking", "tool_use": "input", "server_tool_use": "input"}
"""Block type → the field that arrives in deltas."""


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """The error event, after which the stream of this format is over."""
    return frame(encode(write_error(problem, request_id)), "error")
