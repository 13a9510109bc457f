"""Secrets are a type of their own, so that no `print`, log line or error can show one by accident."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any


class Secret:
    """A value that never prints itself. `reveal()` is the one way to the text.

    `origin` says where it came from (`env:NAME`, `file:PATH`, `omniroute.yaml:12:9`), never what it is.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        return self._value

    def fingerprint(self) -> str:
        """Twelve hex digits that tell two secrets apart and say nothing else."""
        return hashlib.sha256(b"omniroute:" + self._value.encode()).hexdigest()[:12]

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")
