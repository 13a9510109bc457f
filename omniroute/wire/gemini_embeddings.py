"""`embedContent` and `batchEmbedContents` of Google's Gemini API, and `embedContent` of Vertex.

https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from omniroute.errors import UnsupportedContent
from omniroute.wire import gemini_errors
from omniroute.wire.codec import Dialect, Glance, Peek, Reference
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
from omniroute.wire.gemini_doc import as_count, as_list, camel, given, normalise, wrong_shape
from omniroute.wire.gemini_names import path_of, resource_of
from omniroute.wire.shapes import doc_of, refused, rest_of, text_at
from omniroute.wire.splice import TopLevel

TASKS: dict[str, Task] = {
    "RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "QUESTION_ANSWERING": "question",
    "FACT_VERIFICATION": "fact",
    "CODE_RETRIEVAL_QUERY": "code",
}
TASK_WORDS: dict[Task, str] = {task: word for word, task in TASKS.items()}
_NO_TASK = "TASK_TYPE_UNSPECIFIED"

_CONFIG = "embedContentConfig"
"""Where newer clients put what stood beside the content."""
_KNOWN = ("model", "content", "taskType", "title", "outputDimensionality", "autoTruncate")
_WORDS = {
    "dimensions": "outputDimensionality",
    "task": "taskType",
    "truncate": "autoTruncate",
}
_NO_VECTOR = (b"", b"null", b"{}")
_FOR_ALL = ("dimensions", "task", "title", "truncate", "extras")


class _Nothing(msgspec.Struct):
    pass


class _Seen(msgspec.Struct):
    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: list[msgspec.Raw] | None = None
    usageMetadata: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class _Values(msgspec.Struct):
    values: msgspec.Raw


class _One(msgspec.Struct):
    embedding: _Values
    usageMetadata: dict[str, Any] | None = None


class _Many(msgspec.Struct):
    embeddings: list[_Values]
    usageMetadata: dict[str, Any] | None = None


_ONE = msgspec.json.Decoder(_One)
_MANY = msgspec.json.Decoder(_Many)
_OBJECT = msgspec.json.Decoder(_Nothing)
_SEEN = msgspec.json.Decoder(_Seen)
_RAWS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BATCH = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class GeminiEmbeddings(Embeddings):
    """What both shapes have in common. The model stands in the path, and may stand in the body, too."""

    method: str

    @property
    def variants(self) -> tuple[Embeddings, ...]:
        return (ONE, MANY)

    def fitting(self, asked: EmbeddingRequest) -> Embeddings:
        return ONE if len(asked.inputs) == 1 else MANY

    def peek(self, raw: bytes) -> Peek:
        _OBJECT.decode(raw)
        return Peek("", False)

    def path(self, model: str) -> str:
        return f"{path_of(model)}:{self.method}"

    def glance(self, raw: bytes) -> Glance:
        seen = _SEEN.decode(raw)
        if seen.error:
            return Glance(problem=gemini_errors.problem_of(seen.error))
        empty = bytes(seen.embedding) in _NO_VECTOR and not seen.embeddings
        return Glance(usage=_read_usage(seen.usageMetadata), empty=empty)


class EmbedContent(GeminiEmbeddings):
    """One content, one vector."""

    method = "embedContent"

    # request in, request out ────────────────────────────────────────────────────────────────────
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        return _read_content(doc, "")

    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        (text,) = texts_only(asked)
        return _write_content(text, asked, dialect, notes)

    def readdress(self, doc: Doc, dialect: Dialect) -> None:
        if "model" in doc:
            doc["model"] = resource_of(dialect.model)

    def readdressed(self, raw: bytes, model: str, dialect: Dialect, top: TopLevel | None) -> bytes:
        if b'"model"' not in raw:
            return raw
        try:
            document = _RAWS.decode(raw)
        except msgspec.DecodeError:
            return self.readdressed_slowly(raw, dialect)
        return _changed(raw, document, dialect)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        answer = _ONE.decode(raw)
        return EmbeddingAnswer(
            vectors=[vector_of(answer.embedding.values)], usage=_read_usage(answer.usageMetadata)
        )

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        return {"embedding": {"values": answer.vectors[0]}, **_write_usage(answer.usage)}


class BatchEmbedContents(GeminiEmbeddings):
    """Many requests for one content each, a vector for each of them."""

    method = "batchEmbedContents"
    most: ClassVar[int | None] = 100

    # request in, request out ────────────────────────────────────────────────────────────────────
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        """Settings stand on each request. Raises `UnsupportedContent` where they differ: elsewhere they are for all."""
        items = doc.get("requests")
        if not isinstance(items, list) or not items:
            raise wrong_shape("requests", "a list that is not empty")
        all = [_read_content(item, f"requests[{at}].") for at, item in enumerate(items)]
        first = all[0]
        for at, one in enumerate(all):
            for name in _FOR_ALL:
                if getattr(one, name) != getattr(first, name):
                    raise UnsupportedContent(
                        f"differs from the {_WORDS.get(name, name)} of the first request, and targets of other formats "
                        "take one for all",
                        f"requests[{at}].{_WORDS.get(name, name)}",
                    )
        first.inputs = [text for one in all for text in one.inputs]
        return first

    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        return {"requests": [_write_content(text, asked, dialect, notes) for text in texts_only(asked)]}

    def readdress(self, doc: Doc, dialect: Dialect) -> None:
        for one in (doc, *as_list(doc.get("requests"))):
            if isinstance(one, dict) and "model" in one:
                one["model"] = resource_of(dialect.model)

    def readdressed(self, raw: bytes, model: str, dialect: Dialect, top: TopLevel | None) -> bytes:
        """Each of the requests names its model, which must be the one of the path."""
        try:
            document = _RAWS.decode(raw)
            items = _BATCH.decode(document.get("requests", b"[]"))
        except msgspec.DecodeError:
            # Of another shape, too: that is for the upstream to refuse.
            return self.readdressed_slowly(raw, dialect)
        changed = [_named(item, dialect) for item in items]
        if True in changed:
            document["requests"] = msgspec.Raw(msgspec.json.encode(items))
            raw = msgspec.json.encode(document)
        return _changed(raw, document, dialect)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        answer = _MANY.decode(raw)
        vectors = [vector_of(one.values) for one in answer.embeddings]
        return EmbeddingAnswer(vectors=vectors, usage=_read_usage(answer.usageMetadata))

    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc:
        return {"embeddings": [{"values": one} for one in answer.vectors], **_write_usage(answer.usage)}


ONE = EmbedContent()
MANY = BatchEmbedContents()


# ── one content ──────────────────────────────────────────────────────────────────────────────────


def _read_content(value: Any, path: str) -> EmbeddingRequest:
    if not isinstance(value, dict):
        raise wrong_shape(path.rstrip("."), "an object")
    doc = {camel(key): inner for key, inner in value.items()}
    config = {camel(key): inner for key, inner in doc_of(doc.pop(_CONFIG, None)).items()}
    doc |= {key: inner for key, inner in config.items() if inner is not None}
    word = doc.get("taskType")
    return EmbeddingRequest(
        inputs=[_text(doc.get("content"), f"{path}content")],
        dimensions=dimensions_at(doc.get("outputDimensionality"), f"{path}outputDimensionality"),
        task=_task(word, f"{path}taskType"),
        title=text_at(doc["title"], f"{path}title") if doc.get("title") is not None else None,
        truncate=_truncate(doc.get("autoTruncate")),
        words=_WORDS,
        extras=rest_of(doc, _KNOWN),
    )


def _text(value: Any, path: str) -> str:
    """The text of a content. Its parts are read as one text, a line each."""
    if value is None:
        raise refused("is missing", path)
    (content,) = normalise({"contents": [value]})["contents"]
    for at, part in enumerate(content.get("parts", ())):
        if not isinstance(part.get("text"), str):
            raise UnsupportedContent(
                "only text can be embedded by targets of other formats", f"{path}.parts[{at}]"
            )
    return "\n".join(part["text"] for part in content.get("parts", ()))


def _task(word: Any, path: str) -> Task | None:
    if word in (None, _NO_TASK):
        return None
    task = TASKS.get(word) if isinstance(word, str) else None
    if task is None:
        raise refused(f"must be one of {', '.join(TASKS)}", path)
    return task


def _truncate(value: Any) -> Truncate | None:
    if not isinstance(value, bool):
        return None
    return "end" if value else "none"


def _write_content(text: str, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
    # Inputs that are too long are cut at their end here, and nobody can say otherwise.
    kept = {"dimensions", "task", "title"} | ({"truncate"} if asked.truncate == "end" else set())
    asked.keep_only(kept, notes)
    return given(
        model=resource_of(dialect.model),
        content={"parts": [{"text": text}]},
        taskType=TASK_WORDS[asked.task] if asked.task is not None else None,
        title=asked.title,
        outputDimensionality=asked.dimensions,
    )


# ── names and usage ──────────────────────────────────────────────────────────────────────────────


def _named(document: dict[str, msgspec.Raw], dialect: Dialect) -> bool:
    """Put the target's name where a name stands; whether it was another."""
    name = msgspec.json.encode(resource_of(dialect.model))
    if "model" not in document or bytes(document["model"]) == name:
        return False
    document["model"] = msgspec.Raw(name)
    return True


def _changed(raw: bytes, document: dict[str, msgspec.Raw], dialect: Dialect) -> bytes:
    return msgspec.json.encode(document) if _named(document, dialect) else raw


def _read_usage(value: Any) -> Usage | None:
    meta = doc_of(value)
    if "promptTokenCount" not in meta and "totalTokenCount" not in meta:
        return None
    return Usage(input=as_count(meta.get("promptTokenCount")) or as_count(meta.get("totalTokenCount")))


def _write_usage(usage: Usage | None) -> Doc:
    return {"usageMetadata": {"promptTokenCount": usage.input}} if usage is not None else {}
