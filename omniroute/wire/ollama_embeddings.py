"""`POST /api/embed` of Ollama, and the older `/api/embeddings`, which takes one prompt.

https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.wire.codec import Dialect, Glance, Reference
from omniroute.wire.conversation import Doc, Notes, Usage
from omniroute.wire.embeddings import (
    EmbeddingAnswer,
    EmbeddingRequest,
    Embeddings,
    Truncate,
    dimensions_at,
    texts_only,
    vector_of,
)
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import count_of, flag_at, refused, rest_of, text_at, texts_at

_KNOWN = ("model", "input", "prompt", "truncate", "dimensions")


class _Seen(msgspec.Struct):
    embeddings: list[msgspec.Raw] | None = None
    embedding: msgspec.Raw = msgspec.Raw()
    prompt_eval_count: int | None = None
    model: str | None = None
    error: Any = None


class _Answer(msgspec.Struct):
    embeddings: list[msgspec.Raw]
    prompt_eval_count: int | None = None


class _Vector(msgspec.Struct):
    embedding: msgspec.Raw


_SEEN = msgspec.json.Decoder(_Seen)
_ANSWER = msgspec.json.Decoder(_Answer)
_VECTOR = msgspec.json.Decoder(_Vector)
_NO_VECTOR = (b"", b"null", b"[]")
"""A model that cannot embed gives an empty list."""


class Embed(Embeddings):
    """A text or a list of them, a vector for each."""

    @property
    def variants(self) -> tuple[Embeddings, ...]:
        return (EMBED, PROMPT)

    def path(self, model: str) -> str:
        return "/api/embed"

    # request in, request out ────────────────────────────────────────────────────────────────────
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        texts = texts_at(doc.get("input"), "input")
        if not texts:
            raise refused("must be a string or a list of strings, and not empty", "input")
        return EmbeddingRequest(
            inputs=[*texts],
            dimensions=dimensions_at(doc.get("dimensions"), "dimensions"),
            truncate=_truncate(doc.get("truncate")),
            extras=rest_of(doc, _KNOWN),
        )

    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        kept = {"dimensions"} if asked.truncate == "start" else {"dimensions", "truncate"}
        asked.keep_only(kept, notes)
        doc: Doc = {"model": dialect.model, "input": texts_only(asked)}
        if asked.dimensions is not None:
            doc["dimensions"] = asked.dimensions
        if asked.truncate == "none":
            doc["truncate"] = False
        return doc

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        answer = _ANSWER.decode(raw)
        return EmbeddingAnswer(
            vectors=[vector_of(one) for one in answer.embeddings], usage=_usage(answer.prompt_eval_count)
        )

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        doc: Doc = {"model": reference.model, "embeddings": answer.vectors}
        return doc | ({"prompt_eval_count": answer.usage.input} if answer.usage is not None else {})

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        seen = _SEEN.decode(raw)
        return Glance(
            usage=_usage(seen.prompt_eval_count),
            model=seen.model or "",
            empty=not seen.embeddings and bytes(seen.embedding) in _NO_VECTOR,
            problem=problem_of_body(msgspec.json.decode(raw)) if seen.error is not None else None,
        )


class Prompt(Embed):
    """The older call: one prompt, one vector, and nothing else in the answer."""

    def path(self, model: str) -> str:
        return "/api/embeddings"

    def read_request(self, doc: Doc) -> EmbeddingRequest:
        return EmbeddingRequest(
            inputs=[text_at(doc.get("prompt"), "prompt")], extras=rest_of(doc, ("model", "prompt"))
        )

    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        return EmbeddingAnswer(vectors=[vector_of(_VECTOR.decode(raw).embedding)])

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        return {"embedding": answer.vectors[0]}


EMBED = Embed()
PROMPT = Prompt()


def _usage(count: int | None) -> Usage | None:
    return Usage(input=count_of(count)) if count is not None else None


def _truncate(value: Any) -> Truncate | None:
    if value is None:
        return None
    return "end" if flag_at(value, "truncate") else "none"
