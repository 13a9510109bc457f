"""Free-form tools come back as free text, whole and streamed."""

from __future__ import annotations

import pytest

from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Conversation,
    Delta,
    Finish,
    Finished,
    PartEnd,
    TextDelta,
    Tool,
    ToolCall,
)
from omniroute.wire.custom_calls import CustomCalls, free_text

TALK = Conversation(tools=[Tool(name="apply_patch", kind="custom"), Tool(name="shell")])
STOP = Finished(finish=Finish(reason="tool_calls"))


@pytest.mark.parametrize(
    "arguments, text",
    [
        ('{"input": "*** Begin\\n\\"x\\""}', '*** Begin\n"x"'),
        ('{"input": ""}', ""),
        ("not json", "not json"),
        ('{"patch": 1}', '{"patch": 1}'),
        ("[1]", "[1]"),
    ],
)
def test_the_text_in_the_arguments(arguments: str, text: str) -> None:
    assert free_text(arguments) == text


def test_a_plain_answer() -> None:
    calls = [ToolCall(id="1", name="apply_patch", arguments='{"input":"x"}'), ToolCall(id="2", name="shell")]
    opened = CustomCalls(TALK).opened_answer(Answer(choices=[Choice(parts=list(calls))])).choices[0].parts
    assert opened == [ToolCall(id="1", name="apply_patch", arguments="x", kind="custom"), calls[1]]


@pytest.mark.parametrize("ending", [PartEnd(part=1), STOP], ids=["part-end", "finish"])
def test_a_stream(ending: Delta) -> None:
    customs = CustomCalls(TALK)
    deltas: list[Delta] = [
        TextDelta(part=0, text="so"),
        CallStart(part=1, id="1", name="apply_patch"),
        CallStart(part=2, id="2", name="shell"),
        CallDelta(part=1, arguments='{"inp'),
        CallDelta(part=2, arguments="{}"),
        CallDelta(part=1, arguments='ut":"a\\nb"}'),
        ending,
    ]
    out = [known for delta in deltas for known in customs.feed(delta)]
    assert out == [
        deltas[0],
        CallStart(part=1, id="1", name="apply_patch", kind="custom"),
        deltas[2],
        deltas[4],
        CallDelta(part=1, arguments="a\nb"),
        ending,
    ]
