"""Faults that people script: `faults` of a provider, and the answers of upstreams in config tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from omniroute.config.units import Duration, Size
from omniroute.declare import Options, option

Reach = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+ (events?|bytes?)$")]
"""How much of an answer has gone by: `3 events`, `100 bytes`."""

Status = Annotated[int, msgspec.Meta(ge=100, le=599)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Fault(Options, frozen=True, kw_only=True):
    """What goes wrong with one answer. Nothing given: nothing does.

    The first seven take the place of the provider, which is not asked; the others bend what it answers.
    """

    connect: Annotated[
        Literal["refused", "timeout"] | None, option("No connection: refused at once, or never accepted.")
    ] = None
    disconnect: Annotated[bool, option("The connection is closed without an answer.")] = False
    status: Annotated[Status | None, option("Answer with this status.")] = None
    headers: Annotated[dict[str, str], option("Headers of the answer, over those that are there.")] = {}
    body: Annotated[
        Any,
        option("Answer with this: text as it stands, a map or a list as JSON; a list of events in a stream."),
    ] = None
    html: Annotated[bool, option("Answer with a page of HTML, as a proxy on the way would.")] = False
    empty: Annotated[bool, option("Answer with nothing in it.")] = False
    error: Annotated[
        str | None,
        option("An error with this text inside of a 200, in the provider's format; in a stream at `after`."),
    ] = None
    stall: Annotated[
        Duration | None, option("Say nothing for so long: before the answer, or where `after` says.")
    ] = None
    cut_after: Annotated[Reach | None, option("Break the connection after `3 events` or `100 bytes`.")] = None
    malformed: Annotated[
        bool, option("Break the JSON of the answer, or that of the first event behind `after`.")
    ] = False
    after: Annotated[
        Reach | None,
        option("Where in the answer `stall`, `malformed` and `error` happen: `3 events`, `100 bytes`."),
    ] = None
    split: Annotated[
        Size | None,
        option("Deliver in pieces of at most so many bytes, through the middle of characters, too."),
    ] = None
    drip: Annotated[Duration | None, option("Wait so long before each piece.")] = None
    without_usage: Annotated[bool, option("Leave out what was used.")] = False


class Faults(Options, frozen=True, kw_only=True):
    """Faults of a provider, to rehearse bad days. The same seed gives the same day."""

    script: Annotated[
        tuple[Fault, ...],
        option("One for each request, in order, and then from the start; `{}` is a request without a fault."),
    ] = ()
    rate: Annotated[
        Share | None, option("Not in order, but by chance: the share of requests that get one of the script.")
    ] = None
    seed: Annotated[int, option("Where chance starts.")] = 0
