"""A plain answer of Anthropic Messages, in and out, and what streams share with it: usage and stop reasons.

https://docs.claude.com/en/api/messages, https://docs.claude.com/en/api/handling-stop-reasons
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from omniroute.wire.anthropic_blocks import (
    WIRE,
    carry_signature,
    read_answer_block,
    rejoin_signatures,
    write_call,
    write_refusal,
    write_text,
    write_thinking,
)
from omniroute.wire.codec import Reference
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
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    Video,
)
from omniroute.wire.losses import first_choice, spoken
from omniroute.wire.shapes import doc_of, docs_of, rest_of, text_of

# ── stop reasons ─────────────────────────────────────────────────────────────────────────────────

_REASONS_IN: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_length",
}
_REASONS_OUT: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context_length": "model_context_window_exceeded",
    "malformed_call": "end_turn",
    "other": "end_turn",
}


def read_finish(doc: Doc) -> Finish | None:
    """From a message or from the `delta` of a `message_delta`; None while there is no stop reason."""
    word = text_of(doc.get("stop_reason"))
    if not word:
        return None
    return Finish(
        reason=_REASONS_IN.get(word, "other"),
        sequence=text_of(doc.get("stop_sequence")) or None,
        native=word,
        message=text_of(doc_of(doc.get("stop_details")).get("explanation")) or None,
    )


def write_finish(finish: Finish, *, called: bool, refused: bool) -> Doc:
    """`stop_reason` and what belongs to it. What the answer holds (calls, a refusal) corrects a mere "stop"."""
    native = finish.native or ""
    if _REASONS_IN.get(native) == finish.reason:
        word = native
    else:
        word = _REASONS_OUT[finish.reason]
    if word == "end_turn" != native:
        word = "tool_use" if called else "refusal" if refused else word
    if finish.sequence is not None and finish.reason == "stop":
        word = "stop_sequence"
    doc: Doc = {"stop_reason": word, "stop_sequence": finish.sequence}
    if word == "refusal" and finish.message:
        doc["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.message}
    return doc


# ── usage ────────────────────────────────────────────────────────────────────────────────────────


def _count(doc: Doc, key: str) -> int:
    value = doc.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0


def read_usage(doc: Doc) -> Usage:
    """`input_tokens` leaves out what was read from the cache and written to it; ours is the sum."""
    cached = _count(doc, "cache_read_input_tokens")
    made = doc_of(doc.get("cache_creation"))
    hour = _count(made, "ephemeral_1h_input_tokens")
    written = max(
        _count(doc, "cache_creation_input_tokens"), hour + _count(made, "ephemeral_5m_input_tokens")
    )
    return Usage(
        input=_count(doc, "input_tokens") + cached + written,
        output=_count(doc, "output_tokens"),
        cached=cached,
        cache_write=written - hour,
        cache_write_1h=hour,
        reasoning=_count(doc_of(doc.get("output_tokens_details")), "thinking_tokens"),
    )


def write_usage(usage: Usage) -> Doc:
    """The counts of a message; a `message_delta` takes the same."""
    written = usage.cache_write + usage.cache_write_1h
    doc: Doc = {
        "input_tokens": max(usage.input - usage.cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
    if written:
        doc["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        doc["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return doc


# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_ANSWER_KEYS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_USAGE_KEYS = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens_details",
        "service_tier",
    }
)

_TIERS_IN = {"standard": "default", "priority": "priority", "batch": "batch"}
"""The usual tier is called `default` in a conversation."""


def read_answer(doc: Doc) -> Answer:
    """Never raises: null, absent and empty are one, and unknown blocks stay as they are."""
    usage = doc_of(doc.get("usage"))
    parts = [part for block in docs_of(doc.get("content")) for part in read_answer_block(block)]
    return Answer(
        id=text_of(doc.get("id")),
        model=text_of(doc.get("model")),
        choices=[Choice(parts=rejoin_signatures(parts), finish=read_finish(doc))],
        usage=read_usage(usage) if usage else None,
        service_tier=_TIERS_IN.get(text_of(usage.get("service_tier"))),
        extras=_extras(doc, usage),
    )


def _extras(doc: Doc, usage: Doc) -> dict[str, Doc]:
    beside = rest_of(doc, _ANSWER_KEYS)
    details = doc_of(doc.get("stop_details"))
    if details:
        beside["stop_details"] = details
    counts = rest_of(usage, _USAGE_KEYS)
    if counts:
        beside["usage"] = counts
    return {WIRE: beside} if beside else {}


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_TIERS_OUT = {tier: native for native, tier in _TIERS_IN.items()}


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    """A `message`. Of several choices the first is written: the format has one."""
    choice = first_choice(answer, notes)
    finish = choice.finish or Finish()
    calls = any(isinstance(part, ToolCall) for part in choice.parts)
    refusal = any(isinstance(part, Refusal) for part in choice.parts)
    usage = write_usage(answer.usage or Usage())
    tier = _TIERS_OUT.get(answer.service_tier or "")
    if tier is not None:
        usage["service_tier"] = tier
    own = answer.extras.get(WIRE, {})
    usage |= doc_of(own.get("usage"))
    doc: Doc = {
        "id": message_id(answer.id, reference),
        "type": "message",
        "role": "assistant",
        "model": reference.model,
        "content": list(write_parts(choice.parts, reference, notes)),
        **write_finish(finish, called=calls, refused=refusal),
        "usage": usage,
    }
    return doc | {k: v for k, v in own.items() if k != "usage"}


def message_id(given: str, reference: Reference) -> str:
    """The upstream's id if it is one of this format, else a new one."""
    return given if given.startswith("msg_") else reference.new_id("msg_")


