"""`POST /embeddings` of OpenAI, and of the many servers that have it, too.

https://platform.openai.com/docs/api-reference/embeddings/create
What quirks of a target change:

    output_dimension    calls `dimensions` so (Mistral, https://docs.mistral.ai/api/endpoint/embeddings)
    input_type          wants to know the side of a search, `query` or `passage`, and takes `truncate` (NVIDIA)
    no_user             refuses `user`
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.wire.codec import Dialect, Glance, Reference
from omniroute.wire.conversation import Doc, Notes, Usage
from omniroute.wire.embeddings import (
    EmbeddingAnswer,
    EmbeddingRequest,
    Embeddings,
    Task,
    dimensions_at,
    packed,
    vector_of,
)
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import count_of, doc_of, refused, rest_of, text_at
from omniroute.wire.splice import TopLevel

TASKS: dict[str, Task] = {
    "query": "query",
    "search_query": "query",
    "document": "document",
    "passage": "document",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
}
"""What `input_type` says: no setting of OpenAI's own, but of many servers that speak like it."""

_KNOWN = ("model", "input", "dimensions", "encoding_format", "user", "input_type")
_WORDS = {"task": "input_type"}


class _Seen(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    error: Any = None


class _Item(msgspec.Struct):
    embedding: msgspec.Raw
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]
    usage: dict[str, Any] | None = None


_SEEN = msgspec.json.Decoder(_Seen)
_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAIEmbeddings(Embeddings):
    """One text or token array, or a list of them; a vector for each, as numbers or as base64."""

    most: ClassVar[int | None] = 2048

    def path(self, model: str) -> str:
        return "/embeddings"

    # request in, request out ────────────────────────────────────────────────────────────────────
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        encoding = doc.get("encoding_format")
        if encoding not in (None, "float", "base64"):
            raise refused("must be `float` or `base64`", "encoding_format")
        task = TASKS.get(str(doc.get("input_type")).lower())
        extras = rest_of(doc, _KNOWN if task is not None else _KNOWN[:-1])
        return EmbeddingRequest(
            inputs=_inputs(doc.get("input")),
            dimensions=dimensions_at(doc.get("dimensions"), "dimensions"),
            task=task,
            user=text_at(doc["user"], "user") if doc.get("user") is not None else None,
            base64=encoding == "base64",
            words=_WORDS,
            extras=extras,
        )

    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        kept = {"dimensions", "user"}
        if asked.truncate == "none":
            # What is too long is an error here anyway.
            kept.add("truncate")
        doc: Doc = {"model": dialect.model, "input": asked.inputs}
        if "input_type" in dialect.quirks:
            kept |= {"task", "truncate"}
            doc |= _two_sides(asked, notes)
        asked.keep_only(kept, notes)
        if asked.dimensions is not None:
            doc[_dimensions(dialect)] = asked.dimensions
        if asked.user is not None and "no_user" not in dialect.quirks:
            doc["user"] = asked.user
        return doc

    def readdress(self, doc: Doc, dialect: Dialect) -> None:
        super().readdress(doc, dialect)
        if "dimensions" in doc and _dimensions(dialect) != "dimensions":
            doc[_dimensions(dialect)] = doc.pop("dimensions")

    def readdressed(self, raw: bytes, model: str, dialect: Dialect, top: TopLevel | None) -> bytes:
        if _dimensions(dialect) == "dimensions" or b'"dimensions"' not in raw:
            return super().readdressed(raw, model, dialect, top)
        return self.readdressed_slowly(raw, dialect)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        answer = _ANSWER.decode(raw)
        # Where no place is said, the order is that of the inputs: sorting keeps it.
        items = sorted(answer.data, key=lambda item: item.index or 0)
        vectors = [vector_of(item.embedding) for item in items]
        return EmbeddingAnswer(vectors=vectors, usage=_read_usage(answer.usage))

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        tokens = answer.usage.input if answer.usage is not None else 0
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": packed(one) if asked.base64 else one}
                for at, one in enumerate(answer.vectors)
            ],
            "model": reference.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        seen = _SEEN.decode(raw)
        problem = problem_of_body(msgspec.json.decode(raw)) if seen.error or not seen.data else None
        usage = _read_usage(seen.usage)
        return Glance(usage=usage, model=seen.model or "", empty=not seen.data, problem=problem)


_QUERIES: frozenset[Task] = frozenset({"query", "question", "fact", "code"})


def _two_sides(asked: EmbeddingRequest, notes: Notes) -> Doc:
    """For models that know the two sides of a search and nothing else; what is no query is searched."""
    if asked.task != "document" and asked.task not in _QUERIES:
        notes.emulate("input_type")
    doc: Doc = {"input_type": "query" if asked.task in _QUERIES else "passage"}
    return doc | ({"truncate": asked.truncate.upper()} if asked.truncate is not None else {})


def _inputs(value: Any) -> list[str | list[int]]:
    """A text, token ids, or a list of either."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise refused("must be a string, an array of strings, or of token ids, and not empty", "input")
    if all(_is_token(item) for item in value):
        return [value]
    for at, item in enumerate(value):
        if not isinstance(item, str) and not _is_tokens(item):
            raise refused("must be a string or an array of token ids", f"input[{at}]")
    return value


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_token(item) for item in value)


def _dimensions(dialect: Dialect) -> str:
    return "output_dimension" if "output_dimension" in dialect.quirks else "dimensions"


def _read_usage(given: Any) -> Usage | None:
    usage = doc_of(given)
    # Some servers tell the total only.
    if "prompt_tokens" not in usage and "total_tokens" not in usage:
        return None
    return Usage(input=count_of(usage.get("prompt_tokens")) or count_of(usage.get("total_tokens")))


EMBEDDINGS = OpenAIEmbeddings()
