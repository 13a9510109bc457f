"""Gemini generateContent requests, by Google's API reference; in camelCase and in snake_case."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fidelity.requests import Request, Tool, skeleton, squeeze

VERBATIM = frozenset(
    "args response parameters parametersJsonSchema responseSchema responseJsonSchema".split()
)
"""Members whose inner names are the user's own."""

SETTINGS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "candidateCount": "n",
}
SERVER_PARTS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
CHOICES = {"AUTO": "auto", 1: "auto", "ANY": "required", 2: "required", "NONE": "none", 3: "none"}


def camel(value: Any) -> Any:
    """All member names in camelCase."""
    if isinstance(value, list):
        return [camel(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for name, inner in value.items():
        name = re.sub(r"_([a-z])", lambda m: m[1].upper(), name)
        out[name] = inner if name in VERBATIM else camel(inner)
    return out


def read(doc: dict[str, Any]) -> Request:
    doc = camel(doc)
    request = Request()
    system = doc.get("systemInstruction") or {}
    parts = [{"text": system}] if isinstance(system, str) else system.get("parts") or []
    for part in [parts] if isinstance(parts, dict) else parts:
        request.instruct(part.get("text") or "")
    contents = doc.get("contents") or []
    for content in [contents] if isinstance(contents, dict) else contents:
        role = "assistant" if content.get("role") == "model" else "user"
        inner = content.get("parts") or []
        for part in [inner] if isinstance(inner, dict) else inner:
            _part(request, role, part)
    tools = doc.get("tools") or []
    for tool in [tools] if isinstance(tools, dict) else tools:
        _tool(request, tool)
    _choice(request, (doc.get("toolConfig") or {}).get("functionCallingConfig") or {})
    _settings(request, doc.get("generationConfig") or {})
    return request


def _part(request: Request, role: str, part: dict[str, Any]) -> None:
    if "functionCall" in part:
        request.call(
            part["functionCall"].get("id"), part["functionCall"]["name"], part["functionCall"].get("args")
        )
    elif "functionResponse" in part:
        _response(request, part["functionResponse"])
    elif "inlineData" in part or "fileData" in part:
        _media(request, part)
    elif part.get("text") and not part.get("thought"):
        request.say(role, part["text"])
    request.server_parts += [name for name in SERVER_PARTS if name in part]


def _media(request: Request, part: dict[str, Any]) -> None:
    source = part.get("inlineData") or part.get("fileData") or {}
    request.show(source.get("data") or source.get("fileUri"))


def _response(request: Request, doc: dict[str, Any]) -> None:
    for part in doc.get("parts") or []:
        _media(request, part)
    words = json.dumps(doc.get("response") or {}, ensure_ascii=False)
    request.results.append((doc.get("name") or "?", squeeze("" if words == "{}" else words)))


def _tool(request: Request, tool: dict[str, Any]) -> None:
    for name, inner in tool.items():
        if name != "functionDeclarations":
            request.server_tools.append(name)
            continue
        for function in inner or []:
            schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
            request.tools[function["name"]] = Tool(function.get("description") or "", skeleton(schema))


def _choice(request: Request, said: dict[str, Any]) -> None:
    mode = CHOICES.get(said.get("mode") or "")
    names = tuple(sorted(said.get("allowedFunctionNames") or ()))
    if mode == "required" and names:
        request.choice = ("named", names) if len(names) == 1 else ("allowed-required", names)
    elif mode:
        request.choice = (mode, ())


def _settings(request: Request, said: dict[str, Any]) -> None:
    for name, ours in SETTINGS.items():
        request.set(ours, said.get(name))
    request.set("presence_penalty", said.get("presencePenalty") or None)
    request.set("frequency_penalty", said.get("frequencyPenalty") or None)
    if request.sampling.get("n") == 1:
        del request.sampling["n"]
    thinking = said.get("thinkingConfig") or {}
    if thinking.get("thinkingLevel"):
        request.reasoning = str(thinking["thinkingLevel"]).lower()
    elif "thinkingBudget" in thinking:
        request.reasoning = "off" if thinking["thinkingBudget"] == 0 else "on"
    schema = said.get("responseJsonSchema") or said.get("responseSchema")
    if schema:
        request.output = skeleton(schema)
    elif said.get("responseMimeType") == "application/json":
        request.output = "json"
