"""Pieces of Chat Completions messages that requests, answers and streams share: content, reasoning, calls.

Reasoning goes by several names in this format, none of them official: `reasoning_content`, `reasoning`, and
`reasoning_details`, a list whose entries may be signed and then have to come back as they were. A signature of this
wire is either the JSON of such an entry without its text, or the plain `thought_signature` of `extra_content`.
https://platform.openai.com/docs/api-reference/chat/create, https://openrouter.ai/docs/use-cases/reasoning-tokens,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.errors import Problem, Refused
from omniroute.wire.content import audio_media_type, source_of_url
from omniroute.wire.conversation import (
    Audio,
    Citation,
    Doc,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    Video,
)
from omniroute.wire.shapes import doc_of, docs_of, text_of
from omniroute.wire.signatures import unwrap_signature, wrap_signature

WIRE = "openai-chat"

TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""The service tiers that the format has words for."""


def refused(message: str, param: str) -> Refused:
    """The client's request has a wrong shape at `param`."""
    return Refused(Problem(kind="invalid_request", message=f"`{param}`: {message}", param=param))


def text_in(doc: Doc, key: str, path: str) -> str:
    """A string that a request must hold."""
    value = doc.get(key)
    if not isinstance(value, str):
        raise refused("must be a string", f"{path}.{key}")
    return value


def read_cache(doc: Doc) -> str | None:
    """A prompt-cache breakpoint: `cache_control` as Anthropic's, or `prompt_cache_breakpoint`."""
    control = doc.get("cache_control")
    if isinstance(control, dict):
        return text_of(control.get("ttl")) or "5m"
    if isinstance(doc.get("prompt_cache_breakpoint"), dict):
        return "1h" if doc["prompt_cache_breakpoint"].get("ttl") else "5m"
    return None


# ── content of requests ──────────────────────────────────────────────────────────────────────────


def _url_at(doc: Doc, key: str, path: str) -> str:
    value = doc.get(key)
    return value if isinstance(value, str) else text_in(doc_of(value), "url", f"{path}.{key}")


def _read_text(doc: Doc, path: str) -> Part:
    return Text(text=text_in(doc, "text", path), cache=read_cache(doc))


def _read_refusal(doc: Doc, path: str) -> Part:
    return Refusal(text=text_in(doc, "refusal", path))


def _read_image(doc: Doc, path: str) -> Part:
    detail = doc_of(doc.get("image_url")).get("detail") or doc.get("detail")
    source = source_of_url(_url_at(doc, "image_url", path))
    return Image(source=source, detail=text_of(detail) or None, cache=read_cache(doc))


def _read_audio(doc: Doc, path: str) -> Part:
    given = doc.get("input_audio")
    if isinstance(given, str):
        source = source_of_url(given) if ":" in given else Source(data=given)
        return Audio(source=source)
    format = text_of(doc_of(given).get("format")) or None
    data = text_in(doc_of(given), "data", f"{path}.input_audio")
    if data.startswith(("data:", "http:", "https:")):
        return Audio(source=source_of_url(data), format=format)
    return Audio(source=Source(data=data, media_type=audio_media_type(format)), format=format)


def _read_audio_url(doc: Doc, path: str) -> Part:
    return Audio(source=source_of_url(_url_at(doc, "audio_url", path)))


def _read_video(doc: Doc, path: str) -> Part:
    return Video(source=source_of_url(_url_at(doc, "video_url", path)))


def _read_file(doc: Doc, path: str) -> Part:
    file = doc_of(doc.get("file"))
    name = text_of(file.get("filename")) or None
    if text_of(file.get("file_id")):
        return File(source=Source(file_id=file["file_id"]), name=name, cache=read_cache(doc))
    data = text_in(file, "file_data", f"{path}.file")
    return File(source=_document(data), name=name, cache=read_cache(doc))


