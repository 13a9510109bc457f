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
from omniroute.wire.block_writer import Block, BlockWriter
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallStart,
    CitationDelta,
    Doc,
    LogprobsDelta,
    Notes,
    RefusalDelta,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    WholePart,
)
from omniroute.wire.delta_writer import Table
from omniroute.wire.signatures import wrap_signature

encode = msgspec.json.Encoder().encode


def event(name: str, **fields: Any) -> bytes:
    return message(encode(fields), name)


def error_event(problem: Problem, request_id: str = "") -> bytes:
    """What ends a stream that failed; the request's id has no place in it."""
    return message(encode({"message": problem.message}), EXCEPTION + exception_name(problem))


class BedrockWriter(BlockWriter):
    """Deltas of one answer into the bytes of a legal stream."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._count = 0

    def _first(self) -> bytes:
        return event("messageStart", role="assistant")

    def _last(self) -> bytes:
        reason = write_finish(self._finish, called=self._calls > 0)
        usage = write_usage(self._usage or Usage())
        return event("messageStop", stopReason=reason) + event(
            "metadata", usage=usage, metrics={"latencyMs": 0}
        )

    def _error(self, problem: Problem) -> bytes:
        return error_event(problem)

    # blocks ─────────────────────────────────────────────────────────────────────────────────────
    def _open(self, part: int, kind: str) -> tuple[bytes, Block]:
        block = self._blocks.get(part)
        if block is not None and block.kind == kind:
            return b"", block
        out = self._begin() + self._close(part)
        block = self._blocks[part] = Block(kind, self._count)
        self._count += 1
        return out, block

    def _piece(self, part: int, kind: str, delta: Doc) -> bytes:
        out, block = self._open(part, kind)
        return out + _delta(block.index, delta)

    def _fragment(self, block: Block, arguments: str) -> bytes:
        return _delta(block.index, {"toolUse": {"input": arguments}})

    def _stop(self, block: Block) -> bytes:
        return event("contentBlockStop", contentBlockIndex=block.index)

    # deltas ─────────────────────────────────────────────────────────────────────────────────────
    def _start(self, delta: Start) -> bytes:
        return self._begin()

    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        return self._piece(delta.part, "text", {"text": delta.text}) if delta.text else b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        out, block = self._open(delta.part, "thinking")
        text = block.continued(delta)
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

    table: ClassVar[Table] = {
        **BlockWriter.table,
        Start: _start,
        TextDelta: _text,
        RefusalDelta: _text,
        ThinkingDelta: _thinking,
        SignatureDelta: _signature,
        CitationDelta: _citation,
        CallStart: _call,
        WholePart: _whole,
        LogprobsDelta: _logprobs,
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
