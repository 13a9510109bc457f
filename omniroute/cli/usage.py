"""`omniroute usage`: what is used of quotas and budgets, and what is left, asked of a running gateway."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from omniroute.cli.health import add_url, ask, base_url

Doc = dict[str, Any]
COUNTED = ("requests", "tokens", "running", "queued")


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "usage",
        help="what is used of quotas and budgets, and what is left",
        description="Ask a running gateway what is used of its quotas, budgets and limits, and what rests. Where keys are "
        "needed, this takes one with the scope admin. Exits 1 when the gateway does not answer.",
        epilog="example: omniroute usage --url http://127.0.0.1:20128",
    )
    add_url(parser)
    parser.add_argument("--key", help="a key with the scope admin (else OMNIROUTE_KEY)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for the answer (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    url = base_url(args.url)
    try:
        state = ask(url, args.timeout, "/-/state", args.key or os.environ.get("OMNIROUTE_KEY"))
    except (OSError, ValueError) as error:
        print(f"{url} does not tell: {error}", file=sys.stderr)
        return 1
    if args.json:
        wanted = ("quotas", "budgets", "limits", "cooldowns", "breakers")
        print(json.dumps({name: state.get(name, {}) for name in wanted}, indent=2))
        return 0
    tables = [_standings("quotas", state), _standings("budgets", state), _limits(state), _resting(state)]
    print(
        "\n\n".join(table for table in tables if table)
        or "no quota, budget or limit is declared, and nothing rests"
    )
    return 0


def _standings(section: str, state: Doc) -> str:
    rows = [
        (name, s["window"], _amount(s["used"], s["unit"]), _amount(s["limit"], s["unit"]), _left(s))
        for name, standings in state.get(section, {}).items()
        for s in standings
    ]
    return _table(section, ("", "window", "used", "of", "left"), rows)


def _left(standing: Doc) -> str:
    left = "spent" if standing["spent"] else _amount(standing["left"], standing["unit"])
    again = standing.get("resets_in")
    return left if again is None else f"{left}, resets in {_time(again)}"


def _limits(state: Doc) -> str:
    rows = [
        (name, ", ".join(f"{k} {v:g}" for k, v in limit.items() if k not in COUNTED), _counts(limit))
        for name, limit in state.get("limits", {}).items()
    ]
    return _table("limits", ("", "limit", "in the last minute"), rows)


def _counts(limit: Doc) -> str:
    return ", ".join(f"{limit[name]:g} {name}" for name in COUNTED if limit.get(name)) or "nothing"


def _resting(state: Doc) -> str:
    rows = [
        (
            name,
            found["reason"],
            "until it is changed" if found["ready_in"] is None else _time(found["ready_in"]),
        )
        for name, found in state.get("cooldowns", {}).items()
    ]
    rows += [
        (name, f"breaker {found['phase']}: {found['reason']}", _time(found["ready_in"]))
        for name, found in state.get("breakers", {}).items()
        if found["phase"] != "closed"
    ]
    return _table("resting", ("", "why", "for"), rows)


def _amount(value: float, unit: str) -> str:
    return f"${value:.2f}" if unit == "usd" else f"{value:,.0f} {unit}"


def _time(seconds: float) -> str:
    """`2 h 5 min`: two units are enough."""
    parts: list[str] = []
    rest = int(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size} {unit}")
        rest %= size
    return " ".join(parts[:2])


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    lines[0] = title.ljust(widths[0]) + lines[0][widths[0] :]
    return "\n".join(lines)
