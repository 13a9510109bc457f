"""A plain answer of an Ollama chat, in and out, and what the lines of a stream share with it.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

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
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    Video,
)
from omniroute.wire.losses import first_choice, spoken
from omniroute.wire.ollama_messages import WIRE, read_image, write_call, write_image
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import arguments_text, count_of, doc_of, docs_of, rest_of, text_of
from omniroute.wire.think_tags import split_think

# ── finish and usage ─────────────────────────────────────────────────────────────────────────────

_REASONS_IN: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}
_REASONS_OUT: dict[FinishReason, str] = {
    "length": "length",
    "context_length": "length",
    "content_filter": "content_filter",
}
"""All other reasons are a plain `stop`: that tools are called, the message shows."""


def read_finish(doc: Doc, *, called: bool) -> Finish | None:
    """None while the answer goes on."""
    if doc.get("done") is not True:
        return None
    word = text_of(doc.get("done_reason"))
    reason = _REASONS_IN.get(word or "stop", "other")
    return Finish(reason="tool_calls" if called and reason == "stop" else reason, native=word or None)


def write_finish(finish: Finish | None) -> Doc:
    return {"done_reason": _REASONS_OUT.get((finish or Finish()).reason, "stop"), "done": True}


def read_usage(doc: Doc) -> Usage | None:
    """The prompt's figure is left out where all of it came from the cache."""
    if doc.get("prompt_eval_count") is None and doc.get("eval_count") is None:
        return None
    cached = count_of(doc.get("prompt_eval_cached_count"))
    return Usage(
        input=max(count_of(doc.get("prompt_eval_count")), cached),
        output=count_of(doc.get("eval_count")),
        cached=cached,
    )


def write_usage(usage: Usage | None) -> Doc:
    if usage is None:
        return {}
    doc = {"prompt_eval_count": usage.input, "eval_count": usage.output}
    return doc | {"prompt_eval_cached_count": usage.cached} if usage.cached else doc


def read_logprobs(doc: Doc) -> Doc | None:
    content = docs_of(doc.get("logprobs"))
    return {"content": content} if content else None


