"""What an upstream's headers say of its rate limits, in whatever words, and the same in a client's words.

A header's name is read word by word: `x-ratelimit-remaining-tokens-minute` and `anthropic-ratelimit-tokens-remaining`
say the same of two providers. A name with a word that is not in the table says something else and is left alone.
Sources: https://platform.openai.com/docs/guides/rate-limits, https://docs.claude.com/en/api/rate-limits,
draft-ietf-httpapi-ratelimit-headers, and the headers of real answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from omniroute.wire.retry_after import seconds_until, server_time

Family = Literal["openai", "anthropic"]
"""In whose words a client's format tells of limits; formats without any tell nothing."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a subscription's window is used (Anthropic's unified limits). `used` is 0 to 1, or more; `reset` in
    seconds from now; `rejected` when the window is spent."""

    window: str
    used: float | None = None
    reset: float | None = None
    rejected: bool = False


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one account as its provider tells them. None: not said.

    Resets are seconds from now. Windows are seconds, and known only where the header's name says them. Where a
    provider tells of several windows, this is the one that is spent, else the shortest.
    """

    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset: float | None = None
    requests_window: float | None = None
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset: float | None = None
    tokens_window: float | None = None
    input_tokens_limit: int | None = None
    input_tokens_remaining: int | None = None
    input_tokens_reset: float | None = None
    output_tokens_limit: int | None = None
    output_tokens_remaining: int | None = None
    output_tokens_reset: float | None = None
    shares: tuple[Share, ...] = ()


# ── reading ──────────────────────────────────────────────────────────────────────────────────────

_MARKS = ("ratelimit", "tokenlimit")
"""What the names of such headers hold, less their hyphens."""
_PREFIXES = frozenset({"x", "anthropic", "ratelimit"})
_ASPECTS = {"limit": "limit", "remaining": "remaining", "reset": "reset"}
_COUNTED = {
    "requests": "requests",
    "request": "requests",
    "req": "requests",
    "tokens": "tokens",
    "token": "tokens",
    "tokenlimit": "tokens",
}
_SIDES = {"input": "input", "prompt": "input", "output": "output", "generated": "output"}
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 30 * 86400.0}
_UNIFIED = re.compile(
    r"anthropic-ratelimit-unified-(?:(?P<window>\d+[a-z]+)-)?(?P<what>status|utilization|reset)"
)


class _Slot(NamedTuple):
    """Which figure a header holds."""

    counted: str
    aspect: str
    window: float | None


@lru_cache(maxsize=512)
def _slot(name: str) -> _Slot | None:
    counted, aspect, side, window, times = "requests", "", "", None, 1
    for word in name.split("-"):
        if word in _ASPECTS:
            aspect = _ASPECTS[word]
        elif word in _COUNTED:
            counted = _COUNTED[word]
        elif word in _SIDES:
            side = _SIDES[word]
        elif word in _WINDOWS:
            window = _WINDOWS[word] * times
        elif word.isdecimal():
            times = int(word)
        elif word not in _PREFIXES:
            return None
    if not aspect or (side and counted != "tokens"):
        return None
    return _Slot(f"{side}_{counted}" if side else counted, aspect, window)


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers among these that tell of rate limits, by their names in lower case."""
    telling = _telling(tuple(headers))
    return {name.lower(): headers[name] for name in telling} if telling else {}


@lru_cache(maxsize=256)
def _telling(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of these names of headers that tell of rate limits. A provider's answers have the same ones all the time."""
    return tuple(
        name
        for name in names
        if "limit" in name.lower() and any(mark in name.lower().replace("-", "") for mark in _MARKS)
    )


def read(headers: Mapping[str, str], now: float) -> RateLimits | None:
    """The limits that an answer tells of; None where it tells of none. `now` is epoch seconds, for answers without a
    date of their own. Never raises."""
    told = named(headers)
    if not told:
        return None
    now = server_time(headers) or now
    rows: dict[tuple[str, float | None], dict[str, float]] = {}
    for name, value in told.items():
        if name in ("ratelimit", "ratelimit-policy"):
            _structured(rows, value)
            continue
        slot = _slot(name)
        figure = _figure(slot.aspect, value, now) if slot is not None else None
        if slot is not None and figure is not None:
            rows.setdefault((slot.counted, slot.window), {})[slot.aspect] = figure
    fields = _fields(rows)
    shares = _shares(told, now)
    return RateLimits(**fields, shares=shares) if fields or shares else None  # type: ignore[arg-type]  # by the table


def _figure(aspect: str, value: str, now: float) -> float | None:
    if aspect == "reset":
        wait = seconds_until(value, now)
        return None if wait is None else max(wait, 0.0)
    number = re.match(r"\s*(\d+)", value)
    return float(number[1]) if number else None


