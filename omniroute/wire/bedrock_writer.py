"""The event stream of ConverseStream, out. No client is offered this format: it is here to hold the reader to it.

Blocks have an index each, so what comes mixed may go out mixed. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.aws_events import EXCEPTION, message
from omniroute.wire.bedrock_answer import write_finish, write_part, write_usage
from omniroute.wire.bedrock_errors import exception_name
from omniroute.wire.bedrock_parts import WIRE, write_citation
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Doc,
    LogprobsDelta,
    Notes,
    PartEnd,
    RefusalDelta,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    WholePart,
)
from omniroute.wire.delta_writer import OneChoiceWriter, Table
from omniroute.wire.signatures import wrap_signature

encode = msgspec.json.Encoder().encode


def event(name: str, **fields: Any) -> bytes:
    return message(encode(fields), name)


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """What ends a stream that failed; the request's id has no place in it."""
    return message(encode({"message": problem.message}), EXCEPTION + exception_name(problem))


class _Block:
    """A block that is open. `free` holds the text of a free-form call, which becomes the argument of a function."""

    __slots__ = ("free", "index", "kind", "paragraph")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.paragraph = 0
        self.free: list[str] | None = None


class BedrockWriter(OneChoiceWriter):
    """Deltas of one answer into the bytes of a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._blocks: dict[int, _Block] = {}
        self._count = 0
        self._calls = 0
        self._started = False

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        self._over = True
        if problem is not None:
            return error_event(problem)
        out = self._begin() + b"".join([self._close(part) for part in list(self._blocks)])
        reason = write_finish(self._finish, called=self._calls > 0)
        usage = write_usage(self._usage or Usage())
        return (
            out
            + event("messageStop", stopReason=reason)
            + event("metadata", usage=usage, metrics={"latencyMs": 0})
        )

    def _begin(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return event("messageStart", role="assistant")

    # blocks ─────────────────────────────────────────────────────────────────────────────────────
    def _open(self, part: int, kind: str) -> tuple[bytes, _Block]:
        block = self._blocks.get(part)
        if block is not None and block.kind == kind:
            return b"", block
        out = self._begin() + self._close(part)
        block = self._blocks[part] = _Block(self._count, kind)
        self._count += 1
        return out, block

    def _piece(self, part: int, kind: str, delta: Doc) -> bytes:
        out, block = self._open(part, kind)
        return out + _delta(block.index, delta)

    def _close(self, part: int) -> bytes:
        block = self._blocks.pop(part, None)
        if block is None:
            return b""
        out = b""
        if block.free is not None:
            arguments = encode({"input": "".join(block.free)}).decode()
            out = _delta(block.index, {"toolUse": {"input": arguments}})
        return out + event("contentBlockStop", contentBlockIndex=block.index)

    # deltas ─────────────────────────────────────────────────────────────────────────────────────
    def _start(self, delta: Start) -> bytes:
        return self._begin()

    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        return self._piece(delta.part, "text", {"text": delta.text}) if delta.text else b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        out, block = self._open(delta.part, "thinking")
        text = "\n\n" + delta.text if delta.block != block.paragraph else delta.text
        block.paragraph = delta.block
        return out + (_delta(block.index, {"reasoningContent": {"text": text}}) if text else b"")

    def _signature(self, delta: SignatureDelta) -> bytes:
        """Only reasoning is signed in this format."""
        block = self._blocks.get(delta.part)
        if block is not None and block.kind != "thinking":
            return b""
        key = "redactedContent" if delta.redacted else "signature"
        signature = wrap_signature(delta.signature, WIRE)
        return self._piece(delta.part, "thinking", {"reasoningContent": {key: signature}})

    def _citation(self, delta: CitationDelta) -> bytes:
        return self._piece(delta.part, "text", {"citation": write_citation(delta.citation)})

    def _call(self, delta: CallStart) -> bytes:
        out, block = self._open(delta.part, "call")
        self._calls += 1
        block.free = [] if delta.kind == "custom" else None
        start = {"toolUse": {"toolUseId": delta.id or self._reference.new_id("tooluse_"), "name": delta.name}}
        return out + event("contentBlockStart", contentBlockIndex=block.index, start=start)

    def _arguments(self, delta: CallDelta) -> bytes:
        block = self._blocks.get(delta.part)
        if block is None or block.kind != "call":
            if delta.arguments.strip():
                # The call is over, or was never named: there is nothing that this could go into.
                self._notes.drop("tool_calls[].arguments")
            return b""
        if block.free is not None:
            block.free.append(delta.arguments)
            return b""
        return _delta(block.index, {"toolUse": {"input": delta.arguments}}) if delta.arguments else b""

    def _whole(self, delta: WholePart) -> bytes:
        """Content that comes at once: what there is of it in this format, in the events that it takes."""
        out = b""
        for block in write_part(delta.content, self._reference, self._notes):
            index = self._count
            self._count += 1
            self._calls += "toolUse" in block
            out += self._begin() + _whole_block(index, block)
        return out

    def _logprobs(self, delta: LogprobsDelta) -> bytes:
        self._notes.drop("logprobs")
        return b""

    def _part_end(self, delta: PartEnd) -> bytes:
        return self._close(delta.part)

    table: ClassVar[Table] = {
        **OneChoiceWriter.table,
        Start: _start,
        TextDelta: _text,
        RefusalDelta: _text,
        ThinkingDelta: _thinking,
        SignatureDelta: _signature,
        CitationDelta: _citation,
        CallStart: _call,
        CallDelta: _arguments,
        WholePart: _whole,
        LogprobsDelta: _logprobs,
        PartEnd: _part_end,
    }


def _delta(index: int, delta: Doc) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def _whole_block(index: int, block: Doc) -> bytes:
    """The events that a block is made of."""
    start, deltas = _split(block)
    out = event("contentBlockStart", contentBlockIndex=index, start=start) if start else b""
    out += b"".join([_delta(index, delta) for delta in deltas])
    return out + event("contentBlockStop", contentBlockIndex=index)


def _split(block: Doc) -> tuple[Doc | None, list[Doc]]:
    """What announces a block, and its deltas."""
    (kind, value), *_ = block.items()
    if kind == "toolUse":
        named = {key: found for key, found in value.items() if key != "input"}
        return {kind: named}, [{kind: {"input": encode(value.get("input", {})).decode()}}]
    if kind == "toolResult":
        named = {key: found for key, found in value.items() if key != "content"}
        return {kind: named}, [{kind: value.get("content", [])}]
    if kind == "image":
        return {kind: {"format": value.get("format")}}, [{kind: {"source": value.get("source")}}]
    if kind == "reasoningContent":
        said = value.get("reasoningText") or value
        return None, [{kind: {key: found}} for key, found in said.items()]
    if kind == "citationsContent":
        return None, [{"citation": one} for one in value["citations"]] + list(value["content"])
    return None, [block]
