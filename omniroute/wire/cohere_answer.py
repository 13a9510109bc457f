"""A plain answer of a Cohere chat, in and out, and what streams share with it: usage, finish reasons, logprobs.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire.codec import Glance, Reference
from omniroute.wire.cohere_parts import WIRE, read_said, write_call, write_citation
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
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import count_of, doc_of, docs_of, rest_of, text_of

# ── finish ───────────────────────────────────────────────────────────────────────────────────────

_REASONS_IN: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "context_length",
}
_REASONS_OUT: dict[FinishReason, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "context_length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}
_FAILURES: dict[str, ProblemKind] = {"ERROR": "server", "TIMEOUT": "timeout"}
"""Reasons that are no end of an answer but the lack of one."""


def read_finish(word: Any) -> Finish | None:
    native = text_of(word)
    return Finish(reason=_REASONS_IN.get(native, "other"), native=native) if native else None


def write_finish(finish: Finish | None, *, called: bool) -> str:
    finish = finish or Finish()
    if _REASONS_IN.get(finish.native or "") == finish.reason and finish.native:
        return finish.native
    if finish.sequence is not None:
        return "STOP_SEQUENCE"
    return _REASONS_OUT.get(finish.reason, "TOOL_CALL" if called else "COMPLETE")


def failure_in(word: Any, said: Any) -> Problem | None:
    """The failure that a finish reason tells of, with what is said of it beside."""
    kind = _FAILURES.get(text_of(word))
    if kind is None:
        return None
    message = text_of(said) or "The upstream failed and gave no reason."
    return Problem(kind=kind, message=message, native=text_of(word))


# ── usage and logprobs ───────────────────────────────────────────────────────────────────────────


def read_usage(given: Any) -> Usage | None:
    """`tokens` is what the model read and wrote, the provider's own prompt included; `billed_units` is less, and
    stands in where there is nothing else."""
    usage = doc_of(given)
    billed = doc_of(usage.get("billed_units"))
    tokens = doc_of(usage.get("tokens")) or billed
    if not tokens:
        return None
    input, output = count_of(tokens.get("input_tokens")), count_of(tokens.get("output_tokens"))
    return Usage(
        input=input,
        output=output,
        cached=count_of(usage.get("cached_tokens")),
        reasoning=count_of(tokens.get("reasoning_tokens")),
        unbilled_input=_unbilled(input, billed, "input_tokens"),
        unbilled_output=_unbilled(output, billed, "output_tokens"),
    )


def _unbilled(tokens: int, billed: Doc, key: str) -> int:
    return max(0, tokens - count_of(billed[key])) if key in billed else 0


def write_usage(usage: Usage) -> Doc:
    counts = {"input_tokens": usage.input, "output_tokens": usage.output}
    billed = {
        "input_tokens": usage.input - usage.unbilled_input,
        "output_tokens": usage.output - usage.unbilled_output,
    }
    reasoning = {"reasoning_tokens": usage.reasoning} if usage.reasoning else {}
    doc: Doc = {"billed_units": billed, "tokens": counts | reasoning}
    return doc | {"cached_tokens": usage.cached} if usage.cached else doc


def read_logprobs(given: Any) -> Doc | None:
    """A list, or in a stream one entry: a piece of text, and the log probabilities of its tokens."""
    entries = [given] if isinstance(given, dict) else docs_of(given)
    content: list[Doc] = [
        {
            "token": text_of(entry.get("text")),
            "logprob": _sum(entry.get("logprobs")),
            "bytes": None,
            "top_logprobs": [],
        }
        for entry in entries
    ]
    return {"content": content} if content else None


def _sum(given: Any) -> float:
    """The probability of a text is the product of those of its tokens."""
    return float(sum(p for p in given if isinstance(p, int | float))) if isinstance(given, list) else 0.0


def write_logprobs(logprobs: Doc) -> list[Doc]:
    return [
        {"text": text_of(entry.get("token")), "token_ids": [], "logprobs": [entry.get("logprob")]}
        for entry in docs_of(logprobs.get("content"))
    ]


# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_READ_HERE = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})


def read_answer(doc: Doc) -> Answer:
    """Never raises: null, absent and empty are one."""
    beside = rest_of(doc, _READ_HERE)
    return Answer(
        id=text_of(doc.get("id")),
        choices=[
            Choice(
                parts=read_said(doc_of(doc.get("message"))),
                finish=read_finish(doc.get("finish_reason")),
                logprobs=read_logprobs(doc.get("logprobs")),
            )
        ],
        usage=read_usage(doc.get("usage")),
        extras={WIRE: beside} if beside else {},
    )


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    """Of several choices the first is written: the format has one."""
    choice = first_choice(answer, notes)
    message = write_message(choice.parts, reference, notes)
    doc: Doc = {
        "id": answer.id or reference.new_id(""),
        "message": message,
        "finish_reason": write_finish(choice.finish, called="tool_calls" in message),
        "usage": write_usage(answer.usage or Usage()),
    }
    if choice.logprobs is not None:
        doc["logprobs"] = write_logprobs(choice.logprobs)
    return doc | answer.extras.get(WIRE, {})


def write_message(parts: list[Part], reference: Reference, notes: Notes) -> Doc:
    """The `message` of an answer."""
    said = _Said(reference, notes)
    for part in parts:
        _PARTS_OUT[type(part)](said, part)
    message: Doc = {"role": "assistant"}
    found = (("content", said.content), ("tool_calls", said.calls), ("citations", said.citations))
    return message | {key: value for key, value in found if value}


class _Said:
    """A message while it is written."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        self._reference = reference
        self._notes = notes
        self.content: list[Doc] = []
        self.calls: list[Doc] = []
        self.citations: list[Doc] = []

    def text(self, part: Text | Refusal) -> None:
        index = len(self.content)
        if part.text:
            self.content.append({"type": "text", "text": part.text})
        for citation in part.citations if isinstance(part, Text) else []:
            doc = write_citation(citation, part.text, index)
            if doc is not None:
                self.citations.append(doc)

    def thinking(self, part: Thinking) -> None:
        if part.text:
            self.content.append({"type": "thinking", "thinking": part.text})

    def call(self, part: ToolCall) -> None:
        id = part.id or self._reference.new_id("call_")
        self.calls.append(write_call(msgspec.structs.replace(part, id=id)))

    def audio(self, part: Audio) -> None:
        text = spoken(part, self._notes)
        if text:
            self.content.append({"type": "text", "text": text})

    def opaque(self, part: Opaque) -> None:
        if part.wire == WIRE:
            self.content.append(part.doc)
        else:
            self._notes.drop(part.label or "content")

    def other(self, part: Part) -> None:
        self._notes.drop(_WORDS[type(part)])


_WORDS: dict[type, str] = {Image: "image", Video: "video", File: "file", ToolResult: "tool_result"}
_PARTS_OUT: dict[type, Callable[[_Said, Any], None]] = {
    Text: _Said.text,
    Refusal: _Said.text,
    Thinking: _Said.thinking,
    ToolCall: _Said.call,
    Audio: _Said.audio,
    Opaque: _Said.opaque,
    Image: _Said.other,
    Video: _Said.other,
    File: _Said.other,
    ToolResult: _Said.other,
}

# ── glance ───────────────────────────────────────────────────────────────────────────────────────


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` when it is not JSON."""
    doc = doc_of(msgspec.json.decode(raw))
    if "message" not in doc or isinstance(doc["message"], str):
        # An error is told in a `message` that is a sentence.
        return Glance(problem=problem_of_body(doc, bool(doc.get("message"))), empty=True)
    return Glance.of(read_answer(doc), failure_in(doc.get("finish_reason"), doc.get("error")))
