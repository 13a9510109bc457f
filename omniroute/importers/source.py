"""A foreign configuration, read so that nothing is lost without a word: what was not taken is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Doc = dict[str, Any]
Tell = Callable[[str, str], None]
"""Takes a path in the foreign file, and what there is to say about it."""

UNKNOWN = "it has no counterpart here"


class Section:
    """A map of the file. `take` hands out a value once; `leave` tells of all that nobody took."""

    def __init__(self, document: Any, path: str = "") -> None:
        self._left: Doc = dict(document) if isinstance(document, Mapping) else {}
        self.path = path

    def __bool__(self) -> bool:
        return bool(self._left)

    @property
    def keys(self) -> list[str]:
        """What nobody has taken yet."""
        return list(self._left)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> Any:
        return self._left.pop(key, None)

    def text(self, key: str) -> str:
        """A value as text; empty when there is none."""
        value = self.take(key)
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def number(self, key: str) -> float | None:
        value = self.take(key)
        if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return int(value) if float(value).is_integer() else float(value)

    def below(self, key: str) -> Section:
        return Section(self.take(key), self.at(key))

    def each(self, key: str) -> Iterator[Section]:
        """The maps of a list."""
        items = self.take(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, Mapping):
                yield Section(item, f"{self.at(key)}[{index}]")

    def texts(self, key: str) -> list[str]:
        """A list of words, or one word."""
        value = self.take(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        return [str(item) for item in items if isinstance(item, str | int | float)]

    def leave(self, tell: Tell, reasons: Mapping[str, str]) -> None:
        """Tell of what is left. A reason may be empty: then there is nothing to say."""
        for key, value in self._left.items():
            if value in (None, "", False, 0, [], {}):
                continue
            reason = reasons.get(key, UNKNOWN)
            if reason:
                tell(self.at(key), reason)
        self._left = {}
