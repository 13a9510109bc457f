"""OpenAI Chat Completions, and the many servers that speak it.

The wire itself is here; what its methods do stands in the files that are named after it: `_request` (with the words
of its dialects), `_messages` and `_parts`, `_answer`, `_stream` in, `_writer` out, `_errors`.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire import (
    asked_usage,
    openai_chat_answer,
    openai_chat_errors,
    openai_chat_request,
    openai_chat_stream,
    openai_chat_writer,
    openai_responses_request,
)
from omniroute.wire.codec import (
    Dialect,
    Glance,
    ModelCard,
    NameRule,
    Operation,
    Peek,
    Reference,
    StreamReader,
    StreamTap,
    StreamWriter,
    Wire,
)
from omniroute.wire.conversation import Answer, Conversation, Doc, Notes
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
    wants_pairs: ClassVar[bool] = True
    limits: ClassVar[Family | None] = "openai"
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

    def read_request(self, doc: Doc) -> Conversation:
        return openai_chat_request.read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return openai_chat_request.write_request(talk, dialect, notes)

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        openai_chat_request.add_system(doc, text, position)

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        return "/chat/completions" if operation == "chat" else None

    # answer in, answer out ──────────────────────────────────────────────────────────────────────

    def read_answer(self, doc: Doc) -> Answer:
        return openai_chat_answer.read_answer(doc)

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return openai_chat_answer.write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        tokens = doc.get("input_tokens")
        return tokens if isinstance(tokens, int) else 0

    def write_count(self, tokens: int) -> Doc:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        return {"object": "list", "data": [_model(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────

    def reader(self) -> StreamReader:
        return openai_chat_stream.Reader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return openai_chat_writer.Writer(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        return openai_chat_writer.KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return openai_chat_errors.read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return openai_chat_errors.write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        return openai_chat_writer.error_event(problem, request_id)

    # glances ────────────────────────────────────────────────────────────────────────────────────

    def glance(self, raw: bytes) -> Glance:
        return openai_chat_answer.glance(raw)

    def tap(self) -> StreamTap:
        return openai_chat_stream.Tap()

    def ask_for_usage(self, body: bytes) -> bytes | None:
        return asked_usage.ask_for_usage(body)


def _model(card: ModelCard) -> Doc:
    """A line of OpenAI's model list; what else is known goes by the names that compatible servers use."""
    doc: Doc = {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owner}
    known = {"name": card.name, "context_length": card.context, "max_output_tokens": card.max_output}
    return doc | {key: value for key, value in known.items() if value is not None}
