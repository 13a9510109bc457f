"""What a credential adds to a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from omniroute.config.secrets import Secret


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` says what the account lacks; it is then inactive."""

    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    missing: str | None = None


class Credential(Protocol):
    def authorize(self, key: Secret | None) -> Authorization:
        """Made once an account, when the configuration is compiled."""
        ...


NO_KEY = Authorization(missing="its key is empty")


def clean(key: Secret) -> str:
    """The key as a header value. Raises `ValueError` for a line break or another control character in it."""
    text = key.reveal().strip()
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise ValueError("the key holds a control character")
    return text
