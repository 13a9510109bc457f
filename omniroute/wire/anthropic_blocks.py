"""Content blocks of Anthropic Messages, which requests and answers share: what each is read into and written from.

Request readers are strict: a wrong shape is `Refused`, an unknown block `UnsupportedContent`. Answer readers never
raise. https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.conversation import (
    Citation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from omniroute.wire.functions import input_of
from omniroute.wire.shapes import doc_of, docs_of, object_at, refused, text_in, text_of
from omniroute.wire.signatures import unwrap_signature, wrap_signature

WIRE = "anthropic-messages"

_OPAQUE_BLOCKS = frozenset(
    {"server_tool_use", "mcp_tool_use", "container_upload", "tool_reference", "compaction", "browser_state"}
)
_OPAQUE_ENDS = ("_tool_result", "_tool_result_error")

replace = msgspec.structs.replace


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────


def list_at(value: Any, path: str) -> list[Any]:
    """A list that a request must hold at `path`."""
    if not isinstance(value, list):
        raise refused("must be a list", path)
    return value


# ── cache marks ──────────────────────────────────────────────────────────────────────────────────


def read_cache(doc: Doc) -> str | None:
    """The lifetime of a prompt-cache breakpoint; five minutes unless it is said."""
    control = doc.get("cache_control")
    return text_of(control.get("ttl")) or "5m" if isinstance(control, dict) else None


def marked(block: Doc, cache: str | None) -> Doc:
    """The block with its prompt-cache breakpoint, if it has one."""
    if cache is None:
        return block
    control = {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}
    return block | {"cache_control": control}


# ── citations ────────────────────────────────────────────────────────────────────────────────────


def read_citation(doc: Doc) -> Citation:
    """A citation of any type; its own wire gets it back as it was."""
    kind = text_of(doc.get("type"))
    common: dict[str, Any] = {
        "quote": text_of(doc.get("cited_text")) or None,
        "file_id": text_of(doc.get("file_id")) or None,
        "wire": WIRE,
        "native": doc,
    }
    title = text_of(doc.get("title") or doc.get("document_title")) or None
    if kind == "web_search_result_location":
        return Citation(kind="url", url=text_of(doc.get("url")) or None, title=title, **common)
    if kind == "search_result_location":
        return Citation(kind="document", url=text_of(doc.get("source")) or None, title=title, **common)
    return Citation(kind="document" if kind.endswith("_location") else "other", title=title, **common)


def write_citation(citation: Citation) -> Doc:
    """A citation for a client: the one it was, or the nearest type that this wire has."""
    if citation.wire == WIRE and citation.native is not None:
        return citation.native
    if citation.url is not None:
        return {
            "type": "web_search_result_location",
            "cited_text": citation.quote or "",
            "encrypted_index": "",
            "title": citation.title,
            "url": citation.url,
        }
    quote = citation.quote or ""
    start = citation.start or 0
    return {
        "type": "char_location",
        "cited_text": quote,
        "document_index": 0,
        "document_title": citation.title,
        "start_char_index": start,
        "end_char_index": citation.end if citation.end is not None else start + len(quote),
        "file_id": citation.file_id,
    }


# ── blocks in ────────────────────────────────────────────────────────────────────────────────────


def read_content(value: Any, path: str) -> list[Part]:
    """The content of a message or a tool result in a request: a string or a list of blocks."""
    if isinstance(value, str):
        return [Text(text=value)]
    parts: list[Part] = []
    for index, block in enumerate(list_at(value, path)):
        place = f"{path}[{index}]"
        parts += read_block(object_at(block, place), place)
    return parts


def read_block(block: Doc, path: str) -> list[Part]:
    """The parts of one block of a request. Raises `UnsupportedContent` for a type that nobody knows."""
    kind = text_in(block, "type", path)
    read = _BLOCKS_IN.get(kind)
    if read is not None:
        return read(block, path)
    if is_opaque(kind):
        return [Opaque(wire=WIRE, doc=block, label=kind)]
    raise UnsupportedContent(f"content of type {kind!r} is not known", path)


def is_opaque(kind: str) -> bool:
    """Whether only this wire can express blocks of that type."""
    return kind in _OPAQUE_BLOCKS or kind.endswith(_OPAQUE_ENDS)


def _read_text(block: Doc, path: str) -> list[Part]:
    citations = [read_citation(c) for c in docs_of(block.get("citations"))]
    return [Text(text=text_in(block, "text", path), cache=read_cache(block), citations=citations)]


def _read_image(block: Doc, path: str) -> list[Part]:
    source = _read_source(object_at(block.get("source"), f"{path}.source"), f"{path}.source")
    return [Image(source=source, cache=read_cache(block))]


def _read_source(source: Doc, path: str) -> Source:
    kind = text_in(source, "type", path)
    media_type = text_of(source.get("media_type")) or None
    if kind == "base64":
        return Source(data=text_in(source, "data", path), media_type=media_type)
    if kind == "url":
        return Source(url=text_in(source, "url", path))
    if kind == "file":
        return Source(file_id=text_in(source, "file_id", path))
    if kind == "text":
        return Source(text=text_in(source, "data", path), media_type=media_type)
    raise UnsupportedContent(f"a source of type {kind!r} is not known", path)


def _read_document(block: Doc, path: str) -> list[Part]:
    given = object_at(block.get("source"), f"{path}.source")
    beside: list[Part] = []
    if given.get("type") == "content":
        inside = read_content(given.get("content"), f"{path}.source.content")
        source = Source(text="\n".join(p.text for p in inside if isinstance(p, Text)))
        beside = [p for p in inside if not isinstance(p, Text)]
    else:
        source = _read_source(given, f"{path}.source")
    document = File(
        source=source,
        name=text_of(block.get("title")) or None,
        cache=read_cache(block),
        citations=doc_of(block.get("citations")).get("enabled") is True,
        context=text_of(block.get("context")) or None,
    )
    return [document, *beside]


def _read_search_result(block: Doc, path: str) -> list[Part]:
    inside = read_content(block.get("content"), f"{path}.content")
    document = File(
        source=Source(text="\n".join(p.text for p in inside if isinstance(p, Text))),
        name=text_of(block.get("title")) or None,
        cache=read_cache(block),
        citations=doc_of(block.get("citations")).get("enabled") is True,
        context=text_of(block.get("source")) or None,
    )
    return [document]


def _read_thinking(block: Doc, path: str) -> list[Part]:
    signature = text_of(block.get("signature"))
    return [
        Thinking(
            text=text_in(block, "thinking", path),
            signature=unwrap_signature(signature, WIRE) if signature else None,
        )
    ]


def _read_redacted(block: Doc, path: str) -> list[Part]:
    return [Thinking(redacted=True, signature=unwrap_signature(text_in(block, "data", path), WIRE))]


def _read_call(block: Doc, path: str) -> list[Part]:
    return [
        ToolCall(
            id=text_in(block, "id", path),
            name=text_in(block, "name", path),
            arguments=arguments_of(block.get("input")),
            cache=read_cache(block),
        )
    ]


def _read_result(block: Doc, path: str) -> list[Part]:
    content = block.get("content")
    return [
        ToolResult(
            id=text_in(block, "tool_use_id", path),
            content=[] if content is None else read_content(content, f"{path}.content"),
            error=block.get("is_error") is True,
            cache=read_cache(block),
        )
    ]


_BLOCKS_IN: dict[str, Callable[[Doc, str], list[Part]]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_call,
    "tool_result": _read_result,
}


def read_answer_block(block: Doc) -> list[Part]:
    """The parts of one block of an answer; whatever is not understood stays what it was."""
    try:
        return read_block(block, "content")
    except (Refused, UnsupportedContent):
        return [Opaque(wire=WIRE, doc=block, label=text_of(block.get("type")) or "content")]


def arguments_of(value: Any) -> str:
    """The JSON text of a call's `input`; some servers send text already."""
    if isinstance(value, str):
        return value
    return "{}" if value is None else msgspec.json.encode(value).decode()


