"""Bedrock Converse requests, by its API reference.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton

SETTINGS = {"temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens", "stopSequences": "stop"}


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    for block in doc.get("system") or []:
        request.instruct(block.get("text") or "")
    for message in doc["messages"]:
        for block in message["content"]:
            _block(request, message["role"], block)
    config = doc.get("toolConfig") or {}
    for tool in config.get("tools") or []:
        _tool(request, tool)
    _choice(request, config.get("toolChoice") or {})
    for name, meant in SETTINGS.items():
        request.set(meant, (doc.get("inferenceConfig") or {}).get(name))
    fields = doc.get("additionalModelRequestFields") or {}
    request.set("top_k", fields.get("top_k"))
    _reasoning(request, fields)
    form = (doc.get("outputConfig") or {}).get("textFormat")
    if form:
        request.output = skeleton(json.loads(form["structure"]["jsonSchema"]["schema"]))
    return request


def _block(request: Request, role: str, block: dict[str, Any]) -> None:
    kind, value = next(iter(block.items()))
    if kind == "text":
        request.say(role, value)
    elif kind == "toolUse":
        request.call(value["toolUseId"], value["name"], value["input"])
    elif kind == "toolResult":
        _result(request, value)
    elif kind in ("image", "document", "video", "audio"):
        _media(request, role, kind, value)
    elif kind not in ("reasoningContent", "cachePoint"):
        request.server_parts.append(kind)


def _result(request: Request, result: dict[str, Any]) -> None:
    for part in result["content"]:
        for kind, value in part.items():
            if kind not in ("text", "json"):
                _media(request, "user", kind, value)
    request.result(result["toolUseId"], "".join(part.get("text", "") for part in result["content"]))


def _media(request: Request, role: str, kind: str, value: dict[str, Any]) -> None:
    """A document that is text counts as words, as it does in the other formats."""
    data = value["source"].get("bytes")
    if kind == "document" and value["format"] in ("txt", "md", "csv", "html") and data:
        request.say(role, base64.b64decode(data).decode())
    else:
        request.show(data)


def _tool(request: Request, tool: dict[str, Any]) -> None:
    if "toolSpec" in tool:
        spec = tool["toolSpec"]
        described = Tool(spec.get("description", ""), skeleton(spec["inputSchema"]["json"]))
        request.tools[spec["name"]] = described
    elif "cachePoint" not in tool:
        request.server_tools.append(next(iter(tool)))


def _choice(request: Request, said: dict[str, Any]) -> None:
    if "tool" in said:
        request.choice = ("named", (said["tool"]["name"],))
    elif "any" in said:
        request.choice = ("required", ())


def _reasoning(request: Request, fields: dict[str, Any]) -> None:
    thinking = fields.get("thinking") or {}
    if thinking and thinking["type"] != "adaptive":
        request.reasoning = "off" if thinking["type"] == "disabled" else "on"
    effort = (fields.get("output_config") or {}).get("effort")
    if effort and request.reasoning != "off":
        request.reasoning = effort
