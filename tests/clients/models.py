"""A model of our own behind each wire format: it asks for one command, and tells what the command printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omniroute.testing import sse

THOUGHT = "A command will tell."
SIGNATURE = "c2lnbmVkLWJ5LXRoZS1tb2RlbA=="
CALL = "call_1"

Doc = dict[str, Any]


@dataclass(frozen=True)
class Speech:
    """How a provider of one wire format says things, and what it finds in a request.

    `call` streams a thought with its signature and then one call; `say` streams a text. `results` are the texts of the
    tool results in a request, `signed` tells whether the signature of `call` came back where it belongs, `tools` are
    the names of the tools offered.
    """

    call: Callable[[str, Doc], list[str]]
    say: Callable[[str], list[str]]
    results: Callable[[Doc], list[str]]
    signed: Callable[[Doc], bool]
    tools: Callable[[Doc], list[str]]
    error: Callable[[int, str], Doc]


# ── openai-chat ──────────────────────────────────────────────────────────────────────────────────


def _chat_chunk(delta: Doc, finish: str | None = None, usage: Doc | None = None) -> Doc:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "agent",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **({"usage": usage} if usage else {}),
    }


_CHAT_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _chat_call(name: str, arguments: Doc) -> list[str]:
    text = json.dumps(arguments)
    half = len(text) // 2
    signed = {"type": "reasoning.text", "text": THOUGHT, "signature": SIGNATURE, "format": "x", "index": 0}
    first = {"index": 0, "id": CALL, "type": "function", "function": {"name": name, "arguments": text[:half]}}
    return sse(
        _chat_chunk({"role": "assistant", "content": ""}),
        _chat_chunk({"reasoning": THOUGHT, "reasoning_details": [signed]}),
        _chat_chunk({"tool_calls": [first]}),
        _chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": text[half:]}}]}),
        _chat_chunk({}, "tool_calls", _CHAT_USAGE),
        done=True,
    )


def _chat_say(text: str) -> list[str]:
    half = len(text) // 2
    return sse(
        _chat_chunk({"role": "assistant", "content": ""}),
        _chat_chunk({"content": text[:half]}),
        _chat_chunk({"content": text[half:]}),
        _chat_chunk({}, "stop", _CHAT_USAGE),
        done=True,
    )


def _chat_results(doc: Doc) -> list[str]:
    return [json.dumps(message["content"]) for message in doc["messages"] if message["role"] == "tool"]


def _chat_signed(doc: Doc) -> bool:
    details = [entry for message in doc["messages"] for entry in message.get("reasoning_details", [])]
    return any(entry.get("signature") == SIGNATURE and entry.get("text") == THOUGHT for entry in details)


def _chat_tools(doc: Doc) -> list[str]:
    return [tool["function"]["name"] for tool in doc.get("tools", [])]


def _chat_error(status: int, message: str) -> Doc:
    return {"error": {"message": message, "type": "rate_limit_error", "code": None, "param": None}}


# ── anthropic-messages ───────────────────────────────────────────────────────────────────────────


def _anthropic(*events: Doc, stop: str) -> list[str]:
    message: Doc = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "agent",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 1},
    }
    all_events = (
        {"type": "message_start", "message": message},
        *events,
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop"},
    )
    return sse(*[(event["type"], event) for event in all_events])


def _block(index: int, start: Doc, *deltas: Doc) -> list[Doc]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


def _anthropic_call(name: str, arguments: Doc) -> list[str]:
    text = json.dumps(arguments)
    half = len(text) // 2
    return _anthropic(
        *_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": THOUGHT},
            {"type": "signature_delta", "signature": SIGNATURE},
        ),
        *_block(
            1,
            {"type": "tool_use", "id": CALL, "name": name, "input": {}},
            {"type": "input_json_delta", "partial_json": text[:half]},
            {"type": "input_json_delta", "partial_json": text[half:]},
        ),
        stop="tool_use",
    )


def _anthropic_say(text: str) -> list[str]:
    half = len(text) // 2
    return _anthropic(
        *_block(
            0,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": text[:half]},
            {"type": "text_delta", "text": text[half:]},
        ),
        stop="end_turn",
    )


def _anthropic_blocks(doc: Doc, kind: str) -> list[Doc]:
    lists = [message["content"] for message in doc["messages"] if isinstance(message["content"], list)]
    return [block for blocks in lists for block in blocks if block["type"] == kind]


def _anthropic_results(doc: Doc) -> list[str]:
    return [json.dumps(block["content"]) for block in _anthropic_blocks(doc, "tool_result")]


def _anthropic_signed(doc: Doc) -> bool:
    blocks = _anthropic_blocks(doc, "thinking")
    return any(block["signature"] == SIGNATURE and block["thinking"] == THOUGHT for block in blocks)


def _anthropic_tools(doc: Doc) -> list[str]:
    return [tool["name"] for tool in doc.get("tools", [])]


def _anthropic_error(status: int, message: str) -> Doc:
    return {"type": "error", "error": {"type": "rate_limit_error", "message": message}}


# ── gemini ───────────────────────────────────────────────────────────────────────────────────────


def _gemini_chunk(parts: list[Doc], finish: str | None = None) -> Doc:
    candidate: Doc = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
        "modelVersion": "agent",
        "responseId": "response-1",
    }


def _gemini_call(name: str, arguments: Doc) -> list[str]:
    call = {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": SIGNATURE}
    return sse(
        _gemini_chunk([{"text": THOUGHT, "thought": True}]),
        _gemini_chunk([call]),
        _gemini_chunk([{"text": ""}], "STOP"),
    )


def _gemini_say(text: str) -> list[str]:
    half = len(text) // 2
    return sse(_gemini_chunk([{"text": text[:half]}]), _gemini_chunk([{"text": text[half:]}], "STOP"))


def _gemini_parts(doc: Doc, kind: str) -> list[Doc]:
    return [part for content in doc["contents"] for part in content.get("parts", []) if kind in part]


def _gemini_results(doc: Doc) -> list[str]:
    parts = _gemini_parts(doc, "functionResponse")
    return [json.dumps(part["functionResponse"]["response"]) for part in parts]


def _gemini_signed(doc: Doc) -> bool:
    return any(part.get("thoughtSignature") == SIGNATURE for part in _gemini_parts(doc, "functionCall"))


def _gemini_tools(doc: Doc) -> list[str]:
    return [
        declared["name"] for tool in doc.get("tools", []) for declared in tool.get("functionDeclarations", [])
    ]


def _gemini_error(status: int, message: str) -> Doc:
    return {"error": {"code": status, "message": message, "status": "RESOURCE_EXHAUSTED"}}


# ── openai-responses ─────────────────────────────────────────────────────────────────────────────


def _responses(items: list[tuple[Doc, list[Doc]]]) -> list[str]:
    """A stream of output items, each with the events between its beginning and its end."""
    base = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "agent"}
    events: list[Doc] = [
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}}
    ]
    for index, (item, between) in enumerate(items):
        begun = {**item, **({"status": "in_progress"} if "status" in item else {})}
        at = {"output_index": index, "item_id": item["id"]}
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        events += [{**at, **event} for event in between]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    usage = {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    }
    output = [item for item, _ in items]
    whole = {**base, "status": "completed", "output": output, "usage": usage}
    events.append({"type": "response.completed", "response": whole})
    return sse(*[(event["type"], {**event, "sequence_number": n}) for n, event in enumerate(events)])


def _responses_call(name: str, arguments: Doc) -> list[str]:
    text = json.dumps(arguments)
    half = len(text) // 2
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": THOUGHT}],
        "encrypted_content": SIGNATURE,
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": CALL,
        "name": name,
        "arguments": text,
        "status": "completed",
    }
    part = {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
    summary = "response.reasoning_summary"
    return _responses(
        [
            (
                reasoning,
                [
                    {"type": f"{summary}_part.added", **part},
                    {"type": f"{summary}_text.delta", "summary_index": 0, "delta": THOUGHT},
                    {"type": f"{summary}_text.done", "summary_index": 0, "text": THOUGHT},
                    {"type": f"{summary}_part.done", **part},
                ],
            ),
            (
                call,
                [
                    {"type": "response.function_call_arguments.delta", "delta": text[:half]},
                    {"type": "response.function_call_arguments.delta", "delta": text[half:]},
                    {"type": "response.function_call_arguments.done", "arguments": text},
                ],
            ),
        ]
    )


def _responses_say(text: str) -> list[str]:
    half = len(text) // 2
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part], "status": "completed"}
    return _responses(
        [
            (
                item,
                [
                    {
                        "type": "response.content_part.added",
                        "content_index": 0,
                        "part": {**part, "text": ""},
                    },
                    {"type": "response.output_text.delta", "content_index": 0, "delta": text[:half]},
                    {"type": "response.output_text.delta", "content_index": 0, "delta": text[half:]},
                    {"type": "response.output_text.done", "content_index": 0, "text": text},
                    {"type": "response.content_part.done", "content_index": 0, "part": part},
                ],
            )
        ]
    )


def _responses_items(doc: Doc, kind: str) -> list[Doc]:
    return [item for item in doc["input"] if item.get("type") == kind]


def _responses_results(doc: Doc) -> list[str]:
    return [json.dumps(item["output"]) for item in _responses_items(doc, "function_call_output")]


def _responses_signed(doc: Doc) -> bool:
    items = _responses_items(doc, "reasoning")
    return any(item.get("encrypted_content") == SIGNATURE for item in items)


def _responses_tools(doc: Doc) -> list[str]:
    return [tool["name"] for tool in doc.get("tools", []) if "name" in tool]


SPEECHES = {
    "openai-chat": Speech(_chat_call, _chat_say, _chat_results, _chat_signed, _chat_tools, _chat_error),
    "anthropic-messages": Speech(
        _anthropic_call,
        _anthropic_say,
        _anthropic_results,
        _anthropic_signed,
        _anthropic_tools,
        _anthropic_error,
    ),
    "gemini": Speech(
        _gemini_call, _gemini_say, _gemini_results, _gemini_signed, _gemini_tools, _gemini_error
    ),
    "openai-responses": Speech(
        _responses_call,
        _responses_say,
        _responses_results,
        _responses_signed,
        _responses_tools,
        _chat_error,
    ),
}