def read_time(value: Any) -> int:
    """Epoch seconds of an RFC 3339 time, or 0."""
    try:
        return max(int(datetime.fromisoformat(text_of(value)).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0


def write_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_READ_HERE = frozenset(
    {
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "prompt_eval_count",
        "prompt_eval_cached_count",
        "eval_count",
        "logprobs",
    }
)


def read_answer(doc: Doc) -> Answer:
    """Never raises: null, absent and empty are one."""
    message = doc_of(doc.get("message"))
    parts = _read_parts(message, text_of(doc.get("created_at")))
    called = any(isinstance(part, ToolCall) for part in parts)
    beside = rest_of(doc, _READ_HERE)
    return Answer(
        model=text_of(doc.get("model")),
        created=read_time(doc.get("created_at")),
        choices=[Choice(parts=parts, finish=read_finish(doc, called=called), logprobs=read_logprobs(doc))],
        usage=read_usage(doc),
        extras={WIRE: beside} if beside else {},
    )


def _read_parts(message: Doc, place: str) -> list[Part]:
    thinking, content = text_of(message.get("thinking")), text_of(message.get("content"))
    parts: list[Part] = [Thinking(text=thinking)] if thinking else []
    for kind, text in split_think(content) if not thinking else [("text", content)]:
        if text:
            parts.append(Thinking(text=text) if kind == "thinking" else Text(text=text))
    parts += read_images(message)
    return parts + [
        call for n, doc in enumerate(docs_of(message.get("tool_calls"))) if (call := read_call(doc, place, n))
    ]


def read_images(message: Doc) -> list[Image]:
    images = message.get("images")
    return [read_image(i) for i in images if text_of(i)] if isinstance(images, list) else []


def read_call(doc: Doc, place: str, index: int) -> ToolCall | None:
    """A call; where it has no id, one is made that is always the same for the same place (`created_at`) and call."""
    function = doc_of(doc.get("function"))
    name = text_of(function.get("name"))
    if not name:
        return None
    arguments = arguments_text(function.get("arguments"))
    id = text_of(doc.get("id"))
    if not id:
        seed = f"{place}/{index}/{name}/{arguments}".encode("utf-8", "surrogatepass")
        id = f"call_{hashlib.sha256(seed).hexdigest()[:24]}"
    return ToolCall(id=id, name=name, arguments=arguments)


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    """Of several choices the first is written: the format has one."""
    choice = first_choice(answer, notes)
    doc: Doc = {
        "model": reference.model,
        "created_at": write_time(reference.created),
        "message": write_message(choice.parts, reference, notes),
        **write_finish(choice.finish),
        **write_usage(answer.usage or Usage()),
    }
    if choice.logprobs is not None:
        doc["logprobs"] = docs_of(choice.logprobs.get("content"))
    return doc | answer.extras.get(WIRE, {})


def write_message(parts: list[Part], reference: Reference, notes: Notes) -> Doc:
    """The `message` of an answer, or of one line of it."""
    said = _Said(reference, notes)
    for part in parts:
        _PARTS_OUT[type(part)](said, part)
    message: Doc = {"role": "assistant", "content": "".join(said.texts)}
    if said.thoughts:
        message["thinking"] = "\n\n".join(said.thoughts)
    if said.images:
        message["images"] = said.images
    if said.calls:
        message["tool_calls"] = said.calls
    return message


class _Said:
    """A message while it is written."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        self.reference = reference
        self.notes = notes
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.images: list[str] = []
        self.calls: list[Doc] = []

    def text(self, part: Text | Refusal) -> None:
        self.texts.append(part.text)
        if isinstance(part, Text) and part.citations:
            self.notes.drop("annotations")

    def thinking(self, part: Thinking) -> None:
        if part.text:
            self.thoughts.append(part.text)

    def image(self, part: Image) -> None:
        write_image(part, self.images, self.notes)

    def audio(self, part: Audio) -> None:
        self.texts.append(spoken(part, self.notes))

    def call(self, part: ToolCall) -> None:
        self.calls.append(write_call(part, part.id or self.reference.new_id("call_"), self.notes))

    def opaque(self, part: Opaque) -> None:
        self.notes.drop(part.label or "content")

    def other(self, part: Part) -> None:
        self.notes.drop(_WORDS[type(part)])


_WORDS: dict[type, str] = {Video: "video", File: "file", ToolResult: "tool_result"}
_PARTS_OUT: dict[type, Callable[[_Said, Any], None]] = {
    Text: _Said.text,
    Refusal: _Said.text,
    Thinking: _Said.thinking,
    Image: _Said.image,
    Audio: _Said.audio,
    ToolCall: _Said.call,
    Opaque: _Said.opaque,
    Video: _Said.other,
    File: _Said.other,
    ToolResult: _Said.other,
}

# ── glance ───────────────────────────────────────────────────────────────────────────────────────


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    images: list[msgspec.Raw] | None = None
    tool_calls: list[msgspec.Raw] | None = None


class _Seen(msgspec.Struct):
    model: str | None = None
    message: _Message | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Seen).decode


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` when it is not JSON, or not of this shape."""
    seen = _decode(raw)
    if seen.error is not None:
        return Glance(problem=problem_of_body(msgspec.json.decode(raw)), empty=True)
    doc = {field: getattr(seen, field) for field in seen.__struct_fields__}
    message = seen.message or _Message()
    finish, usage = read_finish(doc, called=bool(message.tool_calls)), read_usage(doc)
    said = any(getattr(message, field) for field in message.__struct_fields__)
    # A model that is only loaded says nothing, too, and gives a reason of its own.
    spent = usage is not None and usage.output > 0
    meant = finish is not None and (spent or finish.reason not in ("stop", "other"))
    return Glance(usage=usage, finish=finish, model=seen.model or "", empty=not (said or meant))
