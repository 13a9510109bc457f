"""What Cohere, Bedrock and Ollama really send: a test a trap, named after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import recordings
from tests.support.crossing import CLIENTS, counted, said, sent, streamed, wires

Doc = dict[str, Any]
each_client = pytest.mark.parametrize("client", CLIENTS)


def cohere(*docs: Doc, done: bool = True) -> bytes:
    raw = "".join(f"event: {doc['type']}\ndata: {json.dumps(doc)}\n\n" for doc in docs)
    return (raw + "data: [DONE]\n\n" * done).encode()


def tool_call(**function: Any) -> Doc:
    inner = {"id": "c1", "type": "function", "function": function}
    return {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": inner}}}


def tool_delta(arguments: Any) -> Doc:
    inner = {"function": {"arguments": arguments}}
    return {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": inner}}}


BEGIN: Doc = {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}}
PLAN: Doc = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "hm"}}}
ENDED: Doc = {"type": "tool-call-end", "index": 0}
OVER: Doc = {
    "type": "message-end",
    "delta": {
        "finish_reason": "TOOL_CALL",
        "usage": {
            "billed_units": {"input_tokens": 3, "output_tokens": 2},
            "tokens": {"input_tokens": 9, "output_tokens": 4},
        },
    },
}


@each_client
@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ([tool_call(name="add", arguments=""), tool_delta('{"a"'), tool_delta(": 1}")], {"a": 1}),
        ([tool_call(name="add", arguments="")], {}),
        ([tool_call(name="add", arguments=None), tool_delta(None)], {}),
    ],
    ids=["in pieces", "none", "null"],
)
def test_cohere_plans_and_calls(pieces: list[Doc], arguments: Doc, client: str) -> None:
    """The plan is what it thinks; `tokens` are what was used, `billed_units` differ."""
    meaning = streamed("cohere", cohere(BEGIN, PLAN, *pieces, ENDED, OVER), client)
    found = said(meaning)
    assert (found["calls"], found["finish"]) == ([("add", arguments)], "tool")
    assert "hm" in found.get("reasoning", "") + found.get("text", "")
    assert counted(meaning)[:2] == (9, 4)


@pytest.mark.parametrize("done", [False, True], ids=["no [DONE]", "[DONE]"])
def test_cohere_ends_with_or_without_done(done: bool) -> None:
    raw = cohere(BEGIN, tool_call(name="add", arguments="{}"), ENDED, OVER, done=done)
    assert said(streamed("cohere", raw, "openai-chat"))["finish"] == "tool"


@each_client
@pytest.mark.parametrize("name", recordings.ids("cohere-chat", streaming=True))
def test_recorded_streams_of_cohere(name: str, client: str) -> None:
    """v1 streams are lines, another API: what is no v2 stream is broken, never an empty good answer."""
    body = recordings.load(name).body
    found = said(streamed("cohere", body.encode() if isinstance(body, str) else b"", client))
    assert found.get("text") or found.get("calls") or "error" in found


@each_client
def test_ollama_lines_with_arguments_as_an_object_and_no_ids(client: str) -> None:
    calls = [{"function": {"name": name, "arguments": {"a": 1}}} for name in ("add", "sub")]
    lines: list[Doc] = [
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": False},
        {
            "model": "m",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 9,
            "eval_count": 4,
        },
    ]
    raw = "".join(json.dumps(line) + "\n" for line in lines).encode()
    meaning = streamed("ollama", raw, client)
    assert said(meaning) == {
        "reasoning": "hm",
        "calls": [("add", {"a": 1}), ("sub", {"a": 1})],
        "finish": "tool",
    }
    assert counted(meaning)[:2] == (9, 4)


def test_ollama_takes_arguments_as_an_object() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
    ]
    found, _ = sent("openai-chat", {"model": "m", "messages": messages}, "ollama")
    assert found["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert found["messages"][2]["tool_name"] == "add"


def test_bedrock_tells_usage_after_the_end() -> None:
    """`metadata` comes after `messageStop`; both belong to the answer."""
    from omniroute.wire.codec import Event
    from omniroute.wire.conversation import End, Finished, UsageDelta

    reader = wires()["bedrock-converse"].reader()
    events = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "so"}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}}),
    ]
    deltas = [d for name, doc in events for d in reader.feed(Event(name, json.dumps(doc).encode()))]
    deltas += reader.end()
    kinds = [type(d) for d in deltas if isinstance(d, Finished | UsageDelta | End)]
    assert UsageDelta in kinds and kinds[-1] is End
    usage = next(d.usage for d in deltas if isinstance(d, UsageDelta))
    assert (usage.input, usage.output) == (9, 4)
