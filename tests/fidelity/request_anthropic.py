"""Anthropic Messages requests, by its API reference."""

from __future__ import annotations

from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton

BILLING = "x-anthropic-billing-header:"
"""Begins a line that Claude Code puts before its prompt: for Anthropic's books, not for a model."""

CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    system = doc.get("system")
    for block in [{"text": system}] if isinstance(system, str) else system or []:
        if not (block.get("text") or "").startswith(BILLING):
            request.instruct(block.get("text") or "")
    for message in doc.get("messages") or []:
        content = message.get("content")
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            _block(request, message.get("role"), block)
    for tool in doc.get("tools") or []:
        _tool(request, tool)
    _choice(request, doc.get("tool_choice"))
    for name in ("temperature", "top_p", "top_k", "max_tokens"):
        request.set(name, doc.get(name))
    request.set("stop", doc.get("stop_sequences"))
    _reasoning(request, doc)
    return request


def _block(request: Request, role: Any, block: dict[str, Any]) -> None:
    kind = block.get("type")
    if kind == "text" and role == "system":
        request.instruct(block["text"])
    elif kind == "text":
        request.say(role, block.get("text") or "")
    elif kind == "tool_use":
        request.call(block.get("id"), block.get("name", ""), block.get("input"))
    elif kind == "tool_result":
        _result(request, block)
    elif kind in ("image", "document"):
        _media(request, role, block)
    elif kind not in ("thinking", "redacted_thinking"):
        request.server_parts.append(str(kind))


def _result(request: Request, block: dict[str, Any]) -> None:
    content = block.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    for part in parts:
        if part.get("type") in ("image", "document"):
            _media(request, "user", part)
    request.result(
        block.get("tool_use_id"), "".join(p.get("text") or "" for p in parts if p.get("type") == "text")
    )


def _media(request: Request, role: Any, block: dict[str, Any]) -> None:
    source = block.get("source") or {}
    if source.get("type") == "text":
        request.say(role, source.get("data") or "")
    elif source.get("type") == "content":
        inner = source.get("content")
        for part in [{"type": "text", "text": inner}] if isinstance(inner, str) else inner or []:
            _block(request, role, part)
    else:
        request.show(source.get("data") or source.get("url") or source.get("file_id"))


def _tool(request: Request, tool: dict[str, Any]) -> None:
    if tool.get("type", "custom") in ("custom", None):
        described = Tool(tool.get("description") or "", skeleton(tool.get("input_schema") or {}))
        request.tools[tool["name"]] = described
    else:
        request.server_tools.append(str(tool["type"]))


def _choice(request: Request, said: Any) -> None:
    if not isinstance(said, dict):
        return
    if said.get("disable_parallel_tool_use"):
        request.parallel = False
    kind = str(said.get("type"))
    request.choice = ("named", (said["name"],)) if kind == "tool" else (CHOICES.get(kind, kind), ())


def _reasoning(request: Request, doc: dict[str, Any]) -> None:
    thinking = doc.get("thinking") or {}
    settings = doc.get("output_config") or {}
    if thinking and thinking.get("type") != "adaptive":
        # Adaptive is what others do by themselves.
        request.reasoning = "off" if thinking.get("type") == "disabled" else "on"
    if settings.get("effort") and request.reasoning != "off":
        request.reasoning = settings["effort"]
    form = settings.get("format") or doc.get("output_format") or {}
    if form.get("type") == "json_schema":
        request.output = skeleton(form.get("schema") or {})
