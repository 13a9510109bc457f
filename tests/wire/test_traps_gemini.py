"""What Gemini and its clients really send: a test a trap, named after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.crossing import (
    CLIENTS,
    counted,
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
WIRE = "gemini"
each_client = pytest.mark.parametrize("client", CLIENTS)
TARGETS = ("openai-chat", "openai-responses", "anthropic-messages", "cohere", "ollama")
each_target = pytest.mark.parametrize("target", TARGETS)


def chunk(*parts: Doc, finish: Any = None, **more: Any) -> Doc:
    candidate: Doc = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r", **more}


def call(name: str = "add", **args: Any) -> Doc:
    return {"functionCall": {"name": name, "args": args}}


USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
TEXT = [chunk({"text": "s"}), chunk({"text": "o"}, finish="STOP")]
SO = {"text": "so", "finish": "stop"}

STREAMS: dict[str, tuple[bytes, Doc]] = {
    "STOP after a call": (
        sse(chunk(call(a=1), finish="STOP")),
        {"calls": [("add", {"a": 1})], "finish": "tool"},
    ),
    "several calls in one chunk": (
        sse(chunk(call(a=1), call("sub", b=2)), chunk({"text": ""}, finish="STOP")),
        {"calls": [("add", {"a": 1}), ("sub", {"b": 2})], "finish": "tool"},
    ),
    "three equal calls are three": (
        sse(chunk(call(a=1), call(a=1), call(a=1), finish="STOP")),
        {"calls": [("add", {"a": 1})] * 3, "finish": "tool"},
    ),
    "text beside a call": (
        sse(chunk({"text": "so"}, call(a=1), finish="STOP")),
        {"text": "so", "calls": [("add", {"a": 1})], "finish": "tool"},
    ),
    "a signature on an empty text ends the stream": (
        sse(chunk({"text": "so"}), chunk({"text": "", "thoughtSignature": "c2ln"}, finish="STOP")),
        SO,
    ),
    "thoughts": (
        sse(chunk({"text": "hm", "thought": True}), chunk({"text": "so"}, finish="STOP")),
        {"reasoning": "hm", **SO},
    ),
    "comments": (sse(": keep-alive", *TEXT), SO),
    "lines that end in CR LF": (sse(*TEXT, end="\r\n\r\n"), SO),
    "lines that end in CR": (sse(*TEXT, end="\r\r"), SO),
    "numbers for words (enum-encoding=int)": (sse(chunk({"text": "so"}, finish=1)), SO),
    "content without parts": (
        sse({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}]}),
        {"finish": "length"},
    ),
    "a candidate without content": (
        sse({"candidates": [{"finishReason": "SAFETY", "index": 0}]}),
        {"finish": "filter"},
    ),
    "no candidates: the prompt is blocked": (
        sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}),
        {"finish": "filter"},
    ),
    "no usage": (sse(*TEXT), SO),
}


@each_client
@pytest.mark.parametrize("trap", STREAMS)
def test_streams(trap: str, client: str) -> None:
    raw, meaning = STREAMS[trap]
    assert said(streamed(WIRE, raw, client)) == meaning


PLAIN: dict[str, tuple[Doc, Doc]] = {
    "content without parts": (
        {
            "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
            "usageMetadata": USAGE,
        },
        {"finish": "length"},
    ),
    "a safety finish": ({"candidates": [{"finishReason": "SAFETY"}]}, {"finish": "filter"}),
    "a blocked prompt": ({"promptFeedback": {"blockReason": "SAFETY"}}, {"finish": "filter"}),
    "parallel calls share no id": (
        chunk(call(a=1), call(a=1), finish="STOP"),
        {"calls": [("add", {"a": 1})] * 2, "finish": "tool"},
    ),
}


@each_client
@pytest.mark.parametrize("trap", PLAIN)
def test_answers(trap: str, client: str) -> None:
    doc, meaning = PLAIN[trap]
    assert said(plain(WIRE, doc, client)) == meaning


@each_client
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_malformed_call_is_a_legal_answer(client: str, stream: bool) -> None:
    doc = {
        "candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "call("}]
    }
    found = said(streamed(WIRE, sse(doc), client) if stream else plain(WIRE, doc, client))
    assert found["finish"] in ("malformed", "stop", "filter", "length", "other")
    assert "calls" not in found


@each_client
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_thoughts_and_tool_prompts_stand_outside_of_the_counts(client: str, stream: bool) -> None:
    """The last counts of a stream hold; output is candidates and thoughts, input has the tool prompts."""
    usage = {
        "promptTokenCount": 9,
        "toolUsePromptTokenCount": 2,
        "cachedContentTokenCount": 5,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 22,
    }
    early = {**usage, "candidatesTokenCount": 1, "cachedContentTokenCount": 6}
    if stream:
        raw = sse(
            chunk({"text": "s"}, usageMetadata=early),
            chunk({"text": "o"}, finish="STOP", usageMetadata=usage),
        )
        found = counted(streamed(WIRE, raw, client))
    else:
        found = counted(plain(WIRE, chunk({"text": "so"}, finish="STOP", usageMetadata=usage), client))
    assert found == (11, 11, 5, 7)


@pytest.mark.parametrize("source", ["openai-chat", "anthropic-messages"])
def test_what_gemini_clients_count(source: str) -> None:
    """`candidatesTokenCount` leaves thoughts out, the other formats' output has them in."""
    docs: dict[str, Doc] = {
        "openai-chat": {
            "choices": [{"index": 0, "message": {"content": "so"}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 11,
                "total_tokens": 20,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
        },
        "anthropic-messages": {
            "content": [{"type": "text", "text": "so"}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 9,
                "output_tokens": 11,
                "output_tokens_details": {"thinking_tokens": 7},
            },
        },
    }
    usage = plain_doc(source, docs[source], WIRE)["usageMetadata"]
    assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"], usage["totalTokenCount"]) == (
        4,
        7,
        20,
    )


def test_a_streamed_answer_has_one_id() -> None:
    raw = stream_bytes("openai-chat", sse(*CHAT, done=True), WIRE)
    ids = {json.loads(e[6:])["responseId"] for e in raw.decode().split("\n\n") if e.startswith("data: ")}
    assert len(ids) == 1


CHAT = [
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "s"}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "o"}, "finish_reason": "stop"}]},
]


