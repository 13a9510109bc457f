"""Free-form tools at targets that know only functions: a call comes back as the free text that the client expects.

Writers turn a custom tool into a function with the one property `input`; here its arguments are opened again.
"""

from __future__ import annotations

import msgspec

from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Conversation,
    Delta,
    End,
    Failure,
    Finished,
    Part,
    PartEnd,
    ToolCall,
)

replace = msgspec.structs.replace

_ENDINGS = (PartEnd, Finished, Failure, End)


class _Arguments(msgspec.Struct):
    input: str


_decode = msgspec.json.Decoder(_Arguments, strict=False).decode


def free_text(arguments: str) -> str:
    """The `input` in a function's arguments; arguments of another shape are given as they are."""
    try:
        return _decode(arguments).input
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return arguments


class CustomCalls:
    """Opens the calls of one answer. `names` are those of the custom tools, as the client wrote them."""

    __slots__ = ("_names", "_waiting")

    def __init__(self, talk: Conversation | None) -> None:
        tools = talk.tools if talk is not None else ()
        self._names = frozenset(tool.name for tool in tools if tool.kind == "custom")
        self._waiting: dict[int, list[str]] = {}

    def opened_answer(self, answer: Answer) -> Answer:
        if not self._names:
            return answer
        choices = [replace(c, parts=[self._opened(part) for part in c.parts]) for c in answer.choices]
        return replace(answer, choices=choices)

    def feed(self, delta: Delta) -> list[Delta]:
        """The deltas to write for one that was read. Arguments wait until their call is complete: free text has
        other escapes than the JSON that carries it."""
        if not self._names:
            return [delta]
        if isinstance(delta, CallStart) and delta.kind == "function" and delta.name in self._names:
            self._waiting[delta.part] = []
            return [replace(delta, kind="custom")]
        if isinstance(delta, CallDelta) and delta.part in self._waiting:
            self._waiting[delta.part].append(delta.arguments)
            return []
        if isinstance(delta, _ENDINGS):
            return [*self._flushed(delta), delta]
        return [delta]

    def _flushed(self, ending: Delta) -> list[Delta]:
        parts = [ending.part] if isinstance(ending, PartEnd) else list(self._waiting)
        ready = [(part, self._waiting.pop(part)) for part in parts if part in self._waiting]
        return [CallDelta(part=part, arguments=free_text("".join(pieces))) for part, pieces in ready]

    def _opened(self, part: Part) -> Part:
        if isinstance(part, ToolCall) and part.kind == "function" and part.name in self._names:
            return replace(part, kind="custom", arguments=free_text(part.arguments))
        return part
