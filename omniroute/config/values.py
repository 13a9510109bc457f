"""Texts with a form of their own: networks, dates, hashes, addresses, URLs, time zones."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Path, Seq
from omniroute.config.secrets import Secret
from omniroute.config.view import View, text

Rule = Callable[[str], str | None]
"""What is wrong with a text, or None. The words do not hold the text."""


def network(value: str) -> str | None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return "is not a network such as 10.0.0.0/8"
    return None


def moment(value: str) -> str | None:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return "is not a date such as 2027-01-01, or 2027-01-01T12:00:00Z"
    return None


def key_hash(value: str) -> str | None:
    return None if re.fullmatch(r"sha256:[0-9a-fA-F]{64}", value) else "is not `sha256:` and 64 hex digits"


def address(value: str) -> str | None:
    """`host:port`, `:port`, `[ipv6]:port` or `unix:/path`."""
    if value.startswith("unix:"):
        return None if len(value) > len("unix:") else "has no path after `unix:`"
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/\s]*):([0-9]{1,5})", value)
    if match is None:
        return 'is not of the form "host:port", ":port" or "unix:/path"'
    return None if int(match[2]) < 65536 else "has a port above 65535"


def admin(value: str) -> str | None:
    return None if value == "same" else address(value)


def url(value: str, schemes: tuple[str, ...] = ("http", "https")) -> str | None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in schemes:
        return f"does not begin with {' or '.join(f'{s}://' for s in schemes)}"
    return None if host else "has no host"


def proxy_url(value: str) -> str | None:
    return None if value == "direct" else url(value, ("http", "https", "socks5", "socks5h"))


@cache
def zones() -> frozenset[str]:
    """The zones that this system knows; none where it has no database of them."""
    return frozenset(zoneinfo.available_timezones())


def zone(value: str) -> str | None:
    return "is not a time zone such as Europe/Rome" if zones() and value not in zones() else None


def reset(value: str) -> str | None:
    """`10:00`, or `10:00 Asia/Shanghai`; `Mon 10:00`, `15 10:00` for a week and a month."""
    day = re.match(r"([A-Za-z]{3,9}|[0-9]{1,2})\s+(?=[0-9])", value)
    time, _, where = value[day.end() if day else 0 :].partition(" ")
    if not re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", time):
        return "is not of the form `10:00 Asia/Shanghai`"
    return zone(where.strip()) if where else None


RULES: tuple[tuple[Path, Rule, Code], ...] = (
    (("server", "listen", "*"), address, Code.BAD_ADDRESS),
    (("server", "admin"), admin, Code.BAD_ADDRESS),
    (("server", "trusted_proxies", "*"), network, Code.BAD_NETWORK),
    (("keys", "*", "ips", "*"), network, Code.BAD_NETWORK),
    (("keys", "*", "expires"), moment, Code.BAD_DATE),
    (("keys", "*", "hash"), key_hash, Code.BAD_HASH),
    (("keys", "*", "budget", "zone"), zone, Code.BAD_ZONE),
    (("providers", "*", "budget", "zone"), zone, Code.BAD_ZONE),
    (("tiers", "*", "budget", "zone"), zone, Code.BAD_ZONE),
    (("providers", "*", "quota", "*", "resets_at"), reset, Code.BAD_ZONE),
    (("providers", "*", "accounts", "*", "quota", "*", "resets_at"), reset, Code.BAD_ZONE),
    (("proxies", "*", "url"), proxy_url, Code.BAD_URL),
    (("tracing", "endpoint"), url, Code.BAD_URL),
)
"""Path (`*` is any name or index), what must hold there, and the code of what does not."""

STAGE_RULES: Mapping[str, tuple[Rule, Code]] = {
    "allow_ips": (network, Code.BAD_NETWORK),
    "deny_ips": (network, Code.BAD_NETWORK),
}
"""The same for lists among the options of stages."""


def check_values(view: View) -> None:
    """Tell every text that has not the form that it needs."""
    for pattern, rule, code in RULES:
        for path, value in matching(view.tree, pattern):
            check_value(value, rule, code, path, view)
    for option, (rule, code) in STAGE_RULES.items():
        for section in (("middleware", "*"), ("pipelines", "*", "stages", "*")):
            for path, value in matching(view.tree, (*section, option, "*")):
                check_value(value, rule, code, path, view)
    _check_store(view)
    _check_windows(view)


def check_value(value: Any, rule: Rule, code: Code, path: Path, view: View) -> None:
    """Tell what is wrong with one text."""
    written = text(value)
    wrong = rule(written) if written is not None else None
    if wrong:
        shown = "the value" if isinstance(value, Secret) else repr(written)
        view.tell(code, f"{shown} {wrong}", path)


def _check_store(view: View) -> None:
    store = text(view.tree.get("store"))
    if store is None or store == "memory":
        return
    scheme, registry = store.partition(":")[0], view.names.registry
    if scheme not in ("memory", "sqlite", "redis", "rediss", *registry.names("store")):
        view.tell(Code.BAD_STORE, "the store is none of memory, sqlite:PATH and redis://…", ("store",))
        return
    declaration = registry.find("store", scheme)
    lacks = declaration.cls().lacks() if declaration is not None else None
    if lacks is not None:
        view.tell(Code.BAD_STORE, lacks, ("store",))


def _check_windows(view: View) -> None:
    """A rolling window needs its length, and a quota something to count."""
    for section in (("providers", "*", "quota", "*"), ("providers", "*", "accounts", "*", "quota", "*")):
        for path, quota in matching(view.tree, section):
            if not isinstance(quota, Map):
                continue
            if quota.get("window") == "rolling" and quota.get("length") is None:
                view.tell(Code.MISSING_KEY, "`length` is missing: a rolling window needs it", path)
            limit = quota.get("limit")
            if isinstance(limit, Map) and not any(v is not None for v in limit.values()):
                view.tell(Code.MISSING_KEY, "`limit` needs tokens, requests or usd", (*path, "limit"))


def matching(tree: Any, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything in a tree that a pattern fits, with its path."""
    if not pattern:
        yield path, tree
        return
    step, rest = pattern[0], pattern[1:]
    if isinstance(tree, Map):
        for key in tree if step == "*" else [k for k in (step,) if k in tree]:
            yield from matching(tree[str(key)], rest, (*path, key))
    elif isinstance(tree, Seq) and step == "*":
        for index, item in enumerate(tree):
            yield from matching(item, rest, (*path, index))
