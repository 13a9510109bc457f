"""Responses requests, by OpenAI's API reference."""

from __future__ import annotations

from typing import Any

from tests.fidelity.request_chat import choice, effort
from tests.fidelity.requests import Request, Tool, skeleton


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    if isinstance(doc.get("instructions"), str):
        request.instruct(doc["instructions"])
    asked = doc.get("input")
    for item in [{"role": "user", "content": asked}] if isinstance(asked, str) else asked or []:
        _item(request, item)
    for tool in doc.get("tools") or []:
        _tool(request, tool)
    request.choice = choice(doc.get("tool_choice"), None)
    request.parallel = doc.get("parallel_tool_calls")
    for name in ("temperature", "top_p"):
        request.set(name, doc.get(name))
    request.set("max_tokens", doc.get("max_output_tokens"))
    request.reasoning = effort((doc.get("reasoning") or {}).get("effort"))
    form = (doc.get("text") or {}).get("format") or {}
    request.output = skeleton(form.get("schema") or {}) if form.get("type") == "json_schema" else None
    if form.get("type") == "json_object":
        request.output = "json"
    return request


def _item(request: Request, item: dict[str, Any]) -> None:
    kind = item.get("type") or ("message" if "role" in item else "")
    if kind == "message":
        _message(request, item)
    elif kind in ("function_call", "custom_tool_call"):
        request.call(item.get("call_id"), item.get("name", ""), item.get("arguments", item.get("input")))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        output = item.get("output")
        _pictures(request, output)
        request.result(item.get("call_id"), _words(output))
    elif kind != "reasoning":
        request.server_parts.append(kind)


def _message(request: Request, item: dict[str, Any]) -> None:
    content = item.get("content")
    if item.get("role") in ("system", "developer"):
        request.instruct(_words(content))
        return
    request.say("assistant" if item.get("role") == "assistant" else "user", _words(content))
    _pictures(request, content)


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(p.get("text") or p.get("refusal") or "" for p in content or [])


def _pictures(request: Request, content: Any) -> None:
    for part in content if isinstance(content, list) else []:
        kind = part.get("type")
        if kind == "input_image":
            request.show(part.get("image_url") or part.get("file_id"))
        elif kind == "input_file":
            request.show(part.get("file_data") or part.get("file_url") or part.get("file_id"))
        elif kind == "input_audio":
            request.show((part.get("input_audio") or {}).get("data"))


def _tool(request: Request, tool: dict[str, Any]) -> None:
    kind = tool.get("type")
    if kind == "function":
        request.tools[tool["name"]] = Tool(
            tool.get("description") or "", skeleton(tool.get("parameters") or {})
        )
    elif kind == "custom":
        request.tools[tool["name"]] = Tool(tool.get("description") or "", custom=True)
    else:
        request.server_tools.append(str(kind))
