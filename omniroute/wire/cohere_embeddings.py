"""`POST /embed` of Cohere's API, version 2. https://docs.cohere.com/reference/embed

Spoken by providers only, like the rest of this wire.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import UnsupportedContent
from omniroute.wire.codec import Dialect, Glance, Reference
from omniroute.wire.conversation import Doc, Notes, Usage
from omniroute.wire.embeddings import (
    EmbeddingAnswer,
    EmbeddingRequest,
    Embeddings,
    Task,
    Truncate,
    dimensions_at,
    texts_only,
    vector_of,
)
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import count_of, doc_of, refused, rest_of, texts_at

TASKS: dict[str, Task] = {
    "search_query": "query",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
}
TASK_WORDS: dict[Task, str] = {
    **{task: word for word, task in TASKS.items()},
    "question": "search_query",
    "fact": "search_query",
    "code": "search_query",
}
"""Those that ask something of a collection are queries here."""
NO_TASK = "search_document"
"""The models want one. Without a word of the client the texts are taken for those that are searched."""
TRUNCATES: dict[str, Truncate] = {"START": "start", "END": "end", "NONE": "none"}

_KNOWN = ("model", "texts", "input_type", "embedding_types", "output_dimension", "truncate")
_WORDS = {"task": "input_type", "dimensions": "output_dimension"}


class _Seen(msgspec.Struct):
    embeddings: dict[str, list[msgspec.Raw] | None] | None = None
    meta: dict[str, Any] | None = None
    message: str | None = None


class _ByType(msgspec.Struct):
    numbers: list[msgspec.Raw] = msgspec.field(name="float")


class _Answer(msgspec.Struct):
    embeddings: _ByType
    meta: dict[str, Any] | None = None


_SEEN = msgspec.json.Decoder(_Seen)
_ANSWER = msgspec.json.Decoder(_Answer)


class CohereEmbeddings(Embeddings):
    """A list of texts, a vector of numbers for each."""

    for_clients: ClassVar[bool] = False
    most: ClassVar[int | None] = 96

    def path(self, model: str) -> str:
        return "/embed"

    # request in, request out ────────────────────────────────────────────────────────────────────
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        texts = texts_at(doc.get("texts"), "texts")
        for name in ("images", "inputs"):
            if doc.get(name):
                raise UnsupportedContent("only `texts` can be embedded by targets of other formats", name)
        if not texts:
            raise refused("must not be empty", "texts")
        if any(kind != "float" for kind in texts_at(doc.get("embedding_types"), "embedding_types")):
            raise UnsupportedContent("targets of other formats have `float` only", "embedding_types")
        return EmbeddingRequest(
            inputs=[*texts],
            dimensions=dimensions_at(doc.get("output_dimension"), "output_dimension"),
            task=TASKS.get(str(doc.get("input_type"))),
            truncate=TRUNCATES.get(str(doc.get("truncate"))),
            words=_WORDS,
            extras=rest_of(doc, _KNOWN),
        )

    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        kept = {"dimensions", "truncate"}
        if asked.task in TASK_WORDS:
            kept.add("task")
        asked.keep_only(kept, notes)
        if asked.task is None:
            notes.emulate("input_type")
        doc: Doc = {
            "model": dialect.model,
            "texts": texts_only(asked),
            "input_type": TASK_WORDS.get(asked.task, NO_TASK) if asked.task is not None else NO_TASK,
            "embedding_types": ["float"],
        }
        if asked.dimensions is not None:
            doc["output_dimension"] = asked.dimensions
        if asked.truncate is not None:
            doc["truncate"] = asked.truncate.upper()
        return doc

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        answer = _ANSWER.decode(raw)
        vectors = [vector_of(one) for one in answer.embeddings.numbers]
        return EmbeddingAnswer(vectors=vectors, usage=_read_usage(answer.meta))

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        tokens = answer.usage.input if answer.usage is not None else 0
        return {
            "id": reference.new_id(""),
            "texts": asked.inputs,
            "embeddings": {"float": answer.vectors},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
            "response_type": "embeddings_by_type",
        }

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        seen = _SEEN.decode(raw)
        problem = None
        if seen.embeddings is None:
            problem = problem_of_body(doc_of(msgspec.json.decode(raw)), bool(seen.message))
        return Glance(
            usage=_read_usage(seen.meta), empty=not any((seen.embeddings or {}).values()), problem=problem
        )


def _read_usage(given: Any) -> Usage | None:
    """Texts and images are billed apart; both are what went in."""
    billed = doc_of(doc_of(given).get("billed_units"))
    if not billed:
        return None
    return Usage(input=count_of(billed.get("input_tokens")) + count_of(billed.get("image_tokens")))


EMBEDDINGS = CohereEmbeddings()
