"""Which settings a client hears of when its target has no words for them."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Conversation, Notes, Text, Tool, ToolCall, ToolResult, Turn
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
