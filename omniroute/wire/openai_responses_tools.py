"""Tools and tool choice of Responses requests, in both directions.

Responses has flat function tools, free-form `custom` tools, `namespace` groups of both, and many tools that run
at the provider (`web_search`, `mcp`, `code_interpreter`, …), which are kept as they are.
https://platform.openai.com/docs/guides/tools
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniroute.wire.conversation import Doc, Notes, Tool, ToolChoice
from omniroute.wire.openai_responses_shapes import WIRE, list_at, object_at, said, text_in, wrong
from omniroute.wire.shapes import docs_of

# ── tools in ─────────────────────────────────────────────────────────────────────────────────────


def read_tools(value: Any) -> list[Tool]:
    """Raises `Refused` for a wrong shape."""
    tools: list[Tool] = []
    for number, entry in enumerate(list_at(value, "tools")):
        place = f"tools[{number}]"
        doc = object_at(entry, place)
        if doc.get("type") == "namespace":
            tools += _read_namespace(doc, place)
        else:
            tools.append(_read_tool(doc, place))
    return tools


def _read_namespace(doc: Doc, place: str) -> list[Tool]:
    name = text_in(doc, "name", place)
    tools = []
    for number, entry in enumerate(list_at(doc.get("tools"), f"{place}.tools")):
        inner = f"{place}.tools[{number}]"
        tool = _read_tool(object_at(entry, inner), inner)
        tool.namespace = name
        tool.namespace_description = said(doc, "description")
        tools.append(tool)
    return tools


def _read_tool(doc: Doc, place: str) -> Tool:
    kind = text_in(doc, "type", place)
    return _READERS.get(kind, _read_server)(doc, place)


_FUNCTION_KEYS = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM_KEYS = frozenset({"type", "name", "description", "format"})


def _read_function(doc: Doc, place: str) -> Tool:
    strict = doc.get("strict")
    schema = doc.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise wrong(f"{place}.parameters", "expected a JSON Schema object")
    return _keep_rest(
        Tool(
            name=text_in(doc, "name", place),
            description=said(doc, "description"),
            schema=schema,
            strict=strict if isinstance(strict, bool) else None,
        ),
        doc,
        _FUNCTION_KEYS,
    )


def _read_custom(doc: Doc, place: str) -> Tool:
    tool = Tool(name=text_in(doc, "name", place), description=said(doc, "description"), kind="custom")
    form = doc.get("format")
    tool.format = form if isinstance(form, dict) else None
    return _keep_rest(tool, doc, _CUSTOM_KEYS)


def _keep_rest(tool: Tool, doc: Doc, known: frozenset[str]) -> Tool:
    """Settings of a tool that only this wire has (`defer_loading`, `allowed_callers`) ride in `native`."""
    rest = {key: value for key, value in doc.items() if key not in known and value is not None}
    if rest:
        tool.wire, tool.native = WIRE, rest
    return tool


def _read_server(doc: Doc, place: str) -> Tool:
    return Tool(name=_server_name(doc), kind="server", wire=WIRE, native=doc)


def _server_name(doc: Doc) -> str:
    return said(doc, "name") or said(doc, "server_label") or str(doc["type"])


_READERS: dict[str, Callable[[Doc, str], Tool]] = {"function": _read_function, "custom": _read_custom}

# ── tools out ────────────────────────────────────────────────────────────────────────────────────


def write_tools(tools: list[Tool], notes: Notes, *, own: bool) -> list[Doc]:
    """`own`: the request came in this wire, whose tools are strict where they do not say; elsewhere they are not."""
    docs: list[Doc] = []
    group: Doc | None = None
    for tool in tools:
        doc = _write_tool(tool, notes, own=own)
        if doc is None:
            continue
        if tool.namespace is None:
            group = None
            docs.append(doc)
            continue
        if group is None or group["name"] != tool.namespace:
            group = {
                "type": "namespace",
                "name": tool.namespace,
                "description": tool.namespace_description or "",
                "tools": [],
            }
            docs.append(group)
        group["tools"].append(doc)
    return docs


def _write_tool(tool: Tool, notes: Notes, *, own: bool) -> Doc | None:
    if tool.kind == "server":
        if tool.wire == WIRE and tool.native is not None:
            return tool.native
        notes.drop(f"tools[].{tool.name}")
        return None
    doc = _write_custom(tool) if tool.kind == "custom" else _write_function(tool, own=own)
    if tool.wire == WIRE and tool.native is not None:
        doc |= tool.native
    if tool.cache is not None:
        notes.emulate("cache_control")
    return doc


def _write_function(tool: Tool, *, own: bool) -> Doc:
    doc: Doc = {"type": "function", "name": tool.name}
    if tool.description is not None:
        doc["description"] = tool.description
    doc["parameters"] = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
    if tool.strict is not None or not own:
        doc["strict"] = bool(tool.strict)
    return doc


def _write_custom(tool: Tool) -> Doc:
    doc: Doc = {"type": "custom", "name": tool.name}
    if tool.description is not None:
        doc["description"] = tool.description
    if tool.format is not None:
        doc["format"] = _flat_format(tool.format)
    return doc


def _flat_format(form: Doc) -> Doc:
    """Chat nests a grammar (`{type, grammar: {syntax, definition}}`), Responses does not."""
    grammar = form.get("grammar")
    return {"type": form.get("type", "grammar"), **grammar} if isinstance(grammar, dict) else form


# ── tool choice ──────────────────────────────────────────────────────────────────────────────────

_MODES = {
    "auto": ToolChoice(mode="auto"),
    "none": ToolChoice(mode="none"),
    "required": ToolChoice(mode="required"),
}


def read_tool_choice(value: Any) -> ToolChoice | None:
    """None for nothing, and for a choice that only this wire can express (one tool of an MCP server).

    Raises `Refused` for a word that no wire has.
    """
    if isinstance(value, str):
        mode = _MODES.get(value)
        if mode is None:
            raise wrong("tool_choice", f"{value!r} is none of auto, none, required")
        return mode
    doc = object_at(value, "tool_choice")
    kind = said(doc, "type")
    if kind is None or (kind == "mcp" and "name" in doc):
        return None
    if kind == "allowed_tools":
        names = tuple(said(tool, "name") or _choice_name(tool) for tool in docs_of(doc.get("tools")))
        return ToolChoice(mode="allowed", names=names, must=doc.get("mode") == "required")
    return ToolChoice(mode="named", names=(_choice_name(doc),))


def _choice_name(doc: Doc) -> str:
    return said(doc, "name") or said(doc, "server_label") or str(doc.get("type", ""))


def write_tool_choice(choice: ToolChoice, tools: list[Tool]) -> str | Doc:
    kinds = {tool.name: tool for tool in tools}
    if choice.mode == "named":
        return _tool_reference(choice.names[0], kinds)
    if choice.mode == "allowed":
        return {
            "type": "allowed_tools",
            "mode": "required" if choice.must else "auto",
            "tools": [_tool_reference(name, kinds) for name in choice.names],
        }
    return choice.mode


def _tool_reference(name: str, tools: dict[str, Tool]) -> Doc:
    tool = tools.get(name)
    if tool is None or tool.kind != "server":
        return {"type": "custom" if tool is not None and tool.kind == "custom" else "function", "name": name}
    native = tool.native or {}
    reference: Doc = {"type": native.get("type", name)}
    if "server_label" in native:
        reference["server_label"] = native["server_label"]
    return reference
