"""Amazon's event stream by its specification, for recordings and fake upstreams: nothing here is the gateway's own.

https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any


def message(name: str, payload: Any, *, kind: str = "event") -> bytes:
    """One message with a JSON payload."""
    names = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return raw_message(names, json.dumps(payload, separators=(",", ":")).encode())


def raw_message(names: dict[str, str], payload: bytes) -> bytes:
    headers = b"".join(
        struct.pack("!B", len(n)) + n.encode() + struct.pack("!BH", 7, len(v)) + v.encode()
        for n, v in names.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def messages(raw: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Headers and payload of each whole message."""
    while raw:
        total, size = struct.unpack("!II", raw[:8])
        assert zlib.crc32(raw[: total - 4]) == struct.unpack("!I", raw[total - 4 : total])[0]
        yield dict(_headers(raw[12 : 12 + size])), raw[12 + size : total - 4]
        raw = raw[total:]


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    while data:
        name_end = 1 + data[0]
        assert data[name_end] == 7, "only texts occur here"
        length = int.from_bytes(data[name_end + 1 : name_end + 3])
        value_end = name_end + 3 + length
        yield data[1:name_end].decode(), data[name_end + 3 : value_end].decode()
        data = data[value_end:]


def events(raw: bytes) -> list[dict[str, Any]]:
    """Each message as `{name: payload}`, as programs see it."""
    found = []
    for headers, payload in messages(raw):
        kind = headers[":message-type"]
        found.append({headers[f":{kind}-type"]: json.loads(payload)})
    return found


def lines(raw: bytes) -> bytes:
    """The messages as lines, for files that people read."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events(raw)).encode()


def recorded(body: str) -> bytes:
    """The bytes of a recorded stream: base64, or put back from `{name: payload}` lines where only these were kept."""
    if not body.startswith("{"):
        return base64.b64decode(body)
    found = [json.loads(line) for line in body.splitlines() if line.strip()]
    return b"".join(
        message(name, payload, kind="exception" if name.endswith("Exception") else "event")
        for event in found
        for name, payload in event.items()
    )
