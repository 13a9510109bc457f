"""The page of the outcome table, from the data that the gateway acts on."""

from __future__ import annotations

from omniroute.reference.markdown import code, page, table
from omniroute.routing.outcomes import Outcome
from omniroute.routing.outcomes import table as outcomes

ABOUT = """\
What a failure of a target means for what comes next. The row is chosen by the kind of the failure, which the wire format
reads from status and words, or a row of the provider's own `outcomes` says; such a row may also change single columns.
The data is `omniroute/catalog/outcomes.yaml`.
"""

CODES = "What the gateway finds by itself, by code: it says nothing about the health of the target."

PACES = {
    "transient": "5 s, doubling to 5 min",
    "limited": "until `Retry-After` or the reset, else 60 s doubling; 7 days at most",
    "permanent": "until its credential changes",
}


def outcomes_page() -> str:
    """`outcomes.md`."""
    known = outcomes()
    heads = ("same account again", "another account", "account rests", "next target")
    return page(
        "Outcomes",
        ABOUT,
        table(("kind", *heads), [(code(kind), *_row(row)) for kind, row in known.kinds.items()]),
        CODES,
        table(("code", *heads), [(code(name), *_row(row)) for name, row in known.codes.items()]),
        "When all targets failed, the client is told of the failure that says most: "
        + ", ".join(code(kind) for kind in known.telling)
        + ", in this order.",
    )


def _row(outcome: Outcome) -> tuple[str, str, str, str]:
    return (
        "`retry.attempts`" if outcome.retry else "no",
        "yes" if outcome.other_account else "no",
        _rest(outcome),
        outcome.next if outcome.next in ("always", "never") else code(outcome.next),
    )


def _rest(outcome: Outcome) -> str:
    if outcome.rest is None:
        return "no"
    if outcome.seconds is not None:
        length = f"{outcome.seconds / 60:g} min"
        return f"{length}, for this model only" if outcome.lockout else length
    return PACES[outcome.rest]
