"""What Anthropic's API and its clients really send: a test a trap, named after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.crossing import (
    CLIENTS,
    counted,
    failed,
    named_sse,
    plain,
    plain_doc,
    said,
    sent,
    streamed,
    wires,
)

Doc = dict[str, Any]
WIRE = "anthropic-messages"
OTHERS = tuple(c for c in CLIENTS if c != WIRE)
each_client = pytest.mark.parametrize("client", CLIENTS)
each_other = pytest.mark.parametrize("client", OTHERS)


def begin(**usage: int) -> Doc:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1, **usage},
    }
    return {"type": "message_start", "message": message}


def block(index: int, content: Doc, *deltas: Doc) -> list[Doc]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[Doc]:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces)
    )


def end(reason: str = "end_turn", usage: Doc | None = None, **more: Any) -> list[Doc]:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return [
        {"type": "message_delta", "delta": delta, "usage": usage or {"output_tokens": 4}},
        {"type": "message_stop"},
    ]


TOOL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
CALLED = {"calls": [("add", {"a": 1})], "finish": "tool"}


def fragments(*pieces: str) -> list[Doc]:
    return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


STREAMS: dict[str, tuple[list[Doc], Doc]] = {
    "ping anywhere": (
        [begin(), {"type": "ping"}, *text(0, "s")[:2], {"type": "ping"}, *text(0, "o")[1:], *end()],
        {"text": "so", "finish": "stop"},
    ),
    "an empty thinking_delta, and a signature of its own": (
        [
            begin(),
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": ""},
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "signature_delta", "signature": "c2ln"},
            ),
            *text(1, "so"),
            *end(),
        ],
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "redacted thinking has only data": (
        [begin(), *block(0, {"type": "redacted_thinking", "data": "eHg="}), *text(1, "so"), *end()],
        {"text": "so", "finish": "stop"},
    ),
    "stop_details, container, context_management": (
        [
            begin(),
            *text(0, "so"),
            *end(stop_details=None, container={"id": "c"}, context_management={"applied_edits": []}),
        ],
        {"text": "so", "finish": "stop"},
    ),
    "input that is whole at the start": (
        [
            begin(),
            *block(0, {**TOOL, "input": {"a": 1}, "caller": {"type": "code_execution_20250825"}}),
            *end("tool_use"),
        ],
        CALLED,
    ),
    "partial_json that is empty first": (
        [begin(), *block(0, TOOL, *fragments("", '{"a"', ": 1}")), *end("tool_use")],
        CALLED,
    ),
    "a tool without arguments, and without a delta": (
        [begin(), *block(0, TOOL), *end("tool_use")],
        {"calls": [("add", {})], "finish": "tool"},
    ),
    "several message_start": (
        [begin(), begin(), *text(0, "so"), *end()],
        {"text": "so", "finish": "stop"},
    ),
}


@each_client
@pytest.mark.parametrize("trap", STREAMS)
def test_streams(trap: str, client: str) -> None:
    docs, meaning = STREAMS[trap]
    assert said(streamed(WIRE, named_sse(*docs), client)) == meaning


@each_client
def test_blanks_around_the_json_of_an_event(client: str) -> None:
    raw = named_sse(begin(), *text(0, "so"), *end())
    raw = raw.replace(b"}\n\n", b"}          \n\n").replace(b"data: {", b"data:   {")
    assert said(streamed(WIRE, raw, client)) == {"text": "so", "finish": "stop"}


SERVER = [
    begin(),
    *text(0, "I look. "),
    *block(
        1,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        *fragments('{"query": "x"}'),
    ),
    *block(
        2,
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "url": "https://a.example", "title": "A"}],
        },
    ),
    *text(3, "Found."),
    *block(4, TOOL, *fragments('{"a": 1}')),
    *end("tool_use"),
]


@each_other
def test_server_tools_are_no_calls_for_the_client(client: str) -> None:
    """They stand between texts and have indexes: index 0 is not always text, and no agent must run them."""
    found = said(streamed(WIRE, named_sse(*SERVER), client))
    assert (found["text"], found["calls"], found["finish"]) == ("I look. Found.", [("add", {"a": 1})], "tool")


def whole(content: list[Doc], reason: str = "end_turn", usage: Doc | None = None) -> Doc:
    message = begin()["message"]
    return {**message, "content": content, "stop_reason": reason, "usage": usage or message["usage"]}


@each_client
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_refusal_without_content(client: str, stream: bool) -> None:
    if stream:
        found = said(streamed(WIRE, named_sse(begin(), *end("refusal")), client))
    else:
        found = said(plain(WIRE, whole([], "refusal"), client))
    assert found["finish"] == "filter"


@each_client
def test_pause_turn(client: str) -> None:
    """Only Anthropic's own format can say that a turn is paused; elsewhere it just ended."""
    found = said(streamed(WIRE, named_sse(begin(), *text(0, "so"), *end("pause_turn")), client))
    assert found["text"] == "so"
    assert found["finish"] in (("pause",) if client == WIRE else ("stop", "length", "other"))


