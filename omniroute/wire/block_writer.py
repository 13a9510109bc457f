"""What the writers of streams share in which each piece has an index: what comes mixed may go out mixed."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import msgspec

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import CallDelta, Notes, PartEnd, ThinkingDelta
from omniroute.wire.delta_writer import OneChoiceWriter, Table
from omniroute.wire.functions import CUSTOM_INPUT

encode = msgspec.json.Encoder().encode


class Block:
    """A piece that is open. `free` holds the text of a free-form call, which becomes the argument of a function."""

    __slots__ = ("free", "index", "kind", "paragraph", "text")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.text = ""
        self.paragraph = 0
        self.free: list[str] | None = None

    def continued(self, delta: ThinkingDelta) -> str:
        """The text of a delta, set off from the paragraph before it."""
        text = "\n\n" + delta.text if delta.block != self.paragraph else delta.text
        self.paragraph = delta.block
        return text


class BlockWriter(OneChoiceWriter):
    """Keeps the pieces that are open, by their part; how they are told is up to the format."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        super().__init__(reference, notes)
        self._blocks: dict[int, Block] = {}
        self._calls = 0
        self._started = False

    def close(self, problem: Problem | None = None) -> bytes:
        if self._over:
            return b""
        self._over = True
        if problem is not None:
            return self._error(problem)
        out = self._begin() + b"".join([self._close(part) for part in list(self._blocks)])
        return out + self._last()

    def _begin(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._first()

    def _close(self, part: int) -> bytes:
        block = self._blocks.pop(part, None)
        if block is None:
            return b""
        if block.free is None:
            return self._stop(block)
        arguments = encode({CUSTOM_INPUT: "".join(block.free)}).decode()
        return self._fragment(block, arguments) + self._stop(block)

    def _arguments(self, delta: CallDelta) -> bytes:
        block = self._blocks.get(delta.part)
        if block is None or block.kind != "call":
            if delta.arguments.strip():
                # The call is over, or was never named: there is nothing that this could go into.
                self._notes.drop("tool_calls[].arguments")
            return b""
        if block.free is not None:
            block.free.append(delta.arguments)
            return b""
        return self._fragment(block, delta.arguments) if delta.arguments else b""

    def _part_end(self, delta: PartEnd) -> bytes:
        return self._close(delta.part)

    @abstractmethod
    def _first(self) -> bytes:
        """What announces the answer."""

    @abstractmethod
    def _fragment(self, block: Block, arguments: str) -> bytes:
        """A piece of the arguments of a call."""

    @abstractmethod
    def _stop(self, block: Block) -> bytes:
        """What ends a piece."""

    @abstractmethod
    def _last(self) -> bytes:
        """What ends the answer: finish reason and usage."""

    @abstractmethod
    def _error(self, problem: Problem) -> bytes:
        """What ends a stream that failed."""

    table: ClassVar[Table] = {**OneChoiceWriter.table, CallDelta: _arguments, PartEnd: _part_end}