def write_parts(parts: Iterable[Part], reference: Reference, notes: Notes) -> Iterable[Doc]:
    """The blocks for the parts of an answer."""
    for part in parts:
        yield from _BLOCKS_OUT[type(part)](part, reference, notes)


def _write_text(part: Text, reference: Reference, notes: Notes) -> list[Doc]:
    blocks = [write_text(part)] if part.text else []
    if part.signature is not None and part.signature.wire != WIRE:
        blocks.append(carry_signature(part.signature))
    return blocks


def _write_call(part: ToolCall, reference: Reference, notes: Notes) -> list[Doc]:
    id = part.id or reference.new_id("toolu_")
    call = write_call(part, id, notes)
    if part.signature is not None and part.signature.wire != WIRE:
        return [carry_signature(part.signature, id), call]
    return [call]


def _write_image(part: Image, reference: Reference, notes: Notes) -> list[Doc]:
    if part.source.url is None:
        notes.drop("image")
        return []
    notes.emulate("image")
    return [{"type": "text", "text": f"![image]({part.source.url})"}]


def _write_audio(part: Audio, reference: Reference, notes: Notes) -> list[Doc]:
    text = spoken(part, notes)
    return [{"type": "text", "text": text}] if text else []


def _write_opaque(part: Opaque, reference: Reference, notes: Notes) -> list[Doc]:
    if part.wire == WIRE:
        return [part.doc]
    notes.drop(part.label or "content")
    return []


def _dropped(word: str) -> Callable[[Any, Reference, Notes], list[Doc]]:
    def drop(part: Part, reference: Reference, notes: Notes) -> list[Doc]:
        notes.drop(word)
        return []

    return drop


_BLOCKS_OUT: dict[type, Callable[[Any, Reference, Notes], list[Doc]]] = {
    Text: _write_text,
    Refusal: lambda part, reference, notes: [write_refusal(part)] if part.text else [],
    Thinking: lambda part, reference, notes: [write_thinking(part)],
    ToolCall: _write_call,
    Image: _write_image,
    Audio: _write_audio,
    Opaque: _write_opaque,
    Video: _dropped("video"),
    File: _dropped("file"),
    ToolResult: _dropped("tool_result"),
}
