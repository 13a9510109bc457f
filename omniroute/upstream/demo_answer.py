"""What the demo model answers: to the same request the same, made of what stands in the request."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from omniroute.upstream.demo_request import (
    CHARACTERS_A_TOKEN,
    Heard,
    count_tokens,
    hear,
    plain_text,
    tokens_of,
)
from omniroute.upstream.demo_tools import calls_for
from omniroute.upstream.demo_values import value_for
from omniroute.wire.conversation import (
    Answer,
    Choice,
    Conversation,
    Finish,
    Part,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)

CREATED = 1_735_689_600
"""When every demo answer was made: at the beginning of 2025, so that it is the same tomorrow."""

QUOTED = 200
"""Characters of a text that is quoted in an answer."""

MOST_CHOICES = 8


def answer(talk: Conversation, wire: str, new_id: Callable[[str], str]) -> Answer:
    """The answer to `talk`, which came in the format `wire`. `new_id(prefix)` gives the ids of its calls."""
    heard = hear(talk)
    calls = calls_for(talk, heard, lambda: new_id("call_"))
    parts, finish = _within_limits(_parts(talk, heard, calls, wire), talk)
    count = min(max(talk.choices or 1, 1), MOST_CHOICES)
    return Answer(
        model=talk.model,
        created=CREATED,
        choices=[Choice(parts=parts, finish=finish) for _ in range(count)],
        usage=_usage(talk, parts, count),
    )


# content ──────────────────────────────────────────────────────────────────────────────────────────


def _parts(talk: Conversation, heard: Heard, calls: list[ToolCall], wire: str) -> list[Part]:
    parts: list[Part] = []
    if heard.reasons:
        parts.append(_thinking(talk, heard, calls, wire))
    parts.append(Text(text=_words(talk, heard, calls, wire)))
    return [*parts, *calls]


def _words(talk: Conversation, heard: Heard, calls: list[ToolCall], wire: str) -> str:
    if calls:
        return f"I will call {_listed(f'`{call.name}`' for call in calls)}."
    if talk.output is not None and talk.output.kind != "text":
        return _structured(talk, heard)
    if heard.results:
        return (
            " ".join(_quoted_result(result, talk) for result in heard.results) + " The tool loop is complete."
        )
    return _greeting(talk, heard, wire)


def _greeting(talk: Conversation, heard: Heard, wire: str) -> str:
    offered = sum(tool.kind != "server" for tool in talk.tools)
    seen = [
        *(["a system prompt"] if heard.system else []),
        _counted(heard.messages, "message"),
        *(_counted(count, kind) for kind, count in heard.media.items()),
        *([_counted(offered, "tool")] if offered else []),
    ]
    said = f'You said: "{_short(heard.prompt)}".' if heard.prompt else "You said nothing."
    return (
        f"Hello from OmniRoute. I am `{talk.model}`, a model inside of the gateway that needs no network. "
        f"Your request came to me in the format {wire}, with {_listed(seen)}. {said}"
    )


def _quoted_result(result: ToolResult, talk: Conversation) -> str:
    name = result.name or _name_of(result.id, talk)
    tool = f"The tool `{name}`" if name else "The tool"
    text = _short(plain_text(result.content))
    if result.error:
        return f'{tool} failed: "{text}".'
    return f'{tool} answered: "{text}".' if text else f"{tool} answered nothing."


def _name_of(call_id: str, talk: Conversation) -> str:
    calls = (part for turn in talk.turns for part in turn.parts if isinstance(part, ToolCall))
    return next((call.name for call in calls if call.id == call_id), "")


def _structured(talk: Conversation, heard: Heard) -> str:
    schema = talk.output.schema if talk.output is not None else None
    value: Any = value_for(schema) if schema else {"model": talk.model, "said": _short(heard.prompt)}
    return msgspec.json.encode(value).decode()


def _thinking(talk: Conversation, heard: Heard, calls: list[ToolCall], wire: str) -> Thinking:
    decision = "call a tool" if calls else "answer in words"
    said = f'The user said: "{_short(heard.prompt)}".' if heard.prompt else "The user said nothing."
    text = f"{said} I have {_counted(len(talk.tools), 'tool')} to choose from. I will {decision}."
    digest = hashlib.sha256(f"{talk.model}\n{text}".encode()).digest()
    signature = Signature(value=b64encode(digest).decode(), wire=wire)
    hidden = talk.reasoning is not None and talk.reasoning.visible is False
    return Thinking(text="" if hidden else text, signature=signature, summary=True)


# limits ───────────────────────────────────────────────────────────────────────────────────────────


def _within_limits(parts: list[Part], talk: Conversation) -> tuple[list[Part], Finish]:
    """The parts up to the first stop sequence and within `max_tokens`, and why they end where they do."""
    room = talk.max_tokens * CHARACTERS_A_TOKEN if talk.max_tokens else None
    kept: list[Part] = []
    for part in parts:
        sequence = None
        if isinstance(part, Text):
            part.text, sequence = _until(part.text, talk.stop)
        whole = room is None or _length(part) <= room
        if whole or not isinstance(part, ToolCall):
            kept.append(part)
        if not whole:
            _cut(part, room or 0)
            return kept, Finish(reason="length")
        if sequence is not None:
            return kept, Finish(reason="stop", sequence=sequence)
        room = None if room is None else room - _length(part)
    calls = any(isinstance(part, ToolCall) for part in kept)
    return kept, Finish(reason="tool_calls" if calls else "stop")


def _until(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The text before the stop sequence that comes first, and that sequence."""
    met = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not met:
        return text, None
    at, stop = min(met)
    return text[:at], stop


def _length(part: Part) -> int:
    if isinstance(part, ToolCall):
        return len(part.name) + len(part.arguments)
    return len(part.text) if isinstance(part, Text | Thinking) else 0


def _cut(part: Part, room: int) -> None:
    if isinstance(part, Text | Thinking):
        part.text = part.text[:room]


def _usage(talk: Conversation, parts: list[Part], choices: int) -> Usage:
    thought = sum(tokens_of(_length(part)) for part in parts if isinstance(part, Thinking))
    output = sum(tokens_of(_length(part)) for part in parts)
    return Usage(input=count_tokens(talk), output=max(1, output) * choices, reasoning=thought * choices)


# words ────────────────────────────────────────────────────────────────────────────────────────────


def _short(text: str) -> str:
    """One line, at most `QUOTED` characters."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
