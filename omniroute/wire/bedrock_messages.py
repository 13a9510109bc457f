"""Turns become the `system` and `messages` of Converse, in the order that its API demands, and back.

Roles alternate and the user begins; the results of all calls of an assistant message stand first in the user message
right after it, one for each call; no text is blank; a document has a name of its own and text beside it.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from omniroute.wire.bedrock_parts import (
    WIRE,
    read_content,
    write_audio,
    write_cache,
    write_call,
    write_document,
    write_image,
    write_text,
    write_thinking,
    write_video,
)
from omniroute.wire.codec import Dialect, Position
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.losses import note_loss
from omniroute.wire.pairing import NO_RESULT, ORPHAN
from omniroute.wire.shapes import doc_of, objects_at, refused, text_in
from omniroute.wire.turn_order import BEGINNING, GO_ON, first_step

replace = msgspec.structs.replace

# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def read_turns(doc: Doc) -> list[Turn]:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for unknown content."""
    turns = []
    system = read_content(doc.get("system"), "system")
    if system:
        turns.append(Turn(role="system", parts=system))
    for message, path in objects_at(doc.get("messages"), "messages"):
        role = _ROLES.get(text_in(message, "role", path))
        if role is None:
            raise refused("must be user, assistant or system", f"{path}.role")
        turns.append(Turn(role=role, parts=read_content(message.get("content"), f"{path}.content")))
    return turns


# ── the order of turns ───────────────────────────────────────────────────────────────────────────

NOTHING = "(no output)"


def ordered(turns: list[Turn], notes: Notes) -> list[Turn]:
    """Neighbours of one role merged, and every call answered right behind it."""
    merged = _merged(turns)
    taken: set[int] = set()
    seen: dict[str, int] = {}
    out: list[Turn] = []
    for index, turn in enumerate(merged):
        if turn.role != "assistant":
            out.append(replace(turn, parts=_without_results(turn.parts, taken, notes)))
            continue
        parts, results = _answered(turn.parts, merged[index + 1 :], taken, seen, notes)
        out += [replace(turn, parts=parts), Turn(role="user", parts=results)]
    return _merged(out)


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    """Neighbours of one role as one turn; those without content go."""
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = replace(merged[-1], parts=[*merged[-1].parts, *turn.parts])
        else:
            merged.append(turn)
    return merged


def _answered(
    parts: list[Part], later: list[Turn], taken: set[int], seen: dict[str, int], notes: Notes
) -> tuple[list[Part], list[Part]]:
    """The parts of an assistant turn with ids that none before it has, and a result for each call."""
    said: list[Part] = []
    results: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolCall):
            said.append(part)
            continue
        seen[part.id] = seen.get(part.id, 0) + 1
        id = part.id if seen[part.id] == 1 else f"{part.id}_{seen[part.id]}"
        result = _take_result(part.id, later, taken)
        if result is None:
            notes.emulate("tool_result")
            result = ToolResult(id=id, content=[Text(text=NO_RESULT)])
        said.append(replace(part, id=id))
        results.append(replace(result, id=id))
    return said, results


def _take_result(call_id: str, later: list[Turn], taken: set[int]) -> ToolResult | None:
    """The next result of that id, up to where the id is used for another call."""
    for turn in later:
        for part in turn.parts:
            if isinstance(part, ToolResult) and part.id == call_id and id(part) not in taken:
                taken.add(id(part))
                return part
        if any(isinstance(part, ToolCall) and part.id == call_id for part in turn.parts):
            return None
    return None


def _without_results(parts: list[Part], taken: set[int], notes: Notes) -> list[Part]:
    """What is left of a turn once results have gone to their calls; a result without one becomes text."""
    left: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            left.append(part)
        elif id(part) not in taken:
            notes.emulate("tool_result")
            left += [Text(text=ORPHAN.format(id=part.id)), *part.content]
    return left


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


