"""Ollama's own API: `POST /api/chat`, with one JSON document a line for streams. https://docs.ollama.com/api/chat

The pieces stand in files of their own: `ollama_request` and `ollama_messages`, `ollama_answer`, `ollama_stream` in,
`ollama_writer` out, `ollama_errors`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.wire import (
    ollama_answer,
    ollama_embeddings,
    ollama_errors,
    ollama_generate,
    ollama_messages,
    ollama_request,
    ollama_writer,
    openai_chat_errors,
)
from omniroute.wire.codec import ModelCard, Operation, Peek, Wire
from omniroute.wire.conversation import Doc
from omniroute.wire.embeddings import Embeddings
from omniroute.wire.ollama_answer import write_time
from omniroute.wire.ollama_messages import WIRE
from omniroute.wire.ollama_stream import OllamaReader, OllamaTap
from omniroute.wire.ollama_writer import OllamaWriter
from omniroute.wire.shapes import count_of

OLLAMA_VERSION = "0.12.0"
"""The version of Ollama whose API this is. Clients ask for it, and turn away from one that is too old."""


class _Asked(msgspec.Struct):
    model: str
    stream: bool | None = None
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()


_peek = msgspec.json.Decoder(_Asked).decode


@wire(WIRE)
class Ollama(Wire):
    """Ollama's own chat API, whose answers are streamed, a line for each piece, unless `stream` is false."""

    name: ClassVar[str] = WIRE
    paths: ClassVar[Mapping[Operation, str]] = {"chat": "/api/chat"}
    embeddings: ClassVar[Embeddings | None] = ollama_embeddings.EMBED
    reasoning_keys: ClassVar[tuple[str, ...]] = ("think",)
    framing: ClassVar[Literal["sse", "ndjson", "aws"]] = "ndjson"
    stream_type: ClassVar[str] = "application/x-ndjson"
    event_ends: ClassVar[tuple[bytes, ...]] = (b"\n",)

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        asked = _peek(raw)
        return Peek(asked.model, asked.stream is not False, not asked.messages and bool(asked.prompt))

    adopt = staticmethod(ollama_generate.adopt)
    read_request = staticmethod(ollama_request.read_request)
    write_request = staticmethod(ollama_request.write_request)
    add_system = staticmethod(ollama_messages.add_system)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(ollama_answer.read_answer)
    write_answer = staticmethod(ollama_answer.write_answer)

    def read_count(self, doc: Doc) -> int:
        """There is no count endpoint; an answer tells the length of its prompt."""
        return count_of(doc.get("prompt_eval_count"))

    def write_count(self, tokens: int) -> Doc:
        return {"prompt_eval_count": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        """https://docs.ollama.com/api/tags"""
        return {"models": [_model(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = OllamaReader
    writer = OllamaWriter
    keep_alive = ollama_writer.KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(openai_chat_errors.read_error)
    write_error = staticmethod(ollama_errors.write_error)
    error_event = staticmethod(ollama_writer.error_event)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(ollama_answer.glance)
    tap = OllamaTap


def _model(card: ModelCard) -> Doc:
    """Clients shorten the digest, so there must be one; there is no file whose size could be told."""
    return {
        "name": card.id,
        "model": card.id,
        "modified_at": write_time(card.created),
        "size": 0,
        "digest": hashlib.sha256(card.id.encode()).hexdigest(),
        "details": _details(card),
    }


def _details(card: ModelCard) -> Doc:
    return {
        "parent_model": "",
        "format": "",
        "family": card.owner,
        "families": [card.owner],
        "parameter_size": "",
        "quantization_level": "",
    }


class _Shown(msgspec.Struct):
    model: str = ""
    name: str = ""


def asked_model(raw: bytes) -> str:
    """The model that `POST /api/show` asks for, "" for a body that names none; the tag `latest` may be said or not."""
    try:
        shown = msgspec.json.decode(raw, type=_Shown)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return (shown.model or shown.name).removesuffix(":latest")


_CAPABILITIES = ("tools", "vision", "thinking")
"""Those that the catalogue and Ollama have the same words for."""


def write_model(card: ModelCard) -> Doc:
    """The answer of `POST /api/show`: what clients choose models by. https://docs.ollama.com/api-reference/show-model-details

    A model of which nothing is known is said to know tools: clients that need them would not even try it.
    """
    known = card.capabilities if card.capabilities is not None else {"tools"}
    about: Doc = {"general.architecture": card.owner, "general.basename": card.name or card.id}
    if card.context is not None:
        about[f"{card.owner}.context_length"] = card.context
    return {
        "modified_at": write_time(card.created),
        "license": "",
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(card),
        "model_info": about,
        "capabilities": ["completion", *(word for word in _CAPABILITIES if word in known)],
    }
