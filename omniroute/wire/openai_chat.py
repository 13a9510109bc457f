"""OpenAI Chat Completions, and the many servers that speak it.

The wire itself is here; what its methods do stands in the files that are named after it: `_request` (with the words
of its dialects), `_messages` and `_parts`, `_answer`, `_stream` in, `_writer` out, `_errors`.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from omniroute.declare import wire
from omniroute.wire import (
    asked_usage,
    openai_chat_answer,
    openai_chat_errors,
    openai_chat_request,
    openai_chat_stream,
    openai_chat_writer,
    openai_embeddings,
    openai_responses_request,
)
from omniroute.wire.codec import Dialect, ModelCard, NameRule, Operation, Peek, Wire
from omniroute.wire.conversation import Doc, Notes
from omniroute.wire.embeddings import Embeddings
from omniroute.wire.openai_chat_parts import WIRE
from omniroute.wire.rate_limit_headers import Family


class _Peeked(msgspec.Struct):
    model: str
    stream: bool | None = None
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()


_OPENAI = frozenset({"developer_role", "custom_tools", "allowed_tools", "max_completion_tokens"})
"""What OpenAI's own Chat Completions knows: nothing is to be lost before the target is known."""

_PEEKER = msgspec.json.Decoder(_Peeked)


@wire(WIRE)
class OpenAIChat(Wire):
    """OpenAI Chat Completions: `POST /chat/completions`."""

    name: ClassVar[str] = WIRE
    paths: ClassVar[Mapping[Operation, str]] = {"chat": "/chat/completions"}
    embeddings: ClassVar[Embeddings | None] = openai_embeddings.EMBEDDINGS
    wants_pairs: ClassVar[bool] = True
    limits: ClassVar[Family | None] = "openai"
    # Not where it begins like a tag: `<think>` is held until it is one.
    said = re.compile(rb'"(?:content|reasoning_content)": ?"[^"<][^\n]*\n')
    reasoning_keys: ClassVar[tuple[str, ...]] = ("reasoning_effort", "reasoning", "thinking")
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 64)
    call_ids: ClassVar[NameRule | None] = NameRule("!-~", 40)

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        seen = _PEEKER.decode(raw)
        return Peek(seen.model, bool(seen.stream), not seen.messages and bool(seen.input))

    def adopt(self, doc: Doc) -> Doc:
        """Cursor sends the body of a Responses request here, and expects an answer of Chat Completions."""
        talk = openai_responses_request.read_request(doc)
        return openai_chat_request.write_request(talk, Dialect(model=talk.model, quirks=_OPENAI), Notes())

    read_request = staticmethod(openai_chat_request.read_request)
    write_request = staticmethod(openai_chat_request.write_request)
    add_system = staticmethod(openai_chat_request.add_system)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(openai_chat_answer.read_answer)
    write_answer = staticmethod(openai_chat_answer.write_answer)

    def read_count(self, doc: Doc) -> int:
        tokens = doc.get("input_tokens")
        return tokens if isinstance(tokens, int) else 0

    def write_count(self, tokens: int) -> Doc:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        return {"object": "list", "data": [_model(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = openai_chat_stream.Reader
    writer = openai_chat_writer.Writer
    keep_alive = openai_chat_writer.KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(openai_chat_errors.read_error)
    write_error = staticmethod(openai_chat_errors.write_error)
    error_event = staticmethod(openai_chat_writer.error_event)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(openai_chat_answer.glance)
    tap = openai_chat_stream.Tap
    ask_for_usage = staticmethod(asked_usage.ask_for_usage)


def _model(card: ModelCard) -> Doc:
    """A line of OpenAI's model list; what else is known goes by the names that compatible servers use."""
    doc: Doc = {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owner}
    known = {"name": card.name, "context_length": card.context, "max_output_tokens": card.max_output}
    return doc | {key: value for key, value in known.items() if value is not None}