class MessagesWriter:
    """The turns of one request. Never changes them. `called` names the tools that earlier turns called."""

    def __init__(self, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
        self._quirks = dialect.quirks
        self._home = WIRE in talk.extras
        self._notes = notes
        self._titles = Titles()
        self._signers = {WIRE, *(("anthropic-messages",) if "anthropic_signatures" in self._quirks else ())}
        self._parts_out: dict[type, Callable[[Any], Doc | None]] = {
            Text: self._text,
            Refusal: self._text,
            Image: lambda part: self._kept(write_image(part), "image_url"),
            Video: lambda part: self._kept(write_video(part), "video"),
            Audio: self._audio,
            File: self._file,
            Thinking: self._thinking,
            ToolCall: lambda part: write_call(part, part.id, notes),
            ToolResult: self._result,
            Opaque: self._opaque,
        }
        if any(turn.name for turn in talk.turns):
            notes.drop("messages[].name")
        system, turns = self._apart(talk.turns)
        turns = ordered(turns, notes)
        self.called = [p.name for t in turns for p in t.parts if isinstance(p, ToolCall)]
        self.system = [doc for turn in system for doc in self._system(turn.parts)]
        self._messages = [self._message(turn) for turn in turns]

    def write(self, *, prefill: bool) -> list[Doc]:
        """The messages. Without `prefill` the last word may not be the assistant's."""
        messages = self._begun(_one_a_role(self._messages))
        if messages and messages[-1]["role"] == "assistant":
            messages[-1] = _without_trailing_blanks(messages[-1])
            if not prefill:
                self._notes.emulate("prefill")
                messages.append(_said_by_user(GO_ON))
        return messages

    def lacks_thinking(self) -> bool:
        """Whether calls are being answered whose assistant message does not begin with its signed reasoning."""
        if "unsigned_thinking" in self._quirks:
            return False
        first = first_step(self._messages, _has_results)
        return bool(first.get("content")) and "reasoningContent" not in first["content"][0]

    # turns ──────────────────────────────────────────────────────────────────────────────────────
    def _apart(self, turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
        """System turns, and the talk. Models that take system texts in the midst of it have them there; those that
        know none are told by the user."""
        inside = self._home or "system_messages" in self._quirks
        system: list[Turn] = []
        talk: list[Turn] = []
        for turn in turns:
            if turn.role not in ("system", "developer"):
                talk.append(turn)
            elif "no_system_role" in self._quirks:
                talk.append(replace(turn, role="user"))
            elif inside and talk:
                talk.append(replace(turn, role="system"))
            else:
                system.append(turn)
        return system, talk

    def _system(self, parts: list[Part]) -> list[Doc]:
        """System texts and their cache points; nothing else has a place there."""
        blocks = self._content(parts)
        if any(_SYSTEM_BLOCKS.isdisjoint(block) for block in blocks):
            self._notes.drop("system content")
        return [block for block in blocks if not _SYSTEM_BLOCKS.isdisjoint(block)]

    def _message(self, turn: Turn) -> Doc:
        parts = turn.parts
        content = self._content(parts)
        if any("document" in block for block in content) and not any("text" in block for block in content):
            # The API wants words beside a document.
            content.append({"text": "The document is attached."})
        return {"role": turn.role, "content": content}

    def _begun(self, messages: list[Doc]) -> list[Doc]:
        """The user has the first word."""
        if not messages and self.system:
            # A prompt of system text alone is legal elsewhere; here somebody has to speak.
            texts = [index for index, block in enumerate(self.system) if "text" in block]
            said = self.system[texts[-1]]["text"]
            self.system = self.system[: texts[-1]]
            return [_said_by_user(said)]
        if messages and messages[0]["role"] != "user" and not self._home:
            return [_said_by_user(BEGINNING), *messages]
        return messages

    # parts ──────────────────────────────────────────────────────────────────────────────────────
    def _content(self, parts: Iterable[Part]) -> list[Doc]:
        content: list[Doc] = []
        for part in parts:
            block = self._parts_out[type(part)](part)
            content += [] if block is None else [block]
            cache = _cache_after(part)
            if cache and content:
                content += self.cache_point(cache)
        return content

    def cache_point(self, cache: str) -> list[Doc]:
        """A cache point, of the lifetime that the model knows."""
        if "no_cache_points" in self._quirks:
            note_loss(self._notes, "cache_control")
            return []
        if cache != "5m" and "no_cache_1h" in self._quirks:
            note_loss(self._notes, "cache_control")
            cache = "5m"
        return [write_cache(cache)]

    def _text(self, part: Text | Refusal) -> Doc | None:
        if not part.text.strip():
            return None
        citations = part.citations if isinstance(part, Text) else []
        own = [citation for citation in citations if citation.wire == WIRE]
        if len(own) < len(citations):
            self._notes.drop("annotations")
        return write_text(part.text, own)

    def _audio(self, part: Audio) -> Doc | None:
        if part.transcript:
            self._notes.emulate("audio")
            return {"text": part.transcript}
        return self._kept(write_audio(part), "input_audio")

    def _file(self, part: File) -> Doc | None:
        if (part.source.media_type or "").startswith("image/"):
            return self._kept(write_image(Image(source=part.source)), "image_url")
        return self._kept(write_document(part, self._titles.of(part.name)), "file")

    def _thinking(self, part: Thinking) -> Doc | None:
        """Reasoning that another provider signed, or nobody, would be refused: it stays away."""
        if part.signature is not None:
            return write_thinking(part) if part.signature.wire in self._signers else None
        return write_thinking(part) if "unsigned_thinking" in self._quirks and part.text else None

    def _result(self, part: ToolResult) -> Doc:
        inside = [p if getattr(p, "cache", None) is None else replace(p, cache=None) for p in part.content]
        content = [block for block in self._content(inside) if self._fits_result(block)]
        result: Doc = {"toolUseId": part.id, "content": content or [{"text": NOTHING}]}
        return {"toolResult": result | {"status": "error"} if part.error else result}

    def _fits_result(self, block: Doc) -> bool:
        if _RESULT_BLOCKS.isdisjoint(block):
            self._notes.drop(f"tool_result.{next(iter(block))}")
        return not _RESULT_BLOCKS.isdisjoint(block)

    def _opaque(self, part: Opaque) -> Doc | None:
        return self._kept(part.doc if part.wire == WIRE else None, part.label or "content")

    def _kept(self, block: Doc | None, word: str) -> Doc | None:
        if block is None:
            self._notes.drop(word)
        return block


_SYSTEM_BLOCKS = frozenset({"text", "cachePoint"})
_RESULT_BLOCKS = frozenset({"json", "text", "image", "document", "video", "searchResult"})
"""What the content of a result may be."""


def _cache_after(part: Part) -> str | None:
    """The lifetime of the cache point behind a part. One inside a result stands behind the result."""
    cache: str | None = getattr(part, "cache", None)
    if cache is None and isinstance(part, ToolResult):
        return next((found for inner in part.content if (found := _cache_after(inner))), None)
    return cache


class Titles:
    """Names for documents: what the API takes of the given ones, and none twice.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
    """

    _REFUSED = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]+")
    _LONGEST = 180

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, name: str | None) -> str:
        clean = " ".join(self._REFUSED.sub("-", name or "").split())[: self._LONGEST] or "document"
        title, number = clean, 1
        while title in self._given:
            number += 1
            title = f"{clean} {number}"
        self._given.add(title)
        return title


