"""Which headers of a client go on to the upstream, and which of an upstream's go back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from omniroute.routing.directory import Upstream

FORWARDED = (
    "anthropic-beta",
    "anthropic-version",
    "openai-beta",
    "user-agent",
    "http-referer",
    "x-title",
    "x-goog-api-client",
    "x-stainless-helper-method",
    "traceparent",
    "tracestate",
)
"""Sent on when client and target speak the same format: they change what the answer means, or trace it. All other
headers of the client stay here: credentials, hop-by-hop headers (RFC 9110 7.6.1), and what is meant for the gateway."""

FORWARDED_ALWAYS = ("traceparent", "tracestate")

DRESSED = 256
"""Sets of headers that are remembered for an upstream."""

LONGEST_HEADER = 2000
"""Characters of a header of ours that repeats words of the client: common clients refuse heads above 8 KiB."""


def header_safe(text: str) -> str:
    """Text that may stand in a header: short, and no characters but the printable ones of ASCII."""
    if len(text) <= LONGEST_HEADER and text.isascii() and text.isprintable():
        return text
    return "".join(c if 32 <= ord(c) < 127 else "?" for c in text[:LONGEST_HEADER])


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case names."""
    return {name.lower(): value for name, value in headers.items()}


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """One set of headers: later layers replace earlier ones, in whatever case a name is written."""
    names: dict[str, str] = {}
    headers: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            headers.pop(names.get(name.lower(), ""), None)
            names[name.lower()] = name
            headers[name] = value
    return headers


@lru_cache(maxsize=256)
def _forwarded(names: tuple[str, ...], same: bool) -> tuple[str, ...]:
    """Those of a client's headers that the upstream gets."""
    present = {name.lower() for name in names}
    return tuple(name for name in (FORWARDED if same else FORWARDED_ALWAYS) if name in present)


def outgoing_headers(client: Mapping[str, str], upstream: Upstream, *, same: bool) -> dict[str, str]:
    """All headers of a request but the credential's. Clients send the same ones with all their requests: they are put
    together once."""
    key = tuple([(name, client[name]) for name in _forwarded(tuple(client), same)])
    found = upstream.dressed.get(key)
    if found is None:
        if len(upstream.dressed) >= DRESSED:
            upstream.dressed.clear()
        found = merged(dict(key), upstream.headers, {"Content-Type": "application/json"})
        upstream.dressed[key] = found
    return dict(found)
