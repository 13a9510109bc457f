"""The demo model's answer as a stream would tell it: word by word, calls piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Delta,
    End,
    Finish,
    Finished,
    PartEnd,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
)

_WORDS = re.compile(r"\s*\S{1,24}|\s+")
_PIECE = 16
"""Characters of a call's arguments that come at once."""


def deltas(answer: Answer) -> Iterator[Delta]:
    """The deltas of an answer, from `Start` to `End`."""
    usage = answer.usage or Usage()
    yield Start(id=answer.id, model=answer.model, created=answer.created)
    yield UsageDelta(usage=msgspec.structs.replace(usage, output=0, reasoning=0))
    number = 0
    for index, choice in enumerate(answer.choices):
        yield from _choice(choice, index, number)
        number += len(choice.parts)
    yield UsageDelta(usage=usage)
    yield End()


def _choice(choice: Choice, index: int, number: int) -> Iterator[Delta]:
    for part in choice.parts:
        yield from _PARTS[type(part)](part, number, index)
        yield PartEnd(part=number, choice=index)
        number += 1
    yield Finished(finish=choice.finish or Finish(), choice=index)


def _text(part: Text, number: int, choice: int) -> Iterator[Delta]:
    for word in _WORDS.findall(part.text):
        yield TextDelta(part=number, text=word, choice=choice)


def _thinking(part: Thinking, number: int, choice: int) -> Iterator[Delta]:
    for word in _WORDS.findall(part.text):
        yield ThinkingDelta(part=number, text=word, choice=choice, summary=part.summary)
    if part.signature is not None:
        yield SignatureDelta(part=number, signature=part.signature, choice=choice)


def _call(part: ToolCall, number: int, choice: int) -> Iterator[Delta]:
    yield CallStart(
        part=number, id=part.id, name=part.name, kind=part.kind, namespace=part.namespace, choice=choice
    )
    for at in range(0, len(part.arguments), _PIECE):
        yield CallDelta(part=number, arguments=part.arguments[at : at + _PIECE], choice=choice)


_PARTS: dict[type, Callable[[Any, int, int], Iterator[Delta]]] = {
    Text: _text,
    Thinking: _thinking,
    ToolCall: _call,
}
"""All that a demo answer is made of."""
