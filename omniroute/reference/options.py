"""Tables of keys: the same columns wherever keys are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from omniroute.config.shape import Entry
from omniroute.reference.markdown import code, table
from omniroute.reference.words import Speaker, default_words

HEADS = ("key", "takes", "default", "meaning", "reload")


def keys_table(
    entries: Iterable[Entry], speaker: Speaker, remark: Callable[[Entry], str] = lambda entry: ""
) -> str:
    """One row a key. `remark` is added to the meaning."""
    return table(
        HEADS,
        (
            (
                code(entry.key),
                speaker.type(entry.shape),
                default_words(entry),
                " ".join(part for part in (entry.description, remark(entry)) if part) or "—",
                "restart" if entry.restart else "live",
            )
            for entry in entries
        ),
    )
