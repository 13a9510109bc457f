"""Content blocks of Bedrock's Converse, which requests and answers share: what each is read into and written from.

A block is an object with one member that says what it is: `{"text": …}`, `{"toolUse": …}`. Bytes are base64.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.content import AUDIO_FORMATS
from omniroute.wire.conversation import (
    Audio,
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
    ToolResult,
    Video,
)
from omniroute.wire.functions import input_of
from omniroute.wire.shapes import (
    arguments_text,
    doc_of,
    docs_of,
    object_at,
    objects_at,
    text_at,
    text_in,
    text_of,
)
from omniroute.wire.signatures import unwrap_signature

WIRE = "bedrock-converse"

IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
"""Media type → the format word of this API."""
_SOUNDS = frozenset("mp3 opus wav aac flac mp4 ogg mkv mka x-aac m4a mpeg mpga pcm webm".split())
_S3 = "s3://"

# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_OPAQUE = frozenset({"guardContent", "searchResult", "toolAddition", "toolRemoval"})


def read_content(value: Any, path: str) -> list[Part]:
    """The content of a message of a request. Raises `Refused` for a wrong shape, `UnsupportedContent` for what nobody
    knows."""
    parts: list[Part] = []
    for block, place in objects_at(value, path):
        if "cachePoint" in block:
            _mark(parts, object_at(block["cachePoint"], f"{place}.cachePoint"))
        else:
            parts.append(read_block(block, place))
    return parts


def _mark(parts: list[Part], point: Doc) -> None:
    """A cache point belongs to what stands before it."""
    if parts and hasattr(parts[-1], "cache"):
        parts[-1].cache = read_cache(point)


def read_cache(point: Doc) -> str:
    return text_of(point.get("ttl")) or "5m"


def read_block(block: Doc, path: str) -> Part:
    for key, read in _BLOCKS_IN.items():
        if block.get(key) is not None:
            return read(block, path)
    kind = next((key for key in _OPAQUE if key in block), None)
    if kind is None:
        raise UnsupportedContent(
            f"content of type {', '.join(sorted(block)) or 'nothing'!r} is not known", path
        )
    return Opaque(wire=WIRE, doc=block, label=kind)


def read_answer_block(block: Doc) -> Part:
    """A block of an answer. Never raises: what is not understood stays what it was."""
    try:
        return read_block(block, "content")
    except (Refused, UnsupportedContent):
        return Opaque(wire=WIRE, doc=block, label=next(iter(block), "content"))


def _read_text(block: Doc, path: str) -> Part:
    return Text(text=text_at(block["text"], f"{path}.text"))


def _read_image(block: Doc, path: str) -> Part:
    image = object_at(block["image"], f"{path}.image")
    return Image(source=_read_source(image, f"{path}.image", IMAGES))


def _read_video(block: Doc, path: str) -> Part:
    video = object_at(block["video"], f"{path}.video")
    return Video(source=_read_source(video, f"{path}.video", VIDEOS))


def _read_audio(block: Doc, path: str) -> Part:
    audio = object_at(block["audio"], f"{path}.audio")
    format = text_of(audio.get("format"))
    types = {media_type: word for media_type, word in AUDIO_FORMATS.items() if word == format}
    return Audio(source=_read_source(audio, f"{path}.audio", types), format=format or None)


def _read_document(block: Doc, path: str) -> Part:
    document = object_at(block["document"], f"{path}.document")
    return File(
        source=_read_source(document, f"{path}.document", DOCUMENTS),
        name=text_of(document.get("name")) or None,
        citations=doc_of(document.get("citations")).get("enabled") is True,
        context=text_of(document.get("context")) or None,
    )


def _read_source(holder: Doc, path: str, formats: dict[str, str]) -> Source:
    """Where the bytes of an image, a document, a video are."""
    source = object_at(holder.get("source"), f"{path}.source")
    media_type = next((m for m, word in formats.items() if word == holder.get("format")), None)
    if "bytes" in source:
        return Source(data=text_at(source["bytes"], f"{path}.source.bytes"), media_type=media_type)
    if "s3Location" in source:
        return Source(url=text_of(doc_of(source["s3Location"]).get("uri")), media_type=media_type)
    if "content" in source:
        return Source(text="\n".join(text_of(piece.get("text")) for piece in docs_of(source["content"])))
    return Source(text=text_in(source, "text", f"{path}.source"), media_type=media_type)


def _read_call(block: Doc, path: str) -> Part:
    """A call for the client. One that ran at the provider is no matter of the client's."""
    call = object_at(block["toolUse"], f"{path}.toolUse")
    if is_server_call(call):
        return Opaque(wire=WIRE, doc=block, label="server_tool_use")
    return ToolCall(
        id=text_in(call, "toolUseId", f"{path}.toolUse"),
        name=text_in(call, "name", f"{path}.toolUse"),
        arguments=arguments_text(call.get("input")),
    )


