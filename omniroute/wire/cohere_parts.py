"""Pieces of Cohere messages that requests, answers and streams share: content, calls, citations.

https://docs.cohere.com/reference/chat, https://docs.cohere.com/docs/rag-citations
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.content import source_of_url
from omniroute.wire.conversation import (
    Citation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Source,
    Text,
    Thinking,
    ToolCall,
)
from omniroute.wire.shapes import (
    arguments_text,
    doc_of,
    docs_of,
    object_at,
    objects_at,
    text_in,
    text_of,
)

WIRE = "cohere"

# ── content in ───────────────────────────────────────────────────────────────────────────────────


def read_content(content: Any, path: str) -> list[Part]:
    """The content of a message in a request: nothing, a string, or a list of parts."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(text=content)]
    return [read_part(doc, place) for doc, place in objects_at(content, path)]


def read_part(doc: Doc, path: str) -> Part:
    """Raises `UnsupportedContent` for a type that is not known."""
    kind = text_in(doc, "type", path)
    read = _PARTS_IN.get(kind)
    if read is None:
        raise UnsupportedContent(f"content of type {kind!r} is not known", path)
    return read(doc, path)


def _read_text(doc: Doc, path: str) -> Part:
    return Text(text=text_in(doc, "text", path))


def _read_thinking(doc: Doc, path: str) -> Part:
    return Thinking(text=text_in(doc, "thinking", path))


def _read_image(doc: Doc, path: str) -> Part:
    image = object_at(doc.get("image_url"), f"{path}.image_url")
    url = text_in(image, "url", f"{path}.image_url")
    return Image(source=source_of_url(url), detail=text_of(image.get("detail")) or None)


def _read_document(doc: Doc, path: str) -> Part:
    return read_document(doc.get("document"), f"{path}.document")


_PARTS_IN: dict[str, Callable[[Doc, str], Part]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "image_url": _read_image,
    "document": _read_document,
}


def read_document(given: Any, path: str) -> File:
    """A document to answer from: text, or fields of which `title` and `text` are the usual ones."""
    if isinstance(given, str):
        return File(source=Source(text=given), citations=True)
    document = object_at(given, path)
    data = document.get("data")
    fields = {"text": data} if isinstance(data, str) else object_at(data, f"{path}.data")
    plain = fields.keys() <= {"title", "text"} and isinstance(fields.get("text"), str)
    return File(
        source=Source(text=fields["text"] if plain else msgspec.json.encode(fields).decode()),
        name=text_of(fields.get("title")) or None,
        context=text_of(document.get("id")) or None,
        citations=True,
    )


def write_document(text: str, file: File) -> Doc:
    """The reverse. The `id` is what citations refer to."""
    data: Doc = {"title": file.name} if file.name else {}
    document: Doc = {"data": data | {"text": text}}
    return {"id": file.context, **document} if file.context else document


# ── messages of the model in ─────────────────────────────────────────────────────────────────────


def read_said(message: Doc) -> list[Part]:
    """The parts of a message of the model. Never raises: what is not understood stays what it was."""
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else docs_of(content)
    parts = [_read_any(doc) for doc in blocks]
    _cite(parts, docs_of(message.get("citations")))
    plan = text_of(message.get("tool_plan"))
    if plan:
        parts.append(Thinking(text=plan))
    parts += [call for doc in docs_of(message.get("tool_calls")) if (call := read_call(doc)) is not None]
    return [part for part in parts if part not in (Text(text=""), Thinking(text=""))]


def _read_any(doc: Doc) -> Part:
    try:
        return read_part(doc, "content")
    except (Refused, UnsupportedContent):
        return Opaque(wire=WIRE, doc=doc, label=text_of(doc.get("type")) or "content")


def read_call(doc: Doc) -> ToolCall | None:
    function = doc_of(doc.get("function"))
    name = text_of(function.get("name"))
    if not name:
        return None
    return ToolCall(id=text_of(doc.get("id")), name=name, arguments=arguments_text(function.get("arguments")))


def write_call(call: ToolCall) -> Doc:
    """A call; free text becomes the one argument of a function."""
    arguments = call.arguments
    if call.kind == "custom":
        arguments = msgspec.json.encode({"input": arguments}).decode()
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments or "{}"},
    }


# ── citations ────────────────────────────────────────────────────────────────────────────────────


def _cite(parts: list[Part], citations: Iterable[Doc]) -> None:
    """Give texts their citations. What is cited in a plan or in reasoning has no place."""
    texts = [part for part in parts if isinstance(part, Text)]
    for doc in citations:
        index = doc.get("content_index")
        named = parts[index] if isinstance(index, int) and 0 <= index < len(parts) else None
        text = named if isinstance(named, Text) else next(iter(texts), None)
        if text is not None and is_of_text(doc):
            text.citations = [*text.citations, *read_citation(doc)]


def is_of_text(citation: Doc) -> bool:
    return citation.get("type") in (None, "TEXT_CONTENT")


def read_citation(doc: Doc) -> list[Citation]:
    """One for each source. The first holds the whole of it, which its own wire gets back."""
    places = [doc.get("start"), doc.get("end")]
    start, end = (place if isinstance(place, int) and place >= 0 else None for place in places)
    found = []
    for number, source in enumerate(docs_of(doc.get("sources")) or [{}]):
        about = doc_of(source.get("document")) or doc_of(source.get("tool_output"))
        url = text_of(about.get("url")) or None
        found.append(
            Citation(
                kind="url" if url else "document",
                url=url,
                title=text_of(about.get("title")) or text_of(source.get("id")) or None,
                quote=text_of(about.get("text")) or text_of(about.get("snippet")) or None,
                start=start,
                end=end,
                wire=WIRE,
                native=doc if number == 0 else None,
            )
        )
    return found


def write_citation(citation: Citation, text: str, index: int) -> Doc | None:
    """A citation of a text; None for one that stands in another already."""
    if citation.wire == WIRE:
        return citation.native
    id = citation.file_id or citation.url or citation.title or "doc:0"
    about = {"id": id, "title": citation.title, "url": citation.url, "text": citation.quote}
    document = {key: value for key, value in about.items() if value}
    start, end = citation.start or 0, citation.end if citation.end is not None else len(text)
    return {
        "start": start,
        "end": end,
        "text": text[start:end],
        "sources": [{"type": "document", "id": id, "document": document}],
        "type": "TEXT_CONTENT",
        "content_index": index,
    }


def note_foreign(citations: Iterable[Citation], notes: Notes) -> None:
    if any(citation.wire != WIRE for citation in citations):
        notes.drop("annotations")
