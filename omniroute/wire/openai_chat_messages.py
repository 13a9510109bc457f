"""The `messages` of a Chat Completions request, in and out.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeGuard

import msgspec

from omniroute.errors import UnsupportedContent
from omniroute.wire.carried_thinking import restored
from omniroute.wire.codec import Dialect
from omniroute.wire.content import audio_format, text_of_source, titled, url_of_source
from omniroute.wire.conversation import (
    Audio,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Role,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.losses import note_loss
from omniroute.wire.openai_chat_parts import (
    CONTENT_IN,
    WIRE,
    arguments_of,
    native_detail,
    read_cache,
    read_call,
    read_extra_signature,
    read_reasoning,
    refused,
    write_call,
    write_detail,
    write_extra_signature,
)
from omniroute.wire.pairing import Pairing
from omniroute.wire.shapes import doc_of, text_of
from omniroute.wire.think_tags import THINK_CLOSE, THINK_OPEN

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_messages(messages: Any) -> list[Turn]:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for content that is not known."""
    if not isinstance(messages, list):
        raise refused("must be a list of messages", "messages")
    pairing = Pairing("call_auto_")
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise refused("must be an object", path)
        read = _ROLES_IN.get(text_of(message.get("role")))
        if read is None:
            raise refused(f"must be one of {', '.join(_ROLES_IN)}", f"{path}.role")
        turns.append(read(message, path, pairing))
    return turns


def _read_said(role: Role) -> Callable[[Doc, str, Pairing], Turn]:
    def read(message: Doc, path: str, pairing: Pairing) -> Turn:
        parts = _read_content(message.get("content"), f"{path}.content")
        _cache_last(message, parts)
        return Turn(role=role, parts=parts, name=text_of(message.get("name")) or None)

    return read


def _read_assistant(message: Doc, path: str, pairing: Pairing) -> Turn:
    content = _read_content(message.get("content"), f"{path}.content")
    _cache_last(message, content)
    parts = [*read_reasoning(message), *content]
    if text_of(message.get("refusal")):
        parts.append(Refusal(text=message["refusal"]))
    audio = text_of(doc_of(message.get("audio")).get("id"))
    if audio:
        parts.append(Audio(source=Source(file_id=audio), id=audio))
    calls = _read_calls(message, path, pairing)
    if calls:
        # The empty text beside calls says nothing, and other formats refuse it.
        parts = [p for p in parts if not isinstance(p, Text) or p.text]
    attach_signature(message, [*parts, *calls], parts)
    name = text_of(message.get("name")) or None
    return Turn(role="assistant", parts=restored([*parts, *calls]), name=name)


def attach_signature(message: Doc, candidates: Iterable[Part], parts: list[Part]) -> None:
    """Put a signature that stands on the whole message where it belongs: its text, else its first call."""
    signature = read_extra_signature(message)
    if signature is None:
        return
    signable = [p for p in candidates if isinstance(p, Text | ToolCall)]
    if not signable:
        parts.append(Text(text="", signature=signature))
    elif signable[0].signature is None:
        signable[0].signature = signature


def _read_calls(message: Doc, path: str, pairing: Pairing) -> list[ToolCall]:
    given = message.get("tool_calls")
    if given is not None and not isinstance(given, list):
        raise refused("must be a list", f"{path}.tool_calls")
    calls = []
    for index, doc in enumerate(given or []):
        call = read_call(doc, "") if isinstance(doc, dict) else None
        if call is None or not call.name:
            raise refused("must be a tool call with a name", f"{path}.tool_calls[{index}]")
        calls.append(call)
    legacy = doc_of(message.get("function_call"))
    if text_of(legacy.get("name")):
        arguments = arguments_of(legacy.get("arguments")) or "{}"
        calls.append(ToolCall(id="", name=legacy["name"], arguments=arguments))
    for call in calls:
        call.id = pairing.called(call.id, call.name)
    return calls


