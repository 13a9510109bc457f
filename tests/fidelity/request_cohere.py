"""Cohere chat requests (v2), by its API reference."""

from __future__ import annotations

import json
from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton

SETTINGS = {
    "temperature": "temperature",
    "p": "top_p",
    "k": "top_k",
    "seed": "seed",
    "max_tokens": "max_tokens",
}
CHOICES = {"REQUIRED": "required", "NONE": "none"}


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    for message in doc.get("messages") or []:
        _message(request, message)
    for tool in doc.get("tools") or []:
        function = tool["function"]
        request.tools[function["name"]] = Tool(
            function.get("description") or "", skeleton(function.get("parameters") or {})
        )
    if doc.get("tool_choice"):
        request.choice = (CHOICES[doc["tool_choice"]], ())
    for name, ours in SETTINGS.items():
        request.set(ours, doc.get(name))
    for name in ("presence_penalty", "frequency_penalty"):
        request.set(name, doc.get(name) or None)
    request.set("stop", doc.get("stop_sequences"))
    thinking = doc.get("thinking") or {}
    request.reasoning = {"enabled": "on", "disabled": "off"}.get(thinking.get("type", ""))
    form = doc.get("response_format") or {}
    if form.get("json_schema"):
        request.output = skeleton(form["json_schema"])
    elif form.get("type") == "json_object":
        request.output = "json"
    return request


def _message(request: Request, message: dict[str, Any]) -> None:
    role, content = message["role"], message.get("content")
    if role == "system":
        request.instruct(_words(content))
    elif role == "tool":
        request.result(message.get("tool_call_id"), _words(content))
    else:
        request.say(role, _words(content))
        for part in content if isinstance(content, list) else []:
            if part["type"] == "image_url":
                request.show(part["image_url"]["url"])
    for call in message.get("tool_calls") or []:
        request.call(call.get("id"), call["function"]["name"], call["function"].get("arguments"))


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        p.get("text") or json.dumps(p.get("document", {}).get("data") or "", ensure_ascii=False).strip('"')
        for p in content or []
        if p["type"] in ("text", "document")
    )
