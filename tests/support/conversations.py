"""Conversations as agents have them, made up by hypothesis: legal, and of what every format can say."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

from omniroute.wire.conversation import (
    Answer,
    Choice,
    Conversation,
    Doc,
    Finish,
    Image,
    Part,
    Source,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
)

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30
).filter(lambda text: bool(text.strip()))
NAMES = st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
VALUES = st.one_of(
    WORDS, st.integers(-(2**40), 2**40), st.booleans(), st.lists(st.integers(0, 9), max_size=3)
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
IMAGES = st.binary(min_size=1, max_size=20).map(
    lambda raw: Image(source=Source(data=base64.b64encode(PNG + raw).decode(), media_type="image/png"))
)
"""Pictures that say by their first bytes what they are: one format does not say it otherwise."""


@st.composite
def schemas(draw: st.DrawFn) -> Doc:
    kinds = st.sampled_from(["string", "integer", "boolean"])
    properties = draw(st.dictionaries(NAMES, kinds, max_size=3))
    schema: Doc = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
    }
    if properties:
        schema["required"] = sorted(properties)[:1]
    return schema


@st.composite
def tools(draw: st.DrawFn) -> list[Tool]:
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    return [Tool(name=name, description=draw(WORDS), schema=draw(schemas())) for name in names]


@st.composite
def rounds(draw: st.DrawFn, names: list[str], number: int) -> list[Turn]:
    """What a user says and what comes of it, with or without calls."""
    said: list[Part] = [Text(text=draw(WORDS))]
    if draw(st.integers(0, 3)) == 0:
        said.append(draw(IMAGES))
    turns = [Turn(role="user", parts=said)]
    if names and draw(st.booleans()):
        calls = [
            ToolCall(
                id=f"call_{number}_{index}", name=draw(st.sampled_from(names)), arguments=draw(ARGUMENTS)
            )
            for index in range(draw(st.integers(1, 3)))
        ]
        before: list[Part] = [Text(text=draw(WORDS))] if draw(st.booleans()) else []
        turns.append(Turn(role="assistant", parts=[*before, *calls]))
        turns.append(
            Turn(
                role="user",
                parts=[ToolResult(id=c.id, name=c.name, content=[Text(text=draw(WORDS))]) for c in calls],
            )
        )
    turns.append(Turn(role="assistant", parts=[Text(text=draw(WORDS))]))
    return turns


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    offered = draw(tools())
    names = [tool.name for tool in offered]
    turns = [Turn(role="system", parts=[Text(text=draw(WORDS))])] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 3))):
        turns += draw(rounds(names, number))
    talk = Conversation(model="m", turns=turns[:-1], tools=offered)
    talk.max_tokens = draw(st.integers(100, 9000))
    talk.temperature = draw(st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1.0])))
    talk.stop = draw(st.lists(NAMES, unique=True, max_size=2))
    if offered and draw(st.booleans()):
        talk.tool_choice = ToolChoice(mode=draw(st.sampled_from(["auto", "required"])))
    return talk


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(Thinking(text=draw(WORDS)))
    if draw(st.booleans()):
        parts.append(Text(text=draw(WORDS)))
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3))
    parts += [ToolCall(id=f"call_{i}", name=name, arguments=args) for i, (name, args) in enumerate(calls)]
    if not any(isinstance(part, Text | ToolCall) for part in parts):
        parts.append(Text(text=draw(WORDS)))
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    reasoning = draw(st.integers(0, 50))
    usage = Usage(
        input=draw(st.integers(100, 9000)),
        output=reasoning + draw(st.integers(1, 900)),
        cached=draw(st.integers(0, 100)),
        reasoning=reasoning,
    )
    finish = Finish(reason=reason)  # type: ignore[arg-type]  # one of the words above
    return Answer(
        id="id_1", model="m", created=1700000000, choices=[Choice(parts=parts, finish=finish)], usage=usage
    )


def meaning_of(talk: Conversation) -> dict[str, Any]:
    """What must survive: who said what in which order, calls with their results, tools and settings."""
    said: list[tuple[str, str]] = []
    calls: list[Any] = []
    results: list[Any] = []
    pictures: list[Any] = []
    named: dict[str, str] = {}
    for turn in talk.turns:
        role = "system" if turn.role == "developer" else turn.role
        for part in turn.parts:
            if isinstance(part, Text):
                if said and said[-1][0] == role:
                    said[-1] = (role, said[-1][1] + part.text)
                else:
                    said.append((role, part.text))
            elif isinstance(part, Image):
                pictures.append(part.source.data)
            elif isinstance(part, ToolCall):
                named[part.id] = part.name
                calls.append((part.name, json.loads(part.arguments or "{}")))
            elif isinstance(part, ToolResult):
                texts = "".join(p.text for p in part.content if isinstance(p, Text))
                results.append((part.name or named.get(part.id), texts))
    return {
        "said": [(role, "".join(text.split())) for role, text in said],
        "calls": calls,
        "results": results,
        "pictures": pictures,
        "tools": [(tool.name, tool.description) for tool in talk.tools],
        "choice": talk.tool_choice.mode if talk.tool_choice is not None else "auto",
        "max_tokens": talk.max_tokens,
        "temperature": talk.temperature,
        "stop": talk.stop,
    }


def meaning_of_answer(answer: Answer) -> dict[str, Any]:
    """What of an answer must survive."""
    choice = answer.choices[0]
    usage = answer.usage or Usage()
    return {
        "text": "".join(p.text for p in choice.parts if isinstance(p, Text)),
        "thinking": "".join(p.text for p in choice.parts if isinstance(p, Thinking)),
        "calls": [(p.name, json.loads(p.arguments or "{}")) for p in choice.parts if isinstance(p, ToolCall)],
        "finish": choice.finish.reason if choice.finish is not None else None,
        "usage": (usage.input, usage.output),
    }
