"""Reasoning that a server leaves in the content, between `<think>` and `</think>` at its very start."""

from __future__ import annotations

from typing import Literal, NamedTuple

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


class Piece(NamedTuple):
    kind: Literal["thinking", "text"]
    text: str


class ThinkTags:
    """Feed the content as it comes, cut anywhere; get pieces. Holds back only what may be part of a tag."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "opened", "inside", "gap", "after"] = "start"

    @property
    def settled(self) -> bool:
        """From here on all is text."""
        return self._state == "after"

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        pieces: list[Piece] = []
        if self._state == "start":
            self._look_for_tag()
        if self._state == "opened":
            self._held = self._held.lstrip()
            self._state = "inside" if self._held else "opened"
        if self._state == "inside":
            pieces += self._thinking()
        if self._state == "gap":
            # The line breaks between a tag and what follows belong to neither.
            self._held = self._held.lstrip()
            self._state = "after" if self._held else "gap"
        if self._state == "after" and self._held:
            pieces.append(Piece("text", self._take(len(self._held))))
        return pieces

    def end(self) -> list[Piece]:
        """What was held back."""
        held = self._take(len(self._held))
        kind: Literal["thinking", "text"] = "thinking" if self._state == "inside" else "text"
        self._state = "after"
        return [Piece(kind, held)] if held else []

    def _look_for_tag(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(THINK_OPEN):
            self._held = begun[len(THINK_OPEN) :]
            self._state = "opened"
        elif not THINK_OPEN.startswith(begun):
            self._state = "after"

    def _thinking(self) -> list[Piece]:
        end = self._held.find(THINK_CLOSE)
        if end >= 0:
            thought = self._take(end)
            self._held = self._held[len(THINK_CLOSE) :]
            self._state = "gap"
        else:
            thought = self._take(len(self._held) - _overlap(self._held))
        return [Piece("thinking", thought)] if thought else []

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def _overlap(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    for length in range(min(len(THINK_CLOSE) - 1, len(text)), 0, -1):
        if THINK_CLOSE.startswith(text[-length:]):
            return length
    return 0


def split_think(content: str) -> list[Piece]:
    """The pieces of a whole content."""
    tags = ThinkTags()
    return tags.feed(content) + tags.end()