_MEMBER = re.compile(r"\b(limit|remaining|reset|q|r|t|w)\s*=\s*(\d+)")
_MEMBERS = {"q": "limit", "r": "remaining", "t": "reset"}


def _structured(rows: dict[tuple[str, float | None], dict[str, float]], value: str) -> None:
    """`RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`; older: `limit=100, reset=30`."""
    row = rows.setdefault(("requests", None), {})
    for name, figure in _MEMBER.findall(value):
        if name != "w":
            row[_MEMBERS.get(name, name)] = float(figure)


def _fields(rows: dict[tuple[str, float | None], dict[str, float]]) -> dict[str, int | float]:
    fields: dict[str, int | float] = {}
    for counted in {counted for counted, _ in rows}:
        windows = {window: row for (of, window), row in rows.items() if of == counted}
        window = min(windows, key=lambda w: (windows[w].get("remaining") != 0, w or 0.0))
        for aspect, figure in windows[window].items():
            fields[f"{counted}_{aspect}"] = figure if aspect == "reset" else int(figure)
        if window is not None and counted in ("requests", "tokens"):
            fields[f"{counted}_window"] = window
    return fields


def _shares(told: Mapping[str, str], now: float) -> tuple[Share, ...]:
    found: dict[str, dict[str, str]] = {}
    for name, value in told.items():
        match = _UNIFIED.fullmatch(name)
        if match is not None:
            found.setdefault(match["window"] or "", {})[match["what"]] = value
    return tuple(
        Share(
            window=window,
            used=_share(said.get("utilization", "")),
            reset=_figure("reset", said.get("reset", ""), now),
            rejected=said.get("status") == "rejected",
        )
        for window, said in sorted(found.items())
    )


def _share(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def _span(seconds: float, now: float) -> str:
    """A duration as OpenAI writes it: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _moment(seconds: float, now: float) -> str:
    """A time as Anthropic writes it (RFC 3339)."""
    return datetime.fromtimestamp(math.ceil(now + seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


TABLE: dict[Family, dict[str, str]] = {
    "openai": {
        "requests_limit": "x-ratelimit-limit-requests",
        "requests_remaining": "x-ratelimit-remaining-requests",
        "requests_reset": "x-ratelimit-reset-requests",
        "tokens_limit": "x-ratelimit-limit-tokens",
        "tokens_remaining": "x-ratelimit-remaining-tokens",
        "tokens_reset": "x-ratelimit-reset-tokens",
    },
    "anthropic": {
        "requests_limit": "anthropic-ratelimit-requests-limit",
        "requests_remaining": "anthropic-ratelimit-requests-remaining",
        "requests_reset": "anthropic-ratelimit-requests-reset",
        "tokens_limit": "anthropic-ratelimit-tokens-limit",
        "tokens_remaining": "anthropic-ratelimit-tokens-remaining",
        "tokens_reset": "anthropic-ratelimit-tokens-reset",
        "input_tokens_limit": "anthropic-ratelimit-input-tokens-limit",
        "input_tokens_remaining": "anthropic-ratelimit-input-tokens-remaining",
        "input_tokens_reset": "anthropic-ratelimit-input-tokens-reset",
        "output_tokens_limit": "anthropic-ratelimit-output-tokens-limit",
        "output_tokens_remaining": "anthropic-ratelimit-output-tokens-remaining",
        "output_tokens_reset": "anthropic-ratelimit-output-tokens-reset",
    },
}
"""Figure → its header, in each family's words."""
RESETS = {"openai": _span, "anthropic": _moment}


def write(limits: RateLimits, family: Family, now: float) -> dict[str, str]:
    """The limits as headers for a client. Where a family knows one figure for all tokens, that of the tighter side."""
    figures = msgspec.structs.asdict(limits)
    if "input_tokens_limit" not in TABLE[family] and limits.tokens_remaining is None:
        figures |= _one_side(limits)
    out: dict[str, str] = {}
    for field, name in TABLE[family].items():
        figure = figures.get(field)
        if figure is not None:
            out[name] = RESETS[family](figure, now) if field.endswith("reset") else str(figure)
    return out


def _one_side(limits: RateLimits) -> dict[str, int | float | None]:
    """The input's or the output's figures as those of all tokens: of the side that will be spent first."""
    sides = []
    for side in ("input", "output"):
        limit, remaining = (
            getattr(limits, f"{side}_tokens_limit"),
            getattr(limits, f"{side}_tokens_remaining"),
        )
        if remaining is not None:
            sides.append((remaining / limit if limit else 1.0, side))
    if not sides:
        return {}
    side = min(sides)[1]
    return {f"tokens_{a}": getattr(limits, f"{side}_tokens_{a}") for a in ("limit", "remaining", "reset")}
