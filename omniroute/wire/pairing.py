"""Calls and their results, brought into the pairs that most APIs demand: each call answered, each answer asked for.

Histories lose one half of a pair when a client is interrupted in the middle of a tool, or trims what is old.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from omniroute.wire.conversation import Conversation, Notes, Part, Text, ToolCall, ToolResult, Turn

NO_RESULT = "No result: this call was not answered."


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
            parts += [Text(text=f"Result of the tool call {part.id}:"), *part.content]
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