@each_client
def test_a_stream_that_is_one_array(client: str) -> None:
    """Without `alt=sse`; an upstream that answers so is understood, and a client that wants it gets it."""
    from omniroute.wire.recast import as_stream

    raw = json.dumps(TEXT).replace("}, {", "}\n,\r\n{").encode()
    again = as_stream(raw, wires()[WIRE], {}, lambda prefix: prefix)
    assert said(streamed(WIRE, again, client)) == SO


SIGNED: list[Doc] = [
    {"text": "hm", "thought": True},
    {**call(a=1), "thoughtSignature": "c2lnLWNhbGw="},
    {"text": "so", "thoughtSignature": "c2lnLXRleHQ="},
]


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "anthropic-messages"])
def test_signatures_come_back_wherever_they_stood(client: str) -> None:
    """On a call, on a text: dropping one breaks the next turn (Gemini 3)."""
    doc = plain_doc(WIRE, chunk(*SIGNED, finish="STOP"), client)
    asked: dict[str, Doc] = {
        "openai-chat": {
            "messages": [USER, doc.get("choices", [{}])[0].get("message"), *RESULT["openai-chat"]]
        },
        "openai-responses": {"input": [USER, *doc.get("output", []), *RESULT["openai-responses"]]},
        "anthropic-messages": {
            "max_tokens": 9,
            "messages": [
                USER,
                {"role": "assistant", "content": doc.get("content")},
                *RESULT["anthropic-messages"],
            ],
        },
    }
    body = {"model": "m", **asked[client]}
    text = json.dumps(body)
    id = next(i for i in _call_ids(doc))
    body = json.loads(text.replace("CALL_ID", id))
    found, _ = sent(client, body, WIRE, quirks=frozenset({"thought_signatures"}))
    back = [p["thoughtSignature"] for c in found["contents"] for p in c["parts"] if "thoughtSignature" in p]
    assert "c2lnLWNhbGw=" in back
    assert "c2lnLXRleHQ=" in back