def _one_a_role(messages: Iterable[Doc]) -> list[Doc]:
    """Neighbours of one role as one message; those without content go."""
    merged: list[Doc] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = message | {"content": merged[-1]["content"] + message["content"]}
        elif message["content"]:
            merged.append(message)
    return merged


def _said_by_user(text: str) -> Doc:
    return {"role": "user", "content": [{"text": text}]}


def _has_results(message: Doc) -> bool:
    return message["role"] == "user" and any("toolResult" in block for block in message["content"])


def _without_trailing_blanks(message: Doc) -> Doc:
    """A last assistant message, which the model is to go on from, may not end in white space."""
    *before, last = message["content"]
    text = last.get("text", "")
    if text == text.rstrip():
        return message
    return message | {"content": [*before, {"text": text.rstrip()}]}


# ── edits ────────────────────────────────────────────────────────────────────────────────────────


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a system text before or after those of a request."""
    system = list(doc.get("system") or [])
    doc["system"] = [{"text": text}, *system] if position == "prepend" else [*system, {"text": text}]


def mark_prefixes(doc: Doc, *, tools: bool) -> None:
    """Cache points after what stays the same from turn to turn: tools (where they may have one), system, the talk so
    far. Changes nothing in a request that holds any: its author knows better."""
    if b'"cachePoint"' in msgspec.json.encode(doc):
        return
    point = write_cache("5m")
    if tools and doc_of(doc.get("toolConfig")).get("tools"):
        config = doc["toolConfig"]
        doc["toolConfig"] = config | {"tools": [*config["tools"], point]}
    if doc.get("system"):
        doc["system"] = [*doc["system"], point]
    messages = doc["messages"]
    if messages and messages[-1]["role"] == "user":
        doc["messages"] = [*messages[:-1], messages[-1] | {"content": [*messages[-1]["content"], point]}]
