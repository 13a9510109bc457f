"""Chat Completions requests, by OpenAI's API reference."""

from __future__ import annotations

from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton

SETTINGS = ("temperature", "top_p", "top_k", "seed", "n", "logit_bias")


def read(doc: dict[str, Any]) -> Request:
    request = Request()
    for message in doc.get("messages") or []:
        _message(request, message)
    for tool in doc.get("tools") or []:
        _tool(request, tool)
    for function in doc.get("functions") or []:
        request.tools[function["name"]] = _described(function)
    request.choice = choice(doc.get("tool_choice"), "function") or _legacy_choice(doc.get("function_call"))
    request.parallel = doc.get("parallel_tool_calls")
    for name in SETTINGS:
        request.set(name, doc.get(name))
    for name in ("presence_penalty", "frequency_penalty"):
        request.set(name, doc.get(name) or None)
    request.set("max_tokens", doc.get("max_completion_tokens") or doc.get("max_tokens"))
    stop = doc.get("stop")
    request.set("stop", [stop] if isinstance(stop, str) else stop)
    if request.sampling.get("n") == 1:
        del request.sampling["n"]
    request.reasoning = effort(doc.get("reasoning_effort"))
    request.output = _output(doc.get("response_format") or {})
    return request


def effort(word: str | None) -> str | None:
    return {"none": "off"}.get(word, word) if word else None


def _message(request: Request, message: dict[str, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if role in ("system", "developer"):
        request.instruct(_words(content))
        return
    if role in ("tool", "function"):
        _pictures(request, content)
        request.result(
            message.get("tool_call_id"), _words(content), message.get("name") if role == "function" else None
        )
        return
    said = "user" if role == "user" else "assistant"
    request.say(said, _words(content) or (message.get("refusal") or ""))
    _pictures(request, content)
    for call in message.get("tool_calls") or []:
        inner = call.get("function") or call.get("custom") or {}
        request.call(call.get("id"), inner.get("name", ""), inner.get("arguments", inner.get("input")))
    legacy = message.get("function_call") or {}
    if legacy.get("name"):
        request.call(None, legacy["name"], legacy.get("arguments"))


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        p.get("text") or p.get("refusal") or ""
        for p in content or []
        if p.get("type") in ("text", "refusal", "input_text", "output_text")
    )


def _pictures(request: Request, content: Any) -> None:
    for part in content if isinstance(content, list) else []:
        kind = part.get("type")
        if kind == "image_url":
            picture = part["image_url"]
            request.show(picture if isinstance(picture, str) else picture.get("url"))
        elif kind == "input_audio":
            request.show(part["input_audio"].get("data"))
        elif kind == "file":
            inner = part["file"]
            request.show(inner.get("file_data") or inner.get("file_id"))
        elif kind == "video_url":
            request.show(part["video_url"].get("url"))
        elif kind == "file_url":
            request.show(part["file_url"].get("url"))
        elif kind == "document_url":
            request.show(part["document_url"])


def _tool(request: Request, tool: dict[str, Any]) -> None:
    if tool.get("type", "function") == "function":
        request.tools[tool["function"]["name"]] = _described(tool["function"])
    elif tool.get("type") == "custom":
        request.tools[tool["custom"]["name"]] = Tool(tool["custom"].get("description") or "", custom=True)
    else:
        request.server_tools.append(str(tool.get("type")))


def _described(function: dict[str, Any]) -> Tool:
    return Tool(function.get("description") or "", skeleton(function.get("parameters") or {}))


def choice(said: Any, nested: str | None) -> tuple[str, tuple[str, ...]] | None:
    """`auto`, `none`, `required`, or one tool, or some; `nested` is where a tool's name stands."""
    if isinstance(said, str):
        return {"any": ("required", ())}.get(said, (said, ()))
    if not isinstance(said, dict):
        return None
    if said.get("type") == "allowed_tools":
        inner = said.get("allowed_tools") or said
        names = tuple(
            sorted((t.get(nested) or t).get("name", "") if nested else t["name"] for t in inner["tools"])
        )
        return f"allowed-{inner.get('mode')}", names
    inner = said.get(said.get("type") or nested) if nested else said
    name = (inner or said).get("name")
    return ("named", (name,)) if name else (str(said.get("type")), ())


def _legacy_choice(said: Any) -> tuple[str, tuple[str, ...]] | None:
    if isinstance(said, dict):
        return "named", (said["name"],)
    return (said, ()) if said else None


def _output(said: dict[str, Any]) -> Any:
    if said.get("type") == "json_schema":
        return skeleton((said.get("json_schema") or {}).get("schema") or {})
    return "json" if said.get("type") == "json_object" else None