def is_server_call(call: Doc) -> bool:
    return call.get("type") == "server_tool_use"


def is_server_result(result: Doc) -> bool:
    """Results of clients have no type."""
    return bool(result.get("type"))


def _read_result(block: Doc, path: str) -> Part:
    result = object_at(block["toolResult"], f"{path}.toolResult")
    if is_server_result(result):
        return Opaque(wire=WIRE, doc=block, label="tool_result")
    inside = objects_at(result.get("content"), f"{path}.toolResult.content")
    return ToolResult(
        id=text_in(result, "toolUseId", f"{path}.toolResult"),
        content=[_read_result_block(inner, place) for inner, place in inside],
        error=result.get("status") == "error",
    )


def _read_result_block(block: Doc, path: str) -> Part:
    if "json" in block:
        return Text(text=msgspec.json.encode(block["json"]).decode())
    if "searchResult" in block:
        return _read_search_result(object_at(block["searchResult"], f"{path}.searchResult"))
    return read_block(block, path)


def _read_search_result(found: Doc) -> File:
    texts = [text_of(piece.get("text")) for piece in docs_of(found.get("content"))]
    return File(
        source=Source(text="\n".join(texts)),
        name=text_of(found.get("title")) or None,
        citations=doc_of(found.get("citations")).get("enabled") is True,
        context=text_of(found.get("source")) or None,
    )


def _read_reasoning(block: Doc, path: str) -> Part:
    reasoning = object_at(block["reasoningContent"], f"{path}.reasoningContent")
    if "redactedContent" in reasoning:
        sealed = text_at(reasoning["redactedContent"], f"{path}.reasoningContent.redactedContent")
        return Thinking(redacted=True, signature=unwrap_signature(sealed, WIRE))
    said = object_at(reasoning.get("reasoningText"), f"{path}.reasoningContent.reasoningText")
    signature = text_of(said.get("signature"))
    return Thinking(
        text=text_of(said.get("text")),
        signature=unwrap_signature(signature, WIRE) if signature else None,
    )


def _read_cited(block: Doc, path: str) -> Part:
    cited = object_at(block["citationsContent"], f"{path}.citationsContent")
    return Text(
        text="".join(text_of(piece.get("text")) for piece in docs_of(cited.get("content"))),
        citations=[read_citation(doc) for doc in docs_of(cited.get("citations"))],
    )


_BLOCKS_IN: dict[str, Callable[[Doc, str], Part]] = {
    "text": _read_text,
    "toolUse": _read_call,
    "toolResult": _read_result,
    "reasoningContent": _read_reasoning,
    "citationsContent": _read_cited,
    "image": _read_image,
    "document": _read_document,
    "video": _read_video,
    "audio": _read_audio,
}


# ── citations ────────────────────────────────────────────────────────────────────────────────────


