"""Anthropic Messages: `POST /messages` and `/messages/count_tokens`. https://docs.claude.com/en/api/messages

The pieces stand in files of their own: `anthropic_request` (with `anthropic_messages`, `anthropic_thinking`),
`anthropic_answer`, `anthropic_reader`, `anthropic_writer`, `anthropic_errors`, `anthropic_tap`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from omniroute.declare import wire
from omniroute.wire import (
    anthropic_answer,
    anthropic_edits,
    anthropic_errors,
    anthropic_request,
    anthropic_tap,
    anthropic_writer,
)
from omniroute.wire.anthropic_blocks import WIRE
from omniroute.wire.anthropic_reader import AnthropicReader
from omniroute.wire.anthropic_tap import AnthropicTap
from omniroute.wire.anthropic_writer import PING, AnthropicWriter
from omniroute.wire.codec import ModelCard, NameRule, Operation, Peek, Wire
from omniroute.wire.conversation import Doc
from omniroute.wire.rate_limit_headers import Family


class _Asked(msgspec.Struct):
    model: str = ""
    stream: bool | None = None


_peek = msgspec.json.Decoder(_Asked).decode


@wire(WIRE)
class AnthropicMessages(Wire):
    """The format of Anthropic's own API, which several other providers speak too."""

    name: ClassVar[str] = WIRE
    paths: ClassVar[Mapping[Operation, str]] = {"chat": "/messages", "count_tokens": "/messages/count_tokens"}
    foreign_statuses: ClassVar[Mapping[int, int]] = {}
    limits: ClassVar[Family | None] = "anthropic"
    said = re.compile(rb'"(?:text|thinking|partial_json)": ?"[^"][^\n]*\n')
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

    read_request = staticmethod(anthropic_request.read_request)
    write_request = staticmethod(anthropic_request.write_request)
    add_system = staticmethod(anthropic_edits.add_system)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(anthropic_answer.read_answer)
    write_answer = staticmethod(anthropic_answer.write_answer)

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
    reader = AnthropicReader
    writer = AnthropicWriter
    keep_alive = PING

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(anthropic_errors.read_error)
    write_error = staticmethod(anthropic_errors.write_error)
    error_event = staticmethod(anthropic_writer.error_event)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(anthropic_tap.glance)
    tap = AnthropicTap


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
