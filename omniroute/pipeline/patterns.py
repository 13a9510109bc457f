"""Globs and networks, compiled once and asked often."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable

Test = Callable[[str], bool]
Bar = Callable[[str, str], bool]
"""Whether a provider, by its name, or its target (`provider/model`) may not be used."""


def any_of(globs: Iterable[str]) -> Test:
    """A test that is true for names that one of the globs fits (`*` any run, `?` one character)."""
    patterns = [fnmatch.translate(glob) for glob in globs]
    if not patterns:
        return lambda name: False
    matches = re.compile("|".join(f"(?:{p})" for p in patterns)).match
    return lambda name: matches(name) is not None


def networks(cidrs: Iterable[str]) -> Test:
    """A test for addresses in one of the networks; what is no address is in none."""
    parsed = tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    if not parsed:
        return lambda address: False

    def inside(address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in parsed)

    return inside


def client_address(peer: str, forwarded: str | None, trusted: Test) -> str:
    """The address of the client: the last one in X-Forwarded-For that no trusted proxy added.

    `forwarded` is believed only when `peer` itself is trusted (RFC 7239 section 8.1 tells why).
    """
    if forwarded is None or not trusted(peer):
        return peer
    for hop in reversed([h.strip() for h in forwarded.split(",")]):
        if not trusted(hop):
            return hop
    return peer
