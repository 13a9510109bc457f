"""`matrix.md`: what each translation keeps, asked of the codecs themselves."""

from __future__ import annotations

from collections.abc import Mapping

from omniroute.engine.build import wire_of
from omniroute.reference.markdown import page, table
from omniroute.registry import load
from omniroute.wire.embeddings_matrix import embeddings_matrix
from omniroute.wire.matrix import Cell, matrix

MARKS = {
    "kept": "kept",
    "emulated": "emulated",
    "dropped": "**dropped**",
    "refused": "**refused**",
    "unsaid": "·",
}

ABOUT = (
    "What becomes of each feature of a request on its way from a client's format (one section each) to a target's "
    "(one column each). It is found out from the codecs by `omniroute matrix`, for a target without quirks: the "
    "catalogue knows of more that single providers take."
)
WORDS = (
    "- **kept**: it reaches the target with its meaning.\n"
    "- **emulated**: the target has no such thing; the gateway says it in other words.\n"
    "- **dropped**: named in the header `X-OmniRoute-Dropped`, in the log and in a metric; refused under `strict: true`.\n"
    "- A dot: the client's format has no words for it."
)


def matrix_page() -> str:
    """A table for each client format."""
    wires = {d.name: wire_of(d.cls) for d in load(plugins=False).all("wire")}
    return page(
        "What each translation keeps",
        ABOUT,
        WORDS,
        *_sections(matrix(wires)),
        *_sections(embeddings_matrix(wires), " (embeddings)"),
    )


def _sections(cells: Mapping[tuple[str, str], dict[str, Cell]], of: str = "") -> list[str]:
    """One for each client, whose name stands before what it is `of`."""
    clients = dict.fromkeys(client for client, _ in cells)
    return [
        _section(client, of, {t: found for (c, t), found in cells.items() if c == client})
        for client in clients
    ]


def _section(client: str, of: str, columns: dict[str, dict[str, Cell]]) -> str:
    features = next(iter(columns.values()))
    rows = [(feature, *(MARKS[cells[feature].verdict] for cells in columns.values())) for feature in features]
    return f"## {client}{of}\n\n" + table((f"from {client} to", *columns), rows)
