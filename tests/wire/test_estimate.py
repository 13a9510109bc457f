"""The estimate of input tokens: rough, but of the right size."""

from __future__ import annotations

import pytest

from omniroute.wire.conversation import Conversation, File, Image, Part, Source, Text, Tool, ToolResult, Turn
from omniroute.wire.estimate import estimated_tokens


def talk(*parts: Part) -> Conversation:
    return Conversation(turns=[Turn(role="user", parts=list(parts))])


@pytest.mark.parametrize(
    "parts, low, high",
    [
        ([Text(text="")], 1, 10),
        ([Text(text="word " * 1000)], 1000, 1500),
        ([Text(text="字" * 1000)], 500, 1200),
        ([Image(source=Source(data="A" * 1_000_000))], 500, 2000),
        ([File(source=Source(text="x" * 4000))], 900, 1200),
        ([ToolResult(id="1", content=[Text(text="x" * 4000)])], 900, 1200),
    ],
)
def test_sizes(parts: list[Part], low: int, high: int) -> None:
    assert low <= estimated_tokens(talk(*parts)) <= high


def test_tools_count() -> None:
    bare = Conversation()
    armed = Conversation(tools=[Tool(name="t", description="d" * 400, schema={"type": "object"})])
    assert estimated_tokens(armed) > estimated_tokens(bare) + 100