def _read_result(message: Doc, path: str, pairing: Pairing) -> Turn:
    name = text_of(message.get("name"))
    content = _read_content(message.get("content"), f"{path}.content")
    id, _ = pairing.answered(text_of(message.get("tool_call_id")), name)
    result = ToolResult(id=id, content=content, name=name or None, cache=read_cache(message))
    return Turn(role="user", parts=[result])


_ROLES_IN: dict[str, Callable[[Doc, str, Pairing], Turn]] = {
    "system": _read_said("system"),
    "developer": _read_said("developer"),
    "user": _read_said("user"),
    "assistant": _read_assistant,
    "tool": _read_result,
    "function": _read_result,
}


def _read_content(content: Any, path: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(text=content)]
    if not isinstance(content, list):
        raise refused("must be a string or a list of content parts", path)
    return [_read_part(item, f"{path}[{index}]") for index, item in enumerate(content)]


def _read_part(item: Any, path: str) -> Part:
    if isinstance(item, str):
        return Text(text=item)
    if not isinstance(item, dict):
        raise refused("must be an object", path)
    kind = text_of(item.get("type"))
    if not kind:
        raise refused("must say its `type`", path)
    read = CONTENT_IN.get(kind)
    if read is None:
        raise UnsupportedContent(f"content of type `{kind}` is not known", path)
    return read(item, path)


def _cache_last(message: Doc, parts: list[Part]) -> None:
    """A breakpoint on the whole message stands after its last part."""
    cache = read_cache(message)
    if cache is not None and parts and isinstance(parts[-1], Text | Image | File):
        parts[-1].cache = cache


# ── out: content ─────────────────────────────────────────────────────────────────────────────────


class Target(NamedTuple):
    """What writing depends on."""

    quirks: frozenset[str]
    notes: Notes


def target_of(dialect: Dialect, notes: Notes) -> Target:
    return Target(dialect.quirks, notes)


def _cached(doc: Doc, cache: str | None, target: Target) -> Doc:
    if cache is None:
        return doc
    if "cache_control" in target.quirks:
        longer = {"ttl": cache} if cache != "5m" else {}
        return doc | {"cache_control": {"type": "ephemeral"} | longer}
    if "prompt_cache_breakpoint" in target.quirks:
        return doc | {"prompt_cache_breakpoint": {"mode": "explicit"}}
    note_loss(target.notes, "cache_control")
    return doc


def _text(text: str) -> Doc:
    return {"type": "text", "text": text}


def _write_text(part: Text, target: Target) -> list[Doc]:
    return [_cached(_text(part.text), part.cache, target)]


def _write_image(part: Image, target: Target) -> list[Doc]:
    url = url_of_source(part.source)
    if url is None:
        target.notes.drop("image.file_id")
        return []
    image = {"url": url} | ({"detail": part.detail} if part.detail else {})
    return [_cached({"type": "image_url", "image_url": image}, part.cache, target)]


def _write_audio(part: Audio, target: Target) -> list[Doc]:
    if part.source.data is not None and not part.transcript:
        format = part.format or audio_format(part.source.media_type) or "wav"
        return [{"type": "input_audio", "input_audio": {"data": part.source.data, "format": format}}]
    if part.source.url is not None and "audio_url" in target.quirks:
        return [{"type": "audio_url", "audio_url": {"url": part.source.url}}]
    if part.transcript:
        target.notes.emulate("audio")
        return [_text(part.transcript)]
    target.notes.drop("audio")
    return []


def _write_video(part: Video, target: Target) -> list[Doc]:
    url = url_of_source(part.source)
    if url is None or "video_url" not in target.quirks:
        target.notes.drop("video")
        return []
    return [{"type": "video_url", "video_url": {"url": url}}]


def _write_file(part: File, target: Target) -> list[Doc]:
    docs = _file_docs(part, target)
    if part.context:
        target.notes.emulate("document.context")
        docs = [_text(part.context), *docs]
    if part.citations:
        target.notes.drop("document.citations")
    if docs and part.cache:
        docs[-1] = _cached(docs[-1], part.cache, target)
    return docs


