"""What servers of Chat Completions really send, read by every client: a test a trap, named after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.crossing import CLIENTS, counted, failed, plain, plain_doc, said, sent, sse, streamed

each_client = pytest.mark.parametrize("client", CLIENTS)
CHAT = "openai-chat"


def chunk(delta: dict[str, Any], finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def calls(*deltas: dict[str, Any], **more: Any) -> dict[str, Any]:
    return chunk({"tool_calls": list(deltas), **more})


def call(name: str = "", arguments: str = "", **more: Any) -> dict[str, Any]:
    function = {**({"name": name} if name else {}), "arguments": arguments}
    return {"function": function, **more}


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
STOP = chunk({}, "stop")
CALLED = {"calls": [("add", {"a": 1})], "finish": "tool"}

STREAMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "reasoning_content": (
        sse(chunk({"reasoning_content": "hm"}), chunk({"content": "so"}), STOP, done=True),
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "reasoning": (
        sse(chunk({"reasoning": "hm", "channel": "analysis"}), chunk({"content": "so"}), STOP, done=True),
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "reasoning_details": (
        sse(
            chunk({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
            chunk({"content": "so"}),
            STOP,
            done=True,
        ),
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "thinking in a list of content (Mistral)": (
        sse(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            chunk({"content": [{"type": "text", "text": "so"}]}),
            STOP,
            done=True,
        ),
        {"reasoning": "hm", "text": "so", "finish": "stop"},
    ),
    "an empty first chunk with filters (Azure)": (
        sse(
            {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{"index": 0}]},
            chunk({"role": "assistant", "content": "so"}, obfuscation="xyz", p="abc"),
            STOP,
            done=True,
        ),
        {"text": "so", "finish": "stop"},
    ),
    "a whole call without type and index (Mistral)": (
        sse(calls(call("add", '{"a": 1}', id="c1")), chunk({}, "tool_calls"), done=True),
        CALLED,
    ),
    "a whole call beside the finish": (
        sse(chunk({"tool_calls": [call("add", '{"a": 1}', id="c1", index=0)]}, "tool_calls"), done=True),
        CALLED,
    ),
    "an empty id on later deltas (Alibaba)": (
        sse(
            calls(call("add", "", id="c1", index=0, type="function")),
            calls(call("", '{"a"', id="", index=0)),
            calls(call("", ": 1}", id="", index=0)),
            chunk({}, "tool_calls"),
            done=True,
        ),
        CALLED,
    ),
    "a repeated role": (
        sse(chunk({"role": "assistant", "content": "s"}), chunk({"role": "assistant", "content": "o"}), STOP),
        {"text": "so", "finish": "stop"},
    ),
    "empty words mean absent (Snowflake)": (
        sse(
            chunk({"content": "so", "refusal": "", "audio": {"data": ""}, "tool_calls": []}, ""),
            chunk({"function_call": {"name": "", "arguments": ""}}, ""),
            STOP,
            done=True,
        ),
        {"text": "so", "finish": "stop"},
    ),
    "eos (Together)": (
        sse(chunk({"content": "so"}), chunk({}, "eos"), done=True),
        {"text": "so", "finish": "stop"},
    ),
    "a call that ends with stop (Snowflake)": (
        sse(calls(call("add", '{"a": 1}', id="c1", index=0)), STOP, done=True),
        CALLED,
    ),
    "message beside delta (Writer, Perplexity), and no [DONE]": (
        sse(
            {
                "id": "c",
                "model": "m",
                "created": 1,
                "citations": ["https://a.example"],
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": "so"},
                        "message": {"role": "assistant", "content": "so"},
                        "finish_reason": "stop",
                    }
                ],
            }
        ),
        {"text": "so", "finish": "stop"},
    ),
    "comments and a finish in two chunks (OpenRouter)": (
        sse(
            ": OPENROUTER PROCESSING",
            chunk({"content": "so"}),
            chunk({"content": ""}, "stop", native_finish_reason="completed"),
            chunk({"content": ""}, "stop"),
            done=True,
        ),
        {"text": "so", "finish": "stop"},
    ),
    "calls in between reasoning": (
        sse(
            chunk({"reasoning_content": "hm"}),
            calls(call("add", '{"a": 1}', id="c1", index=0)),
            chunk({"reasoning_content": "ah"}),
            calls(call("sub", '{"b": 2}', id="c2", index=1)),
            chunk({}, "tool_calls"),
            done=True,
        ),
        {"reasoning": "hmah", "calls": [("add", {"a": 1}), ("sub", {"b": 2})], "finish": "tool"},
    ),
    "fragments of two calls that interleave": (
        sse(
            calls(call("add", "", id="c1", index=0), call("sub", "", id="c2", index=1)),
            calls(call("", '{"b"', index=1)),
            calls(call("", '{"a"', index=0)),
            calls(call("", ": 1}", index=0), call("", ": 2}", index=1)),
            chunk({}, "tool_calls"),
            done=True,
        ),
        {"calls": [("add", {"a": 1}), ("sub", {"b": 2})], "finish": "tool"},
    ),
    "legacy function_call": (
        sse(
            chunk({"function_call": {"name": "add", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"a": 1}'}}),
            chunk({}, "function_call"),
            done=True,
        ),
        CALLED,
    ),
}


@each_client
@pytest.mark.parametrize("trap", STREAMS)
def test_streams(trap: str, client: str) -> None:
    raw, meaning = STREAMS[trap]
    assert said(streamed(CHAT, raw, client)) == meaning


USAGES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "in a chunk without choices": (
        sse(chunk({"content": "so"}), STOP, {"id": "c", "choices": [], "usage": USAGE}, done=True),
        (9, 4, 0, 0),
    ),
    "beside the finish": (sse(chunk({"content": "so"}), {**STOP, "usage": USAGE}, done=True), (9, 4, 0, 0)),
    "in every chunk, cumulative (Perplexity)": (
        sse(
            chunk({"content": "s"}, usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}),
            chunk({"content": "o"}, usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}),
            {**STOP, "usage": USAGE},
            done=True,
        ),
        (9, 4, 0, 0),
    ),
    "twice (Groq)": (
        sse(
            chunk({"content": "so"}),
            {**STOP, "usage": USAGE, "x_groq": {"id": "r", "usage": USAGE}},
            {"id": "c", "choices": [], "usage": USAGE},
            done=True,
        ),
        (9, 4, 0, 0),
    ),
    "reasoning that completion_tokens leaves out (xAI)": (
        sse(
            chunk({"content": "so"}),
            {
                **STOP,
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 4,
                    "total_tokens": 20,
                    "completion_tokens_details": {"reasoning_tokens": 7},
                },
            },
            done=True,
        ),
        (9, 11, 0, 7),
    ),
    "cached tokens in the details": (
        sse(
            chunk({"content": "so"}),
            {**STOP, "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}},
        ),
        (9, 4, 5, 0),
    ),
    "cached tokens beside them (Moonshot)": (
        sse(chunk({"content": "so"}), {**STOP, "usage": {**USAGE, "cached_tokens": 5}}),
        (9, 4, 5, 0),
    ),
    "cached tokens as hits (DeepSeek)": (
        sse(chunk({"content": "so"}), {**STOP, "usage": {**USAGE, "prompt_cache_hit_tokens": 5}}),
        (9, 4, 5, 0),
    ),
}


@each_client
@pytest.mark.parametrize("trap", USAGES)
def test_usage(trap: str, client: str) -> None:
    raw, tokens = USAGES[trap]
    assert counted(streamed(CHAT, raw, client)) == tokens


@each_client
def test_an_error_event_ends_a_good_stream(client: str) -> None:
    """Groq: `event: error`, a failed generation, and no `[DONE]`."""
    error = {
        "message": "Failed to call",
        "code": "tool_use_failed",
        "failed_generation": "x",
        "status_code": 400,
    }
    raw = sse(chunk({"content": "so"})) + b"event: error\n" + sse({"error": error})
    assert said(streamed(CHAT, raw, client))["error"] in ("invalid", "server")


@each_client
@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"error": {"message": "Bad", "type": "invalid_request_error", "param": "x"}}, "invalid", "Bad"),
        (429, {"error": {"code": "RateLimit", "message": "Slow down"}}, "rate_limit", "Slow down"),
        (
            502,
            {"error": {"code": 502, "message": "Provider", "metadata": {"raw": "it fell over"}}},
            "server",
            "it fell over",
        ),
        (400, {"detail": "Unknown field"}, "invalid", "Unknown field"),
        (400, {"detail": [{"loc": ["body", "x"], "msg": "not allowed"}]}, "invalid", "not allowed"),
        (500, {"error": {"message": "oops", "type": "api_error"}}, "server", "oops"),
        (500, {"error": "just words"}, "server", "just words"),
    ],
    ids=["openai", "azure", "openrouter", "mistral", "validation", "ollama-cloud", "text"],
)
def test_error_bodies(status: int, body: Any, kind: str, words: str, client: str) -> None:
    found, failure = failed(CHAT, status, body, client)
    assert (found, failure.kind) == (status, kind)
    assert words in failure.message


@each_client
def test_tool_calls_of_type_custom(client: str) -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
    }
    doc = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    found = said(plain(CHAT, doc, client))
    assert found["calls"][0] in [("sh", "ls"), ("sh", {"input": "ls"})]


@pytest.mark.parametrize("client", ["openai-chat", "gemini"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_choices_are_not_merged(client: str, stream: bool) -> None:
    """Formats with one choice get the first one: see the next test."""
    if stream:
        raw = sse(
            chunk({"content": "Not"}, index=1),
            chunk({"content": "Hello"}, index=0),
            chunk({"content": " much"}, "stop", index=1),
            chunk({}, "stop", index=0),
            done=True,
        )
        meaning = streamed(CHAT, raw, client)
    else:
        meaning = plain(CHAT, TWO, client)
    assert ["".join(c.texts) for c in meaning.choices] == ["Hello", "Not much"]


TWO = {
    "id": "c",
    "model": "m",
    "choices": [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in enumerate(["Hello", "Not much"])
    ],
}


@pytest.mark.parametrize("client", ["openai-responses", "anthropic-messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_of_several_choices_the_first_alone_is_told(client: str, stream: bool) -> None:
    raw = sse(
        chunk({"content": "Not"}, index=1),
        chunk({"content": "Hello"}, index=0),
        chunk({}, "stop", index=1),
        chunk({}, "stop", index=0),
        done=True,
    )
    meaning = streamed(CHAT, raw, client) if stream else plain(CHAT, TWO, client)
    assert ["".join(c.texts) for c in meaning.choices] == ["Hello"]


@each_client
def test_fields_that_choke_sdks_stay_away(client: str) -> None:
    doc = {
        **TWO,
        "choices": TWO["choices"][:1],  # type: ignore[index]  # a list
        "x_groq": {"id": "r"},
        "usage_breakdown": {},
        "provider": "P",
        "service_tier": "on_demand",
    }
    text = json.dumps(plain_doc(CHAT, doc, client))
    assert not any(word in text for word in ("x_groq", "usage_breakdown", "on_demand", '"provider"'))


ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("target", "stop"),
    [
        ("anthropic-messages", ("stop_sequences",)),
        ("gemini", ("generationConfig", "stopSequences")),
        ("cohere", ("stop_sequences",)),
        ("ollama", ("options", "stop")),
    ],
)
def test_stop_may_be_a_string(target: str, stop: tuple[str, ...]) -> None:
    found, _ = sent(CHAT, {**ASKED, "stop": "END"}, target)
    for name in stop:
        found = found[name]
    assert found == ["END"]


FUNCTIONS = [{"name": name, "parameters": {"type": "object", "properties": {}}} for name in ("add", "sub")]
TOOLS = [{"type": "function", "function": f} for f in FUNCTIONS]


@pytest.mark.parametrize("target", ["openai-responses", "anthropic-messages", "gemini", "cohere", "ollama"])
def test_legacy_functions_are_tools(target: str) -> None:
    found, _ = sent(CHAT, {**ASKED, "functions": FUNCTIONS, "function_call": {"name": "add"}}, target)
    text = json.dumps(found["tools"])
    assert "add" in text
    legacy = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 1}'}},
        {"role": "function", "name": "add", "content": "2"},
    ]
    found, notes = sent(CHAT, {"model": "m", "messages": legacy, "functions": FUNCTIONS}, target)
    assert notes.dropped == []
    body = json.dumps({k: v for k, v in found.items() if k != "tools"})
    assert "add" in body and '2"' in body.replace("'", '"')


@pytest.mark.parametrize(
    ("target", "choice"),
    [
        (
            "openai-responses",
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]},
        ),
        ("anthropic-messages", {"type": "tool", "name": "add"}),
        ("gemini", {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}}),
        ("cohere", "REQUIRED"),
    ],
)
def test_allowed_tools(target: str, choice: Any) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "add"}}]}
    asked = {**ASKED, "tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}
    found, notes = sent(CHAT, asked, target)
    said_choice = found.get("tool_choice", found.get("toolConfig"))
    if said_choice == {"type": "any"}:
        # A choice among some is made by leaving the others out.
        assert [tool["name"] for tool in found["tools"]] == ["add"]
    else:
        assert said_choice == choice
    assert notes.dropped == []


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize("target", ["openai-responses", "anthropic-messages", "gemini", "cohere", "ollama"])
def test_effort_and_schemas_have_equals_elsewhere(target: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "N", "schema": SCHEMA}}
    asked = {**ASKED, "reasoning_effort": "high", "response_format": form}
    found, notes = sent(CHAT, asked, target, quirks=frozenset({"structured_output"}))
    assert notes.dropped == []
    text = json.dumps(found).lower()
    assert '"integer"' in text
    assert "think" in text or '"reasoning"' in text