def _document(given: str) -> Source:
    """A URL of any kind, or bare base64, which is taken for a PDF as these servers do."""
    if given.startswith(("data:", "http:", "https:")):
        return source_of_url(given)
    return Source(data=given, media_type="application/pdf")


def _read_linked_file(key: str) -> Callable[[Doc, str], Part]:
    def read(doc: Doc, path: str) -> Part:
        name = text_of(doc.get("document_name") or doc.get("filename")) or None
        return File(source=_document(_url_at(doc, key, path)), name=name)

    return read


def _read_thinking(doc: Doc, path: str) -> Part:
    given = doc.get("thinking")
    if isinstance(given, str):
        return Thinking(text=given)
    return Thinking(text="".join(text_of(piece.get("text")) for piece in docs_of(given)))


CONTENT_IN: dict[str, Callable[[Doc, str], Part]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "input_image": _read_image,
    "input_audio": _read_audio,
    "audio_url": _read_audio_url,
    "video_url": _read_video,
    "file": _read_file,
    "file_url": _read_linked_file("file_url"),
    "document_url": _read_linked_file("document_url"),
    "thinking": _read_thinking,
}
"""Content parts by `type`, those of compatible servers included."""


# ── content of answers ───────────────────────────────────────────────────────────────────────────


def read_answer_content(content: Any) -> list[Part]:
    """The `content` of an answer or of a delta: a string, or a list of chunks. Never raises."""
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    return [_answer_chunk(chunk) for chunk in docs_of(content)]


def _answer_chunk(chunk: Doc) -> Part:
    kind = text_of(chunk.get("type"))
    read = CONTENT_IN.get(kind)
    if read is not None:
        try:
            return read(chunk, "content")
        except Refused:
            # An answer is never refused for a broken chunk; it stays what it was.
            return Opaque(wire=WIRE, doc=chunk, label=kind)
    return Opaque(wire=WIRE, doc=chunk, label=kind or "content")


def read_images(message: Doc) -> list[Part]:
    """Images that a model made: `images`, a list of `image_url` parts."""
    return [part for part in read_answer_content(message.get("images")) if isinstance(part, Image)]


def read_citation(annotation: Doc) -> Citation:
    """An entry of `annotations`."""
    cited = doc_of(annotation.get("url_citation"))
    if not cited:
        return Citation(kind="other", wire=WIRE, native=annotation)
    start, end = cited.get("start_index"), cited.get("end_index")
    return Citation(
        url=text_of(cited.get("url")) or None,
        title=text_of(cited.get("title")) or None,
        quote=text_of(cited.get("content")) or None,
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        wire=WIRE,
        native=annotation,
    )


def read_sources(doc: Doc) -> list[Citation]:
    """Sources that stand beside the choices: `search_results`, else `citations` (a list of URLs)."""
    results = [
        Citation(url=text_of(r.get("url")), title=text_of(r.get("title")) or None)
        for r in docs_of(doc.get("search_results"))
        if text_of(r.get("url"))
    ]
    given = doc.get("citations")
    urls = given if isinstance(given, list) else []
    return results or [Citation(url=url) for url in urls if isinstance(url, str)]


# ── reasoning ────────────────────────────────────────────────────────────────────────────────────

_DETAIL_TEXT = {"reasoning.text": "text", "reasoning.summary": "summary"}
_DETAIL_SIGNATURE = {"reasoning.text": "signature", "reasoning.summary": "signature"}


def plain_reasoning(message: Doc) -> str:
    """The readable reasoning of a message or a delta, whatever the server calls it."""
    return text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))


def read_detail(entry: Doc) -> Thinking:
    """An entry of `reasoning_details`. What has no readable text is redacted."""
    kind = text_of(entry.get("type"))
    text_key = _DETAIL_TEXT.get(kind)
    signature = _detail_signature(entry, _DETAIL_SIGNATURE.get(kind, "data"))
    if text_key is None:
        return Thinking(redacted=True, signature=signature)
    return Thinking(
        text=text_of(entry.get(text_key)), signature=signature, summary=kind == "reasoning.summary"
    )


