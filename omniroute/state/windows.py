"""Windows of time in which something may be used up: rolling, daily, weekly, monthly, or once and for all.

A day, week or month begins at a time of day in a zone, whatever daylight saving does to its length. A rolling window
begins with the first use after the last one ended, as subscriptions count it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

WindowKind = Literal["rolling", "daily", "weekly", "monthly", "total"]

ROLLING = 5 * 3600.0
"""Seconds of a rolling window that names no length: those of the coding subscriptions."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RESET = re.compile(
    r"(?:(?P<day>[A-Za-z]{3,9}|\d{1,2})\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s+(?P<zone>\S+))?"
)


@dataclass(frozen=True, slots=True)
class Window:
    """`day` is the weekday (Monday is 0) of a weekly window, the day of the month of a monthly one."""

    kind: WindowKind
    length: float = ROLLING
    hour: int = 0
    minute: int = 0
    day: int = 0
    zone: str = "UTC"

    @property
    def name(self) -> str:
        """What tells it from the other windows of one subject."""
        return f"{self.kind}-{self.length:g}" if self.kind == "rolling" else self.kind

    def bounds(self, now: float, begun: float | None = None) -> tuple[float, float]:
        """Begin and end (epoch seconds) of the window that `now` is in. `begun` is when a rolling one began, if it
        did: without it, or when it is over, it begins now."""
        if self.kind == "total":
            return 0.0, math.inf
        if self.kind == "rolling":
            if begun is None or not begun <= now < begun + self.length:
                begun = now
            return begun, begun + self.length
        return self._calendar(now)

    def _calendar(self, now: float) -> tuple[float, float]:
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(now, zone).replace(
            hour=self.hour, minute=self.minute, second=0, microsecond=0, fold=0
        )
        begin = self._on_its_day(today)
        if begin.timestamp() > now:
            begin = self._step(begin, -1)
        return begin.timestamp(), self._step(begin, 1).timestamp()

    def _on_its_day(self, today: datetime) -> datetime:
        if self.kind == "weekly":
            return today - timedelta(days=(today.weekday() - self.day) % 7)
        if self.kind == "monthly":
            return _in_month(today.replace(day=1), self.day)
        return today

    def _step(self, begin: datetime, steps: int) -> datetime:
        """The same time of day on another day: arithmetic on wall clocks, as people mean it."""
        if self.kind == "daily":
            return begin + timedelta(days=steps)
        if self.kind == "weekly":
            return begin + timedelta(weeks=steps)
        month = begin.year * 12 + begin.month - 1 + steps
        return _in_month(begin.replace(year=month // 12, month=month % 12 + 1, day=1), self.day)


def window_of(kind: WindowKind, length: float | None = None, resets_at: str | None = None) -> Window:
    """A window as it is written: `resets_at` is `"10:00 Asia/Shanghai"`, `"Mon 09:00 Europe/Rome"` for a weekly one,
    `"15 00:00 UTC"` for a monthly one. Raises `ValueError` for what is no such text."""
    if resets_at is None:
        return Window(kind, length or ROLLING, day=1 if kind == "monthly" else 0)
    if kind in ("rolling", "total"):
        raise ValueError(f"a {kind} window has no `resets_at`")
    match = _RESET.fullmatch(resets_at.strip())
    if match is None or int(match["hour"]) > 23 or int(match["minute"]) > 59:
        raise ValueError(f"{resets_at!r} is not a time and a zone, such as '10:00 Asia/Shanghai'")
    zone = match["zone"] or "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {zone!r}") from error
    day = _day_of(kind, match["day"], resets_at)
    return Window(kind, length or ROLLING, int(match["hour"]), int(match["minute"]), day, zone)


def _day_of(kind: WindowKind, written: str | None, resets_at: str) -> int:
    if written is None:
        return 1 if kind == "monthly" else 0
    if kind == "weekly" and written[:3].lower() in _DAYS:
        return _DAYS.index(written[:3].lower())
    if kind == "monthly" and written.isdigit() and 1 <= int(written) <= 31:
        return int(written)
    raise ValueError(f"{resets_at!r} names no day of a {kind} window")


def _in_month(first: datetime, day: int) -> datetime:
    """That day of the month, or its last where it has fewer."""
    following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    last = (following - timedelta(days=1)).day
    return first.replace(day=min(day, last))
