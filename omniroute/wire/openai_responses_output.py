"""Output items as they are streamed: each announces itself, grows, and is closed once.

The items that were closed are the `output` of the response. A plain answer is written with them too, only silently:
a plain reply is a stream of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.conversation import Citation, Doc, Image, ToolCall
from omniroute.wire.openai_responses_content import output_text, write_annotation
from omniroute.wire.openai_responses_items import call_item, reasoning_texts, summary_texts
from omniroute.wire.sse import frame


class Events:
    """The numbered events of one response, and the items that they told of."""

    def __init__(self, new_id: Callable[[str], str], *, silent: bool = False) -> None:
        self.new_id = new_id
        self.silent = silent
        self.logprobs: list[Any] = []
        self._out = bytearray()
        self._number = 0
        self._items: dict[int, Doc | None] = {}
        self._encoder = msgspec.json.Encoder()

    def emit(self, name: str, fields: Doc) -> None:
        if self.silent:
            return
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        self._out += frame(self._encoder.encode(event), name)

    def write(self, raw: bytes) -> None:
        self._out += raw

    def take(self) -> bytes:
        """What is to be sent now."""
        if not self._out:
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def add(self, item: Doc) -> int:
        """Announce an item; gives its index."""
        index = len(self._items)
        self._items[index] = None
        self.emit("response.output_item.added", {"output_index": index, "item": item})
        return index

    def done(self, index: int, item: Doc) -> None:
        self._items[index] = item
        self.emit("response.output_item.done", {"output_index": index, "item": item})

    def whole(self, item: Doc) -> None:
        """An item that has no stages."""
        self.done(self.add(item), item)

    def output(self) -> list[Doc]:
        """The closed items, in their order."""
        return [item for item in self._items.values() if item is not None]

    def take_logprobs(self) -> list[Any]:
        taken, self.logprobs = self.logprobs, []
        return taken


class MessageItem:
    """An assistant message: runs of text and refusals, each a content part."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.id = events.new_id("msg_")
        self._content: list[Doc] = []
        self._part: tuple[int, str] | None = None
        self._chunks: list[str] = []
        self._annotations: list[Doc] = []
        self._logprobs: list[Any] = []
        self._index = events.add(self._item("in_progress"))

    def _item(self, status: str) -> Doc:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": self._content,
        }

    def _place(self, **fields: Any) -> Doc:
        return {
            "item_id": self.id,
            "output_index": self._index,
            "content_index": len(self._content),
            **fields,
        }

    def text(self, part: int, text: str) -> None:
        self._open(part, "output_text")
        self._chunks.append(text)
        logprobs = self._events.take_logprobs()
        self._logprobs += logprobs
        self._events.emit("response.output_text.delta", self._place(delta=text, logprobs=logprobs))

    def refusal(self, part: int, text: str) -> None:
        self._open(part, "refusal")
        self._chunks.append(text)
        self._events.emit("response.refusal.delta", self._place(delta=text))

    def annotate(self, part: int, citation: Citation) -> bool:
        """False when the citation has no form here."""
        self._open(part, "output_text")
        annotation = write_annotation(citation, sum(map(len, self._chunks)))
        if annotation is None:
            return False
        number = len(self._annotations)
        self._annotations.append(annotation)
        self._events.emit(
            "response.output_text.annotation.added",
            self._place(annotation_index=number, annotation=annotation),
        )
        return True

    def _open(self, part: int, kind: str) -> None:
        if self._part == (part, kind):
            return
        self._end()
        self._part = (part, kind)
        self._events.emit("response.content_part.added", self._place(part=self._content_part(kind)))

    def _content_part(self, kind: str) -> Doc:
        whole = "".join(self._chunks)
        if kind == "refusal":
            return {"type": "refusal", "refusal": whole}
        return output_text(whole, list(self._annotations), list(self._logprobs))

    def end_part(self, part: int) -> None:
        if self._part is not None and self._part[0] == part:
            self._end()

    def _end(self) -> None:
        if self._part is None:
            return
        kind = self._part[1]
        if kind == "output_text":
            self._logprobs += self._events.take_logprobs()
        whole = self._content_part(kind)
        if kind == "refusal":
            self._events.emit("response.refusal.done", self._place(refusal=whole["refusal"]))
        else:
            done = self._place(text=whole["text"], logprobs=whole["logprobs"])
            self._events.emit("response.output_text.done", done)
        self._events.emit("response.content_part.done", self._place(part=whole))
        self._content.append(whole)
        self._part = None
        self._chunks, self._annotations, self._logprobs = [], [], []

    def close(self, status: str) -> None:
        self._end()
        self._events.done(self._index, self._item(status))