# ── signatures that have no place of their own ───────────────────────────────────────────────────


def carry_signature(signature: Signature, call_id: str | None = None) -> Doc:
    """A foreign signature of a call or a text as a block that clients send back without looking at it."""
    carried = replace(signature, id=call_id) if call_id else signature
    return {"type": "redacted_thinking", "data": wrap_signature(carried, WIRE)}


def rejoin_signatures(parts: list[Part]) -> list[Part]:
    """Give the calls of one turn the signatures that `carry_signature` put beside them."""
    carried = {
        part.signature.id: part.signature
        for part in parts
        if isinstance(part, Thinking) and part.redacted and part.signature and part.signature.wire != WIRE
    }
    calls = {part.id for part in parts if isinstance(part, ToolCall)} & carried.keys()
    if not calls:
        return parts
    return [_rejoined(part, carried) for part in parts if not _carries(part, calls)]


def _carries(part: Part, calls: set[str]) -> bool:
    return (
        isinstance(part, Thinking)
        and part.redacted
        and part.signature is not None
        and part.signature.wire != WIRE
        and part.signature.id in calls
    )


def _rejoined(part: Part, carried: dict[str | None, Signature]) -> Part:
    if isinstance(part, ToolCall) and part.id in carried:
        return replace(part, signature=replace(carried[part.id], id=None))
    return part


