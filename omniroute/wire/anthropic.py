"""Anthropic Messages: `POST /messages` and `/messages/count_tokens`. https://docs.claude.com/en/api/messages

The pieces stand in files of their own: `anthropic_request` (with `anthropic_messages`, `anthropic_thinking`),
`anthropic_answer`, `anthropic_reader`, `anthropic_writer`, `anthropic_errors`, `anthropic_tap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire.anthropic_answer import read_answer, write_answer
from omniroute.wire.anthropic_blocks import WIRE
from omniroute.wire.anthropic_edits import add_system
from omniroute.wire.anthropic_errors import read_error, write_error
from omniroute.wire.anthropic_reader import AnthropicReader
from omniroute.wire.anthropic_request import RequestWriter, read_request
from omniroute.wire.anthropic_tap import AnthropicTap, glance
from omniroute.wire.anthropic_writer import PING, AnthropicWriter, event_of
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
from omniroute.wire.rate_limit_headers import Family

_PATHS: dict[Operation, str] = {"chat": "/messages", "count_tokens": "/messages/count_tokens"}


class _Asked(msgspec.Struct):
    model: str = ""
    stream: bool | None = None


_peek = msgspec.json.Decoder(_Asked).decode


@wire(WIRE)
class AnthropicMessages(Wire):
    """The format of Anthropic's own API, which several other providers speak too."""

    name: ClassVar[str] = WIRE
    foreign_statuses: ClassVar[Mapping[int, int]] = {}
    limits: ClassVar[Family | None] = "anthropic"
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 128)
    call_ids: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 128)
    names_model_once: ClassVar[bool] = True
    reasoning_keys: ClassVar[tuple[str, ...]] = (
        "thinking",
        "output_config.effort",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
    )
    not_counted: ClassVar[frozenset[str]] = frozenset(
        {
            "max_tokens",
            "metadata",
            "service_tier",
            "stop_sequences",
            "stream",
            "temperature",
            "top_k",
            "top_p",
        }
    )

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        asked = _peek(raw)
        return Peek(asked.model, bool(asked.stream))

    def read_request(self, doc: Doc) -> Conversation:
        return read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return RequestWriter(talk, dialect, notes).write()

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        add_system(doc, text, first=position == "prepend")

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        return _PATHS.get(operation)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        return read_answer(doc)

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        count = doc.get("input_tokens")
        return count if isinstance(count, int) else 0

    def write_count(self, tokens: int) -> Doc:
        return {"input_tokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        """https://docs.claude.com/en/api/models-list"""
        return {
            "data": [_model(card) for card in cards],
            "has_more": False,
            "first_id": cards[0].id if cards else None,
            "last_id": cards[-1].id if cards else None,
        }

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    def reader(self) -> StreamReader:
        return AnthropicReader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return AnthropicWriter(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        return PING

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        return event_of(problem, request_id)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        return glance(raw)

    def tap(self) -> StreamTap:
        return AnthropicTap()


def _model(card: ModelCard) -> Doc:
    created = datetime.fromtimestamp(card.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    doc: Doc = {
        "type": "model",
        "id": card.id,
        "display_name": card.name or card.id,
        "created_at": created,
        "lifecycle": "active",
    }
    if card.context is not None:
        doc["max_input_tokens"] = card.context
    if card.max_output is not None:
        doc["max_tokens"] = card.max_output
    return doc
