"""The event stream of a Cohere chat, out. No client is offered this format: it is here to hold the reader to it.

Pieces of content and calls have an index each, so what comes mixed may go out mixed; usage leaves with the finish
reason, in the last event. https://docs.cohere.com/docs/streaming
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.block_writer import Block, BlockWriter
from omniroute.wire.codec import Reference
from omniroute.wire.cohere_answer import write_finish, write_logprobs, write_message, write_usage
from omniroute.wire.cohere_parts import write_citation
from omniroute.wire.conversation import (
    CallStart,
    CitationDelta,
    Doc,
    LogprobsDelta,
    Notes,
    Ping,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    WholePart,
)
from omniroute.wire.delta_writer import Table
from omniroute.wire.shapes import docs_of
from omniroute.wire.sse import comment, frame

encode = msgspec.json.Encoder().encode

KEEP_ALIVE = comment("keep-alive")


def event(kind: str, **fields: Any) -> bytes:
    """One event of this format: its type stands in the line above and in the payload."""
    return frame(encode({"type": kind, **fields}), kind)


class CohereWriter(BlockWriter):
    """Deltas of one answer into the bytes of a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._id = ""
        self._contents = 0
        self._citations = 0

    def _first(self) -> bytes:
        message: Doc = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        id = self._id or self._reference.new_id("")
        return event("message-start", id=id, delta={"message": message})

    def _last(self) -> bytes:
        reason = write_finish(self._finish, called=self._calls > 0)
        delta = {"finish_reason": reason, "usage": write_usage(self._usage or Usage())}
        return event("message-end", delta=delta) + frame(b"[DONE]")

    def _error(self, problem: Problem) -> bytes:
        return error_event(problem)

    # pieces ─────────────────────────────────────────────────────────────────────────────────────
    def _open(self, part: int, kind: str) -> tuple[bytes, Block]:
        piece = self._blocks.get(part)
        if piece is not None and piece.kind == kind:
            return b"", piece
        out = self._begin() + self._close(part)
        piece = self._blocks[part] = Block(kind, self._contents)
        self._contents += 1
        content = {"type": kind, kind: ""}
        return out + event("content-start", index=piece.index, delta=_message(content=content)), piece

    def _say(self, part: int, kind: str, text: str) -> bytes:
        if not text:
            return b""
        out, piece = self._open(part, kind)
        piece.text += text
        return out + event("content-delta", index=piece.index, delta=_message(content={kind: text}))

    def _fragment(self, block: Block, arguments: str) -> bytes:
        call = {"function": {"arguments": arguments}}
        return event("tool-call-delta", index=block.index, delta=_message(tool_calls=call))

    def _stop(self, block: Block) -> bytes:
        return event("tool-call-end" if block.kind == "call" else "content-end", index=block.index)

    # deltas ─────────────────────────────────────────────────────────────────────────────────────
    def _start(self, delta: Start) -> bytes:
        self._id = self._id or delta.id
        return b""

    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        return self._say(delta.part, "text", delta.text)

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        out, piece = self._open(delta.part, "thinking")
        return out + self._say(delta.part, "thinking", piece.continued(delta))

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
        piece = self._blocks[delta.part] = Block("call", self._calls)
        self._calls += 1
        piece.free = [] if delta.kind == "custom" else None
        id = delta.id or self._reference.new_id("call_")
        call = {"id": id, "type": "function", "function": {"name": delta.name, "arguments": ""}}
        return out + event("tool-call-start", index=piece.index, delta=_message(tool_calls=call))

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
        texts = [piece for piece in self._blocks.values() if piece.kind == "text"]
        if not texts:
            return b""
        index = texts[-1].index
        return b"".join(
            [
                event("content-delta", index=index, delta={**_message(content={"text": ""}), "logprobs": e})
                for e in entries
            ]
        )

    def _ping(self, delta: Ping) -> bytes:
        return KEEP_ALIVE

    table: ClassVar[Table] = {
        **BlockWriter.table,
        Start: _start,
        TextDelta: _text,
        RefusalDelta: _text,
        ThinkingDelta: _thinking,
        CitationDelta: _citation,
        CallStart: _call,
        WholePart: _whole,
        LogprobsDelta: _logprobs,
        Ping: _ping,
    }


def _message(**fields: Any) -> Doc:
    return {"message": fields}


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """What ends a stream that failed; the request's id has no place in it."""
    return event("message-end", delta={"error": problem.message, "finish_reason": "ERROR"}) + frame(b"[DONE]")