# ── blocks out ───────────────────────────────────────────────────────────────────────────────────


def write_call(call: ToolCall, id: str, notes: Notes) -> Doc:
    """A `tool_use` block."""
    return marked(
        {"type": "tool_use", "id": id, "name": call.name, "input": input_of(call, notes)}, call.cache
    )


def write_file(part: File, notes: Notes) -> Doc | None:
    """A `document` block (an `image` block when the file is one); None for what this wire cannot take."""
    media_type = part.source.media_type or ""
    if media_type.startswith("image/"):
        return write_image(Image(source=part.source, cache=part.cache), notes)
    source = _document_source(part.source)
    if source is None:
        notes.drop("file")
        return None
    block: Doc = {"type": "document", "source": source}
    if part.name:
        block["title"] = part.name
    if part.context:
        block["context"] = part.context
    if part.citations:
        block["citations"] = {"enabled": True}
    return marked(block, part.cache)


def _document_source(source: Source) -> Doc | None:
    if source.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": source.text}
    if source.data is not None:
        return _data_source(source.data, source.media_type or "application/pdf")
    if source.url is not None:
        return {"type": "url", "url": source.url}
    return {"type": "file", "file_id": source.file_id} if source.file_id is not None else None


def _data_source(data: str, media_type: str) -> Doc:
    if media_type != "application/pdf":
        # Documents are PDF or plain text here: what reads as text goes as text, and the rest is for the API to judge.
        try:
            return {"type": "text", "media_type": "text/plain", "data": b64decode(data).decode()}
        except (BadBase64, UnicodeDecodeError, ValueError):
            pass
    return {"type": "base64", "media_type": media_type, "data": data}


def write_image(part: Image, notes: Notes) -> Doc | None:
    """An `image` block; None for an image without any source."""
    source = part.source
    if part.detail not in (None, "auto"):
        notes.drop("image_url.detail")
    if source.data is not None:
        given: Doc = {"type": "base64", "media_type": source.media_type or "image/png", "data": source.data}
    elif source.url is not None:
        given = {"type": "url", "url": source.url}
    elif source.file_id is not None:
        given = {"type": "file", "file_id": source.file_id}
    else:
        notes.drop("image_url")
        return None
    return marked({"type": "image", "source": given}, part.cache)


def write_thinking(part: Thinking) -> Doc:
    """Reasoning for a client: a signature of another wire travels in this one's place for it."""
    signature = wrap_signature(part.signature, WIRE) if part.signature else ""
    if part.redacted:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": part.text, "signature": signature}


def write_text(part: Text) -> Doc:
    """A `text` block with its citations."""
    block: Doc = {"type": "text", "text": part.text}
    if part.citations:
        block["citations"] = [write_citation(c) for c in part.citations]
    return marked(block, part.cache)


def write_refusal(part: Refusal) -> Doc:
    """A refusal is text here; that it is one, the stop reason says."""
    return {"type": "text", "text": part.text}