def _file_docs(part: File, target: Target) -> list[Doc]:
    source = part.source
    text = text_of_source(source)
    if text is not None:
        target.notes.emulate("document.text")
        return [_text(titled(part.name, text))]
    if source.file_id is not None:
        return [{"type": "file", "file": {"file_id": source.file_id}}]
    if source.url is not None and "file_url" not in target.quirks:
        target.notes.drop("document.url")
        return []
    name = part.name or "file.pdf"
    return [{"type": "file", "file": {"filename": name, "file_data": url_of_source(source)}}]


def _write_refusal(part: Refusal, target: Target) -> list[Doc]:
    return [_text(part.text)]


def _write_opaque(part: Opaque, target: Target) -> list[Doc]:
    if part.wire == WIRE:
        return [part.doc]
    target.notes.drop(part.label or "content")
    return []


def _write_nothing(part: Part, target: Target) -> list[Doc]:
    return []


_CONTENT_OUT: dict[type, Callable[[Any, Target], list[Doc]]] = {
    Text: _write_text,
    Image: _write_image,
    Audio: _write_audio,
    Video: _write_video,
    File: _write_file,
    Refusal: _write_refusal,
    Opaque: _write_opaque,
    Thinking: _write_nothing,
    ToolCall: _write_nothing,
    ToolResult: _write_nothing,
}


def _content(parts: Iterable[Part], target: Target) -> list[Doc]:
    docs = [doc for part in parts for doc in _CONTENT_OUT[type(part)](part, target)]
    said = [doc for doc in docs if doc.get("text") != ""]
    return said or docs


def _joined(docs: list[Doc], glue: str) -> str | list[Doc]:
    """One string where the content is only text: every server takes that, not all take a list."""
    if all(doc.keys() == {"type", "text"} for doc in docs):
        return glue.join(doc["text"] for doc in docs)
    return docs


# ── out: messages ────────────────────────────────────────────────────────────────────────────────


def write_messages(turns: list[Turn], dialect: Dialect, notes: Notes) -> list[Doc]:
    """The messages for a target, in an order that it takes: results right after their calls."""
    target = target_of(dialect, notes)
    messages: list[Doc] = []
    for turn in turns:
        messages += _TURNS_OUT[turn.role](turn, target)
    messages = _results_after_calls(_merge_calls(messages))
    for quirk, arrange in _ARRANGEMENTS.items():
        if quirk in target.quirks:
            messages = arrange(messages)
    return messages


def _write_system(turn: Turn, target: Target) -> list[Doc]:
    role: str = turn.role
    if role == "developer" and "developer_role" not in target.quirks:
        role = "system"
    if "no_system_role" in target.quirks:
        target.notes.emulate(turn.role)
        role = "user"
    content = _joined(_content(turn.parts, target), "\n\n")
    return [_named({"role": role, "content": content}, turn)]


def _named(message: Doc, turn: Turn) -> Doc:
    return message | {"name": turn.name} if turn.name else message


def _write_user(turn: Turn, target: Target) -> list[Doc]:
    messages: list[Doc] = []
    shown: list[Doc] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            message, beside = _write_result(part, target)
            messages.append(message)
            shown += beside
    docs = shown + _content((p for p in turn.parts if not isinstance(p, ToolResult)), target)
    if docs or not messages:
        simple = len(docs) == 1 or "string_content" in target.quirks
        content = _joined(docs, "\n\n") if simple or not docs else docs
        messages.append(_named({"role": "user", "content": content}, turn))
    return messages


def _write_result(part: ToolResult, target: Target) -> tuple[Doc, list[Doc]]:
    """The `tool` message, and what of the result has to stand in a `user` message after it."""
    docs = _content(part.content, target)
    beside: list[Doc] = []
    if "tool_images" not in target.quirks:
        beside = [doc for doc in docs if doc["type"] != "text"]
        docs = [doc for doc in docs if doc["type"] == "text"]
    if beside:
        target.notes.emulate("tool_result.image")
        beside = [_text(f"The content of the result of tool call {part.id}:"), *beside]
        docs = docs or [_text("The result is in the next user message.")]
    content = _joined(docs, "\n")
    if part.error:
        target.notes.emulate("tool_result.is_error")
        content = _as_error(content)
    message: Doc = {"role": "tool", "tool_call_id": _call_id(part.id, target), "content": content}
    if part.name and "tool_name" in target.quirks:
        message["name"] = part.name
    return _cached(message, part.cache, target), beside


