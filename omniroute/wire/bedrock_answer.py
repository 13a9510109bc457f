"""A plain answer of Converse, in and out, and what streams share with it: usage and stop reasons.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.bedrock_errors import problem_of_body
from omniroute.wire.bedrock_parts import (
    WIRE,
    read_answer_block,
    write_audio,
    write_call,
    write_image,
    write_text,
    write_thinking,
)
from omniroute.wire.codec import Glance, Reference
from omniroute.wire.conversation import (
    Answer,
    Audio,
    Choice,
    Doc,
    File,
    Finish,
    FinishReason,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    Video,
)
from omniroute.wire.losses import first_choice
from omniroute.wire.shapes import count_of, doc_of, docs_of, rest_of, text_of
from omniroute.wire.signatures import wrap_signature

# ── stop reasons ─────────────────────────────────────────────────────────────────────────────────

_REASONS_IN: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "model_context_window_exceeded": "context_length",
    "malformed_tool_use": "malformed_call",
    "malformed_model_output": "other",
}
_REASONS_OUT: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "context_length": "model_context_window_exceeded",
    "malformed_call": "malformed_tool_use",
}


def read_finish(word: Any, beside: Any) -> Finish | None:
    """`beside` holds the model's own fields of the answer, where the stop sequence is if it was asked for."""
    native = text_of(word)
    if not native:
        return None
    sequence = text_of(doc_of(beside).get("stop_sequence")) or None
    return Finish(reason=_REASONS_IN.get(native, "other"), native=native, sequence=sequence)


def write_finish(finish: Finish | None, *, called: bool) -> str:
    finish = finish or Finish()
    if finish.native and _REASONS_IN.get(finish.native) == finish.reason:
        return finish.native
    if finish.sequence is not None:
        return "stop_sequence"
    return _REASONS_OUT.get(finish.reason, "tool_use" if called else "end_turn")


# ── usage ────────────────────────────────────────────────────────────────────────────────────────


def read_usage(given: Any) -> Usage | None:
    """Input tokens leave out what was read from a cache or written to one."""
    usage = doc_of(given)
    if "inputTokens" not in usage and "outputTokens" not in usage:
        return None
    cached, written = (
        count_of(usage.get("cacheReadInputTokens")),
        count_of(usage.get("cacheWriteInputTokens")),
    )
    details = docs_of(usage.get("cacheDetails"))
    for_an_hour = sum(count_of(one.get("inputTokens")) for one in details if one.get("ttl") == "1h")
    for_an_hour = min(for_an_hour, written)
    return Usage(
        input=count_of(usage.get("inputTokens")) + cached + written,
        output=count_of(usage.get("outputTokens")),
        cached=cached,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
    )


def write_usage(usage: Usage) -> Doc:
    written = usage.cache_write + usage.cache_write_1h
    doc: Doc = {
        "inputTokens": max(0, usage.input - usage.cached - written),
        "outputTokens": usage.output,
        "totalTokens": usage.total,
    }
    if usage.cached or written:
        doc |= {"cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": written}
    if usage.cache_write_1h:
        spent = {"5m": usage.cache_write, "1h": usage.cache_write_1h}
        doc["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in spent.items() if tokens]
    return doc


# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_READ_HERE = frozenset({"output", "stopReason", "usage", "metrics", "serviceTier"})


def read_answer(doc: Doc) -> Answer:
    """Never raises: null, absent and empty are one."""
    message = doc_of(doc_of(doc.get("output")).get("message"))
    beside = rest_of(doc, _READ_HERE)
    parts = [read_answer_block(block) for block in docs_of(message.get("content")) if block]
    finish = read_finish(doc.get("stopReason"), doc.get("additionalModelResponseFields"))
    return Answer(
        choices=[Choice(parts=[part for part in parts if part != Text(text="")], finish=finish)],
        usage=read_usage(doc.get("usage")),
        service_tier=text_of(doc_of(doc.get("serviceTier")).get("type")) or None,
        extras={WIRE: beside} if beside else {},
    )


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    """Of several choices the first is written: the format has one."""
    choice = first_choice(answer, notes)
    if choice.logprobs is not None:
        notes.drop("logprobs")
    content = [block for part in choice.parts for block in write_part(part, reference, notes)]
    doc: Doc = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": write_finish(choice.finish, called=any("toolUse" in block for block in content)),
        "usage": write_usage(answer.usage or Usage()),
        "metrics": {"latencyMs": 0},
    }
    if answer.service_tier is not None:
        doc["serviceTier"] = {"type": answer.service_tier}
    return doc | answer.extras.get(WIRE, {})


def write_part(part: Part, reference: Reference, notes: Notes) -> list[Doc]:
    """A part of an answer as a block, or nothing."""
    written = _PARTS_OUT[type(part)](part, reference, notes)
    return [] if written is None else [written]


def _text(part: Text | Refusal, reference: Reference, notes: Notes) -> Doc | None:
    return write_text(part.text, part.citations if isinstance(part, Text) else ()) if part.text else None


def _thinking(part: Thinking, reference: Reference, notes: Notes) -> Doc | None:
    if part.signature is None:
        return write_thinking(part) if part.text else None
    signature = Signature(value=wrap_signature(part.signature, WIRE), wire=WIRE)
    return write_thinking(msgspec.structs.replace(part, signature=signature))


def _call(part: ToolCall, reference: Reference, notes: Notes) -> Doc:
    return write_call(part, part.id or reference.new_id("tooluse_"), notes)


def _image(part: Image, reference: Reference, notes: Notes) -> Doc | None:
    return _kept(write_image(part), "image", notes)


def _audio(part: Audio, reference: Reference, notes: Notes) -> Doc | None:
    if part.transcript:
        notes.emulate("audio")
        return {"text": part.transcript}
    return _kept(write_audio(part), "audio", notes)


def _opaque(part: Opaque, reference: Reference, notes: Notes) -> Doc | None:
    return _kept(part.doc if part.wire == WIRE else None, part.label or "content", notes)


def _other(part: Part, reference: Reference, notes: Notes) -> None:
    notes.drop(_NAMES[type(part)])


def _kept(block: Doc | None, word: str, notes: Notes) -> Doc | None:
    if block is None:
        notes.drop(word)
    return block


_NAMES: dict[type, str] = {Video: "video", File: "file", ToolResult: "tool_result"}
_PARTS_OUT: dict[type, Callable[[Any, Reference, Notes], Doc | None]] = {
    Text: _text,
    Refusal: _text,
    Thinking: _thinking,
    ToolCall: _call,
    Image: _image,
    Audio: _audio,
    Opaque: _opaque,
    Video: _other,
    File: _other,
    ToolResult: _other,
}

# ── glance ───────────────────────────────────────────────────────────────────────────────────────


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` when it is not JSON."""
    doc = doc_of(msgspec.json.decode(raw))
    if "output" not in doc:
        return Glance(problem=problem_of_body(doc), empty=True)
    return Glance.of(read_answer(doc))
