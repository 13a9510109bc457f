"""The parts of Gemini contents, both ways: what a message of a request and a candidate of an answer share.

https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from omniroute.wire.content import audio_format, audio_media_type
from omniroute.wire.conversation import (
    Audio,
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
    Video,
)
from omniroute.wire.functions import CUSTOM_INPUT
from omniroute.wire.gemini_doc import as_list, given
from omniroute.wire.losses import note_loss
from omniroute.wire.shapes import arguments_object, doc_of, text_of
from omniroute.wire.signatures import unwrap_signature, wrap_signature

WIRE = "gemini"

RAW_ARGUMENTS = "_raw_arguments"
"""Where arguments stand that are no JSON object: `args` has to be one."""

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""Google's word for "this call was not made by the model that reads it".
https://ai.google.dev/gemini-api/docs/thought-signatures"""

_WRAPPED = "b3IxL"
"""How base64 of a wrapped signature (`or1.…`) begins."""

_DETAILS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "ultra_high": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
_DETAIL_OF = {level: detail for detail, level in _DETAILS.items()}

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
"""By the ending of a URL, for sources that do not say their type: Gemini wants it said."""


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────
# `thoughtSignature` is bytes, so base64 in JSON, and SDKs decode it: a wrapped foreign signature is encoded once more.


def read_signature(part: Doc) -> Signature | None:
    value = text_of(part.get("thoughtSignature"))
    if not value:
        return None
    if value.startswith(_WRAPPED):
        try:
            inner = urlsafe_b64decode(
                value.replace("+", "-").replace("/", "_") + "=" * (-len(value) % 4)
            ).decode()
        except ValueError:
            return Signature(value=value, wire=WIRE)
        return (
            unwrap_signature(inner, WIRE) if inner.startswith("or1.") else Signature(value=value, wire=WIRE)
        )
    return Signature(value=value, wire=WIRE)


def write_signature(signature: Signature) -> str:
    """The value for a client's `thoughtSignature`, from whatever wire the signature is."""
    if signature.wire == WIRE:
        return signature.value
    return urlsafe_b64encode(wrap_signature(signature, WIRE).encode()).decode()


# ── parts in ─────────────────────────────────────────────────────────────────────────────────────────


def read_part(part: Doc) -> Part | None:
    """A part with its keys in camelCase; None when it holds nothing that we know.

    Calls and results come with an empty id where the part gives none: only the whole conversation tells which.
    """
    for kind, read in _READ.items():
        if part.get(kind) is not None:
            return read(part)
    if not part.keys() - {"thoughtSignature", "thought", "partMetadata"}:
        return _read_text({**part, "text": ""})
    return None


def _read_text(part: Doc) -> Part:
    text = text_of(part["text"])
    signature = read_signature(part)
    if part.get("thought") is True:
        return Thinking(text=text, signature=signature, redacted=not text and signature is not None)
    return Text(text=text, signature=signature)


