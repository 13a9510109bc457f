"""Tools as functions: what every wire writes that has nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.wire.conversation import Conversation, Doc, Notes, Tool, ToolCall, ToolChoice
from omniroute.wire.functions import (
    allowed_tools,
    described,
    input_of,
    native_tool,
    object_schema,
    write_tool,
)

GRAMMAR = {"syntax": "lark", "definition": "start: WORD"}
IN_WORDS = "`input` must match this lark grammar:\nstart: WORD"
ONE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


@pytest.mark.parametrize(
    "tool, function",
    [
        (Tool(name="f"), {"name": "f", "parameters": {"type": "object", "properties": {}}}),
        (
            Tool(name="f", description="d", schema={"type": "object"}),
            {"name": "f", "description": "d", "parameters": {"type": "object"}},
        ),
        (Tool(name="f", kind="custom"), {"name": "f", "parameters": ONE_TEXT}),
        (
            Tool(name="f", kind="custom", format=GRAMMAR),
            {"name": "f", "description": IN_WORDS, "parameters": ONE_TEXT},
        ),
    ],
)
def test_a_tool_is_a_function(tool: Tool, function: Doc) -> None:
    notes = Notes()
    assert write_tool(tool, "cohere", notes) == {"type": "function", "function": function}
    assert notes.emulated == (["tools[].custom"] if tool.kind == "custom" else [])


@pytest.mark.parametrize(
    "wire, written, dropped", [("cohere", {"a": 1}, []), ("ollama", None, ["tools[].web"])]
)
def test_what_runs_at_a_provider_is_known_to_its_own_wire(
    wire: str, written: Doc | None, dropped: list[str]
) -> None:
    tool, notes = Tool(name="web", kind="server", wire="cohere", native={"a": 1}), Notes()
    assert native_tool(tool, wire, notes) == write_tool(tool, wire, notes) == written
    assert notes.dropped == dropped


@pytest.mark.parametrize(
    "description, format, text",
    [
        (None, None, ""),
        ("d", {"type": "text"}, "d"),
        ("d", {"type": "grammar", **GRAMMAR}, f"d\n\n{IN_WORDS}"),
        (None, {"type": "grammar", "grammar": GRAMMAR}, IN_WORDS),
    ],
)
def test_a_grammar_is_told_in_words(description: str | None, format: Doc | None, text: str) -> None:
    assert described(Tool(name="f", kind="custom", description=description, format=format)) == text


@pytest.mark.parametrize(
    "text, found",
    [("[1]", {"arguments": [1]}), ("go", {"arguments": "go"}), ("[" * 100_000, {"arguments": "[" * 100_000})],
)
def test_arguments_that_are_no_object_are_kept_in_one(text: str, found: Any) -> None:
    notes = Notes()
    assert input_of(ToolCall(id="c", name="f", arguments=text), notes) == found
    assert notes.emulated == ["tool_calls[].arguments"]


@pytest.mark.parametrize(
    "kind, arguments, found", [("function", '{"a":1}', {"a": 1}), ("function", "", {}), ("custom", "{", "{")]
)
def test_the_input_of_a_call(kind: Any, arguments: str, found: Any) -> None:
    notes = Notes()
    call = ToolCall(id="c", name="f", arguments=arguments, kind=kind)
    assert input_of(call, notes) == ({"input": found} if kind == "custom" else found)
    assert notes.emulated == []


def test_what_is_written_belongs_to_one_request() -> None:
    """A transform may change it in place."""
    object_schema(None)["properties"]["a"] = {}
    assert object_schema(None) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "choice, names, emulated",
    [
        (None, ["f", "g"], []),
        (ToolChoice(mode="required"), ["f", "g"], []),
        (ToolChoice(mode="allowed", names=("g",)), ["g"], ["tool_choice"]),
    ],
)
def test_tools_that_may_not_be_called_are_left_out(
    choice: ToolChoice | None, names: list[str], emulated: list[str]
) -> None:
    talk, notes = Conversation(tools=[Tool(name="f"), Tool(name="g")], tool_choice=choice), Notes()
    assert [tool.name for tool in allowed_tools(talk, notes)] == names
    assert notes.emulated == emulated
