"""Windows of time, and what is left in them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from omniroute.state.quota import Allowance, Ledger, Sort, Unit
from omniroute.state.shared import Local
from omniroute.state.transitions import Transitions
from omniroute.state.windows import Window, WindowKind, window_of


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    "kind, resets_at, now, begin, end",
    [
        ("daily", None, "2026-11-26T12:00", "2026-11-26T00:00", "2026-11-27T00:00"),
        ("daily", "10:00", "2026-11-26T09:59", "2026-11-25T10:00", "2026-11-26T10:00"),
        ("daily", "10:00", "2026-11-26T10:00", "2026-11-26T10:00", "2026-11-27T10:00"),
        ("weekly", None, "2026-11-26T12:00", "2026-11-23T00:00", "2026-11-30T00:00"),  # a Thursday
        ("weekly", "Thu 13:00", "2026-11-26T12:00", "2026-11-19T13:00", "2026-11-26T13:00"),
        ("monthly", None, "2026-11-26T12:00", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("monthly", "31 06:00", "2026-02-10T12:00", "2026-01-31T06:00", "2026-02-28T06:00"),
        ("monthly", "15 00:00", "2026-12-20T12:00", "2026-12-15T00:00", "2027-01-15T00:00"),
    ],
)
def test_windows_of_the_calendar(
    kind: WindowKind, resets_at: str | None, now: str, begin: str, end: str
) -> None:
    assert window_of(kind, None, resets_at).bounds(at(now)) == (at(begin), at(end))


@pytest.mark.parametrize(
    "now, hours",
    [("2026-03-29T12:00", 23), ("2026-10-25T12:00", 25), ("2026-06-01T12:00", 24)],
    ids=["spring", "autumn", "summer"],
)
def test_a_day_is_as_long_as_the_zone_says(now: str, hours: int) -> None:
    begin, end = window_of("daily", None, "00:00 Europe/Rome").bounds(at(now, "Europe/Rome"))
    assert (end - begin) / 3600 == hours


@pytest.mark.parametrize(
    "kind, text",
    [
        ("daily", "25:00"),
        ("daily", "10:00 Mars/Olympus"),
        ("daily", "Mon 10:00"),
        ("weekly", "31 10:00"),
        ("monthly", "0 10:00"),
        ("rolling", "10:00"),
        ("total", "10:00"),
        ("daily", "noon"),
    ],
)
def test_what_is_no_reset(kind: WindowKind, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        window_of(kind, None, text)


def allowance(window: Window, limit: float = 100, unit: Unit = "tokens", sort: Sort = "quota") -> Allowance:
    return Allowance(sort, "account/p/a", unit, limit, window)


def ledger(clock: Clock) -> tuple[Ledger, Transitions]:
    transitions = Transitions(clock)
    return Ledger(clock, Local(clock), transitions), transitions


def test_a_rolling_window_begins_with_its_first_use() -> None:
    clock = Clock()
    book, _ = ledger(clock)
    five_hours = allowance(Window("rolling", 5 * 3600))
    assert book.standing(five_hours, clock()).resets_in is None, "nothing runs yet"
    clock.now += 1000
    book.charge(five_hours, 60)
    clock.now += 3600
    book.charge(five_hours, 40)
    assert book.spent(five_hours, clock()) == clock.now - 3600 + 5 * 3600
    clock.now += 4 * 3600
    assert (book.spent(five_hours, clock()), book.used(five_hours, clock())) == (None, 0)


def test_spent_and_there_again_are_told_once() -> None:
    clock = Clock(at("2026-11-26T12:00"))
    book, transitions = ledger(clock)
    daily = allowance(window_of("daily"))
    for _ in range(4):
        book.charge(daily, 50)
        book.spent(daily, clock())
    clock.now += 12 * 3600
    book.spent(daily, clock())
    book.spent(daily, clock())
    assert [(t.name, t.to) for t in transitions.latest] == [
        ("account/p/a/daily/tokens", "spent"),
        ("account/p/a/daily/tokens", "available"),
    ]


def test_the_provider_knows_better() -> None:
    clock = Clock(at("2026-11-26T12:00"))
    book, _ = ledger(clock)
    daily = allowance(window_of("daily"))
    book.declare_spent(daily, None)
    shown = book.standing(daily, clock())
    assert (shown.used, shown.left, shown.spent, shown.resets_in) == (0, 0, True, 12 * 3600)
    clock.now += 12 * 3600
    assert book.spent(daily, clock()) is None


def test_several_windows_count_side_by_side() -> None:
    clock = Clock(at("2026-11-26T12:00"))
    book, _ = ledger(clock)
    daily, total = allowance(window_of("daily"), 100), allowance(window_of("total"), 150)
    for each in (daily, total):
        book.charge(each, 100)
    assert book.spent(daily, clock()) == at("2026-11-27T00:00")
    assert book.spent(total, clock()) is None
    clock.now += 86400
    for each in (daily, total):
        book.charge(each, 60)
    assert book.spent(daily, clock()) is None
    assert book.spent(total, clock()) == float("inf")


def test_a_reset_gives_all_of_it_back() -> None:
    clock = Clock()
    book, _ = ledger(clock)
    rolling = allowance(Window("rolling", 100))
    book.charge(rolling, 100)
    assert book.spent(rolling, clock()) is not None
    book.reset(rolling)
    assert (book.spent(rolling, clock()), book.used(rolling, clock())) == (None, 0)
