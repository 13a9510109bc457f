"""Which settings a client hears of when its target has no words for them."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Conversation, Notes, Reasoning, Text, Tool, ToolCall, ToolResult, Turn
from omniroute.wire.gemini import Gemini
from omniroute.wire.losses import HINTS, NOT_FOR_THE_MODEL
from omniroute.wire.openai_chat import OpenAIChat
from omniroute.wire.openai_responses import OpenAIResponses

WIRES: list[Wire] = [OpenAIChat(), OpenAIResponses(), AnthropicMessages(), Gemini()]
each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def noted(wire: Wire, talk: Conversation) -> Notes:
    notes = Notes()
    wire.write_request(talk, Dialect(model="m"), notes)
    return notes


def asked(**fields: Any) -> Conversation:
    return Conversation(turns=[Turn(role="user", parts=[Text(text="Hi")])], **fields)


@each_wire
@pytest.mark.parametrize("name", sorted(NOT_FOR_THE_MODEL))
def test_what_means_nothing_to_a_model_is_not_noted(wire: Wire, name: str) -> None:
    notes = noted(wire, asked(extras={"elsewhere": {name: True}}))
    assert (notes.dropped, notes.emulated) == ([], [])


@each_wire
@pytest.mark.parametrize("name", sorted(HINTS))
def test_hints_are_no_loss(wire: Wire, name: str) -> None:
    notes = noted(wire, asked(extras={"elsewhere": {name: True}}))
    assert (notes.dropped, notes.emulated) == ([], [name])


@each_wire
def test_what_a_model_should_have_known_is_dropped_by_name(wire: Wire) -> None:
    notes = noted(wire, asked(extras={"elsewhere": {"safe_prompt": True, "stream_options": {}}}))
    assert notes.dropped == ["safe_prompt"]


@each_wire
def test_settings_of_ones_own_are_no_loss(wire: Wire) -> None:
    assert noted(wire, asked(extras={wire.name: {"own": 1}})).dropped == []


@pytest.mark.parametrize(
    ("management", "dropped"),
    [
        ({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, []),
        ({"edits": []}, []),
        ({"edits": [{"type": "clear_tool_uses_20250919"}]}, ["context_management"]),
        ({"edits": "all"}, ["context_management"]),
        ([{"type": "compaction"}], ["context_management"]),
    ],
)
def test_context_management(management: Any, dropped: list[str]) -> None:
    """Its default, which Claude Code sends, asks nothing of another model."""
    talk = asked(extras={"anthropic-messages": {"context_management": management}})
    assert noted(OpenAIChat(), talk).dropped == dropped


@pytest.mark.parametrize("wire", [OpenAIChat(), OpenAIResponses(), Gemini()], ids=lambda wire: wire.name)
def test_cache_marks_are_a_hint(wire: Wire) -> None:
    """On whatever they stand; the target caches by itself."""
    talk = Conversation(
        turns=[
            Turn(role="system", parts=[Text(text="Be brief.", cache="1h")]),
            Turn(role="user", parts=[Text(text="Hi", cache="5m")]),
            Turn(role="assistant", parts=[ToolCall(id="c1", name="look", cache="5m")]),
            Turn(role="user", parts=[ToolResult(id="c1", content=[Text(text="x", cache="5m")], cache="5m")]),
        ],
        tools=[Tool(name="look", cache="5m")],
    )
    notes = noted(wire, talk)
    assert (notes.dropped, notes.emulated) == ([], ["cache_control"])


@each_wire
def test_who_asks_and_under_which_key_to_cache_are_hints(wire: Wire) -> None:
    assert noted(wire, asked(user="u1", prompt_cache_key="k1")).dropped == []


@pytest.mark.parametrize(
    ("wire", "dialect", "dropped", "emulated"),
    [
        pytest.param(
            Gemini(), Dialect(quirks=frozenset({"thinking_level"})), ["reasoning"], [], id="unknown gemini"
        ),
        pytest.param(
            Gemini(), Dialect(thinking_levels=("minimal", "high")), [], ["reasoning"], id="gemini, least"
        ),
        pytest.param(
            Gemini(), Dialect(thinking_min=128, thinking_max=9000), [], ["reasoning"], id="gemini, few tokens"
        ),
        pytest.param(Gemini(), Dialect(thinking_min=0, thinking_max=9000), [], [], id="gemini, off"),
        pytest.param(
            AnthropicMessages(),
            Dialect(quirks=frozenset({"always_thinks"})),
            ["reasoning"],
            [],
            id="anthropic",
        ),
        pytest.param(
            OpenAIChat(), Dialect(thinking_levels=("low", "high")), ["reasoning_effort"], [], id="chat"
        ),
        pytest.param(
            OpenAIResponses(),
            Dialect(thinking_levels=("low", "high"), capabilities=frozenset({"thinking"})),
            ["reasoning.effort"],
            [],
            id="responses",
        ),
    ],
)
def test_a_model_that_cannot_help_thinking(
    wire: Wire, dialect: Dialect, dropped: list[str], emulated: list[str]
) -> None:
    """It gets its least level, and the client is told unless that is as good as none."""
    notes = Notes()
    wire.write_request(asked(reasoning=Reasoning(effort="none", enabled=False)), dialect, notes)
    assert (notes.dropped, notes.emulated) == (dropped, emulated)
