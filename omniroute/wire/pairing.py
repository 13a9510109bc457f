"""Calls and their results, brought into the pairs that most APIs demand: each call answered, each answer asked for.

Histories lose one half of a pair when a client is interrupted in the middle of a tool, or trims what is old.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from omniroute.wire.conversation import Conversation, Notes, Part, Text, ToolCall, ToolResult, Turn

NO_RESULT = "No result: this call was not answered."
ORPHAN = "Result of the tool call {id}:"
"""Stands before a result that nobody asked for."""


class Pairing:
    """For formats whose clients may leave ids out: finds the call that a result answers, and gives an id to calls that
    have none, which begins with `prefix` and is the same one every time."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._open: list[tuple[str, str]] = []
        self._made = 0

    def called(self, id: str, name: str) -> str:
        id = id or self._fresh()
        self._open.append((id, name))
        return id

    def answered(self, id: str, name: str) -> tuple[str, str]:
        """Id and name of the call that is answered by a result with this id or, without one, with this name."""
        for index, (open_id, open_name) in enumerate(self._open):
            if open_id == id or (not id and name in ("", open_name)):
                del self._open[index]
                return open_id, open_name
        return id or self._fresh(), name

    def _fresh(self) -> str:
        self._made += 1
        return f"{self._prefix}{self._made}"


def paired(talk: Conversation, notes: Notes) -> Conversation:
    """The conversation with a result for every call, and with results that nobody asked for as words of the user.

    The same object where nothing is amiss; `talk` itself is never changed.
    """
    if not any(isinstance(part, ToolCall | ToolResult) for turn in talk.turns for part in turn.parts):
        return talk
    asked: set[str] = set()
    turns: list[Turn] = []
    changed = False
    for index, turn in enumerate(talk.turns):
        kept = _answers(turn, asked)
        changed = changed or kept is not turn
        turns.append(kept)
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        asked.update(call.id for call in calls)
        missing = _unanswered(calls, talk.turns[index + 1 :]) if calls else []
        if missing:
            changed = True
            turns.append(Turn(role="user", parts=[_no_result(call) for call in missing]))
            asked.difference_update(call.id for call in missing)
    if not changed:
        return talk
    notes.emulate("tool_result")
    return msgspec.structs.replace(talk, turns=turns)


def _answers(turn: Turn, asked: set[str]) -> Turn:
    """A turn whose results all answer a call; each call is answered once."""
    parts: list[Part] = []
    orphans = 0
    for part in turn.parts:
        if not isinstance(part, ToolResult):
            parts.append(part)
        elif part.id in asked:
            asked.discard(part.id)
            parts.append(part)
        else:
            orphans += 1
            parts += [Text(text=ORPHAN.format(id=part.id)), *part.content]
    return turn if not orphans else msgspec.structs.replace(turn, parts=parts)


def _unanswered(calls: list[ToolCall], later: Iterable[Turn]) -> list[ToolCall]:
    """The calls that no turn answers before the assistant goes on."""
    open_calls = {call.id: call for call in calls}
    for turn in later:
        if turn.role == "assistant" and not any(isinstance(part, ToolCall) for part in turn.parts):
            break
        for part in turn.parts:
            if isinstance(part, ToolResult):
                open_calls.pop(part.id, None)
    return list(open_calls.values())


def _no_result(call: ToolCall) -> ToolResult:
    return ToolResult(id=call.id, name=call.name, kind=call.kind, content=[Text(text=NO_RESULT)])