def join_signatures(parts: Iterable[Part]) -> list[Part]:
    """A signature in a part of its own is that of the text before it; where there is none, it is bare reasoning."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if isinstance(part, Text | Thinking) and not part.text and part.signature is not None:
            if isinstance(before, type(part)) and before.signature is None:
                joined[-1] = msgspec.structs.replace(before, signature=part.signature)
                continue
            part = Thinking(signature=part.signature, redacted=True)
        joined.append(part)
    return joined


def _read_call(part: Doc) -> Part:
    call = doc_of(part["functionCall"])
    return ToolCall(
        id=text_of(call.get("id")),
        name=text_of(call.get("name")),
        arguments=json_text(doc_of(call.get("args"))),
        signature=read_signature(part),
    )


def _read_result(part: Doc) -> Part:
    result = doc_of(part["functionResponse"])
    text, failed = _read_response(result.get("response"))
    content: list[Part] = [Text(text=text)] if text else []
    content += [
        found for item in as_list(result.get("parts")) if (found := read_part(doc_of(item))) is not None
    ]
    return ToolResult(
        id=text_of(result.get("id")), name=text_of(result.get("name")) or None, content=content, error=failed
    )


def _read_response(response: Any) -> tuple[str, bool]:
    """The text of a function's answer, and whether it is an error.

    By convention a lone `output` (or `result`) holds the answer and a lone `error` what went wrong; anything else
    is the answer itself, as JSON text.
    """
    answer = doc_of(response)
    if _by_convention(answer):
        (key, value), *_ = answer.items()
        return value if isinstance(value, str) else json_text(value), key == "error"
    return json_text(answer) if answer else "", False


def _by_convention(answer: Doc) -> bool:
    """Whether its one value is the answer, or the error, and not its fields."""
    if len(answer) != 1:
        return False
    (key, value), *_ = answer.items()
    return key == "error" or (key in ("output", "result") and isinstance(value, str))


def _read_blob(part: Doc) -> Part:
    blob = doc_of(part["inlineData"])
    data = text_of(blob.get("data"))
    if "-" in data or "_" in data:
        # Protocol buffers read both alphabets of base64, and the Python SDK writes the one that others refuse.
        data = data.replace("-", "+").replace("_", "/")
    data += "=" * (-len(data) % 4)
    return _media(part, Source(data=data, media_type=text_of(blob.get("mimeType")) or None), blob)


def _read_file(part: Doc) -> Part:
    file = doc_of(part["fileData"])
    uri = text_of(file.get("fileUri"))
    return _media(part, Source(url=uri, media_type=text_of(file.get("mimeType")) or _guess(uri)), file)


def _media(part: Doc, source: Source, named: Doc) -> Part:
    if part.get("videoMetadata") is not None:
        return Opaque(wire=WIRE, doc=part, label="video")
    kind = (source.media_type or "").split("/", 1)[0]
    if kind == "image":
        level = doc_of(part.get("mediaResolution")).get("level")
        return Image(source=source, detail=_DETAIL_OF.get(text_of(level)))
    if kind == "audio":
        return Audio(source=source, format=audio_format(source.media_type))
    if kind == "video":
        return Video(source=source)
    return File(source=source, name=text_of(named.get("displayName")) or None)


def _read_opaque(kind: str) -> Callable[[Doc], Part]:
    return lambda part: Opaque(wire=WIRE, doc=part, label=kind)


_READ: dict[str, Callable[[Doc], Part]] = {
    "functionCall": _read_call,
    "functionResponse": _read_result,
    "inlineData": _read_blob,
    "fileData": _read_file,
    "executableCode": _read_opaque("executableCode"),
    "codeExecutionResult": _read_opaque("codeExecutionResult"),
    "toolCall": _read_opaque("toolCall"),
    "toolResponse": _read_opaque("toolResponse"),
    "text": _read_text,
}


# ── parts out ────────────────────────────────────────────────────────────────────────────────────────


class PartWriter:
    """Writes parts. `answer`: for a client, who gets ids and all signatures; else for an upstream, which gets
    only what is its own."""

    def __init__(self, notes: Notes, *, answer: bool = False, quirks: frozenset[str] = frozenset()) -> None:
        self._notes = notes
        self._answer = answer
        self._quirks = quirks

    def write(self, part: Part) -> Doc | None:
        """None when nothing is left of the part (the notes say so, if that means anything)."""
        self.note_cache(part)
        return _WRITE[type(part)](self, part)

    def note_cache(self, part: Part) -> None:
        """Prompts are cached without being asked to here; a mark has no place."""
        if getattr(part, "cache", None):
            note_loss(self._notes, "cache_control")

    def call(self, part: ToolCall) -> Doc:
        call_id = part.id if self._answer or not part.id.startswith(MADE_ID) else ""
        call = given(id=call_id or None, name=part.name, args=self._arguments(part))
        return {"functionCall": call} | self.signed(part.signature)

    def result(self, part: ToolResult, name: str) -> list[Doc]:
        """A `functionResponse`, and after it what the answer holds beside text where the model wants that apart."""
        media = [
            doc for inner in part.content if not isinstance(inner, _TEXTUAL) and (doc := self.write(inner))
        ]
        texts = [inner.text for inner in part.content if isinstance(inner, _TEXTUAL) and inner.text]
        call_id = None if part.id.startswith(MADE_ID) else part.id or None
        response = given(id=call_id, name=name, response=_write_response("\n".join(texts), part.error))
        if not media:
            return [{"functionResponse": response}]
        if "tool_images" in self._quirks:
            return [{"functionResponse": {**response, "parts": media}}]
        self._notes.emulate("media in tool results")
        return [{"functionResponse": response}, {"text": f"This belongs to the result of {name}:"}, *media]

    def signed(self, signature: Signature | None) -> Doc:
        if signature is None or not (self._answer or signature.wire == WIRE):
            return {}
        return {"thoughtSignature": write_signature(signature)}

    def _arguments(self, call: ToolCall) -> Doc:
        if call.kind == "custom":
            self._notes.emulate("custom tool calls")
            return {CUSTOM_INPUT: call.arguments}
        arguments = arguments_object(call.arguments)
        if arguments is not None:
            return arguments
        self._notes.emulate("tool call arguments that are no JSON object")
        return {RAW_ARGUMENTS: call.arguments}

    def _text(self, part: Text) -> Doc | None:
        signed = self.signed(part.signature)
        return {"text": part.text} | signed if part.text or signed or self._answer else None

    def _thinking(self, part: Thinking) -> Doc | None:
        foreign = part.signature is not None and part.signature.wire != WIRE
        if foreign and not self._answer:
            return None
        signed = self.signed(part.signature)
        if not part.text:
            return {"text": ""} | signed if signed else None
        return {"text": part.text, "thought": True} | signed

    def _refusal(self, part: Refusal) -> Doc | None:
        return {"text": part.text} if part.text else None

    def _image(self, part: Image) -> Doc | None:
        found = self._source(part.source, "image/jpeg", "image")
        if found is None or part.detail in (None, "auto"):
            return found
        level = _DETAILS.get(part.detail or "")
        if level and "media_resolution" in self._quirks:
            return {**found, "mediaResolution": {"level": level}}
        self._notes.drop("image detail")
        return found

    def _audio(self, part: Audio) -> Doc | None:
        if part.source.data is None and part.source.url is None and part.transcript:
            return {"text": part.transcript}
        return self._source(part.source, audio_media_type(part.format), "audio")

    def _video(self, part: Video) -> Doc | None:
        return self._source(part.source, "video/mp4", "video")

    def _file(self, part: File) -> Doc | None:
        if part.source.text is not None:
            return {"text": "\n\n".join(text for text in (part.name, part.context, part.source.text) if text)}
        found = self._source(part.source, "application/pdf", "file")
        if found is not None and part.context:
            self._notes.drop("document context")
        return found

    def _source(self, source: Source, fallback: str, what: str) -> Doc | None:
        if source.data is not None:
            return {"inlineData": {"mimeType": source.media_type or fallback, "data": source.data}}
        if source.url is not None:
            media_type = source.media_type or _guess(source.url) or fallback
            return {"fileData": {"mimeType": media_type, "fileUri": source.url}}
        if source.text is not None:
            return {"text": source.text}
        self._notes.drop(f"{what} given by file id")
        return None

    def _opaque(self, part: Opaque) -> Doc | None:
        if part.wire == WIRE:
            return part.doc
        self._notes.drop(part.label or f"{part.wire} content")
        return None

    def _orphan(self, part: ToolResult) -> Doc | None:
        return self.result(part, part.name or part.id)[0]


MADE_ID = "gcall_"
"""Ids that we made up for calls without one begin so: they mean something to us and to clients, not upstream."""

_TEXTUAL = (Text, Refusal)

_WRITE: dict[type, Callable[[PartWriter, Any], Doc | None]] = {
    Text: PartWriter._text,
    Thinking: PartWriter._thinking,
    Refusal: PartWriter._refusal,
    Image: PartWriter._image,
    Audio: PartWriter._audio,
    Video: PartWriter._video,
    File: PartWriter._file,
    ToolCall: PartWriter.call,
    ToolResult: PartWriter._orphan,
    Opaque: PartWriter._opaque,
}


def _write_response(text: str, failed: bool) -> Doc:
    found = arguments_object(text) if text.lstrip().startswith("{") else None
    if failed:
        return {"error": text if found is None else found}
    return {"output": text} if found is None or not found or _by_convention(found) else found


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _guess(url: str) -> str | None:
    ending = url.split("?", 1)[0].rpartition(".")[2].lower()
    return _MEDIA_TYPES.get(ending)
