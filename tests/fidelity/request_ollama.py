"""Ollama chat requests, by its API reference."""

from __future__ import annotations

from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton

OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "num_predict": "max_tokens",
    "stop": "stop",
}


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    for message in doc.get("messages") or []:
        _message(request, message)
    for tool in doc.get("tools") or []:
        function = tool["function"]
        request.tools[function["name"]] = Tool(
            function.get("description") or "", skeleton(function.get("parameters") or {})
        )
    options = doc.get("options") or {}
    for name, ours in OPTIONS.items():
        request.set(ours, options.get(name))
    for name in ("presence_penalty", "frequency_penalty"):
        request.set(name, options.get(name) or None)
    think = doc.get("think")
    request.reasoning = {True: "on", False: "off", None: None}.get(think, think)
    form = doc.get("format")
    request.output = skeleton(form) if isinstance(form, dict) else form or None
    return request


def _message(request: Request, message: dict[str, Any]) -> None:
    role, words = message["role"], message.get("content") or ""
    for image in message.get("images") or []:
        request.show(image)
    if role == "system":
        request.instruct(words)
    elif role == "tool":
        request.result(message.get("tool_call_id"), words, message.get("tool_name"))
    else:
        request.say(role, words)
    for call in message.get("tool_calls") or []:
        request.call(call.get("id"), call["function"]["name"], call["function"].get("arguments"))