def _call_ids(doc: Any) -> list[str]:
    """The ids of the calls in an answer of any format."""
    if isinstance(doc, list):
        return [id for value in doc for id in _call_ids(value)]
    if not isinstance(doc, dict):
        return []
    if doc.get("type") in ("function", "tool_use", "function_call"):
        return [doc.get("call_id") or doc["id"]]
    return [id for value in doc.values() for id in _call_ids(value)]


USER = {"role": "user", "content": "hi"}
RESULT: dict[str, list[Doc]] = {
    "openai-chat": [{"role": "tool", "tool_call_id": "CALL_ID", "content": "2"}],
    "openai-responses": [{"type": "function_call_output", "call_id": "CALL_ID", "output": "2"}],
    "anthropic-messages": [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "CALL_ID", "content": "2"}]}
    ],
}


def test_a_result_names_its_call() -> None:
    """`functionResponse` needs the name, looked up by the id."""
    messages = [
        USER,
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
                {"id": "c3", "type": "function", "function": {"name": "sub", "arguments": "{}"}},
            ],
        },
        *({"role": "tool", "tool_call_id": id, "content": id} for id in ("c3", "c1", "c2")),
    ]
    found, _ = sent("openai-chat", {"model": "m", "messages": messages}, WIRE)
    parts = [p for c in found["contents"] for p in c["parts"]]
    assert parts[1] == {"text": "I look."}
    assert len([p for p in parts if "functionCall" in p]) == 3
    answers = [p["functionResponse"] for p in parts if "functionResponse" in p]
    assert sorted((a["name"], next(iter(a["response"].values()))) for a in answers) == [
        ("add", "c1"),
        ("add", "c2"),
        ("sub", "c3"),
    ]


# ── requests of its clients ──────────────────────────────────────────────────────────────────────

DECLARED = {
    "name": "add",
    "description": "Adds.",
    "parameters_json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
MIXED: Doc = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "aGk="}}],
        },
        {"role": "model", "parts": [{"function_call": {"name": "add", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"function_response": {"name": "add", "response": {"result": "two"}}}]},
    ],
    "tools": {"functionDeclarations": [DECLARED]},
    "generationConfig": {"thinkingConfig": {"include_thoughts": True, "thinking_budget": 2048}},
}


@pytest.mark.parametrize("target", [*TARGETS, "gemini"])
def test_requests_mix_their_cases(target: str) -> None:
    """google-genai itself does; `tools` may be one object, images and calls come in snake_case."""
    found, notes = sent(WIRE, MIXED, target)
    text = json.dumps(found)
    for word in ("hi", "aGk=", "add", "integer", "two"):
        assert word in text, word
    # Anthropic takes no thinking where the thought behind a call of this turn is not there.
    assert notes.dropped == (["reasoning"] if target == "anthropic-messages" else [])
    if target != "anthropic-messages":
        # Formats without a budget round it to an effort or to a switch.
        assert any(word in text.lower() for word in ("think", "reasoning"))


def test_what_servers_ran_returns_to_gemini_only() -> None:
    """`toolCall`, `toolResponse`, `executableCode`, `codeExecutionResult`."""
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH", "id": "t1"}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH", "id": "t1"}},
        {"text": "so"},
    ]
    asked = {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": parts},
            {"role": "user", "parts": [{"text": "go"}]},
        ]
    }
    same, notes = sent(WIRE, asked, WIRE)
    assert (same["contents"][1]["parts"], notes.dropped) == (parts, [])
    _, notes = sent(WIRE, asked, "openai-chat")
    assert set(notes.dropped) == {"executableCode", "codeExecutionResult", "toolCall", "toolResponse"}


@each_client
def test_what_servers_ran_is_no_call_for_the_client(client: str) -> None:
    doc = chunk(
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"text": "so"},
        finish="STOP",
    )
    found = said(plain(WIRE, doc, client))
    assert (found["text"], found.get("calls"), found["finish"]) == ("so", None, "stop")
