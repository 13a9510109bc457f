"""Signed reasoning comes back from clients that keep nothing of an answer but its text and its calls."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.carried_thinking import CARRIED, carry_thinking, carrying, restored
from omniroute.wire.codec import Dialect, Reference, Wire
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Delta,
    Doc,
    End,
    Finish,
    Finished,
    Notes,
    Part,
    PartEnd,
    Signature,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
)
from omniroute.wire.gemini import Gemini
from omniroute.wire.openai_chat import OpenAIChat
from omniroute.wire.openai_responses import OpenAIResponses
from omniroute.wire.sse import EventSplitter

CHAT, GEMINI = OpenAIChat(), Gemini()
ANTHROPIC, RESPONSES = AnthropicMessages(), OpenAIResponses()
REFERENCE = Reference(model="m", request={}, created=1, new_id=lambda prefix: f"{prefix}1")


def signed(text: str, value: str, wire: str = ANTHROPIC.name, **fields: Any) -> Thinking:
    return Thinking(text=text, signature=Signature(value=value, wire=wire), **fields)


def call(id: str, signature: Signature | None = None) -> ToolCall:
    return ToolCall(id=id, name="look", signature=signature)


TURN: list[Part] = [
    signed("Let me see.", "s1"),
    signed("", "s2", redacted=True),
    Text(text="I look."),
    call("c1"),
    call("c2"),
    signed("And then?", "s3"),
    call("c3"),
]


def deltas(parts: list[Part]) -> list[Delta]:
    out: list[Delta] = [Start(id="a", model="m")]
    for number, part in enumerate(parts):
        if isinstance(part, Text):
            out.append(TextDelta(part=number, text=part.text))
        elif isinstance(part, Thinking):
            if part.text:
                out.append(ThinkingDelta(part=number, text=part.text))
            if part.signature is not None:
                out.append(SignatureDelta(part=number, signature=part.signature, redacted=part.redacted))
        elif isinstance(part, ToolCall):
            out += [
                CallStart(part=number, id=part.id, name=part.name),
                CallDelta(part=number, arguments="{}"),
            ]
        out.append(PartEnd(part=number))
    return [*out, Finished(finish=Finish(reason="tool_calls")), End()]


# ── what frugal clients keep ─────────────────────────────────────────────────────────────────────


def chat_history(message: Doc) -> Doc:
    """As OpenCode: readable reasoning, and of a call `extra_content` beside its name and arguments."""
    keys = ("role", "content", "reasoning_content", "tool_calls")
    return {"messages": [{key: message[key] for key in keys if message.get(key)}]}


def gemini_history(parts: list[Doc]) -> Doc:
    """As Gemini CLI: no thoughts."""
    return {"contents": [{"role": "model", "parts": [part for part in parts if not part.get("thought")]}]}


def chat_plain(answer: Answer) -> Doc:
    return chat_history(CHAT.write_answer(answer, REFERENCE, Notes())["choices"][0]["message"])


def gemini_plain(answer: Answer) -> Doc:
    return gemini_history(
        GEMINI.write_answer(answer, REFERENCE, Notes())["candidates"][0]["content"]["parts"]
    )


def events(wire: Wire, parts: list[Part]) -> list[Doc]:
    writer = wire.writer(REFERENCE, Notes())
    raw = b"".join([writer.feed(delta) for delta in deltas(parts)]) + writer.close()
    found = EventSplitter().feed(raw)
    return [json.loads(event.data) for event in found if event.data != b"[DONE]"]


def chat_streamed(answer: Answer) -> Doc:
    """As the AI SDK: of `extra_content` only what comes with the name of the function."""
    content, reasoning, calls = "", "", []
    for event in events(CHAT, answer.choices[0].parts):
        delta = event["choices"][0]["delta"]
        content += delta.get("content") or ""
        reasoning += delta.get("reasoning_content") or ""
        calls += [entry for entry in delta.get("tool_calls", ()) if "name" in entry["function"]]
    for entry in calls:
        entry["function"]["arguments"] = "{}"
    return chat_history(
        {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls}
    )


def gemini_streamed(answer: Answer) -> Doc:
    found = events(GEMINI, answer.choices[0].parts)
    return gemini_history([part for event in found for part in event["candidates"][0]["content"]["parts"]])


ways = pytest.mark.parametrize(
    ("wire", "way"),
    [(CHAT, chat_plain), (CHAT, chat_streamed), (GEMINI, gemini_plain), (GEMINI, gemini_streamed)],
    ids=["chat", "chat stream", "gemini", "gemini stream"],
)


@ways
def test_claude_gets_its_thinking_back(wire: Wire, way: Any) -> None:
    request = wire.read_request(way(Answer(choices=[Choice(parts=TURN)])))
    doc = ANTHROPIC.write_request(request, Dialect(model="m"), Notes())
    blocks = next(message["content"] for message in doc["messages"] if message["role"] == "assistant")
    assert [block.get("signature") or block.get("data") or block["type"] for block in blocks] == [
        *("s1", "s2", "text", "tool_use", "tool_use", "s3", "tool_use")
    ]
    assert [block["thinking"] for block in blocks if "thinking" in block] == ["Let me see.", "And then?"]


@ways
def test_a_responses_model_gets_its_reasoning_before_the_call(wire: Wire, way: Any) -> None:
    sealed = Thinking(
        text="Hm.", summary=True, signature=Signature(value="e1", wire=RESPONSES.name, id="rs_1")
    )
    request = wire.read_request(way(Answer(choices=[Choice(parts=[sealed, call("c1")])])))
    items = RESPONSES.write_request(request, Dialect(model="m"), Notes())["input"]
    found = [(item["type"], item.get("encrypted_content")) for item in items]
    assert found == [("reasoning", "e1"), ("function_call", None)]


@ways
def test_another_provider_gets_nothing_of_it(wire: Wire, way: Any) -> None:
    """Nor does what it gets depend on who was asked before."""
    request = wire.read_request(way(Answer(choices=[Choice(parts=TURN)])))
    for target in (CHAT, GEMINI, RESPONSES):
        written = msgspec.json.encode(target.write_request(request, Dialect(model="m"), Notes()))
        assert not any(word in written for word in (b"s1", b"s2", b"or1.", b"extra_content"))


@pytest.mark.parametrize(
    ("parts", "carried"),
    [
        ([signed("a", "s1"), call("c1"), call("c2")], ["c1"]),
        ([signed("a", "s1"), call("c1"), signed("b", "s2"), call("c2")], ["c1", "c2"]),
        # Nobody wants it back: unsigned, or a signature of the call's own, or of the client's own format.
        ([Thinking(text="a"), call("c1")], []),
        ([signed("a", "s1"), call("c1", Signature(value="g", wire="gemini"))], []),
        ([signed("a", "s1", wire=CHAT.name), call("c1")], []),
        ([call("c1")], []),
        ([signed("a", "s1"), Text(text="b")], []),
    ],
)
def test_which_calls_carry(parts: list[Part], carried: list[str]) -> None:
    found = [p.id for p in carrying(parts, CHAT.name) if isinstance(p, ToolCall) and _carries(p)]
    assert found == carried


def _carries(part: ToolCall) -> bool:
    return part.signature is not None and part.signature.wire == CARRIED


CARRY = carry_thinking([signed("a", "s1")], CHAT.name)
TWO = carry_thinking([signed("a", "s1"), signed("b", "s2")], CHAT.name)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([Text(text="x"), call("c1", CARRY)], [signed("a", "s1"), Text(text="x"), call("c1")]),
        # The client kept the reasoning as well, signed or only to be read.
        ([signed("a", "s1"), call("c1", CARRY)], [signed("a", "s1"), call("c1")]),
        ([Thinking(text="a"), call("c1", CARRY)], [signed("a", "s1"), call("c1")]),
        (
            [Text(text="x"), signed("a", "s1"), call("c1", CARRY)],
            [Text(text="x"), signed("a", "s1"), call("c1")],
        ),
        # Or only some of it.
        ([signed("", "s2"), call("c1", TWO)], [signed("a", "s1"), signed("b", "s2"), call("c1")]),
        ([Thinking(text="a"), call("c1")], [Thinking(text="a"), call("c1")]),
        # Damaged.
        ([call("c1", Signature(value="{", wire=CARRIED))], [call("c1")]),
        (
            [Thinking(text="a"), call("c1", Signature(value="[1]", wire=CARRIED))],
            [Thinking(text="a"), call("c1")],
        ),
        ([], []),
    ],
)
def test_restored(parts: list[Part], expected: list[Part]) -> None:
    assert restored(parts) == expected
