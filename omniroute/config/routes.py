"""Routes: that each of them can be the first that matches."""

from __future__ import annotations

import fnmatch
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Seq
from omniroute.config.view import View, text

GLOBS = ("path", "model", "key")


def check_routes(view: View) -> None:
    """Warn of a route all of whose requests an earlier one takes."""
    listed = view.tree.get("routes")
    earlier: list[tuple[int, Map]] = []
    for index, route in enumerate(listed if isinstance(listed, Seq) else ()):
        match = route.get("match") if isinstance(route, Map) else None
        match = match if isinstance(match, Map) else Map()
        for number, wider in earlier:
            if covers(wider, match):
                place = view.mark(("routes", number))
                view.tell(
                    Code.SHADOWED_ROUTE,
                    f"never reached: routes[{number}] (line {place.line}) matches all that this one does",
                    ("routes", index),
                    "put the narrower route first",
                    severity="warning",
                )
                break
        earlier.append((index, match))


def covers(wide: Map, narrow: Map) -> bool:
    """Whether `wide` surely matches whatever `narrow` does; not sure means no."""
    if wide.get("method") is not None and wide.get("method") != narrow.get("method"):
        return False
    if not all(_within(narrow.get(key), wide.get(key)) for key in GLOBS):
        return False
    wanted, given = _headers(wide), _headers(narrow)
    return all(name in given and _within(given[name], glob) for name, glob in wanted.items())


def _headers(match: Map) -> dict[str, Any]:
    headers = match.get("header")
    return {name.lower(): glob for name, glob in headers.items()} if isinstance(headers, Map) else {}


def _within(narrow: Any, wide: Any) -> bool:
    """Whether all that a glob fits, another one fits too."""
    within, around = text(narrow), text(wide)
    if around is None:
        return True
    if within is None:
        return False
    if within == around:
        return True
    # A `*` of the narrow one is a character that only a `*` of the wide one can stand for.
    return not any(c in around for c in "?[") and fnmatch.fnmatchcase(within, around)
