"""The commit point: a streamed answer is held until its first content, so that a failure before it can go elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable

from omniroute.errors import MalformedStream, Problem
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Event, Wire
from omniroute.wire.conversation import CONTENT, Delta, End, Failure, Finished
from omniroute.wire.failures import problem_of

MOST_BYTES = 1 << 20
"""A stream that has said nothing in so many bytes is let through: what it says is its own affair."""

EMPTY = Problem(kind="bad_gateway", code="empty_answer", message="The upstream's answer has no content.")


class Held:
    """The head of a stream. `problem` is set when it failed before its first content."""

    __slots__ = ("chunks", "problem")

    def __init__(self, chunks: list[bytes], problem: Problem | None) -> None:
        self.chunks = chunks
        self.problem = problem


async def hold(source: AsyncIterator[bytes], wire: Wire) -> Held:
    """Read until the first content event, an error, or the end. Raises what `source` raises."""
    watch: _Watch | None = None
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in source:
            chunks.append(chunk)
            size += len(chunk)
            if _says(chunk, wire.said):
                return Held(chunks, None)
            watch = watch or _Watch(wire)
            if watch.saw_content(chunk) or size > MOST_BYTES:
                return Held(chunks, None)
            if watch.problem is not None:
                return Held(chunks, watch.problem)
        return Held(chunks, (watch or _Watch(wire)).verdict())
    except MalformedStream as error:
        return Held(
            chunks,
            Problem(
                kind="bad_gateway",
                code="malformed_stream",
                message=f"The upstream's stream is broken: {error}.",
            ),
        )


def _says(chunk: bytes, said: re.Pattern[bytes] | None) -> bool:
    """Whether content is in it for sure, seen without reading it."""
    return said is not None and said.search(chunk) is not None and b'"error"' not in chunk


class _Watch:
    __slots__ = ("_finished", "_reader", "_splitter", "problem")

    def __init__(self, wire: Wire) -> None:
        self._reader = wire.reader()
        self._splitter = SPLITTERS[wire.framing]()
        self._finished: Finished | None = None
        self.problem: Problem | None = None

    def saw_content(self, chunk: bytes) -> bool:
        return self._events(self._splitter.feed(chunk))

    def verdict(self) -> Problem | None:
        """The stream is over without content: whether that is a failure."""
        if self._events(self._splitter.end()) or self._deltas(self._reader.end()):
            return None
        if self.problem is None and self._finished is None:
            return EMPTY
        return self.problem

    def _events(self, events: list[Event]) -> bool:
        return any(self._deltas(self._reader.feed(event)) for event in events)

    def _deltas(self, deltas: Iterable[Delta]) -> bool:
        for delta in deltas:
            if type(delta) in CONTENT:
                return True
            if isinstance(delta, Failure):
                self.problem = self.problem or problem_of(delta)
            elif isinstance(delta, Finished):
                self._finished = delta
                if delta.finish.reason not in ("stop", "tool_calls", "other"):
                    # Nothing to say, and a reason for it (a filter, a limit): that is an answer.
                    return True
            elif isinstance(delta, End) and self._finished is not None:
                self.problem = self.problem or EMPTY
        return False
