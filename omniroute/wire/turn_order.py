"""What APIs want of the order of messages whose roles alternate, and the words that stand in for what is missing."""

from __future__ import annotations

from collections.abc import Callable

from omniroute.wire.conversation import Doc

BEGINNING = "(The conversation begins with the assistant.)"
GO_ON = "Go on exactly where your last message ends, without repeating any of it."


def first_step(messages: list[Doc], has_results: Callable[[Doc], bool]) -> Doc:
    """The assistant's first message since the user last said something, where calls of it are being answered.

    An empty one where they are not: then reasoning of earlier turns is not asked for.
    """
    first: Doc = {}
    if not messages or not has_results(messages[-1]):
        return first
    for message in reversed(messages):
        if message["role"] == "user" and not has_results(message):
            break
        if message["role"] == "assistant":
            first = message
    return first
