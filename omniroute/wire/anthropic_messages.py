"""Turns become the `system` and `messages` of Anthropic Messages, in the order that its API demands.

Roles alternate and the user begins; the results of all calls of an assistant message stand first in the user message
right after it, one for each call; no text block is empty. https://docs.claude.com/en/docs/agents-and-tools/tool-use
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniroute.wire.anthropic_blocks import (
    WIRE,
    marked,
    write_call,
    write_citation,
    write_file,
    write_image,
    write_refusal,
    write_thinking,
)
from omniroute.wire.codec import Dialect
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.losses import spoken
from omniroute.wire.pairing import NO_RESULT, ORPHAN
from omniroute.wire.turn_order import BEGINNING, GO_ON, first_step

_THINKING_BLOCKS = frozenset({"thinking", "redacted_thinking"})


class MessagesWriter:
    """The turns of one request. `system` is known at once; `write` gives the messages."""

    def __init__(self, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
        self._home = WIRE in talk.extras
        self._quirks = dialect.quirks
        self._notes = notes
        self.system: list[Doc] = []
        self._blocks_out: dict[type, Callable[[Any], list[Doc]]] = {
            Text: self._text,
            Image: self._image,
            Audio: self._audio,
            Video: self._video,
            File: self._file,
            Thinking: self._thinking,
            ToolCall: lambda part: [write_call(part, part.id, notes)],
            ToolResult: self._result,
            Refusal: lambda part: [write_refusal(part)] if part.text.strip() else [],
            Opaque: self._opaque,
        }
        messages: list[Doc] = []
        for turn in talk.turns:
            self._place(turn, messages)
        self._messages = merge_neighbours(answer_calls(merge_neighbours(messages), notes))
        if not self._home:
            self._begin_with_user()

    def write(self, *, prefill: bool = True) -> list[Doc]:
        """The messages, plain texts as strings. Without `prefill` the last word may not be the assistant's."""
        messages = list(self._messages)
        if messages and messages[-1]["role"] == "assistant":
            messages[-1] = _without_trailing_blanks(messages[-1])
            if not prefill:
                self._notes.emulate("prefill")
                messages.append({"role": "user", "content": [{"type": "text", "text": GO_ON}]})
        return [
            message | {"content": _short(message["content"])} for message in messages if message["content"]
        ]

    def lacks_thinking(self) -> bool:
        """Whether calls are being answered whose assistant turn does not begin with its signed reasoning."""
        if "unsigned_thinking" in self._quirks:
            return False
        first = first_step(self._messages, _has_results)
        return bool(first) and first["content"][0]["type"] not in _THINKING_BLOCKS

    def _place(self, turn: Turn, messages: list[Doc]) -> None:
        if turn.name and not self._home:
            self._notes.drop("messages[].name")
        blocks = [block for part in turn.parts for block in self._blocks_out[type(part)](part)]
        if turn.role in ("user", "assistant"):
            messages.append({"role": turn.role, "content": blocks})
        elif messages and self._takes_system_after(messages[-1]):
            messages.append({"role": "system", "content": blocks})
        else:
            self.system += [block for block in blocks if block["type"] == "text"]
            if any(block["type"] != "text" for block in blocks):
                self._notes.drop("system content")

    def _takes_system_after(self, message: Doc) -> bool:
        return self._home or ("system_messages" in self._quirks and message["role"] in ("user", "system"))

    def _begin_with_user(self) -> None:
        if not self._messages and self.system:
            # A prompt of system text alone is legal elsewhere; here somebody has to speak.
            self._messages = [{"role": "user", "content": [self.system.pop()]}]
        elif self._messages and self._messages[0]["role"] == "assistant":
            opening = {"role": "user", "content": [{"type": "text", "text": BEGINNING}]}
            self._messages.insert(0, opening)

    # blocks ─────────────────────────────────────────────────────────────────────────────────────
    def _text(self, part: Text) -> list[Doc]:
        if not part.text.strip():
            return []
        block: Doc = {"type": "text", "text": part.text}
        own = [write_citation(c) for c in part.citations if c.wire == WIRE]
        if own:
            block["citations"] = own
        if len(own) < len(part.citations):
            self._notes.drop("annotations")
        return [marked(block, part.cache)]

    def _image(self, part: Image) -> list[Doc]:
        if self._is_foreign_file(part):
            return []
        block = write_image(part, self._notes)
        return [] if block is None else [block]

    def _file(self, part: File) -> list[Doc]:
        if self._is_foreign_file(part):
            return []
        block = write_file(part, self._notes)
        return [] if block is None else [block]

    def _is_foreign_file(self, part: Image | File) -> bool:
        """A file id means something only at the provider that gave it."""
        foreign = part.source.file_id is not None and not self._home
        if foreign:
            self._notes.drop("file_id")
        return foreign

    def _audio(self, part: Audio) -> list[Doc]:
        text = spoken(part, self._notes, "input_audio")
        return [{"type": "text", "text": text}] if text else []

    def _video(self, part: Video) -> list[Doc]:
        self._notes.drop("video")
        return []

    def _thinking(self, part: Thinking) -> list[Doc]:
        """Reasoning that another provider signed, or nobody, would be refused: it stays away."""
        if part.signature is not None:
            return [write_thinking(part)] if part.signature.wire == WIRE else []
        return [write_thinking(part)] if "unsigned_thinking" in self._quirks and part.text else []

    def _result(self, part: ToolResult) -> list[Doc]:
        content = [block for inner in part.content for block in self._blocks_out[type(inner)](inner)]
        block: Doc = {"type": "tool_result", "tool_use_id": part.id}
        if content:
            block["content"] = _short(content)
        if part.error:
            block["is_error"] = True
        return [marked(block, part.cache)]

    def _opaque(self, part: Opaque) -> list[Doc]:
        if part.wire == WIRE:
            return [part.doc]
        self._notes.drop(part.label or "content")
        return []


