"""Chains: how long a request may take when everything goes wrong."""

from __future__ import annotations

from typing import Any

from omniroute.config.codes import Code
from omniroute.config.combos import leaves_of, targets_of
from omniroute.config.marks import Map, Path, lookup
from omniroute.config.settings import Retry
from omniroute.config.units import Duration
from omniroute.config.view import Provider, View

LONG = 3700.0
"""Seconds of a worst case that are worth a note: more than three targets with all defaults take."""

PLAIN_TOTAL = 600.0
"""Seconds of an attempt at a plain answer where the provider says none."""


def check_waits(view: View) -> None:
    """Note combos whose worst case is longer than an hour."""
    for name, combo in view.entries("combos"):
        attempts, seconds = 0, 0.0
        seen: set[tuple[str, str]] = set()
        for _, index, target in targets_of(name, view):
            tries, spent = _worst(("combos", name, "targets", index), target, seen, view)
            attempts, seconds = attempts + tries, seconds + spent
        if seconds > LONG and combo.get("enabled") is not False:
            view.tell(
                Code.LONG_WAIT,
                f"in the worst case a request takes {_minutes(seconds)}: {attempts} attempts, each up to its deadline",
                ("combos", name),
                "`timeouts: {total: …}` of a provider, or `timeout` of a target, makes it shorter",
                severity="note",
                mark=view.key_mark(("combos", name)),
            )


def _worst(path: Path, target: str, seen: set[tuple[str, str]], view: View) -> tuple[int, float]:
    """Attempts and seconds of one target of a combo. A plan has each model once: `seen` are those before."""
    written, _ = lookup(view.tree, path)
    if written.get("enabled") is False:
        return 0, 0.0
    own = _seconds(written.get("timeout"))
    attempts, seconds = 0, 0.0
    for provider, model in leaves_of(target, view):
        inside = provider.tree.get("transport", "http") != "http"  # nothing to wait for
        if provider.usable and not inside and (provider.name, model) not in seen:
            seen.add((provider.name, model))
            tries, pauses = _tries(provider)
            deadline = own if own is not None else _deadline(provider)
            attempts, seconds = attempts + tries, seconds + tries * deadline + pauses
    return attempts, seconds


def _deadline(provider: Provider) -> float:
    timeouts = provider.tree.get("timeouts")
    total = _seconds(timeouts.get("total")) if isinstance(timeouts, Map) else None
    return PLAIN_TOTAL if total is None else total


def _tries(provider: Provider) -> tuple[int, float]:
    """How often a provider is tried, and the pauses between."""
    written = provider.tree.get("retry")
    retry = written if isinstance(written, Map) else Map()
    attempts = retry.get("attempts")
    attempts = attempts if isinstance(attempts, int) else Retry().attempts
    wait, most = _seconds(retry.get("wait")), _seconds(retry.get("max_wait"))
    wait = float(Retry().wait) if wait is None else wait
    most = float(Retry().max_wait) if most is None else most
    return attempts, sum(min(wait * 2**n, most) for n in range(attempts - 1))


def _seconds(value: Any) -> float | None:
    """A duration, or None where it is not one: the check has told that."""
    if value is None or isinstance(value, dict | list):
        return None
    try:
        return float(Duration.parse(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _minutes(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