class ReasoningItem:
    """Reasoning: paragraphs of a summary or of raw text, and what proves it (`encrypted`)."""

    def __init__(self, events: Events, item_id: str = "", encrypted: str | None = None) -> None:
        self._events = events
        self.id = item_id or events.new_id("rs_")
        self.part = -1
        self.encrypted = encrypted
        self._summary: list[Doc] = []
        self._content: list[Doc] = []
        self._block: tuple[bool, int] | None = None
        self._chunks: list[str] = []
        self._index = events.add({"id": self.id, "type": "reasoning", "summary": []})

    def grow(self, text: str, *, summary: bool, block: int) -> None:
        if self._block != (summary, block):
            self._end()
            self._block = (summary, block)
            name = "response.reasoning_summary_part.added" if summary else "response.content_part.added"
            self._events.emit(name, self._place(part=self._paragraph("")))
        self._chunks.append(text)
        name = "response.reasoning_summary_text.delta" if summary else "response.reasoning_text.delta"
        self._events.emit(name, self._place(delta=text))

    def _place(self, **fields: Any) -> Doc:
        summary = self._block is not None and self._block[0]
        index = len(self._summary if summary else self._content)
        return {
            "item_id": self.id,
            "output_index": self._index,
            "summary_index" if summary else "content_index": index,
            **fields,
        }

    def _paragraph(self, text: str) -> Doc:
        summary = self._block is not None and self._block[0]
        return {"type": "summary_text" if summary else "reasoning_text", "text": text}

    def _end(self) -> None:
        if self._block is None:
            return
        summary, text = self._block[0], "".join(self._chunks)
        kind = "reasoning_summary_text" if summary else "reasoning_text"
        self._events.emit(f"response.{kind}.done", self._place(text=text))
        name = "response.reasoning_summary_part.done" if summary else "response.content_part.done"
        self._events.emit(name, self._place(part=self._paragraph(text)))
        (self._summary if summary else self._content).extend(
            summary_texts(text) if summary else reasoning_texts(text)
        )
        self._block = None
        self._chunks = []

    def close(self, status: str) -> None:
        self._end()
        item: Doc = {"id": self.id, "type": "reasoning", "summary": self._summary}
        if self._content:
            item["content"] = self._content
        if self.encrypted:
            item["encrypted_content"] = self.encrypted
        if status != "completed":
            item["status"] = status
        self._events.done(self._index, item)


class CallItem:
    """A call of a function, or of a custom tool with its free text."""

    def __init__(self, events: Events, call: ToolCall) -> None:
        self._events = events
        self._call = call
        self._custom = call.kind == "custom"
        self._id = events.new_id("ctc_" if self._custom else "fc_")
        self._chunks: list[str] = []
        self._index = events.add(self._item("in_progress"))

    def _item(self, status: str) -> Doc:
        item = call_item(self._call)
        item["input" if self._custom else "arguments"] = "".join(self._chunks)
        return {"id": self._id, **item, "status": status}

    def _place(self, **fields: Any) -> Doc:
        return {"item_id": self._id, "output_index": self._index, **fields}

    def grow(self, text: str) -> None:
        self._chunks.append(text)
        kind = "custom_tool_call_input" if self._custom else "function_call_arguments"
        self._events.emit(f"response.{kind}.delta", self._place(delta=text))

    def close(self, status: str) -> None:
        if not self._custom and not self._chunks:
            self.grow("{}")
        whole = "".join(self._chunks)
        if self._custom:
            self._events.emit("response.custom_tool_call_input.done", self._place(input=whole))
        else:
            self._events.emit("response.function_call_arguments.done", self._place(arguments=whole))
        self._events.done(self._index, self._item(status))


class ImageItem:
    """An image that the model made, in the form in which the image tool gives one."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._id = events.new_id("ig_")

    def show(self, image: Image) -> None:
        item: Doc = {
            "id": self._id,
            "type": "image_generation_call",
            "status": "in_progress",
            "result": None,
        }
        index = self._events.add(item)
        for stage in ("in_progress", "generating", "completed"):
            self._events.emit(
                f"response.image_generation_call.{stage}", {"item_id": self._id, "output_index": index}
            )
        form = (image.source.media_type or "").removeprefix("image/")
        done: Doc = {**item, "status": "completed", "result": image.source.data}
        if form in ("png", "webp", "jpeg", "gif"):
            done["output_format"] = form
        self._events.done(index, done)
