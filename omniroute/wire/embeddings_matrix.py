"""What each translation of a request for embeddings keeps, found out from the codecs themselves, as for chats."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Notes
from omniroute.wire.embeddings import EmbeddingRequest, Embeddings
from omniroute.wire.matrix import Cell

TEXT: list[str | list[int]] = ["a text"]

FEATURES: dict[str, EmbeddingRequest] = {
    "text": EmbeddingRequest(inputs=TEXT),
    "several texts": EmbeddingRequest(inputs=["one", "two"]),
    "token ids": EmbeddingRequest(inputs=[[1, 2, 3]]),
    "dimensions": EmbeddingRequest(inputs=TEXT, dimensions=256),
    "for a query": EmbeddingRequest(inputs=TEXT, task="query"),
    "for a document": EmbeddingRequest(inputs=TEXT, task="document"),
    "for likeness": EmbeddingRequest(inputs=TEXT, task="similarity"),
    "for classes": EmbeddingRequest(inputs=TEXT, task="classification"),
    "for clusters": EmbeddingRequest(inputs=TEXT, task="clustering"),
    "for questions": EmbeddingRequest(inputs=TEXT, task="question"),
    "title": EmbeddingRequest(inputs=TEXT, task="document", title="A title"),
    "long texts lose their end": EmbeddingRequest(inputs=TEXT, truncate="end"),
    "long texts lose their beginning": EmbeddingRequest(inputs=TEXT, truncate="start"),
    "long texts are an error": EmbeddingRequest(inputs=TEXT, truncate="none"),
}


def embeddings_matrix(wires: Mapping[str, Wire]) -> dict[tuple[str, str], dict[str, Cell]]:
    """(client, target) → feature → what becomes of it, for the wires that have embeddings."""
    able = {name: wire.embeddings for name, wire in wires.items() if wire.embeddings is not None}
    return {
        (client, target): _column(able[client], able[target])
        for client in able
        if able[client].for_clients
        for target in able
        if client != target
    }


def _column(client: Embeddings, target: Embeddings) -> dict[str, Cell]:
    cells = {feature: embeddings_cell(asked, client, target) for feature, asked in FEATURES.items()}
    # What is made up for every request is no matter of a feature.
    always = cells["text"]
    return {
        feature: Cell("kept") if cell == always and feature != "text" else cell
        for feature, cell in cells.items()
    }


def embeddings_cell(asked: EmbeddingRequest, client: Embeddings, target: Embeddings) -> Cell:
    """What becomes of the one feature of `asked` on its way from a client's format to a target's."""
    dialect = Dialect(model="m")
    said = Notes()
    shape = client.fitting(asked)
    try:
        heard = shape.read_request(shape.write_request(asked, dialect, said))
    except (UnsupportedContent, Refused):
        return Cell("unsaid")
    if msgspec.structs.replace(heard, words={}) != asked:
        return Cell("unsaid", tuple(said.dropped))
    notes = Notes()
    try:
        target.fitting(heard).write_request(heard, dialect, notes)
    except (UnsupportedContent, Refused) as error:
        return Cell("refused", (str(error),))
    if notes.dropped:
        return Cell("dropped", tuple(notes.dropped))
    return Cell("emulated", tuple(notes.emulated)) if notes.emulated else Cell("kept")
