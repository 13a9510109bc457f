"""Carry a provider's signature through a client format that is not its own, and find it again next turn.

A client sends back what it was given in its own format's signature place. A foreign signature travels there as
`or1.<wire>.<base64url of the Signature as JSON>`: letters, digits, `-`, `_` and `.` only, so that no format minds.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from omniroute.wire.conversation import Signature

_MARK = "or1."


def wrap_signature(signature: Signature, own_wire: str) -> str:
    """What to write where `own_wire` keeps signatures: the value itself if it is of that wire."""
    if signature.wire == own_wire:
        return signature.value
    packed = urlsafe_b64encode(msgspec.json.encode(signature)).rstrip(b"=").decode("ascii")
    return f"{_MARK}{signature.wire}.{packed}"


def unwrap_signature(value: str, own_wire: str) -> Signature:
    """The signature that `value` stands for; a value that we did not wrap is one of `own_wire`.

    Never raises: a wrapped value that was cut or changed is a signature that its provider will refuse, no more.
    """
    if not value.startswith(_MARK):
        return Signature(value=value, wire=own_wire)
    wire, _, packed = value[len(_MARK) :].rpartition(".")
    try:
        padded = packed.encode("ascii") + b"=" * (-len(packed) % 4)
        signature = msgspec.json.decode(urlsafe_b64decode(padded), type=Signature)
    except (ValueError, msgspec.MsgspecError):
        return Signature(value=value, wire=own_wire)
    return signature if signature.wire == wire else Signature(value=value, wire=own_wire)