# ── the order of calls and results ───────────────────────────────────────────────────────────────


def answer_calls(messages: list[Doc], notes: Notes) -> list[Doc]:
    """Put the results of every assistant message right behind it, and make up for those that are missing.

    Results without a call become text. An id that a later message uses again is told apart by a number.
    """
    taken: set[int] = set()
    seen: dict[str, int] = {}
    out: list[Doc] = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            out.append(message | {"content": _unpaired(message["content"], taken, messages, notes)})
            continue
        content, results = _answered(message["content"], messages[index + 1 :], taken, seen, notes)
        out.append(message | {"content": content})
        if results:
            out.append({"role": "user", "content": results})
    return out


def _answered(
    blocks: list[Doc], later: list[Doc], taken: set[int], seen: dict[str, int], notes: Notes
) -> tuple[list[Doc], list[Doc]]:
    content, results = [], []
    for block in blocks:
        if block["type"] != "tool_use":
            content.append(block)
            continue
        given = block["id"]
        seen[given] = seen.get(given, 0) + 1
        unique = given if seen[given] == 1 else f"{given}_{seen[given]}"
        result = _take_result(given, later, taken)
        if result is None:
            notes.emulate("tool_result")
            result = {"type": "tool_result", "tool_use_id": unique, "content": NO_RESULT}
        content.append(block | {"id": unique})
        results.append(result | {"tool_use_id": unique})
    return content, results


def _take_result(call_id: str, later: list[Doc], taken: set[int]) -> Doc | None:
    for message in later:
        for block in message["content"]:
            if (
                block.get("tool_use_id") == call_id
                and block["type"] == "tool_result"
                and id(block) not in taken
            ):
                taken.add(id(block))
                found: Doc = block
                return found
        if any(block["type"] == "tool_use" and block["id"] == call_id for block in message["content"]):
            return None
    return None


def _unpaired(blocks: list[Doc], taken: set[int], messages: list[Doc], notes: Notes) -> list[Doc]:
    """What is left of a user message once the results in it have gone to their calls."""
    left: list[Doc] = []
    for block in blocks:
        if block["type"] != "tool_result":
            left.append(block)
        elif id(block) not in taken:
            left += _orphan(block, messages, notes)
    return left


def _orphan(result: Doc, messages: list[Doc], notes: Notes) -> list[Doc]:
    call_id = result["tool_use_id"]
    if any(
        block.get("id") == call_id for m in messages for block in m["content"] if block["type"] != "tool_use"
    ):
        return [result]
    notes.emulate("tool_result")
    content = result.get("content") or []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{"type": "text", "text": ORPHAN.format(id=call_id)}, *blocks]


def merge_neighbours(messages: list[Doc]) -> list[Doc]:
    """Messages of one role in a row become one; those without content go. System messages stay apart."""
    merged: list[Doc] = []
    for message in messages:
        if not message["content"]:
            continue
        if merged and merged[-1]["role"] == message["role"] != "system":
            merged[-1] = message | {"content": merged[-1]["content"] + message["content"]}
        else:
            merged.append(message)
    return merged


def _has_results(message: Doc) -> bool:
    return any(block["type"] == "tool_result" for block in message["content"])


# ── small shapes ─────────────────────────────────────────────────────────────────────────────────


def _short(blocks: list[Doc]) -> str | list[Doc]:
    """One plain text is written as a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _without_trailing_blanks(message: Doc) -> Doc:
    """The API refuses a last assistant message (a prefill) that ends in white space."""
    *before, last = message["content"]
    if last["type"] != "text" or last["text"] == last["text"].rstrip():
        return message
    return message | {"content": [*before, last | {"text": last["text"].rstrip()}]}