def _as_error(content: str | list[Doc]) -> str | list[Doc]:
    """This format has no mark for a failed call, so its text has to say it."""
    if isinstance(content, list):
        return [_text("Error:"), *content]
    return content if content.lower().startswith("error") else f"Error: {content}"


def _write_assistant(turn: Turn, target: Target) -> list[Doc]:
    thinking = [p for p in turn.parts if isinstance(p, Thinking)]
    calls = [p for p in turn.parts if isinstance(p, ToolCall)]
    refusals = [p.text for p in turn.parts if isinstance(p, Refusal)]
    audio = [p.source.file_id for p in turn.parts if isinstance(p, Audio) and p.source.file_id]
    content = _joined(_thinking_chunks(thinking, target) + _spoken(turn.parts, target), "")
    silent = None if (calls and "empty_content" not in target.quirks) or audio or refusals else ""
    message: Doc = {"role": "assistant", "content": content or silent}
    if refusals:
        message["refusal"] = "".join(refusals)
    if audio:
        message["audio"] = {"id": audio[-1]}
    _echo_reasoning(message, turn, thinking, target)
    if calls:
        message["tool_calls"] = [_write_tool_call(call, target) for call in calls]
    return [_named(message, turn)]


def _spoken(parts: list[Part], target: Target) -> list[Doc]:
    """The content of an assistant message, which in this format is text."""
    docs: list[Doc] = []
    for part in parts:
        if isinstance(part, Text | Opaque) or (isinstance(part, Audio) and part.transcript):
            docs += _content([part], target)
        elif isinstance(part, Image | Video | File) or (isinstance(part, Audio) and part.source.data):
            target.notes.drop(f"assistant.{type(part).__name__.lower()}")
    return [doc for doc in docs if doc.get("text") != ""]


def _thinking_chunks(thinking: list[Thinking], target: Target) -> list[Doc]:
    if "think_tags" in target.quirks:
        return [_text(f"{THINK_OPEN}{part.text}{THINK_CLOSE}\n") for part in thinking if part.text]
    if "thinking_chunks" not in target.quirks:
        return []
    return [{"type": "thinking", "thinking": [_text(part.text)]} for part in thinking if part.text]


def _echo_reasoning(message: Doc, turn: Turn, thinking: list[Thinking], target: Target) -> None:
    """Give earlier reasoning back: signed by this wire always, readable text where the server wants it."""
    text = "\n\n".join(part.text for part in thinking if part.text)
    for key in ("reasoning_content", "reasoning"):
        if text and key in target.quirks:
            message[key] = text
    if "strict_fields" in target.quirks:
        return
    details = [doc for i, part in enumerate(turn.parts) if (doc := _detail(part, i)) is not None]
    if details:
        message["reasoning_details"] = details
    for part in turn.parts:
        # Other formats bring the signature of a text back as reasoning of which nothing can be read.
        if isinstance(part, Text | Thinking) and _is_plain(part.signature):
            message["extra_content"] = write_extra_signature(part.signature)


def _detail(part: Part, index: int) -> Doc | None:
    """The entry of `reasoning_details` that came back with a part, which need not be reasoning."""
    signature = part.signature if isinstance(part, Thinking | Text | ToolCall) else None
    if native_detail(signature) is None:
        return None
    return write_detail(part if isinstance(part, Thinking) else Thinking(signature=signature), index)


def _is_plain(signature: Signature | None) -> TypeGuard[Signature]:
    """Whether it is a signature of this wire that stands in `extra_content`."""
    return signature is not None and signature.wire == WIRE and native_detail(signature) is None


def _write_tool_call(call: ToolCall, target: Target) -> Doc:
    doc = write_call(call)
    doc["id"] = _call_id(call.id, target)
    if call.kind == "custom" and "custom_tools" not in target.quirks:
        doc = emulated_custom_call(doc)
    if _is_plain(call.signature) and "strict_fields" not in target.quirks:
        doc["extra_content"] = write_extra_signature(call.signature)
    return _cached(doc, call.cache, target)


