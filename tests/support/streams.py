"""Streams in tests of any wire: read into deltas, and written from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from omniroute.errors import MalformedStream
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Event, Reference, Wire
from omniroute.wire.conversation import Delta, Doc, End, Failure, Notes


def reference(request: Doc | None = None, *, array: bool = False) -> Reference:
    """Ids count from 1."""
    numbers = itertools.count(1)
    return Reference(
        model="m",
        request=request or {},
        created=1700000000,
        new_id=lambda prefix: f"{prefix}{next(numbers)}",
        array=array,
    )


def deltas_of(wire: Wire, *chunks: bytes, step: int | None = None) -> list[Delta]:
    """What the reader makes of a stream that arrives in these chunks, or `step` bytes at a time."""
    if step is not None:
        raw = b"".join(chunks)
        chunks = tuple(raw[at : at + step] for at in range(0, len(raw), step))
    splitter, reader = SPLITTERS[wire.framing](), wire.reader()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    deltas = [delta for event in [*events, *splitter.end()] for delta in reader.feed(event)]
    return [*deltas, *reader.end()]


def bytes_of(
    wire: Wire, deltas: Iterable[Delta], notes: Notes | None = None, to: Reference | None = None
) -> bytes:
    """The stream that the writer makes of deltas."""
    writer = wire.writer(to or reference(), notes or Notes())
    return b"".join([writer.feed(delta) for delta in deltas]) + writer.close()


def assert_survives(wire: Wire, events: Iterable[Event]) -> None:
    """Garbage is malformed, or is read to an end as any stream is."""
    reader = wire.reader()
    try:
        for event in events:
            list(reader.feed(event))
    except MalformedStream:
        return
    last = list(reader.end())
    assert not last or isinstance(last[-1], End | Failure)
