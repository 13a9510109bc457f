"""Content parts of Responses messages and tool outputs, and annotations, in both directions.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

import mimetypes
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from omniroute.errors import UnsupportedContent
from omniroute.wire.content import audio_format, audio_media_type, source_of_url, url_of_source
from omniroute.wire.conversation import (
    Audio,
    Citation,
    Doc,
    File,
    Image,
    Notes,
    Part,
    Refusal,
    Source,
    Text,
)
from omniroute.wire.losses import label_of
from omniroute.wire.openai_responses_shapes import WIRE, list_at, object_at, said, text_in, whole, wrong
from omniroute.wire.shapes import docs_of

# ── parts in ─────────────────────────────────────────────────────────────────────────────────────


def read_content(value: Any, place: str) -> list[Part]:
    """The `content` of a message or the `output` of a tool: a text, or a list of parts.

    Raises `Refused` for a wrong shape and `UnsupportedContent` for a part of an unknown type.
    """
    if isinstance(value, str):
        return [Text(text=value)]
    return [
        _read_part(object_at(entry, f"{place}[{number}]"), f"{place}[{number}]")
        for number, entry in enumerate(list_at(value, place))
    ]


def _read_part(doc: Doc, place: str) -> Part:
    kind = doc.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise UnsupportedContent(f"content of type {kind!r} is not known here", place)
    return read(doc, place)


def _read_text(doc: Doc, place: str) -> Part:
    citations = [read_annotation(entry) for entry in docs_of(doc.get("annotations"))]
    return Text(text=text_in(doc, "text", place), cache=_cache(doc), citations=citations)


def _read_refusal(doc: Doc, place: str) -> Part:
    return Refusal(text=text_in(doc, "refusal", place))


def _read_image(doc: Doc, place: str) -> Part:
    url, file_id = said(doc, "image_url"), said(doc, "file_id")
    if url is None and file_id is None:
        raise wrong(f"{place}.image_url", "an image needs `image_url` or `file_id`")
    source = source_of_url(url) if url is not None else Source(file_id=file_id)
    return Image(source=source, detail=said(doc, "detail"), cache=_cache(doc))


def _read_file(doc: Doc, place: str) -> Part:
    name = said(doc, "filename")
    return File(source=_file_source(doc, name, place), name=name, cache=_cache(doc))


def _file_source(doc: Doc, name: str | None, place: str) -> Source:
    data, url, file_id = said(doc, "file_data"), said(doc, "file_url"), said(doc, "file_id")
    if data is not None:
        if data.startswith("data:"):
            return source_of_url(data)
        guess = mimetypes.guess_type(name)[0] if name else None
        return Source(data=data, media_type=guess or "application/pdf")
    if url is not None:
        return source_of_url(url)
    if file_id is not None:
        return Source(file_id=file_id)
    raise wrong(f"{place}.file_data", "a file needs `file_data`, `file_url` or `file_id`")


def _read_audio(doc: Doc, place: str) -> Part:
    audio = object_at(doc.get("input_audio"), f"{place}.input_audio")
    data, form = text_in(audio, "data", f"{place}.input_audio"), said(audio, "format")
    return Audio(source=Source(data=data, media_type=audio_media_type(form)), format=form)


_READERS: dict[str, Callable[[Doc, str], Part]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


def _cache(doc: Doc) -> str | None:
    """A prompt-cache breakpoint; the API's lives are 30 minutes and 12 hours, ours the short and the long one."""
    mark = doc.get("prompt_cache_breakpoint")
    if not isinstance(mark, dict):
        return None
    return "1h" if mark.get("ttl") == "12h" else "5m"


# ── parts out ────────────────────────────────────────────────────────────────────────────────────


def write_input_part(part: Part, notes: Notes, *, cache: bool) -> Doc | None:
    """A part as input of the model; None for what input cannot hold (noted).

    `cache` says whether the target takes cache breakpoints; else the mark is left to its automatic cache.
    """
    write = _WRITERS.get(type(part))
    doc = write(part) if write is not None else None
    if doc is None:
        notes.drop(label_of(part))
        return None
    mark = getattr(part, "cache", None)
    if mark is not None and cache:
        doc["prompt_cache_breakpoint"] = {"mode": "explicit", **({"ttl": "12h"} if mark == "1h" else {})}
    elif mark is not None:
        notes.emulate("cache_control")
    return doc