def emulated_custom_call(call: Doc) -> Doc:
    """A call of a free-form tool as a call of a function with the one argument `input`."""
    custom = call["custom"]
    arguments = msgspec.json.encode({"input": custom["input"]}).decode()
    function = {"name": custom["name"], "arguments": arguments}
    return {"id": call["id"], "type": "function", "function": function}


def _call_id(id: str, target: Target) -> str:
    """Some servers take only nine letters and digits: the same id always becomes the same nine."""
    if "call_ids_9" not in target.quirks or re.fullmatch(r"[A-Za-z0-9]{9}", id):
        return id
    return hashlib.sha256(id.encode()).hexdigest()[:9]


_TURNS_OUT: dict[Role, Callable[[Turn, Target], list[Doc]]] = {
    "system": _write_system,
    "developer": _write_system,
    "user": _write_user,
    "assistant": _write_assistant,
}


# ── out: order ───────────────────────────────────────────────────────────────────────────────────


def _merge_calls(messages: list[Doc]) -> list[Doc]:
    """One message for the text and the calls of one answer, where another format had one turn for each."""
    merged: list[Doc] = []
    for message in messages:
        last = merged[-1] if merged else None
        both = last is not None and last["role"] == message["role"] == "assistant"
        if last is not None and both and ("tool_calls" in last or "tool_calls" in message):
            merged[-1] = _merged(last, message)
        else:
            merged.append(message)
    return merged


def _merged(first: Doc, second: Doc) -> Doc:
    result = first | second
    result["content"] = _merged_content(first.get("content"), second.get("content"))
    for key in ("tool_calls", "reasoning_details"):
        if key in first and key in second:
            result[key] = first[key] + second[key]
    for key in ("reasoning_content", "reasoning", "refusal"):
        if key in first and key in second:
            result[key] = f"{first[key]}\n\n{second[key]}"
    return result


def _merged_content(first: Any, second: Any) -> Any:
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_as_list(first), *_as_list(second)]


def _as_list(content: str | list[Doc]) -> list[Doc]:
    return [_text(content)] if isinstance(content, str) else content


def _results_after_calls(messages: list[Doc]) -> list[Doc]:
    """Every `tool` message right behind the message with its call, in the order of the calls."""
    results: dict[str, list[Doc]] = {}
    unanswered: Counter[str] = Counter()
    kept: list[Doc] = []
    for message in messages:
        id = message.get("tool_call_id", "")
        if unanswered[id] > 0:
            unanswered[id] -= 1
            results.setdefault(id, []).append(message)
        else:
            kept.append(message)
        unanswered.update(call["id"] for call in message.get("tool_calls", ()))
    ordered: list[Doc] = []
    for message in kept:
        ordered.append(message)
        waiting = (results.get(call["id"]) for call in message.get("tool_calls", ()))
        ordered += [found.pop(0) for found in waiting if found]
    return ordered


def _system_first(messages: list[Doc]) -> list[Doc]:
    """All system texts in one message at the start."""
    systems = [m for m in messages if m["role"] in ("system", "developer")]
    rest = [m for m in messages if m["role"] not in ("system", "developer")]
    if not systems:
        return rest
    first = systems[0]
    for message in systems[1:]:
        first = first | {"content": _merged_content(first["content"], message["content"])}
    return [first, *rest]


def _alternate(messages: list[Doc]) -> list[Doc]:
    """Neighbours of one role become one message; `tool` messages stay as they are."""
    merged: list[Doc] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"] != "tool":
            merged[-1] = _merged(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _prefix(messages: list[Doc]) -> list[Doc]:
    """An answer that the client began is marked as such."""
    if messages and messages[-1]["role"] == "assistant":
        return [*messages[:-1], messages[-1] | {"prefix": True}]
    return messages


_ARRANGEMENTS: dict[str, Callable[[list[Doc]], list[Doc]]] = {
    "system_first": _system_first,
    "alternate": _alternate,
    "prefix": _prefix,
}
