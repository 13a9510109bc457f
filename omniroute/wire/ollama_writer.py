"""The stream of an Ollama chat, out: one line a delta, calls whole and in the order in which they began.

Finish and usage leave in the last line. https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Doc,
    Finished,
    LogprobsDelta,
    Notes,
    Part,
    PartEnd,
    Ping,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
    WholePart,
)
from omniroute.wire.delta_writer import OneChoiceWriter, PendingCall, Table
from omniroute.wire.ndjson import line
from omniroute.wire.ollama_answer import write_finish, write_message, write_time, write_usage
from omniroute.wire.ollama_errors import write_error
from omniroute.wire.shapes import arguments_object, docs_of

encode = msgspec.json.Encoder().encode

_PIECE = b'{"model":%s,"created_at":%s,"message":{"role":"assistant","content":%s},"done":false}\n'
"""By far the most frequent line; filled in, it costs a fraction of what an encoded object would."""


def _is_whole(call: ToolCall) -> bool:
    """JSON that is an object and not empty can only be followed by blanks."""
    ends = call.kind == "function" and call.arguments.rstrip().endswith("}")
    return ends and bool(arguments_object(call.arguments))


class OllamaWriter(OneChoiceWriter):
    """Deltas of one answer into the lines of a stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._model = encode(reference.model)
        self._created = encode(write_time(reference.created))
        self._calls: dict[int, PendingCall] = {}
        self._paragraphs: dict[int, int] = {}

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        out = self._flush(all=problem is None)
        self._over = True
        if problem is not None:
            return out + error_event(problem)
        last = write_finish(self._finish) | write_usage(self._usage or Usage())
        return out + self._line({"role": "assistant", "content": ""}, last)

    # content ────────────────────────────────────────────────────────────────────────────────────
    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        return _PIECE % (self._model, self._created, encode(delta.text)) if delta.text else b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        text = delta.text
        if self._paragraphs.setdefault(delta.part, delta.block) != delta.block:
            self._paragraphs[delta.part] = delta.block
            text = "\n\n" + text
        return self._line({"role": "assistant", "content": "", "thinking": text}) if text else b""

    def _whole(self, delta: WholePart) -> bytes:
        return self._part(delta.content)

    def _part(self, part: Part) -> bytes:
        message = write_message([part], self._reference, self._notes)
        return b"" if message == {"role": "assistant", "content": ""} else self._line(message)

    def _citation(self, delta: CitationDelta) -> bytes:
        self._notes.drop("annotations")
        return b""

    def _logprobs(self, delta: LogprobsDelta) -> bytes:
        said = docs_of(delta.logprobs.get("content"))
        return self._line({"role": "assistant", "content": ""}, {"done": False, "logprobs": said})

    # calls ──────────────────────────────────────────────────────────────────────────────────────
    def _call(self, delta: CallStart) -> bytes:
        self._calls[delta.part] = PendingCall(delta)
        return b""

    def _arguments(self, delta: CallDelta) -> bytes:
        call = self._calls.get(delta.part)
        if call is None:
            if delta.arguments.strip():
                # The call has been sent, or was never named.
                self._notes.drop("tool_calls[].arguments")
            return b""
        call.add(delta.arguments)
        return self._flush() if delta.arguments.rstrip().endswith("}") else b""

    def _part_end(self, delta: PartEnd) -> bytes:
        call = self._calls.get(delta.part)
        if call is None:
            return b""
        call.ended = True
        return self._flush()

    def _flush(self, *, all: bool = False) -> bytes:
        """The calls that are whole, as long as none that began before them is missing; `all` when no more comes."""
        out = b""
        for part, pending in list(self._calls.items()):
            call = pending.call()
            if not (all or pending.ended or _is_whole(call)):
                break
            del self._calls[part]
            out += self._part(call)
        return out

    # what stands beside the content ─────────────────────────────────────────────────────────────
    def _take_finish(self, delta: Finished) -> bytes:
        self._finish = delta.finish
        return self._flush(all=True)

    def _ping(self, delta: Ping) -> bytes:
        return KEEP_ALIVE

    def _line(self, message: Doc, rest: Doc | None = None) -> bytes:
        doc = {"model": self._reference.model, "created_at": write_time(self._reference.created)}
        return line(encode({**doc, "message": message, **(rest or {"done": False})}))

    table: ClassVar[Table] = {
        **OneChoiceWriter.table,
        TextDelta: _text,
        RefusalDelta: _text,
        ThinkingDelta: _thinking,
        WholePart: _whole,
        CitationDelta: _citation,
        LogprobsDelta: _logprobs,
        CallStart: _call,
        CallDelta: _arguments,
        PartEnd: _part_end,
        Finished: _take_finish,
        Ping: _ping,
    }


KEEP_ALIVE = b" "
"""A blank before the next document: clients parse each line as JSON, and an empty one is none."""


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """The line that ends a stream which failed."""
    return line(encode(write_error(problem, request_id)))