@each_client
def test_totals_replace_those_of_message_start(client: str) -> None:
    """`message_delta.usage` repeats input and cache counts; they do not add up."""
    final = {
        "input_tokens": 3,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 111,
        "output_tokens": 40,
        "server_tool_use": {"web_search_requests": 1},
        "output_tokens_details": {"thinking_tokens": 7},
    }
    start = begin(cache_read_input_tokens=1000, cache_creation_input_tokens=111)
    found = counted(streamed(WIRE, named_sse(start, *text(0, "so"), *end(usage=final)), client))
    assert found[:3] == (1114, 40, 1000)


@each_other
def test_input_tokens_exclude_cache_reads_and_writes(client: str) -> None:
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 111,
        "output_tokens": 4,
    }
    assert counted(plain(WIRE, whole([{"type": "text", "text": "so"}], usage=usage), client))[:3] == (
        1114,
        4,
        1000,
    )


@pytest.mark.parametrize("source", ["openai-chat", "gemini", "openai-responses"])
def test_thinking_without_a_signature_has_an_empty_one(source: str) -> None:
    """`signature` is a string, never null."""
    docs: dict[str, Doc] = {
        "openai-chat": {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "so", "reasoning_content": "hm"},
                    "finish_reason": "stop",
                }
            ]
        },
        "gemini": {
            "candidates": [
                {
                    "content": {"parts": [{"text": "hm", "thought": True}, {"text": "so"}]},
                    "finishReason": "STOP",
                }
            ]
        },
        "openai-responses": {
            "status": "completed",
            "output": [
                {"type": "reasoning", "id": "", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
            ],
        },
    }
    doc = plain_doc(source, docs[source], WIRE)
    assert [b for b in doc["content"] if b["type"] == "thinking"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""}
    ]


def document(source: Doc) -> Doc:
    content = [{"type": "document", "title": "Notes", "source": source}, {"type": "text", "text": "Sum up."}]
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "gemini", "cohere", "ollama"])
@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "The sky is green."},
        {"type": "content", "content": [{"type": "text", "text": "The sky is green."}]},
        {"type": "content", "content": "The sky is green."},
    ],
    ids=["text", "content", "content as text"],
)
def test_documents_that_are_text_belong_into_the_prompt(source: Doc, target: str) -> None:
    found, notes = sent(WIRE, document(source), target)
    assert "The sky is green." in json.dumps(found)
    assert notes.dropped == []


CONVERSATION = {
    "model": "m",
    "max_tokens": 9,
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "and now"},
    ],
}


@pytest.mark.parametrize(
    "target", ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "cohere", "ollama"]
)
def test_system_messages_in_mid_conversation(target: str) -> None:
    """Sent by Claude Code itself; a system text may be there twice."""
    found, notes = sent(WIRE, CONVERSATION, target)
    assert json.dumps(found).count("Be brief.") == 2
    assert notes.dropped == []


def test_system_messages_stay_where_they_stood_for_those_that_take_them() -> None:
    found, _ = sent(WIRE, CONVERSATION, "openai-chat")
    assert [m["role"] for m in found["messages"]] == ["system", "user", "assistant", "system", "user"]


@pytest.mark.parametrize("client", CLIENTS)
def test_529_keeps_its_meaning(client: str) -> None:
    """The status is one of Anthropic's format; elsewhere it is 503, and never a plain 500."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    status, failure = failed(WIRE, 529, body, client, retry_after="7")
    written = wires()[client].read_error(529, {"retry-after": "7"}, json.dumps(body).encode())
    assert written.retry_after == 7
    assert status in (529, 503) and failure.kind in ("overloaded", "server")