def _write_text(part: Any) -> Doc | None:
    return {"type": "input_text", "text": part.text}


def _write_image(part: Any) -> Doc | None:
    doc: Doc = {"type": "input_image"}
    url = url_of_source(part.source)
    if url is not None:
        doc["image_url"] = url
    elif part.source.file_id is not None:
        doc["file_id"] = part.source.file_id
    else:
        return None
    if part.detail is not None:
        doc["detail"] = part.detail
    return doc


def _write_file(part: Any) -> Doc | None:
    source: Source = part.source
    text = _plain_text(source)
    if text is not None:
        head = "\n".join(line for line in (part.name, part.context) if line)
        return {"type": "input_text", "text": f"{head}\n\n{text}" if head else text}
    if source.file_id is not None:
        return {"type": "input_file", "file_id": source.file_id}
    if source.data is not None:
        name = part.name or f"document{mimetypes.guess_extension(source.media_type or '') or '.pdf'}"
        return {"type": "input_file", "filename": name, "file_data": url_of_source(source)}
    return {"type": "input_file", "file_url": source.url}


def _plain_text(source: Source) -> str | None:
    """The text of a text document: it belongs into the prompt, and `input_file` is for rendered documents."""
    if source.text is not None:
        return source.text
    if source.data is None or not (source.media_type or "").startswith("text/"):
        return None
    try:
        return b64decode(source.data).decode()
    except ValueError:
        return None


def _write_audio(part: Any) -> Doc | None:
    if part.source.data is None:
        return None
    form = part.format or audio_format(part.source.media_type) or "wav"
    return {"type": "input_audio", "input_audio": {"data": part.source.data, "format": form}}


def _write_refusal(part: Any) -> Doc | None:
    return {"type": "input_text", "text": part.text}


_WRITERS: dict[type, Callable[[Any], Doc | None]] = {
    Text: _write_text,
    Image: _write_image,
    File: _write_file,
    Audio: _write_audio,
    Refusal: _write_refusal,
}


def output_text(text: str, annotations: list[Doc], logprobs: list[Any]) -> Doc:
    """An `output_text` part with the fields that the SDK's types require."""
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


# ── annotations ──────────────────────────────────────────────────────────────────────────────────

_CITATION_KINDS: dict[str, Any] = {
    "url_citation": "url",
    "file_citation": "file",
    "container_file_citation": "file",
    "file_path": "file",
}


def read_annotation(doc: Doc) -> Citation:
    """Any annotation, known or not: the native one rides along (never raises)."""
    return Citation(
        kind=_CITATION_KINDS.get(str(doc.get("type")), "other"),
        url=said(doc, "url"),
        title=said(doc, "title") or said(doc, "filename"),
        file_id=said(doc, "file_id"),
        start=_offset(doc, "start_index"),
        end=_offset(doc, "end_index"),
        wire=WIRE,
        native=doc,
    )


def _offset(doc: Doc, key: str) -> int | None:
    value = whole(doc.get(key), -1)
    return value if value >= 0 else None


_UNNAMED = {"file": "file", "document": "document"}
"""What to call a source that has no name: where it was cited is worth knowing all the same."""


def write_annotation(citation: Citation, length: int) -> Doc | None:
    """The annotation for a citation in a text of `length` characters; None when it points at nothing that
    the format can name."""
    if citation.wire == WIRE and citation.native is not None:
        return citation.native
    start = citation.start or 0
    if citation.url is not None:
        end = length if citation.end is None else citation.end
        title = citation.title or citation.url
        return {
            "type": "url_citation",
            "url": citation.url,
            "title": title,
            "start_index": start,
            "end_index": end,
        }
    name = citation.title or citation.file_id or _UNNAMED.get(citation.kind)
    if name is None:
        return None
    place = citation.end if citation.end is not None else length
    return {
        "type": "file_citation",
        "file_id": citation.file_id or name,
        "filename": name,
        "index": place,
    }
