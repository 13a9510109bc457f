"""What each wire makes of a request for embeddings and of its answer, as tables."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import MalformedStream, Refused, UnsupportedContent
from omniroute.wire import cohere_embeddings, gemini_embeddings, ollama_embeddings, openai_embeddings
from omniroute.wire.codec import Dialect, Reference
from omniroute.wire.conversation import Notes, Usage
from omniroute.wire.embeddings import (
    EmbeddingAnswer,
    EmbeddingRequest,
    Embeddings,
    numbers_of,
    packed,
    read_embeddings,
    vector_of,
)
from tests.support import recordings

OPENAI = openai_embeddings.EMBEDDINGS
COHERE = cohere_embeddings.EMBEDDINGS
ONE, MANY = gemini_embeddings.ONE, gemini_embeddings.MANY
OLLAMA, PROMPT = ollama_embeddings.EMBED, ollama_embeddings.PROMPT

A = {"content": {"parts": [{"text": "a"}]}}
B = {"content": {"parts": [{"text": "b"}]}}


def numbers_in(answer: EmbeddingAnswer) -> EmbeddingAnswer:
    return msgspec.structs.replace(answer, vectors=[numbers_of(vector) for vector in answer.vectors])


def without_words(asked: EmbeddingRequest) -> EmbeddingRequest:
    return msgspec.structs.replace(asked, words={})


# ── requests ─────────────────────────────────────────────────────────────────────────────────────

READ: list[tuple[Embeddings, dict[str, Any], dict[str, Any]]] = [
    (OPENAI, {"input": "a"}, {"inputs": ["a"]}),
    (OPENAI, {"input": ""}, {"inputs": [""]}),
    (OPENAI, {"input": ["a", "b"]}, {"inputs": ["a", "b"]}),
    (OPENAI, {"input": [1, 2]}, {"inputs": [[1, 2]]}),
    (OPENAI, {"input": [[1, 2], [3]]}, {"inputs": [[1, 2], [3]]}),
    (OPENAI, {"input": "a", "dimensions": 8.0, "user": "u"}, {"inputs": ["a"], "dimensions": 8, "user": "u"}),
    (OPENAI, {"input": "a", "encoding_format": "base64"}, {"inputs": ["a"], "base64": True}),
    (OPENAI, {"input": "a", "encoding_format": "float"}, {"inputs": ["a"]}),
    (OPENAI, {"input": "a", "input_type": "passage"}, {"inputs": ["a"], "task": "document"}),
    (OPENAI, {"input": "a", "input_type": "odd"}, {"inputs": ["a"], "extras": {"input_type": "odd"}}),
    (OPENAI, {"input": "a", "dimensions": None, "x": None, "y": 1}, {"inputs": ["a"], "extras": {"y": 1}}),
    (ONE, A, {"inputs": ["a"]}),
    (ONE, {"content": "a"}, {"inputs": ["a"]}),
    (ONE, {"model": "models/e", "content": {"parts": [{"text": "a"}, {"text": "b"}]}}, {"inputs": ["a\nb"]}),
    (
        ONE,
        {**A, "task_type": "RETRIEVAL_DOCUMENT", "title": "T", "output_dimensionality": 8},
        {"inputs": ["a"], "task": "document", "title": "T", "dimensions": 8},
    ),
    (ONE, {**A, "taskType": "TASK_TYPE_UNSPECIFIED"}, {"inputs": ["a"]}),
    (
        ONE,
        {**A, "embedContentConfig": {"taskType": "CLUSTERING", "autoTruncate": False, "documentOcr": True}},
        {"inputs": ["a"], "task": "clustering", "truncate": "none", "extras": {"documentOcr": True}},
    ),
    (MANY, {"requests": [A, B]}, {"inputs": ["a", "b"]}),
    (
        MANY,
        {"requests": [{**A, "taskType": "CODE_RETRIEVAL_QUERY"}, {**B, "taskType": "CODE_RETRIEVAL_QUERY"}]},
        {"inputs": ["a", "b"], "task": "code"},
    ),
    (OLLAMA, {"input": "a"}, {"inputs": ["a"]}),
    (OLLAMA, {"input": ["a"], "truncate": False}, {"inputs": ["a"], "truncate": "none"}),
    (
        OLLAMA,
        {"input": ["a"], "truncate": True, "dimensions": 8, "options": {"num_ctx": 9}, "keep_alive": None},
        {"inputs": ["a"], "truncate": "end", "dimensions": 8, "extras": {"options": {"num_ctx": 9}}},
    ),
    (PROMPT, {"prompt": "a", "keep_alive": "5m"}, {"inputs": ["a"], "extras": {"keep_alive": "5m"}}),
    (
        COHERE,
        {"texts": ["a"], "input_type": "search_query", "output_dimension": 8, "truncate": "START"},
        {"inputs": ["a"], "task": "query", "dimensions": 8, "truncate": "start"},
    ),
]


@pytest.mark.parametrize("wire, body, asked", READ)
def test_a_request_is_read(wire: Embeddings, body: dict[str, Any], asked: dict[str, Any]) -> None:
    assert without_words(wire.read_request({"model": "m", **body})) == EmbeddingRequest(**asked)


REFUSED: list[tuple[Embeddings, dict[str, Any], str]] = [
    (OPENAI, {}, "input"),
    (OPENAI, {"input": []}, "input"),
    (OPENAI, {"input": [[]]}, "input[0]"),
    (OPENAI, {"input": [1, "a"]}, "input[0]"),
    (OPENAI, {"input": [True]}, "input[0]"),
    (OPENAI, {"input": "a", "dimensions": 1.5}, "dimensions"),
    (OPENAI, {"input": "a", "dimensions": -1}, "dimensions"),
    (OPENAI, {"input": "a", "encoding_format": "hex"}, "encoding_format"),
    (OPENAI, {"input": "a", "user": 1}, "user"),
    (ONE, {}, "content"),
    (ONE, {**A, "taskType": "ODD"}, "taskType"),
    (MANY, {}, "requests"),
    (MANY, {"requests": [A, {**B, "outputDimensionality": "x"}]}, "requests[1].outputDimensionality"),
    (MANY, {"requests": [A, "b"]}, "requests[1]"),
    (OLLAMA, {}, "input"),
    (OLLAMA, {"input": [1]}, "input[0]"),
    (OLLAMA, {"input": "a", "truncate": "end"}, "truncate"),
    (PROMPT, {}, "prompt"),
    (COHERE, {"texts": []}, "texts"),
]


@pytest.mark.parametrize("wire, body, param", REFUSED)
def test_a_wrong_shape_is_refused_where_it_is(wire: Embeddings, body: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        wire.read_request(body)
    assert (refused.value.problem.kind, refused.value.problem.param) == ("invalid_request", param)


IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aa"}}
UNKNOWN: list[tuple[Embeddings, dict[str, Any], str]] = [
    (ONE, {"content": {"parts": [{"text": "a"}, IMAGE]}}, "content.parts[1]"),
    (MANY, {"requests": [A, {"content": {"parts": [IMAGE]}}]}, "requests[1].content.parts[0]"),
    (MANY, {"requests": [A, {**B, "taskType": "CLUSTERING"}]}, "requests[1].taskType"),
    (MANY, {"requests": [{**A, "title": "T"}, B]}, "requests[1].title"),
    (COHERE, {"texts": ["a"], "images": ["data:"]}, "images"),
    (COHERE, {"texts": ["a"], "embedding_types": ["int8"]}, "embedding_types"),
]


@pytest.mark.parametrize("wire, body, path", UNKNOWN)
def test_what_has_no_words_elsewhere_is_told_by_its_place(
    wire: Embeddings, body: dict[str, Any], path: str
) -> None:
    with pytest.raises(UnsupportedContent) as unsupported:
        wire.read_request(body)
    assert unsupported.value.path == path


PLAIN: dict[str, Any] = {"model": "e", "input": ["a"]}
COHERE_PLAIN = {"model": "e", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]}
GEMINI_PLAIN = {"model": "models/e", **A}
FULL: dict[str, Any] = {"dimensions": 8, "task": "query", "title": "T", "truncate": "end", "user": "u"}
WRITTEN: list[tuple[Embeddings, dict[str, Any], dict[str, Any], list[str]]] = [
    (OPENAI, {}, PLAIN, []),
    (OPENAI, {"inputs": [[1, 2], "a"]}, {"model": "e", "input": [[1, 2], "a"]}, []),
    (OPENAI, FULL, {**PLAIN, "dimensions": 8, "user": "u"}, ["task", "title", "truncate"]),
    (OPENAI, {"truncate": "none", "base64": True}, PLAIN, []),
    (ONE, {}, GEMINI_PLAIN, []),
    (ONE, FULL, {**GEMINI_PLAIN, "taskType": "RETRIEVAL_QUERY", "title": "T", "outputDimensionality": 8}, []),
    (ONE, {"truncate": "none"}, GEMINI_PLAIN, ["truncate"]),
    (MANY, {"inputs": ["a", "b"]}, {"requests": [GEMINI_PLAIN, {"model": "models/e", **B}]}, []),
    (OLLAMA, {}, PLAIN, []),
    (OLLAMA, FULL, {**PLAIN, "dimensions": 8}, ["task", "title"]),
    (OLLAMA, {"truncate": "none"}, {**PLAIN, "truncate": False}, []),
    (OLLAMA, {"truncate": "start"}, PLAIN, ["truncate"]),
    (COHERE, {}, COHERE_PLAIN, []),
    (
        COHERE,
        FULL,
        {**COHERE_PLAIN, "input_type": "search_query", "output_dimension": 8, "truncate": "END"},
        ["title"],
    ),
    (COHERE, {"task": "code"}, {**COHERE_PLAIN, "input_type": "search_query"}, []),
    (COHERE, {"task": "similarity"}, COHERE_PLAIN, ["task"]),
]


@pytest.mark.parametrize("wire, asked, body, dropped", WRITTEN)
def test_a_request_is_written(
    wire: Embeddings, asked: dict[str, Any], body: dict[str, Any], dropped: list[str]
) -> None:
    notes = Notes()
    request = EmbeddingRequest(**{"inputs": ["a"], **asked, "extras": {"odd": 1}})
    assert wire.write_request(request, Dialect(model="e"), notes) == body
    assert notes.dropped == [*dropped, "odd"]


@pytest.mark.parametrize("wire", [ONE, OLLAMA, COHERE])
def test_token_ids_are_no_text(wire: Embeddings) -> None:
    with pytest.raises(UnsupportedContent) as unsupported:
        wire.write_request(EmbeddingRequest(inputs=[[1, 2]]), Dialect(model="e"), Notes())
    assert unsupported.value.path == "input"


def test_the_names_of_what_is_dropped_are_the_clients() -> None:
    asked = ONE.read_request({**A, "taskType": "CLUSTERING", "embedContentConfig": {"autoTruncate": True}})
    notes = Notes()
    OPENAI.write_request(asked, Dialect(model="e"), notes)
    assert notes.dropped == ["taskType", "autoTruncate"]


def test_hints_and_empty_settings_are_no_loss() -> None:
    asked = OLLAMA.read_request({"input": "a", "keep_alive": "5m", "options": {}, "stream": False})
    asked.user = "u"
    notes = Notes()
    COHERE.write_request(asked, Dialect(model="e"), notes)
    assert (notes.dropped, notes.emulated) == ([], ["user", "keep_alive", "input_type"])


@pytest.mark.parametrize(
    "asked, sent, emulated",
    [
        ({}, {"input_type": "passage"}, ["input_type"]),
        ({"task": "document", "truncate": "end"}, {"input_type": "passage", "truncate": "END"}, []),
        ({"task": "question"}, {"input_type": "query"}, []),
        ({"task": "clustering"}, {"input_type": "passage"}, ["input_type"]),
    ],
)
def test_a_server_that_wants_to_know_the_side_of_a_search(
    asked: dict[str, Any], sent: dict[str, Any], emulated: list[str]
) -> None:
    notes = Notes()
    dialect = Dialect(model="e", quirks=frozenset({"input_type"}))
    assert OPENAI.write_request(EmbeddingRequest(inputs=["a"], **asked), dialect, notes) == {**PLAIN, **sent}
    assert (notes.dropped, notes.emulated) == ([], emulated)


MISTRAL = Dialect(model="e", quirks=frozenset({"output_dimension", "no_user"}))


def test_a_server_with_another_word_for_dimensions() -> None:
    asked = EmbeddingRequest(inputs=["a"], dimensions=8, user="u")
    assert OPENAI.write_request(asked, MISTRAL, Notes()) == {**PLAIN, "output_dimension": 8}
    raw = b'{"model": "up/e", "dimensions": 8, "input": "a"}'
    sent = msgspec.json.decode(OPENAI.readdressed(raw, "up/e", MISTRAL, None))
    assert sent == {"model": "e", "output_dimension": 8, "input": "a"}
    plain = b'{"model":"e", "input": "a"}'
    assert OPENAI.readdressed(plain, "e", MISTRAL, None) is plain


@pytest.mark.parametrize(
    "wire, body",
    [
        (OPENAI, {"model": "up/e", "input": "a"}),
        (ONE, {"model": "models/up/e", **A}),
        (MANY, {"requests": [{"model": "models/up/e", **A}, B]}),
    ],
)
def test_a_document_and_its_bytes_are_readdressed_alike(wire: Embeddings, body: dict[str, Any]) -> None:
    raw = msgspec.json.encode(body)
    sent = msgspec.json.decode(wire.readdressed(raw, "up/e", Dialect(model="e"), None))
    wire.readdress(body, Dialect(model="e"))
    assert sent == body
    assert b"up/e" not in msgspec.json.encode(sent)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────

VECTOR = [0.5, -0.25, 1.0]
REFERENCE = Reference(model="up/e", request={}, created=1, new_id=lambda prefix: f"{prefix}1")
ANSWERS: list[tuple[Embeddings, dict[str, Any]]] = [
    (
        OPENAI,
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
            "model": "up/e",
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        },
    ),
    (ONE, {"embedding": {"values": VECTOR}, "usageMetadata": {"promptTokenCount": 7}}),
    (MANY, {"embeddings": [{"values": VECTOR}], "usageMetadata": {"promptTokenCount": 7}}),
    (OLLAMA, {"model": "up/e", "embeddings": [VECTOR], "prompt_eval_count": 7}),
    (PROMPT, {"embedding": VECTOR}),
    (
        COHERE,
        {
            "id": "1",
            "texts": ["a"],
            "embeddings": {"float": [VECTOR]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}},
            "response_type": "embeddings_by_type",
        },
    ),
]


@pytest.mark.parametrize("wire, body", ANSWERS)
def test_an_answer_is_written_read_and_glanced_at(wire: Embeddings, body: dict[str, Any]) -> None:
    usage = None if wire is PROMPT else Usage(input=7)
    answer = EmbeddingAnswer(vectors=[VECTOR], usage=usage)
    assert wire.write_answer(answer, EmbeddingRequest(inputs=["a"]), REFERENCE) == body
    raw = msgspec.json.encode(body)
    assert numbers_in(read_embeddings(raw, wire, 1)) == answer
    glance = wire.glance(raw)
    assert (glance.usage, glance.empty, glance.problem) == (usage, False, None)


@pytest.mark.parametrize(
    "wire, body, told",
    [
        (OPENAI, {"error": {"message": "no room"}}, "no room"),
        (OPENAI, {"data": []}, None),
        (ONE, {"error": {"code": 400, "message": "no room"}}, "no room"),
        (ONE, {}, None),
        (MANY, {"embeddings": []}, None),
        (OLLAMA, {"error": "no room"}, "no room"),
        (OLLAMA, {"model": "e", "embeddings": []}, None),
        (COHERE, {"message": "no room"}, "no room"),
        (COHERE, {"embeddings": {"float": []}}, None),
    ],
)
def test_an_answer_without_vectors_is_none(wire: Embeddings, body: dict[str, Any], told: str | None) -> None:
    glance = wire.glance(msgspec.json.encode(body))
    if told is None:
        assert glance.empty
    else:
        assert glance.problem is not None
        assert told in glance.problem.message


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{",
        b'{"data": [{"embedding": ["x"]}]}',
        b'{"data": [{"embedding": null}]}',
        b'{"data": [{"embedding": "AAA"}]}',
        b'{"data": [{"embedding": "AAAA"}]}',
        b'{"data": [{"embedding": [1]}, {"embedding": [2]}]}',
        b'{"data": [{"embedding": []}]}',
        b'{"data": [{"embedding": [[1]]}]}',
        b'{"data": [{"embedding": [true]}]}',
        b'{"data": [{"embedding": {"a": 1}}]}',
        b'{"data": [{"embedding": 1}]}',
        b'{"data": [{}]}',
        b'{"data": [{"embedding": [1, ]}]}',
        b'{"data": [{"embedding": [1], "index": "x"}]}',
        b"\xff",
    ],
)
def test_a_broken_answer_is_no_answer(raw: bytes) -> None:
    with pytest.raises(MalformedStream):
        read_embeddings(raw, OPENAI, 1)


def test_vectors_come_in_the_order_of_their_indexes() -> None:
    indexed = b'{"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}'
    assert numbers_in(OPENAI.read_answer(indexed)).vectors == [[1.0], [2.0]]
    plain = b'{"data": [{"embedding": [2]}, {"embedding": [1], "index": null}]}'
    assert numbers_in(OPENAI.read_answer(plain)).vectors == [[2.0], [1.0]]


def test_numbers_keep_their_digits() -> None:
    raw = b'{"embeddings": [[-1.50e-3, 0.1000, 12345678901234567890]]}'
    answer = read_embeddings(raw, OLLAMA, 1)
    told = ONE.write_answer(answer, EmbeddingRequest(inputs=["a"]), REFERENCE)
    assert b'"values":[-1.50e-3, 0.1000, 12345678901234567890]' in msgspec.json.encode(told)


def test_base64_is_little_endian_float32() -> None:
    assert packed([1.0, -2.5]) == "AACAPwAAIMA="
    assert packed(msgspec.Raw(b"[1, -2.5]")) == "AACAPwAAIMA="
    assert vector_of(msgspec.Raw(b'"AACAPwAAIMA="')) == [1.0, -2.5]
    assert vector_of(msgspec.Raw(msgspec.json.encode(packed([0.1])))) == pytest.approx([0.1], rel=1e-7)


# ── real traffic ─────────────────────────────────────────────────────────────────────────────────

RECORDED = [
    *((OPENAI, "data", id) for id in recordings.ids("openai-embeddings")),
    *((MANY, "embeddings", id) for id in recordings.ids("gemini-embeddings")),
    *((COHERE, "embeddings", id) for id in recordings.ids("cohere-embed")),
]


@pytest.mark.parametrize("wire, key, id", RECORDED, ids=lambda value: value if isinstance(value, str) else "")
def test_recorded_answers_are_read(wire: Embeddings, key: str, id: str) -> None:
    recording = recordings.load(id)
    if recording.status != 200 or recording.request is None:
        assert recording.status >= 400
        return
    body = recording.body
    shape = wire
    if "embedding" in body:
        shape = PROMPT if "usageMetadata" not in body else ONE
    asked = recording.request["body"]
    items = asked.get("requests") or asked.get("texts") or asked.get("input")
    count = len(items) if isinstance(items, list) else 1
    answer = read_embeddings(msgspec.json.encode(body), shape, count)
    (size,) = {len(vector) for vector in numbers_in(answer).vectors}
    assert size > 100
    glance = shape.glance(msgspec.json.encode(body))
    assert (glance.usage, glance.empty, glance.problem) == (answer.usage, False, None)
    if "usage" in body or "meta" in body or "usageMetadata" in body:
        assert answer.usage is not None
        assert answer.usage.input > 0
