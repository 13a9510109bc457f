"""Tables of keys: the same columns wherever keys are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from omniroute.config.shape import Entry
from omniroute.reference.markdown import code, table
from omniroute.reference.words import Speaker, default_words

HEADS = ("key", "takes", "default", "meaning", "reload")


def keys_table(
    entries: Iterable[Entry],
    speaker: Speaker,
    meaning: Callable[[Entry], str] = lambda entry: entry.description,
) -> str:
    """One row a key."""
    return table(
        HEADS,
        (
            (
                code(entry.key),
                speaker.type(entry.shape),
                default_words(entry),
                meaning(entry) or "—",
                "restart" if entry.restart else "live",
            )
            for entry in entries
        ),
    )
