"""One answer, written by us in each of the four formats, plain and streamed: some thought, some text, one tool call."""

from __future__ import annotations

from typing import Any

from omniroute.testing import Scripted, sse
from tests.support.aws_events import message

THOUGHT = "The user asks for the weather."
TEXT = "I look it up: "
TOOL = "look_up_weather"
ARGUMENTS = {"city": "Orvieto", "days": 2}
FRAGMENTS = ('{"city": "Orv', 'ieto", "days"', ": 2}")
SIGNED = "c2lnbmVk"
"""The provider's proof of its thought, wherever a format has a place for one."""
INPUT, CACHED, OUTPUT, REASONING = 40, 16, 25, 9

Doc = dict[str, Any]

CHAT_USAGE: Doc = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "total_tokens": INPUT + OUTPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens_details": {"reasoning_tokens": REASONING},
}
CHAT: Doc = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": TEXT,
                "reasoning_content": THOUGHT,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": TOOL, "arguments": "".join(FRAGMENTS)},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": CHAT_USAGE,
}


def _chunk(delta: Doc, finish: str | None = None, **more: Any) -> Doc:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def _call(function: Doc, **more: Any) -> Doc:
    return _chunk({"tool_calls": [{"index": 0, **more, "function": function}]})


CHAT_STREAM = sse(
    _chunk({"role": "assistant", "reasoning_content": THOUGHT[:12]}),
    _chunk({"reasoning_content": THOUGHT[12:]}),
    _chunk({"content": TEXT[:4]}),
    _chunk({"content": TEXT[4:]}),
    _call({"name": TOOL, "arguments": ""}, id="call_1", type="function"),
    *[_call({"arguments": fragment}) for fragment in FRAGMENTS],
    _chunk({}, "tool_calls"),
    {**_chunk({}), "choices": [], "usage": CHAT_USAGE},
    done=True,
)

REASONING_ITEM: Doc = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": THOUGHT}],
    "encrypted_content": SIGNED,
    "status": "completed",
}
MESSAGE_ITEM: Doc = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
}
CALL_ITEM: Doc = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": TOOL,
    "arguments": "".join(FRAGMENTS),
    "status": "completed",
}
RESPONSE: Doc = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "m",
    "output": [REASONING_ITEM, MESSAGE_ITEM, CALL_ITEM],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "usage": {
        "input_tokens": INPUT,
        "input_tokens_details": {"cached_tokens": CACHED},
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": REASONING},
        "total_tokens": INPUT + OUTPUT,
    },
}
STARTED: Doc = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}


def _responses_stream() -> list[str]:
    part = {"type": "output_text", "text": "", "annotations": []}
    summary = {"type": "summary_text", "text": ""}
    r, m, c = (
        {"item_id": "rs_1", "output_index": 0, "summary_index": 0},
        {"item_id": "msg_1", "output_index": 1, "content_index": 0},
        {"item_id": "fc_1", "output_index": 2},
    )
    events: list[tuple[str, Doc]] = [
        ("response.created", {"response": STARTED}),
        ("response.in_progress", {"response": STARTED}),
        (
            "response.output_item.added",
            {"output_index": 0, "item": {**REASONING_ITEM, "summary": [], "status": "in_progress"}},
        ),
        ("response.reasoning_summary_part.added", {**r, "part": summary}),
        ("response.reasoning_summary_text.delta", {**r, "delta": THOUGHT}),
        ("response.reasoning_summary_text.done", {**r, "text": THOUGHT}),
        ("response.reasoning_summary_part.done", {**r, "part": {**summary, "text": THOUGHT}}),
        ("response.output_item.done", {"output_index": 0, "item": REASONING_ITEM}),
        (
            "response.output_item.added",
            {"output_index": 1, "item": {**MESSAGE_ITEM, "content": [], "status": "in_progress"}},
        ),
        ("response.content_part.added", {**m, "part": part}),
        ("response.output_text.delta", {**m, "delta": TEXT, "logprobs": []}),
        ("response.output_text.done", {**m, "text": TEXT, "logprobs": []}),
        ("response.content_part.done", {**m, "part": {**part, "text": TEXT}}),
        ("response.output_item.done", {"output_index": 1, "item": MESSAGE_ITEM}),
        (
            "response.output_item.added",
            {"output_index": 2, "item": {**CALL_ITEM, "arguments": "", "status": "in_progress"}},
        ),
        *[("response.function_call_arguments.delta", {**c, "delta": f}) for f in FRAGMENTS],
        ("response.function_call_arguments.done", {**c, "name": TOOL, "arguments": "".join(FRAGMENTS)}),
        ("response.output_item.done", {"output_index": 2, "item": CALL_ITEM}),
        ("response.completed", {"response": RESPONSE}),
    ]
    return sse(
        *[(name, {"type": name, "sequence_number": n, **inner}) for n, (name, inner) in enumerate(events)]
    )


ANTHROPIC_USAGE: Doc = {
    "input_tokens": INPUT - CACHED,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": CACHED,
    "output_tokens": OUTPUT,
    "output_tokens_details": {"thinking_tokens": REASONING},
}
MESSAGE: Doc = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": THOUGHT, "signature": SIGNED},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": ARGUMENTS},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": ANTHROPIC_USAGE,
}


