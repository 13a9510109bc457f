"""The event stream of a Cohere chat, out. No client is offered this format: it is here to hold the reader to it.

Pieces of content and calls have an index each, so what comes mixed may go out mixed; usage leaves with the finish
reason, in the last event. https://docs.cohere.com/docs/streaming
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.cohere_answer import write_finish, write_logprobs, write_message, write_usage
from omniroute.wire.cohere_parts import write_citation
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Doc,
    LogprobsDelta,
    Notes,
    PartEnd,
    Ping,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    WholePart,
)
from omniroute.wire.delta_writer import OneChoiceWriter, Table
from omniroute.wire.shapes import docs_of
from omniroute.wire.sse import comment, frame

encode = msgspec.json.Encoder().encode

KEEP_ALIVE = comment("keep-alive")


def event(kind: str, **fields: Any) -> bytes:
    """One event of this format: its type stands in the line above and in the payload."""
    return frame(encode({"type": kind, **fields}), kind)


class _Piece:
    """A piece that is open. `free` holds the text of a free-form call, which becomes the argument of a function."""

    __slots__ = ("free", "index", "kind", "paragraph", "text")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.text = ""
        self.paragraph = 0
        self.free: list[str] | None = None


class CohereWriter(OneChoiceWriter):
    """Deltas of one answer into the bytes of a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._id = ""
        self._started = False
        self._pieces: dict[int, _Piece] = {}
        self._contents = 0
        self._calls = 0
        self._citations = 0

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        self._over = True
        if problem is not None:
            return error_event(problem)
        out = self._begin() + b"".join([self._close(part) for part in list(self._pieces)])
        reason = write_finish(self._finish, called=self._calls > 0)
        delta = {"finish_reason": reason, "usage": write_usage(self._usage or Usage())}
        return out + event("message-end", delta=delta) + frame(b"[DONE]")

    def _begin(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: Doc = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        id = self._id or self._reference.new_id("")
        return event("message-start", id=id, delta={"message": message})

    # pieces ─────────────────────────────────────────────────────────────────────────────────────
    def _open(self, part: int, kind: str) -> tuple[bytes, _Piece]:
        piece = self._pieces.get(part)
        if piece is not None and piece.kind == kind:
            return b"", piece
        out = self._begin() + self._close(part)
        piece = self._pieces[part] = _Piece(kind, self._contents)
        self._contents += 1
        content = {"type": kind, kind: ""}
        return out + event("content-start", index=piece.index, delta=_message(content=content)), piece

    def _say(self, part: int, kind: str, text: str) -> bytes:
        if not text:
            return b""
        out, piece = self._open(part, kind)
        piece.text += text
        return out + event("content-delta", index=piece.index, delta=_message(content={kind: text}))

    def _close(self, part: int) -> bytes:
        piece = self._pieces.pop(part, None)
        if piece is None:
            return b""
        if piece.kind != "call":
            return event("content-end", index=piece.index)
        out = b""
        if piece.free is not None:
            arguments = encode({"input": "".join(piece.free)}).decode()
            out = self._fragment(piece, arguments)
        return out + event("tool-call-end", index=piece.index)

    def _fragment(self, piece: _Piece, arguments: str) -> bytes:
        call = {"function": {"arguments": arguments}}
        return event("tool-call-delta", index=piece.index, delta=_message(tool_calls=call))

    # deltas ─────────────────────────────────────────────────────────────────────────────────────
    def _start(self, delta: Start) -> bytes:
        self._id = self._id or delta.id
        return b""

    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        return self._say(delta.part, "text", delta.text)

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        out, piece = self._open(delta.part, "thinking")
        text = "\n\n" + delta.text if delta.block != piece.paragraph else delta.text
        piece.paragraph = delta.block
        return out + self._say(delta.part, "thinking", text)

    def _citation(self, delta: CitationDelta) -> bytes:
        out, piece = self._open(delta.part, "text")
        doc = write_citation(delta.citation, piece.text, piece.index)
        if doc is None:
            return out
        index = self._citations
        self._citations += 1
        out += event("citation-start", index=index, delta=_message(citations=doc))
        return out + event("citation-end", index=index)

    def _call(self, delta: CallStart) -> bytes:
        out = self._begin() + self._close(delta.part)
        piece = self._pieces[delta.part] = _Piece("call", self._calls)
        self._calls += 1
        piece.free = [] if delta.kind == "custom" else None
        id = delta.id or self._reference.new_id("call_")
        call = {"id": id, "type": "function", "function": {"name": delta.name, "arguments": ""}}
        return out + event("tool-call-start", index=piece.index, delta=_message(tool_calls=call))

    def _arguments(self, delta: CallDelta) -> bytes:
        piece = self._pieces.get(delta.part)
        if piece is None or piece.kind != "call":
            if delta.arguments.strip():
                # The call is over, or was never named: there is nothing that this could go into.
                self._notes.drop("tool_calls[].arguments")
            return b""
        if piece.free is not None:
            piece.free.append(delta.arguments)
            return b""
        return self._fragment(piece, delta.arguments) if delta.arguments else b""

    def _whole(self, delta: WholePart) -> bytes:
        """Content that comes at once: what there is of it in this format, in the events that it takes."""
        message = write_message([delta.content], self._reference, self._notes)
        out = b""
        for content in docs_of(message.get("content")):
            out += self._begin() + event(
                "content-start", index=self._contents, delta=_message(content=content)
            )
            out += event("content-end", index=self._contents)
            self._contents += 1
        for call in docs_of(message.get("tool_calls")):
            out += self._begin() + event(
                "tool-call-start", index=self._calls, delta=_message(tool_calls=call)
            )
            out += event("tool-call-end", index=self._calls)
            self._calls += 1
        return out

    def _logprobs(self, delta: LogprobsDelta) -> bytes:
        entries = write_logprobs(delta.logprobs)
        texts = [piece for piece in self._pieces.values() if piece.kind == "text"]
        if not texts:
            return b""
        index = texts[-1].index
        return b"".join(
            [
                event("content-delta", index=index, delta={**_message(content={"text": ""}), "logprobs": e})
                for e in entries
            ]
        )

    def _part_end(self, delta: PartEnd) -> bytes:
        return self._close(delta.part)

    def _ping(self, delta: Ping) -> bytes:
        return KEEP_ALIVE

    table: ClassVar[Table] = {
        **OneChoiceWriter.table,
        Start: _start,
        TextDelta: _text,
        RefusalDelta: _text,
        ThinkingDelta: _thinking,
        CitationDelta: _citation,
        CallStart: _call,
        CallDelta: _arguments,
        WholePart: _whole,
        LogprobsDelta: _logprobs,
        PartEnd: _part_end,
        Ping: _ping,
    }


def _message(**fields: Any) -> Doc:
    return {"message": fields}


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """What ends a stream that failed; the request's id has no place in it."""
    return event("message-end", delta={"error": problem.message, "finish_reason": "ERROR"}) + frame(b"[DONE]")