def read_citation(doc: Doc) -> Citation:
    """Where an answer has it from: a document of the request, a search result, a web page."""
    web = doc_of(doc_of(doc.get("location")).get("web"))
    url = text_of(web.get("url")) or text_of(doc.get("source"))
    quotes = [text_of(piece.get("text")) for piece in docs_of(doc.get("sourceContent"))]
    return Citation(
        kind="url" if web else "document",
        url=url if "://" in url else None,
        title=text_of(doc.get("title")) or None,
        quote="".join(quotes) or None,
        wire=WIRE,
        native=doc,
    )


def write_citation(citation: Citation) -> Doc:
    """The citation as it was, or the nearest that this format has."""
    if citation.wire == WIRE and citation.native is not None:
        return citation.native
    doc: Doc = {"title": citation.title} if citation.title else {}
    if citation.quote:
        doc["sourceContent"] = [{"text": citation.quote}]
    if citation.url:
        doc["location"] = {"web": {"url": citation.url}}
    return doc


def write_text(text: str, citations: Iterable[Citation] = ()) -> Doc:
    cited = [write_citation(citation) for citation in citations]
    if cited:
        return {"citationsContent": {"content": [{"text": text}], "citations": cited}}
    return {"text": text}


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


def write_cache(cache: str) -> Doc:
    """The cache point that stands behind a part."""
    point = {"type": "default"} if cache == "5m" else {"type": "default", "ttl": cache}
    return {"cachePoint": point}


def write_call(call: ToolCall, id: str, notes: Notes) -> Doc:
    """A call; free text becomes the one argument of a function."""
    return {"toolUse": {"toolUseId": id, "name": call.name, "input": input_of(call, notes)}}


def write_thinking(part: Thinking) -> Doc:
    """Reasoning as it was signed."""
    signature = part.signature.value if part.signature is not None else ""
    if part.redacted:
        return {"reasoningContent": {"redactedContent": signature}}
    said = {"text": part.text} | ({"signature": signature} if signature else {})
    return {"reasoningContent": {"reasoningText": said}}


def write_image(part: Image) -> Doc | None:
    """None for what only a URL leads to: nothing is fetched but from Amazon's own storage."""
    return _with_source("image", part.source, _format(part.source, IMAGES))


def write_video(part: Video) -> Doc | None:
    return _with_source("video", part.source, _format(part.source, VIDEOS))


def write_audio(part: Audio) -> Doc | None:
    format = part.format or AUDIO_FORMATS.get(part.source.media_type or "")
    format = "pcm" if format == "pcm16" else format
    return _with_source("audio", part.source, format if format in _SOUNDS else None)


def write_document(part: File, name: str) -> Doc | None:
    """A document under a name that nothing else in the request has."""
    source = part.source
    if source.text is not None:
        source = Source(data=b64encode(source.text.encode()).decode(), media_type="text/plain")
    written = _with_source("document", source, _document_format(part))
    if written is None:
        return None
    written["document"]["name"] = name
    if part.context:
        written["document"]["context"] = part.context
    if part.citations:
        written["document"]["citations"] = {"enabled": True}
    return written


def _document_format(part: File) -> str | None:
    if part.source.text is not None:
        return "txt"
    ending = (part.name or part.source.url or "").rpartition(".")[2].lower()
    by_name = ending if ending in DOCUMENTS.values() else None
    media_type = part.source.media_type or ""
    return DOCUMENTS.get(media_type) or by_name or ("txt" if media_type.startswith("text/") else None)


def _format(source: Source, formats: dict[str, str]) -> str | None:
    media_type = "image/jpeg" if source.media_type == "image/jpg" else source.media_type
    ending = (source.url or "").rpartition(".")[2].lower()
    ending = "jpeg" if ending == "jpg" else ending
    return formats.get(media_type or "") or (ending if ending in formats.values() else None)


def _with_source(kind: str, source: Source, format: str | None) -> Doc | None:
    if format is None:
        return None
    if source.data is not None:
        return {kind: {"format": format, "source": {"bytes": source.data}}}
    if source.url is not None and source.url.startswith(_S3):
        return {kind: {"format": format, "source": {"s3Location": {"uri": source.url}}}}
    return None
