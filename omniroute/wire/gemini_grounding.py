"""Sources of an answer: Gemini's `groundingMetadata` and `citationMetadata` as citations, and back.

Gemini counts bytes of UTF-8, the canonical citation counts characters.
https://ai.google.dev/api/generate-content#GroundingMetadata
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from omniroute.wire.conversation import Citation, Doc
from omniroute.wire.gemini_doc import as_count, as_list, given
from omniroute.wire.gemini_parts import WIRE
from omniroute.wire.shapes import doc_of, text_of

_Kind = Literal["url", "file", "document", "other"]

_CHUNKS: tuple[tuple[str, _Kind, Callable[[Doc], str]], ...] = (
    ("web", "url", lambda source: text_of(source.get("uri"))),
    ("maps", "url", lambda source: text_of(source.get("uri"))),
    ("image", "url", lambda source: text_of(source.get("sourceUri"))),
    ("retrievedContext", "document", lambda source: text_of(source.get("uri"))),
)
"""Kinds of a grounding chunk, what they are in the canonical model, and where their URL stands."""


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


def read_citations(candidate: Doc, texts: Sequence[str | None]) -> list[tuple[int, Citation]]:
    """(index of a text, citation) for all sources of a candidate. `texts` holds None for what is no text."""
    places = [place for place, text in enumerate(texts) if text is not None]
    if not places:
        return []
    grounding = doc_of(candidate.get("groundingMetadata"))
    chunks = [doc_of(chunk) for chunk in as_list(grounding.get("groundingChunks"))]
    found: list[tuple[int, Citation]] = []
    used: set[int] = set()
    for support in (doc_of(entry) for entry in as_list(grounding.get("groundingSupports"))):
        place, where = _segment(doc_of(support.get("segment")), texts, places)
        for number in as_list(support.get("groundingChunkIndices")):
            if isinstance(number, int) and 0 <= number < len(chunks):
                used.add(number)
                found.append((place, msgspec.structs.replace(where, **_source(chunks[number]))))
    for number, chunk in enumerate(chunks):
        if number not in used:
            found.append((places[-1], Citation(**_source(chunk))))
    return found + _recited(candidate, texts, places)


def _source(chunk: Doc) -> Doc:
    for key, kind, url in _CHUNKS:
        source = doc_of(chunk.get(key))
        if source:
            title = text_of(source.get("title")) or None
            return {"kind": kind, "url": url(source) or None, "title": title, "wire": WIRE, "native": chunk}
    return {"kind": "other", "wire": WIRE, "native": chunk}


def _segment(segment: Doc, texts: Sequence[str | None], places: list[int]) -> tuple[int, Citation]:
    """The text that a segment is of, and its characters there: none where its bytes do not say what it quotes."""
    quote = text_of(segment.get("text"))
    start, end = as_count(segment.get("startIndex")), as_count(segment.get("endIndex"))
    named = as_count(segment.get("partIndex"))
    for place in sorted(places, key=lambda place: place != named):
        span = _characters(texts[place] or "", start, end)
        if span is not None and (not quote or (texts[place] or "")[slice(*span)] == quote):
            return place, Citation(quote=quote or None, start=span[0], end=span[1])
    return places[0], Citation(quote=quote or None)


def _characters(text: str, start: int, end: int) -> tuple[int, int] | None:
    data = text.encode("utf-8", "surrogatepass")
    if not start <= end <= len(data) or end == 0:
        return None
    try:
        return len(data[:start].decode()), len(data[:end].decode())
    except UnicodeDecodeError:
        return None


def _recited(candidate: Doc, texts: Sequence[str | None], places: list[int]) -> list[tuple[int, Citation]]:
    """Passages that the model took from a known work."""
    found: list[tuple[int, Citation]] = []
    metadata = doc_of(candidate.get("citationMetadata"))
    for entry in (
        doc_of(item) for item in as_list(metadata.get("citations") or metadata.get("citationSources"))
    ):
        place, where = _segment(entry, texts, places)
        url, title = text_of(entry.get("uri")) or None, text_of(entry.get("title")) or None
        source: Doc = {
            "kind": "url" if url else "other",
            "url": url,
            "title": title,
            "wire": WIRE,
            "native": entry,
        }
        found.append((place, msgspec.structs.replace(where, **source)))
    return found


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def write_grounding(cited: Sequence[tuple[int, str, Sequence[Citation]]]) -> Doc:
    """`groundingMetadata` for texts with their citations, each text with its place among the parts."""
    chunks: list[Doc] = []
    supports: list[Doc] = []
    for place, text, citations in cited:
        for citation in citations:
            chunk = _write_chunk(citation)
            if chunk not in chunks:
                chunks.append(chunk)
            _support(supports, _write_segment(place, text, citation), chunks.index(chunk))
    if not chunks:
        return {}
    return {"groundingMetadata": given(groundingChunks=chunks, groundingSupports=supports or None)}


def _support(supports: list[Doc], segment: Doc | None, chunk: int) -> None:
    if segment is None:
        return
    same = next((support for support in supports if support["segment"] == segment), None)
    if same is None:
        supports.append({"segment": segment, "groundingChunkIndices": [chunk]})
    elif chunk not in same["groundingChunkIndices"]:
        same["groundingChunkIndices"].append(chunk)


def _write_chunk(citation: Citation) -> Doc:
    native: Any = citation.native if citation.wire == WIRE else None
    if native and any(key in native for key, _, _ in _CHUNKS):
        return doc_of(native)
    if citation.url is not None:
        return {"web": given(uri=citation.url, title=citation.title)}
    return {"retrievedContext": given(uri=citation.file_id, title=citation.title, text=citation.quote)}


def _write_segment(place: int, text: str, citation: Citation) -> Doc | None:
    start, end = citation.start, citation.end
    if start is None or end is None or not 0 <= start < end <= len(text):
        return None
    before, inside = (piece.encode("utf-8", "surrogatepass") for piece in (text[:start], text[start:end]))
    segment: Doc = {"endIndex": len(before) + len(inside), "text": text[start:end]}
    segment |= {"startIndex": len(before)} if before else {}
    return segment | ({"partIndex": place} if place else {})
