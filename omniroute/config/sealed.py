"""Values sealed with AES-256-GCM, so that a secret can live in git: `${sealed:v1:…}`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

MASTER_KEY = "OMNIROUTE_MASTER_KEY"
VERSION = "v1"
NONCE = 12


def master_key(env: Mapping[str, str]) -> str | None:
    """The text of the master key: the variable, or the contents of the file that its `_FILE` names.

    Raises `OSError` when that file cannot be read.
    """
    text = env.get(MASTER_KEY)
    if text:
        return text
    file = env.get(f"{MASTER_KEY}_FILE")
    return Path(file).expanduser().read_text("utf-8").strip() if file else None


def open_sealed(sealed: str, key: str) -> str:
    """The text in `v1:<base64url of nonce, ciphertext and tag>`. Raises `ValueError` with the reason."""
    version, _, body = sealed.partition(":")
    if version != VERSION:
        raise ValueError(f"sealed values of the form {VERSION!r} are known, not {version[:8]!r}")
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ValueError("opening sealed values needs the package `cryptography`") from None
    try:
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        opened = AESGCM(hashlib.sha256(key.encode()).digest()).decrypt(raw[:NONCE], raw[NONCE:], None)
        return opened.decode()
    except (InvalidTag, ValueError):
        raise ValueError("the sealed value was made with another master key, or is damaged") from None
