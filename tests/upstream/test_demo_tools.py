"""Which tool a prompt calls for, and with what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.upstream.demo_request import hear
from omniroute.upstream.demo_tools import calls_for
from omniroute.wire.conversation import Conversation, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn


def tool(name: str, *required: str, **properties: Any) -> Tool:
    known = {key: {"type": "string"} for key in required} | properties
    return Tool(name=name, schema={"type": "object", "properties": known, "required": list(required)})


CLI = [
    tool("Agent", "prompt"),
    tool("Bash", "command"),
    tool("Edit", "file_path", "old", "new"),
    tool("Read", "file_path"),
    tool("ListDirectory", "dir_path"),
    tool("TaskStop", "task_id"),
    tool("ViewImage", "path"),
    tool("WebSearch", "query"),
    tool("Write", "file_path", "content"),
    tool("get_weather", "city"),
    tool("team_run_task", "command"),
]


def calls(prompt: str, tools: list[Tool] | None = None, **settings: Any) -> list[ToolCall]:
    talk = Conversation(
        turns=[Turn(role="user", parts=[Text(text=prompt)])],
        tools=CLI if tools is None else tools,
        **settings,
    )
    return calls_for(talk, hear(talk), lambda: "call_1")


@pytest.mark.parametrize(
    "prompt, called",
    [
        ("run a command", ["Bash"]),
        ("Execute something in the shell, please.", ["Bash"]),
        ("list the files here", ["ListDirectory"]),
        ("read the file README.md", ["Read"]),
        ("what is in src/main.py? read it", ["Read"]),
        ("What's the weather in Paris?", ["get_weather"]),
        ("call get_weather", ["get_weather"]),
        ("search the web for it", ["WebSearch"]),
        ("use a tool", ["Bash"]),
        ("use the Write tool", ["Write"]),
        ("use `Edit`", ["Edit"]),
        ("use TaskStop", ["TaskStop"]),
        ("call two tools in parallel", ["Bash", "Bash"]),
        ("use get_weather and TaskStop in parallel", ["TaskStop", "get_weather"]),
        ("Write a poem about an agent", []),
        ("Edit my sentence", []),
        ("hello", []),
        ("", []),
    ],
)
def test_a_prompt_calls_for_a_tool(prompt: str, called: list[str]) -> None:
    assert [call.name for call in calls(prompt)] == called


@pytest.mark.parametrize(
    "tools, called",
    [
        ([tool("lookup", "id")], ["lookup"]),
        ([tool("create_thing", "id"), tool("lookup", "id")], ["lookup"]),
        ([tool("create_thing", "id")], ["create_thing"]),
        ([Tool(name="web_search", kind="server")], []),
        ([], []),
    ],
)
def test_without_one_that_fits_the_first_harmless_tool_is_called(
    tools: list[Tool], called: list[str]
) -> None:
    assert [call.name for call in calls("please use a tool", tools)] == called


@pytest.mark.parametrize(
    "choice, called",
    [
        (ToolChoice(mode="required"), "Agent"),
        (ToolChoice(mode="named", names=("Write",)), "Write"),
        (ToolChoice(mode="allowed", names=("Read", "Edit"), must=True), "Read"),
    ],
)
def test_a_tool_that_must_be_called_is_called(choice: ToolChoice, called: str) -> None:
    tools = [*CLI[:1], *CLI[2:]] if choice.mode == "required" else [CLI[3], CLI[2], CLI[8]]
    assert [call.name for call in calls("hello", tools, tool_choice=choice)] == [called]


def test_allowed_tools_are_the_only_ones() -> None:
    choice = ToolChoice(mode="allowed", names=("get_weather",))
    assert [call.name for call in calls("run a command", tool_choice=choice)] == ["get_weather"]
    assert calls("hello", tool_choice=choice) == []


def test_parallel_calls_can_be_forbidden() -> None:
    assert len(calls("two tools in parallel", parallel_tools=False)) == 1


@pytest.mark.parametrize(
    "prompt, offered, arguments",
    [
        ("run it", tool("bash", "command"), {"command": "echo hello from omniroute"}),
        (
            "run it",
            tool("shell", "command", command={"type": "array", "items": {"type": "string"}}),
            {"command": ["bash", "-lc", "echo hello from omniroute"]},
        ),
        (
            "run it",
            tool("run", "commands", commands={"type": "array", "items": {"type": "string"}}),
            {"commands": ["echo hello from omniroute"]},
        ),
        (
            "run it",
            tool("bash", "cmd", "timeout_ms", timeout_ms={"type": "integer", "maximum": 600000}),
            {"cmd": "echo hello from omniroute", "timeout_ms": 10000},
        ),
        ("list files", tool("ls", "path"), {"path": "."}),
        ("read docs/why.md", tool("read_file", "filePath"), {"filePath": "docs/why.md"}),
        (
            "read a.txt",
            tool("read_files", "files", files={"type": "array", "items": {"type": "string"}}),
            {"files": ["a.txt"]},
        ),
        ('get_weather with `{"city": "Rome"}`', tool("get_weather", "city"), {"city": "Rome"}),
        ("get_weather with `{broken}`", tool("get_weather", "city"), {"city": "demo"}),
        ("use the now tool", Tool(name="now"), {}),
    ],
)
def test_arguments_fit_the_tool(prompt: str, offered: Tool, arguments: dict[str, Any]) -> None:
    (call,) = calls(prompt, [offered])
    assert json.loads(call.arguments) == arguments


def test_a_custom_tool_gets_text() -> None:
    (call,) = calls("use the apply_patch tool", [Tool(name="apply_patch", kind="custom")])
    assert (call.kind, call.arguments) == ("custom", "demo")


def test_a_tool_of_a_group_is_called_in_its_group() -> None:
    (call,) = calls("use spawn_agent", [Tool(name="spawn_agent", namespace="agents")])
    assert call.namespace == "agents"


def test_what_a_client_adds_in_tags_is_not_the_prompt() -> None:
    aside = Text(text="<environment_details>You can run a command with a tool.</environment_details>")
    talk = Conversation(turns=[Turn(role="user", parts=[aside, Text(text="hello"), aside])], tools=CLI)
    assert hear(talk).prompt == "hello"
    assert calls_for(talk, hear(talk), lambda: "call_1") == []


def test_a_result_is_answered_in_words_even_when_the_client_adds_a_text() -> None:
    talk = Conversation(
        turns=[
            Turn(role="user", parts=[Text(text="run a command")]),
            Turn(role="assistant", parts=[ToolCall(id="1", name="Bash")]),
            Turn(role="user", parts=[ToolResult(id="1", content=[Text(text="done")])]),
            Turn(role="user", parts=[Text(text="<reminder>run a command</reminder>")]),
        ],
        tools=CLI,
    )
    assert calls_for(talk, hear(talk), lambda: "call_2") == []


def test_a_loop_that_must_call_tools_calls_each_once() -> None:
    talk = Conversation(
        turns=[
            Turn(role="user", parts=[Text(text="What is the weather?")]),
            Turn(role="assistant", parts=[ToolCall(id="1", name="get_weather")]),
            Turn(role="user", parts=[ToolResult(id="1")]),
        ],
        tools=[tool("get_weather", "city"), tool("final_result", "answer")],
        tool_choice=ToolChoice(mode="required"),
    )
    (call,) = calls_for(talk, hear(talk), lambda: "call_2")
    assert call.name == "final_result"
