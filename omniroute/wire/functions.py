"""A tool as the function that it has to be, where a format knows nothing but functions with JSON arguments.

The free text of a call travels in one argument; `custom_calls` takes it out of there again.
"""

from __future__ import annotations

import msgspec

from omniroute.wire.conversation import Conversation, Doc, Notes, Tool, ToolCall
from omniroute.wire.losses import note_loss
from omniroute.wire.shapes import arguments_object, doc_of, object_at, text_in, text_of

CUSTOM_INPUT = "input"
"""The one property that the free text of a custom tool's call travels in."""


def no_arguments() -> Doc:
    """The schema of a function that takes none."""
    return {"type": "object", "properties": {}}


def one_input(*, explained: bool = False) -> Doc:
    """The schema of a custom tool's arguments."""
    about = {"description": "The whole input, as free text."} if explained else {}
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string", **about}},
        "required": [CUSTOM_INPUT],
    }


def object_schema(schema: Doc | None) -> Doc:
    """The schema of a function's arguments, for an API that wants to read in it that they are an object."""
    if schema is None:
        return no_arguments()
    return schema if schema.get("type") == "object" else schema | {"type": "object"}


def described(tool: Tool) -> str:
    """The description of a custom tool, with its grammar in words: it cannot be enforced."""
    format = tool.format or {}
    grammar = doc_of(format.get("grammar")) or format
    definition = text_of(grammar.get("definition"))
    order = f"`input` must match this {text_of(grammar.get('syntax'))} grammar:\n{definition}"
    return "\n\n".join(filter(None, [tool.description, order if definition else ""]))


def native_tool(tool: Tool, wire: str, notes: Notes) -> Doc | None:
    """A tool that runs at the provider, as its own wire wrote it; no other has a word for it."""
    if tool.wire == wire and tool.native is not None:
        return tool.native
    notes.drop(f"tools[].{tool.name}")
    return None


def read_function(tool: Doc, path: str) -> Tool:
    """The reverse of `write_tool`, for what stands at `path` in a request. Raises `Refused`."""
    place = f"{path}.function"
    function = object_at(tool.get("function"), place)
    parameters = function.get("parameters")
    return Tool(
        name=text_in(function, "name", place),
        description=text_of(function.get("description")) or None,
        schema=None if parameters is None else object_at(parameters, f"{place}.parameters"),
    )


def write_tool(tool: Tool, wire: str, notes: Notes) -> Doc | None:
    """`{type: function, function: …}`, for a wire that takes neither cache marks nor custom tools.

    What is to be said of `strict` is the caller's to say.
    """
    if tool.cache:
        note_loss(notes, "cache_control")
    if tool.kind == "server":
        return native_tool(tool, wire, notes)
    custom = tool.kind == "custom"
    if custom:
        notes.emulate("tools[].custom")
    description = described(tool) if custom else tool.description
    function: Doc = {"name": tool.name} | ({"description": description} if description else {})
    function["parameters"] = one_input() if custom else tool.schema or no_arguments()
    return {"type": "function", "function": function}


def input_of(call: ToolCall, notes: Notes) -> Doc:
    """The arguments of a call as an object. Text that is no JSON object is kept inside one, and noted."""
    if call.kind == "custom":
        return {CUSTOM_INPUT: call.arguments}
    found = arguments_object(call.arguments)
    if found is not None:
        return found
    notes.emulate("tool_calls[].arguments")
    try:
        return {"arguments": msgspec.json.decode(call.arguments)}
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {"arguments": call.arguments}


def allowed_tools(talk: Conversation, notes: Notes) -> list[Tool]:
    """A choice among some of the tools is made by leaving the others out."""
    choice = talk.tool_choice
    if choice is None or choice.mode != "allowed":
        return talk.tools
    notes.emulate("tool_choice")
    return [tool for tool in talk.tools if tool.name in choice.names]
