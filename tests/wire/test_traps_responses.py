"""What servers of the Responses API really send, and what clients of it demand: a test a trap, named after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.crossing import (
    CLIENTS,
    named_sse,
    plain,
    plain_doc,
    said,
    sent,
    sse,
    stream_bytes,
    streamed,
    wires,
)

Doc = dict[str, Any]
WIRE = "openai-responses"
each_client = pytest.mark.parametrize("client", CLIENTS)
OTHERS = tuple(c for c in CLIENTS if c != WIRE)
each_other = pytest.mark.parametrize("client", OTHERS)

BEGIN: Doc = {
    "type": "response.created",
    "response": {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": []},
}


def message(text: str, *annotations: Doc, **more: Any) -> Doc:
    content = [{"type": "output_text", "text": text, "annotations": list(annotations)}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content, **more}


def call(name: str = "add", arguments: str = '{"a": 1}', id: str = "fc_1") -> Doc:
    return {"type": "function_call", "id": id, "call_id": f"call_{id}", "name": name, "arguments": arguments}


def added(item: Doc, index: int = 0) -> Doc:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Doc, index: int = 0) -> Doc:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(*output: Doc, **more: Any) -> Doc:
    response = {**BEGIN["response"], "status": "completed", "output": list(output), **more}
    return {"type": "response.completed", "response": response}


def delta(kind: str, words: str, index: int = 0, **more: Any) -> Doc:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": words, **more}


EMPTY_MESSAGE = {**message(""), "content": []}
EMPTY_CALL = call(arguments="")
REASONING: Doc = {"type": "reasoning", "id": "rs_1", "summary": []}

STREAMS: dict[str, tuple[list[Doc], Doc]] = {
    "raw reasoning (reasoning_text)": (
        [
            BEGIN,
            added(REASONING),
            delta("reasoning_text", "hm", content_index=0),
            done({**REASONING, "content": [{"type": "reasoning_text", "text": "hm"}]}),
            added(EMPTY_MESSAGE, 1),
            delta("output_text", "so", 1, content_index=0),
            done(message("so"), 1),
            completed(),
        ],
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "a summary (reasoning_summary_text)": (
        [
            BEGIN,
            added(REASONING),
            delta("reasoning_summary_text", "hm", summary_index=0),
            done({**REASONING, "summary": [{"type": "summary_text", "text": "hm"}]}),
            added(EMPTY_MESSAGE, 1),
            delta("output_text", "so", 1, content_index=0),
            done(message("so"), 1),
            completed(),
        ],
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "item ids that change on the way (Copilot)": (
        [
            BEGIN,
            added({**EMPTY_CALL, "id": "aaa"}),
            delta("function_call_arguments", '{"a"', item_id="bbb"),
            delta("function_call_arguments", ": 1}", item_id="ccc"),
            done({**call(), "id": "ddd"}),
            completed(call()),
        ],
        {"calls": [("add", {"a": 1})], "finish": "tool"},
    ),
    "an answer that stands in the last event only": (
        [BEGIN, completed(message("so"))],
        {"text": "so", "finish": "stop"},
    ),
    "several messages": (
        [
            BEGIN,
            added(EMPTY_MESSAGE),
            delta("output_text", "One.", content_index=0),
            done(message("One.")),
            added({**EMPTY_MESSAGE, "id": "msg_2", "phase": "final_answer"}, 1),
            delta("output_text", "Two.", 1, content_index=0),
            done({**message("Two."), "id": "msg_2"}, 1),
            completed(),
        ],
        {"text": "One.Two.", "finish": "stop"},
    ),
}


@each_client
@pytest.mark.parametrize("trap", STREAMS)
def test_streams(trap: str, client: str) -> None:
    docs, meaning = STREAMS[trap]
    assert said(streamed(WIRE, named_sse(*docs), client)) == meaning


TEXT = [BEGIN, added(EMPTY_MESSAGE), delta("output_text", "so", content_index=0), completed(message("so"))]


def _keys_last(doc: Doc) -> str:
    """As xAI writes it: `sequence_number` first, `type` later."""
    return "data: " + json.dumps({"sequence_number": 1, **{k: doc[k] for k in sorted(doc, reverse=True)}})


FRAMINGS: dict[str, bytes] = {
    "type is not first (xAI)": sse(*map(_keys_last, TEXT)),
    "event after data (bedrock-mantle)": b"".join(
        f"data: {json.dumps(doc)}\nevent: {doc['type']}\n\n".encode() for doc in TEXT
    ),
    "a [DONE] at the end (OpenRouter)": named_sse(*TEXT) + b"data: [DONE]\n\n",
    "no blank line at the end": named_sse(*TEXT).rstrip(b"\n"),
    "comments": b": keep-alive\n\n" + named_sse(*TEXT).replace(b"\n\n", b"\n\n: x\n\n"),
}


@each_client
@pytest.mark.parametrize("trap", FRAMINGS)
def test_framings(trap: str, client: str) -> None:
    assert said(streamed(WIRE, FRAMINGS[trap], client)) == {"text": "so", "finish": "stop"}


@each_client
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_reasoning_without_a_summary_is_not_lost(client: str, stream: bool) -> None:
    """Bedrock, DeepSeek, LM Studio, OpenRouter: it stands in `content[].reasoning_text`."""
    item = {"type": "reasoning", "id": "rs_1", "content": [{"type": "reasoning_text", "text": "hm"}]}
    if stream:
        raw = named_sse(
            BEGIN, added(REASONING), done(item), added(EMPTY_MESSAGE, 1), done(message("so"), 1), completed()
        )
        found = said(streamed(WIRE, raw, client))
    else:
        found = said(plain(WIRE, completed(item, message("so"))["response"], client))
    assert found == {"reasoning": "hm", "text": "so", "finish": "stop"}


@each_client
@pytest.mark.parametrize(
    ("response", "found"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            {"text": "so", "finish": "length"},
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            {"text": "so", "finish": "filter"},
        ),
    ],
    ids=["length", "filter"],
)
def test_a_plain_answer_may_be_incomplete(response: Doc, found: Doc, client: str) -> None:
    doc = {**completed(message("so", phase="final_answer"))["response"], **response}
    assert said(plain(WIRE, doc, client)) == found


def test_a_plain_answer_may_have_failed() -> None:
    doc = {
        **completed()["response"],
        "status": "failed",
        "error": {"code": "server_error", "message": "oops"},
    }
    glance = wires()[WIRE].glance(json.dumps(doc).encode())
    assert glance.problem is not None and "oops" in glance.problem.message


@each_client
@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "x", "message": "oops"}},
        },
        {"type": "error", "code": "x", "message": "oops", "param": None},
    ],
    ids=["response.failed", "error"],
)
def test_a_failure_in_the_stream_is_told(event: Doc, client: str) -> None:
    raw = named_sse(BEGIN, added(EMPTY_MESSAGE), delta("output_text", "so", content_index=0), event)
    assert "error" in said(streamed(WIRE, raw, client))


CITED = message(
    "so",
    {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 0},
    {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
)


@each_client
def test_file_citations_do_not_spoil_an_answer(client: str) -> None:
    meaning = plain(WIRE, completed(CITED)["response"], client)
    assert said(meaning) == {"text": "so", "finish": "stop"}
    assert "https://a.example" in meaning.first.citations


@each_other
def test_items_of_servers_are_no_calls_for_the_client(client: str) -> None:
    kinds = (
        "web_search_call",
        "code_interpreter_call",
        "mcp_call",
        "image_generation_call",
        "tool_search_call",
    )
    items = [{"type": kind, "id": f"x_{kind}", "status": "completed", "result": None} for kind in kinds]
    found = said(plain(WIRE, completed(*items, message("so"))["response"], client))
    assert (found["text"], found.get("calls"), found["finish"]) == ("so", None, "stop")


CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "sh", "input": "ls"}


@each_client
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_custom_tool_calls(client: str, stream: bool) -> None:
    raw = named_sse(
        BEGIN,
        added({**CUSTOM, "input": ""}),
        delta("custom_tool_call_input", "l"),
        delta("custom_tool_call_input", "s"),
        done(CUSTOM),
        completed(CUSTOM),
    )
    found = said(
        streamed(WIRE, raw, client) if stream else plain(WIRE, completed(CUSTOM)["response"], client)
    )
    assert found["calls"] in ([("sh", "ls")], [("sh", {"input": "ls"})])


# ── as a client format ───────────────────────────────────────────────────────────────────────────

CHAT_STREAM = sse(
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "so"}}]},
    {
        "id": "c",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": "{}"}}]
                },
            }
        ],
    },
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"reasoning_content": "ah"}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"id": "c", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}},
    done=True,
)


def events(raw: bytes) -> list[Doc]:
    return [json.loads(line[6:]) for line in raw.decode().split("\n") if line.startswith("data: ")]


def test_every_event_has_its_number() -> None:
    found = events(stream_bytes("openai-chat", CHAT_STREAM, WIRE))
    assert [e["sequence_number"] for e in found] == list(range(len(found)))


def test_objects_that_sdks_demand_are_there() -> None:
    found = events(stream_bytes("openai-chat", CHAT_STREAM, WIRE))
    reasoning = [
        e["item"]
        for e in found
        if e["type"].startswith("response.output_item") and e["item"]["type"] == "reasoning"
    ]
    assert reasoning and all(isinstance(item["summary"], list) for item in reasoning)
    usage = found[-1]["response"]["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == 0
    assert usage["output_tokens_details"]["reasoning_tokens"] == 0


def test_whatever_was_opened_is_closed_once_and_stands_in_the_end() -> None:
    found = events(stream_bytes("openai-chat", CHAT_STREAM, WIRE))
    opened = [e["output_index"] for e in found if e["type"] == "response.output_item.added"]
    closed = [e["output_index"] for e in found if e["type"] == "response.output_item.done"]
    assert sorted(opened) == sorted(closed) == list(range(len(opened)))
    items = {e["output_index"]: e["item"] for e in found if e["type"] == "response.output_item.done"}
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"]["output"] == [items[index] for index in sorted(items)]
    for part in ("content_part", "reasoning_summary_part"):
        begun = [e for e in found if e["type"] == f"response.{part}.added"]
        ended = [e for e in found if e["type"] == f"response.{part}.done"]
        assert len(begun) == len(ended)


def test_a_summary_part_is_added_before_its_first_delta() -> None:
    asked = {"model": "m", "input": "hi", "reasoning": {"summary": "auto"}}
    kinds = [e["type"] for e in events(stream_bytes("openai-chat", CHAT_STREAM, WIRE, asked))]
    assert kinds.index("response.reasoning_summary_part.added") < kinds.index(
        "response.reasoning_summary_text.delta"
    )


@each_client
def test_no_call_is_lost_between_reasoning(client: str) -> None:
    """A chat upstream may think on after a call: an item that is closed stays closed."""
    found = said(streamed("openai-chat", CHAT_STREAM, client))
    assert found == {"reasoning": "hmah", "text": "so", "calls": [("add", {})], "finish": "tool"}


INPUT = [
    {"role": "user", "content": "hi"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
    {"type": "function_call_output", "call_id": "c1", "output": "2"},
]


@pytest.mark.parametrize("target", ["openai-chat", "anthropic-messages", "gemini", "cohere", "ollama"])
def test_input_items_may_have_no_type(target: str) -> None:
    found, notes = sent(WIRE, {"model": "m", "store": False, "input": INPUT}, target)
    text = json.dumps(found)
    assert all(word in text for word in ("hi", "add", "2"))
    assert "sealed" not in text, "sealed reasoning is its maker's alone"
    assert [name for name in notes.dropped if name != "store"] == []


def test_reasoning_keeps_its_place_before_its_call() -> None:
    found, _ = sent(WIRE, {"model": "m", "store": False, "input": INPUT}, WIRE)
    kinds = [item.get("type", "message") for item in found["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    assert found["input"][1]["encrypted_content"] == "sealed"


def test_ids_and_created_are_well_formed() -> None:
    doc = plain_doc(
        "gemini", {"candidates": [{"content": {"parts": [{"text": "so"}]}, "finishReason": "STOP"}]}, WIRE
    )
    assert doc["id"].startswith("resp_") and doc["object"] == "response" and doc["created_at"] > 0
