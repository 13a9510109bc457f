"""Small answers of our own, in each upstream format, to script a `FakeUpstream` with."""

from __future__ import annotations

from typing import Any

from omniroute.testing import Scripted, sse

WIRES = ("openai-chat", "anthropic-messages", "openai-responses", "gemini")

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic-messages": "/v1/messages",
    "openai-responses": "/v1/responses",
}


def call(wire: str, model: str, *, stream: bool = False, text: str = "hi") -> tuple[str, dict[str, Any]]:
    """Path and body of a simple request in a client format."""
    if wire == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    body: dict[str, Any] = {"model": model, "stream": stream}
    if wire == "openai-responses":
        return PATHS[wire], {**body, "input": text}
    body["messages"] = [{"role": "user", "content": text}]
    if wire == "anthropic-messages":
        body["max_tokens"] = 100
    return PATHS[wire], body


def chat(text: str = "ciao") -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def chat_stream(*words: str) -> list[str]:
    words = words or ("ci", "ao")
    return sse(
        chat_chunk({"role": "assistant", "content": ""}),
        *[chat_chunk({"content": word}) for word in words],
        chat_chunk({}, "stop"),
        done=True,
    )


def anthropic(text: str = "ciao") -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def responder(text: str = "ciao") -> Any:
    """A script for an openai-chat upstream: plain or streamed, as it is asked."""

    def script(seen: Any) -> Scripted:
        if seen.json.get("stream"):
            return Scripted(chunks=chat_stream(text))
        return Scripted(json=chat(text))

    return script


ERRORS = {
    400: {"error": {"message": "bad parameter", "type": "invalid_request_error", "param": "x", "code": None}},
    401: {
        "error": {
            "message": "Incorrect API key provided",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }
    },
    402: {"error": {"message": "Insufficient balance", "type": "insufficient_balance"}},
    404: {
        "error": {
            "message": "The model does not exist",
            "type": "invalid_request_error",
            "code": "model_not_found",
        }
    },
    429: {
        "error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
    },
    500: {"error": {"message": "oops", "type": "server_error"}},
    503: {"error": {"message": "overloaded", "type": "server_error"}},
}


def error(status: int, **headers: str) -> Scripted:
    """An error as an OpenAI-like provider words it."""
    return Scripted(
        status=status,
        json=ERRORS[status],
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
