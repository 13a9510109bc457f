"""The latest requests, for a look at them without the log: `GET /-/requests`. In memory, and bounded."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

from omniroute.pipeline.record import Record

KEPT = 1_000


class Recent:
    """Records in the order in which they came, each with a number that counts from 1."""

    def __init__(self, most: int = KEPT) -> None:
        self._records: deque[Record] = deque(maxlen=most)
        self._count = 0

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._count += 1

    def after(self, number: int, most: int) -> dict[str, Any]:
        """Those that came after that number, at most so many of the latest; `next` is the number to go on from, and
        `missed` how many came and are forgotten already."""
        new = self._count - number if 0 <= number <= self._count else self._count
        kept = min(new, len(self._records))
        shown = min(kept, most)
        latest = list(islice(self._records, len(self._records) - shown, None))
        return {"requests": latest, "next": self._count, "missed": new - kept}