def _detail_signature(entry: Doc, key: str) -> Signature | None:
    value = text_of(entry.get(key))
    if not value:
        return None
    signature = unwrap_signature(value, WIRE)
    if signature.wire != WIRE:
        return signature
    native = {k: v for k, v in entry.items() if k not in _DETAIL_TEXT.values()}
    packed = msgspec.json.encode(native).decode()
    return Signature(value=packed, wire=WIRE, id=text_of(entry.get("id")) or None)


def read_reasoning(message: Doc) -> list[Part]:
    """All reasoning of a whole message. A text that stands there under two names counts once."""
    details = [read_detail(entry) for entry in docs_of(message.get("reasoning_details"))]
    details = [part for part in details if part.text or part.signature]
    plain = plain_reasoning(message)
    if plain and not any(part.text for part in details):
        bare = next((part for part in details if not part.redacted), None)
        if bare is None:
            return [Thinking(text=plain), *details]
        bare.text = plain
    return list(details)


def write_detail(thinking: Thinking, index: int) -> Doc:
    """An entry of `reasoning_details`; a foreign signature travels in its signature's place."""
    signature = thinking.signature
    native = native_detail(signature)
    if native is not None:
        key = _DETAIL_TEXT.get(text_of(native.get("type")))
        return native | {key: thinking.text} if key and thinking.text else native
    if thinking.redacted and signature is not None:
        data = wrap_signature(signature, WIRE)
        return {"type": "reasoning.encrypted", "data": data, "format": "unknown", "index": index}
    entry: Doc = {"type": "reasoning.text", "text": thinking.text, "format": "unknown", "index": index}
    if signature is not None:
        entry["signature"] = wrap_signature(signature, WIRE)
    return entry


def native_detail(signature: Signature | None) -> Doc | None:
    """The entry of `reasoning_details` that a signature of this wire stands for."""
    if signature is None or signature.wire != WIRE or not signature.value.startswith("{"):
        return None
    try:
        entry = msgspec.json.decode(signature.value)
    except msgspec.DecodeError:
        return None
    return entry if isinstance(entry, dict) else None


# ── signatures in `extra_content`, and calls ─────────────────────────────────────────────────────


def read_extra_signature(doc: Doc) -> Signature | None:
    """The thought signature of a message, a delta or a call: `extra_content.google.thought_signature`."""
    inside = doc_of(doc_of(doc.get("extra_content")).get("google"))
    value = text_of(inside.get("thought_signature"))
    return unwrap_signature(value, WIRE) if value else None


def write_extra_signature(signature: Signature) -> Doc:
    """The value of `extra_content` that holds a signature."""
    return {"google": {"thought_signature": wrap_signature(signature, WIRE)}}


def arguments_of(value: Any) -> str:
    """Arguments as JSON text; some servers send them as an object already."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def read_call(call: Doc, id: str) -> ToolCall | None:
    """An entry of `tool_calls`; None when all of it is empty. `id` stands in for a missing one."""
    function, custom = doc_of(call.get("function")), doc_of(call.get("custom"))
    is_custom = bool(text_of(custom.get("name"))) and not text_of(function.get("name"))
    body = custom if is_custom else function
    name = text_of(body.get("name"))
    arguments = arguments_of(body.get("input" if is_custom else "arguments"))
    given = text_of(call.get("id"))
    if not (name or arguments or given):
        return None
    return ToolCall(
        id=given or id,
        name=name,
        arguments=arguments if is_custom else arguments or "{}",
        kind="custom" if is_custom else "function",
        signature=read_extra_signature(call),
        cache=read_cache(call),
    )


def write_call(call: ToolCall) -> Doc:
    """An entry of `tool_calls`, without its signature."""
    if call.kind == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}
