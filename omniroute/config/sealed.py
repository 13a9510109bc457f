"""Values sealed with AES-256-GCM, so that a secret can live in git: `${sealed:v1:KEYID:BODY}`.

`KEYID` are eight hex digits that tell which master key opens the value. `BODY` is base64url of nonce (12 bytes),
ciphertext and tag; version and key id are authenticated with it. The AES key is HKDF-SHA-256 of the master key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

MASTER_KEY = "OMNIROUTE_MASTER_KEY"
VERSION = "v1"
NONCE = 12
SHORTEST = 32
"""Characters of a master key. Whoever can read the repository can try keys for as long as they like."""

WRITTEN = re.compile(r"\$\{sealed:(v[0-9]+:[0-9a-f]{8}:[A-Za-z0-9_-]+)\}")
"""A sealed value as it stands in a file."""


def master_key(env: Mapping[str, str], name: str = MASTER_KEY) -> str | None:
    """The text of the master key: the variable, or the contents of the file that its `_FILE` names.

    Raises `OSError` when that file cannot be read.
    """
    text = env.get(name)
    if text:
        return text
    file = env.get(f"{name}_FILE")
    return Path(file).expanduser().read_text("utf-8").strip() if file else None


def new_master_key() -> str:
    """256 random bits, as text."""
    return secrets.token_urlsafe(32)


def key_id(key: str) -> str:
    """What a sealed value says of the key that opens it."""
    return _derived(key, b"id")[:4].hex()


def seal(text: str, key: str) -> str:
    """`v1:KEYID:BODY` for a text. Raises `ValueError` when the key is too short to be one."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(key) < SHORTEST:
        raise ValueError(
            f"a master key has at least {SHORTEST} characters: `omniroute secrets key` makes one"
        )
    head = f"{VERSION}:{key_id(key)}"
    nonce = secrets.token_bytes(NONCE)
    body = AESGCM(_derived(key, b"aes-256-gcm")).encrypt(nonce, text.encode(), head.encode())
    return f"{head}:{base64.urlsafe_b64encode(nonce + body).decode().rstrip('=')}"


def open_sealed(sealed: str, key: str) -> str:
    """The text in `v1:KEYID:BODY`. Raises `ValueError` with the reason."""
    version, _, rest = sealed.partition(":")
    id, _, body = rest.partition(":")
    if version != VERSION:
        raise ValueError(f"sealed values of the form {VERSION!r} are known, not {version[:8]!r}")
    if id != key_id(key):
        raise ValueError(f"it is sealed with the master key {id[:8]!r}, and the one given is {key_id(key)!r}")
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        aes = AESGCM(_derived(key, b"aes-256-gcm"))
        return aes.decrypt(raw[:NONCE], raw[NONCE:], f"{version}:{id}".encode()).decode()
    except (InvalidTag, ValueError):
        raise ValueError("the sealed value is damaged") from None


def resealed(text: str, old: str, new: str) -> tuple[str, int]:
    """A file's text in which every sealed value is sealed with another key, and how many there were.

    Raises `ValueError` with the line of one that cannot be opened.
    """

    def again(match: re.Match[str]) -> str:
        try:
            return f"${{sealed:{seal(open_sealed(match[1], old), new)}}}"
        except ValueError as error:
            raise ValueError(f"line {text.count(chr(10), 0, match.start()) + 1}: {error}") from None

    return WRITTEN.subn(again, text)


def _derived(key: str, purpose: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) of one block: extract with our salt, expand for one purpose."""
    extracted = hmac.digest(b"omniroute sealed v1", key.encode(), hashlib.sha256)
    return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)
