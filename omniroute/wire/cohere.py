"""Cohere's own chat API, version 2: `POST /chat`. https://docs.cohere.com/reference/chat

Spoken by providers only: no endpoint of the gateway offers it. The pieces stand in files of their own:
`cohere_request` with `cohere_messages` and `cohere_parts`, `cohere_answer`, `cohere_stream` in, `cohere_writer` out,
`cohere_errors`. Version 1, which has another shape, is not spoken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from omniroute.declare import wire
from omniroute.wire import cohere_answer, cohere_embeddings, cohere_errors, cohere_request, cohere_writer
from omniroute.wire.codec import ModelCard, NameRule, Operation, Wire
from omniroute.wire.cohere_answer import read_usage, write_usage
from omniroute.wire.cohere_parts import WIRE
from omniroute.wire.cohere_stream import CohereReader, CohereTap
from omniroute.wire.cohere_writer import CohereWriter
from omniroute.wire.conversation import Doc, Usage
from omniroute.wire.embeddings import Embeddings


@wire(WIRE)
class Cohere(Wire):
    """Cohere's own chat API, with documents, citations and thinking; for providers, not for clients."""

    name: ClassVar[str] = WIRE
    paths: ClassVar[Mapping[Operation, str]] = {"chat": "/chat"}
    embeddings: ClassVar[Embeddings | None] = cohere_embeddings.EMBEDDINGS
    wants_pairs: ClassVar[bool] = True
    reasoning_keys: ClassVar[tuple[str, ...]] = ("thinking",)
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_", 128, "a-zA-Z_")

    # request in, request out ────────────────────────────────────────────────────────────────────
    read_request = staticmethod(cohere_request.read_request)
    write_request = staticmethod(cohere_request.write_request)
    add_system = staticmethod(cohere_request.add_system)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(cohere_answer.read_answer)
    write_answer = staticmethod(cohere_answer.write_answer)

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
    reader = CohereReader
    writer = CohereWriter
    keep_alive = cohere_writer.KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(cohere_errors.read_error)
    write_error = staticmethod(cohere_errors.write_error)
    error_event = staticmethod(cohere_writer.error_event)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(cohere_answer.glance)
    tap = CohereTap


def _model(card: ModelCard) -> Doc:
    doc: Doc = {"name": card.id, "endpoints": ["chat"], "finetuned": False}
    return doc | {"context_length": card.context} if card.context is not None else doc
