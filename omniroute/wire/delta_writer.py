"""What the writers of streams share: a table that says which method writes which delta, and what waits for the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, get_args

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    CallStart,
    Delta,
    End,
    Failure,
    Finish,
    Finished,
    Notes,
    ToolCall,
    Usage,
    UsageDelta,
)
from omniroute.wire.failures import problem_of


class PendingCall:
    """A call that is not sent yet, for formats that have calls only whole."""

    __slots__ = ("_fragments", "_start", "ended", "signature")

    def __init__(self, start: CallStart) -> None:
        self._start = start
        self._fragments: list[str] = []
        self.signature = start.signature
        self.ended = False

    def add(self, fragment: str) -> None:
        self._fragments.append(fragment)

    def call(self) -> ToolCall:
        """As much of it as has come."""
        return ToolCall(
            id=self._start.id,
            name=self._start.name,
            arguments="".join(self._fragments),
            kind=self._start.kind,
            signature=self.signature,
        )


Table = Mapping[type, Callable[[Any, Any], bytes]]


class DeltaWriter(ABC):
    """Deltas of one answer into the bytes of a legal stream. `table` has a row for every kind of delta."""

    def __init__(self, reference: Reference, notes: Notes) -> None:
        self._reference = reference
        self._notes = notes
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._over = False

    def feed(self, delta: Delta) -> bytes:
        return b"" if self._over else self.table[type(delta)](self, delta)

    @abstractmethod
    def close(self, problem: Problem | None = None) -> bytes: ...

    def _nothing(self, delta: Delta) -> bytes:
        return b""

    def _take_usage(self, delta: UsageDelta) -> bytes:
        self._usage = delta.usage
        return b""

    def _take_finish(self, delta: Finished) -> bytes:
        self._finish = delta.finish
        return b""

    def _fail(self, delta: Failure) -> bytes:
        return self.close(problem_of(delta))

    def _end(self, delta: End) -> bytes:
        return self.close()

    table: ClassVar[Table] = {
        **dict.fromkeys(get_args(Delta), _nothing),
        UsageDelta: _take_usage,
        Finished: _take_finish,
        Failure: _fail,
        End: _end,
    }


class OneChoiceWriter(DeltaWriter):
    """For formats in which an answer is one; what belongs to a second choice is left out, and noted."""

    def feed(self, delta: Delta) -> bytes:
        if self._over:
            return b""
        if getattr(delta, "choice", 0):
            self._notes.drop("n")
            return b""
        return self.table[type(delta)](self, delta)
