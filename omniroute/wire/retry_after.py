"""How long an upstream asks to be left alone, in whatever words its answer says it.

`Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); `retry-after-ms` is a common addition. The limits
that stand beside every answer tell when they reset as seconds (`2`), a duration (`1h2m3s`, `6ms`), a time (RFC 3339)
or an epoch, in seconds or milliseconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_DURATION = re.compile(rf"(?:{_PIECE.pattern})+")

_FIRST_EPOCH = 1e9
"""A number from here on is no wait but a moment: seconds since 1970, and from the next on milliseconds."""
_FIRST_EPOCH_MS = 1e11

_SPENT = {"remaining": "0", "status": "rejected"}
"""What stands beside the reset of a limit that is used up: the word in place of `reset`, and its value."""


def retry_after(status: int, headers: Mapping[str, str], told: float | None = None) -> float | None:
    """Seconds to wait, or None when nothing says so. Header names are lower case.

    `told` is what the body said; `Retry-After` goes before it. The resets of rate limits count for a 429 only,
    since they stand beside other answers too.
    """
    now = server_time(headers) or time.time()
    asked = _asked(headers, now)
    reset = _until_reset(headers, now) if status == 429 and not (asked or told) else None
    return asked or told or reset or (told if asked is None else asked)


def server_time(headers: Mapping[str, str]) -> float | None:
    """Epoch seconds by the clock of the server that answered: the times in its headers are by that clock."""
    return _moment(headers.get("date", ""))


def _asked(headers: Mapping[str, str], now: float) -> float | None:
    """A wait of no milliseconds is a rounded one: whole seconds beside it are the better word."""
    given = headers.get("retry-after", "")
    milliseconds, seconds = _number(headers.get("retry-after-ms", "")), _number(given)
    if seconds is None and (moment := _moment(given)) is not None:
        # The server's own clock wrote the date, so its own clock tells how far off it is.
        seconds = max(moment - now, 0.0)
    return milliseconds / 1000 if milliseconds else seconds if seconds is not None else milliseconds


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Until the last of the used-up limits resets; where none says that it is, until the first of all."""
    waits = [(name, wait) for name, wait in _resets(headers, now) if wait > 0]
    spent = [wait for name, wait in waits if _is_spent(name, headers)]
    return max(spent) if spent else min((wait for _, wait in waits), default=None)


def _resets(headers: Mapping[str, str], now: float) -> Iterator[tuple[str, float]]:
    for name, value in headers.items():
        if "reset" in name and "ratelimit" in name.replace("-", ""):
            wait = seconds_until(value, now)
            if wait is not None:
                yield name, wait


def _is_spent(name: str, headers: Mapping[str, str]) -> bool:
    return any(headers.get(name.replace("reset", word)) == value for word, value in _SPENT.items())


def seconds_until(text: str, now: float) -> float | None:
    """Seconds from `now` (epoch) to a reset in any notation; None for one that is none. Never raises."""
    number = _number(text)
    if number is not None:
        return _of_number(number, now)
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PIECE.findall(text))
    moment = _moment(text)
    return None if moment is None else moment - now


def _of_number(number: float, now: float) -> float:
    if number < _FIRST_EPOCH:
        return number
    return (number / 1000 if number >= _FIRST_EPOCH_MS else number) - now


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _moment(text: str) -> float | None:
    """Epoch seconds of an HTTP date or an RFC 3339 time; one that names no zone is in UTC."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
        except (ValueError, TypeError, IndexError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
