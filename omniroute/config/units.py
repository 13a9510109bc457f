"""Written quantities: durations, sizes, counts and money, each a number that knows how it is written.

5s 250ms 10m 5h 7d        Duration, seconds
64KiB 10MB 4096           Size, bytes
5M 200k 1500              Count
5 0.25                    Money, USD
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self


class Quantity:
    """Mixin: parses the written form by a table of units. Raises `ValueError` with what is allowed."""

    UNITS: ClassVar[dict[str, float]]
    PATTERN: ClassVar[str]
    EXAMPLES: ClassVar[str]

    @classmethod
    def scale(cls, written: Any) -> float:
        if isinstance(written, bool) or not isinstance(written, int | float | str):
            raise ValueError(f"{written!r} is not one of the form {cls.EXAMPLES}")
        if isinstance(written, int | float):
            return float(written)
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*", written)
        if match is None or match[2] not in cls.UNITS:
            raise ValueError(f"{written!r} is not one of the form {cls.EXAMPLES}")
        return float(match[1]) * cls.UNITS[match[2]]


class Duration(Quantity, float):
    """A length of time in seconds; a bare number is seconds."""

    UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    PATTERN = r"^\s*[0-9]*\.?[0-9]+\s*(ms|s|m|h|d|w)?\s*$"
    EXAMPLES = "250ms, 5s, 10m, 5h, 7d"

    @classmethod
    def parse(cls, written: Any) -> Self:
        return cls(cls.scale(written))


class Size(Quantity, int):
    """A number of bytes."""

    UNITS = {
        "": 1,
        "B": 1,
        "kB": 10**3,
        "KB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
    }
    PATTERN = r"^\s*[0-9]*\.?[0-9]+\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?\s*$"
    EXAMPLES = "4096, 64KiB, 10MB"

    @classmethod
    def parse(cls, written: Any) -> Self:
        return cls(round(cls.scale(written)))


class Count(Quantity, int):
    """A whole number of things."""

    UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
    PATTERN = r"^\s*[0-9]*\.?[0-9]+\s*(k|K|M|G|B)?\s*$"
    EXAMPLES = "1500, 200k, 5M"

    @classmethod
    def parse(cls, written: Any) -> Self:
        return cls(round(cls.scale(written)))


class Money(Quantity, float):
    """US dollars."""

    UNITS = {"": 1, "USD": 1, "usd": 1}
    PATTERN = r"^\s*\$?[0-9]*\.?[0-9]+\s*(USD|usd)?\s*$"
    EXAMPLES = "5, 0.25, $20"

    @classmethod
    def parse(cls, written: Any) -> Self:
        return cls(cls.scale(written.replace("$", "", 1) if isinstance(written, str) else written))


QUANTITIES: tuple[type[Duration] | type[Size] | type[Count] | type[Money], ...] = (
    Duration,
    Size,
    Count,
    Money,
)
