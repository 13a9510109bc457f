"""Cohere's own chat API, version 2: `POST /chat`. https://docs.cohere.com/reference/chat

Spoken by providers only: no endpoint of the gateway offers it. The pieces stand in files of their own:
`cohere_request` with `cohere_messages` and `cohere_parts`, `cohere_answer`, `cohere_stream` in, `cohere_writer` out,
`cohere_errors`. Version 1, which has another shape, is not spoken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
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
from omniroute.wire.cohere_answer import glance, read_answer, read_usage, write_answer, write_usage
from omniroute.wire.cohere_errors import read_error, write_error
from omniroute.wire.cohere_parts import WIRE
from omniroute.wire.cohere_request import add_system, read_request, write_request
from omniroute.wire.cohere_stream import CohereReader, CohereTap
from omniroute.wire.cohere_writer import KEEP_ALIVE, CohereWriter, error_event
from omniroute.wire.conversation import Answer, Conversation, Doc, Notes, Usage


class _Asked(msgspec.Struct):
    model: str
    stream: bool | None = None


_peek = msgspec.json.Decoder(_Asked).decode


@wire(WIRE)
class Cohere(Wire):
    """Cohere's own chat API, with documents, citations and thinking; for providers, not for clients."""

    name: ClassVar[str] = WIRE
    wants_pairs: ClassVar[bool] = True
    reasoning_keys: ClassVar[tuple[str, ...]] = ("thinking",)
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_", 128, "a-zA-Z_")

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        asked = _peek(raw)
        return Peek(asked.model, bool(asked.stream))

    def read_request(self, doc: Doc) -> Conversation:
        return read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return write_request(talk, dialect, notes)

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        add_system(doc, text, first=position == "prepend")

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        return "/chat" if operation == "chat" else None

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        return read_answer(doc)

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        """There is no count endpoint; an answer tells the length of its prompt."""
        usage = read_usage(doc.get("usage"))
        return 0 if usage is None else usage.input

    def write_count(self, tokens: int) -> Doc:
        return {"usage": write_usage(Usage(input=tokens))}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        """https://docs.cohere.com/reference/list-models"""
        return {"models": [_model(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    def reader(self) -> StreamReader:
        return CohereReader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return CohereWriter(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        return KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        return error_event(problem)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        return glance(raw)

    def tap(self) -> StreamTap:
        return CohereTap()


def _model(card: ModelCard) -> Doc:
    doc: Doc = {"name": card.id, "endpoints": ["chat"], "finetuned": False}
    return doc | {"context_length": card.context} if card.context is not None else doc