def _anthropic_stream() -> list[str]:
    def start(index: int, block: Doc) -> Doc:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def delta(index: int, kind: str, **inner: str) -> Doc:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **inner}}

    def stop(index: int) -> Doc:
        return {"type": "content_block_stop", "index": index}

    head = {**MESSAGE, "content": [], "stop_reason": None, "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}
    events: list[Doc] = [
        {"type": "message_start", "message": head},
        start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        {"type": "ping"},
        delta(0, "thinking_delta", thinking=THOUGHT),
        delta(0, "signature_delta", signature=SIGNED),
        stop(0),
        start(1, {"type": "text", "text": ""}),
        delta(1, "text_delta", text=TEXT),
        stop(1),
        start(2, {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {}}),
        delta(2, "input_json_delta", partial_json=""),
        *[delta(2, "input_json_delta", partial_json=f) for f in FRAGMENTS],
        stop(2),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": ANTHROPIC_USAGE,
        },
        {"type": "message_stop"},
    ]
    return sse(*[(e["type"], e) for e in events])


GEMINI_USAGE: Doc = {
    "promptTokenCount": INPUT,
    "cachedContentTokenCount": CACHED,
    "candidatesTokenCount": OUTPUT - REASONING,
    "thoughtsTokenCount": REASONING,
    "totalTokenCount": INPUT + OUTPUT,
}
GEMINI_PARTS: list[Doc] = [
    {"text": THOUGHT, "thought": True},
    {"text": TEXT},
    {"functionCall": {"name": TOOL, "args": ARGUMENTS}, "thoughtSignature": SIGNED},
]
GEMINI: Doc = {
    "candidates": [{"content": {"role": "model", "parts": GEMINI_PARTS}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": GEMINI_USAGE,
    "modelVersion": "m",
    "responseId": "r1",
}


def _gemini_chunk(part: Doc, **more: Any) -> Doc:
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": GEMINI_USAGE, "modelVersion": "m", "responseId": "r1"}


GEMINI_STREAM = sse(
    _gemini_chunk(GEMINI_PARTS[0]),
    _gemini_chunk({"text": TEXT[:5]}),
    _gemini_chunk({"text": TEXT[5:]}),
    _gemini_chunk(GEMINI_PARTS[2]),
    _gemini_chunk({"text": ""}, finishReason="STOP"),
)

CONVERSE: Doc = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": SIGNED}}},
                {"text": TEXT},
                {"toolUse": {"toolUseId": "tooluse_1", "name": TOOL, "input": ARGUMENTS}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": INPUT - CACHED,
        "outputTokens": OUTPUT,
        "totalTokens": INPUT + OUTPUT,
        "cacheReadInputTokens": CACHED,
        "cacheWriteInputTokens": 0,
    },
    "metrics": {"latencyMs": 7},
}


def _converse_stream() -> list[bytes]:
    def delta(index: int, **inner: Any) -> bytes:
        return message("contentBlockDelta", {"contentBlockIndex": index, "delta": inner})

    def stop(index: int) -> bytes:
        return message("contentBlockStop", {"contentBlockIndex": index})

    call = {"toolUse": {"toolUseId": "tooluse_1", "name": TOOL}}
    return [
        message("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": THOUGHT}),
        delta(0, reasoningContent={"signature": SIGNED}),
        stop(0),
        delta(1, text=TEXT[:5]),
        delta(1, text=TEXT[5:]),
        stop(1),
        message("contentBlockStart", {"contentBlockIndex": 2, "start": call}),
        *[delta(2, toolUse={"input": fragment}) for fragment in FRAGMENTS],
        stop(2),
        message("messageStop", {"stopReason": "tool_use"}),
        message("metadata", {"usage": CONVERSE["usage"], "metrics": {"latencyMs": 7}}),
    ]


PLAIN: dict[str, Doc] = {
    "openai-chat": CHAT,
    "openai-responses": RESPONSE,
    "anthropic-messages": MESSAGE,
    "gemini": GEMINI,
    "bedrock-converse": CONVERSE,
    "anthropic-vertex": MESSAGE,
}
STREAMS: dict[str, list[str] | list[bytes]] = {
    "openai-chat": CHAT_STREAM,
    "openai-responses": _responses_stream(),
    "anthropic-messages": _anthropic_stream(),
    "gemini": GEMINI_STREAM,
    "bedrock-converse": _converse_stream(),
    "anthropic-vertex": _anthropic_stream(),
}
CUT_AFTER = {
    "openai-chat": 4,
    "openai-responses": 11,
    "anthropic-messages": 8,
    "gemini": 3,
    "bedrock-converse": 7,
    "anthropic-vertex": 8,
}
"""So many events of each stream bring the thought and the text, and no more."""

UNCOUNTED = ("bedrock-converse",)
"""Formats that do not say how many tokens were thought."""

LIMITED: dict[str, Doc] = {
    "openai-chat": {
        "error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": None}
    },
    "openai-responses": {
        "error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": None}
    },
    "anthropic-messages": {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}},
    "gemini": {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}},
    "bedrock-converse": {"message": "Slow down."},
    "anthropic-vertex": {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}},
}
"""A refusal with 429 in each format."""


def answer(wire: str, stream: bool) -> Scripted:
    if not stream:
        return Scripted(json=PLAIN[wire])
    return Scripted(chunks=STREAMS[wire], content_type=TYPES.get(wire))


def cut(wire: str) -> Scripted:
    """A stream whose connection breaks after the text."""
    return Scripted(chunks=STREAMS[wire][: CUT_AFTER[wire]], content_type=TYPES.get(wire), cut=True)


TYPES = {"bedrock-converse": "application/vnd.amazon.eventstream"}
"""Formats whose streams are no server-sent events."""
