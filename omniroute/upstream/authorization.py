"""What a credential adds to a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from omniroute.config.secrets import Secret
from omniroute.config.settings import Account

Sign = Callable[[str, str, Mapping[str, str], bytes, float], Mapping[str, str]]
"""Method, URL, headers, body, epoch seconds → headers to add."""


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` says what the account lacks; it is then inactive. `sign` is asked at each request, once all else of it
    is known."""

    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    sign: Sign | None = None
    missing: str | None = None


class Credential(Protocol):
    def authorize(self, account: Account) -> Authorization:
        """Made once an account, when the configuration is compiled."""
        ...


NO_KEY = Authorization(missing="its key is empty")


def clean(key: Secret) -> str:
    """The key as a header value. Raises `ValueError` for a line break or another control character in it."""
    text = key.reveal().strip()
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise ValueError("the key holds a control character")
    return text
