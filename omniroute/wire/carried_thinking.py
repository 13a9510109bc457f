"""Signed reasoning on the calls that it led to, for clients that send nothing else of it back.

Claude and the models behind Responses want their signed reasoning again in a tool turn. Many clients of Chat
Completions and Gemini keep no reasoning in their history, but do keep one string that stands on a call
(`extra_content`, `thoughtSignature`). So the reasoning since the last call travels in that string, whole, beside the
places where the format has it anyway; what comes back twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from omniroute.wire.conversation import Part, Signature, SignatureDelta, Thinking, ThinkingDelta, ToolCall

CARRIED = "thinking"
"""The wire that such a signature names: none, so that no provider is ever sent one."""

replace = msgspec.structs.replace
_decode = msgspec.json.Decoder(list[Thinking]).decode


def carry_thinking(thinking: list[Thinking], own_wire: str) -> Signature | None:
    """The signature for a call that follows this reasoning; None where `own_wire` has no need of one."""
    if not any(part.signature is not None and part.signature.wire != own_wire for part in thinking):
        return None
    return Signature(value=msgspec.json.encode(thinking).decode(), wire=CARRIED)


def carrying(parts: list[Part], own_wire: str) -> list[Part]:
    """The parts of an answer, with signatures on the calls that have none of their own."""
    out: list[Part] = []
    since: list[Thinking] = []
    for part in parts:
        if isinstance(part, Thinking):
            since.append(part)
        elif isinstance(part, ToolCall):
            carried = carry_thinking(since, own_wire) if part.signature is None else None
            part = part if carried is None else replace(part, signature=carried)
            since = []
        out.append(part)
    return out


class Thoughts:
    """The reasoning of a streamed answer since its last call."""

    __slots__ = ("_blocks", "_parts")

    def __init__(self) -> None:
        self._parts: dict[int, Thinking] = {}
        self._blocks: dict[int, int] = {}

    def add(self, delta: ThinkingDelta) -> None:
        part = self._parts.setdefault(delta.part, Thinking(summary=delta.summary))
        apart = self._blocks.get(delta.part, delta.block) != delta.block
        self._blocks[delta.part] = delta.block
        part.text += f"\n\n{delta.text}" if apart else delta.text

    def sign(self, delta: SignatureDelta) -> None:
        part = self._parts.setdefault(delta.part, Thinking())
        part.signature = delta.signature
        part.redacted = delta.redacted

    def text(self, part: int) -> str:
        """What was thought in that part so far."""
        found = self._parts.get(part)
        return found.text if found is not None else ""

    def take(self, own_wire: str) -> Signature | None:
        """The signature for the call that begins now."""
        thinking = list(self._parts.values())
        self._parts.clear()
        self._blocks.clear()
        return carry_thinking(thinking, own_wire)


def restored(parts: list[Part]) -> list[Part]:
    """The parts of an assistant turn with carried reasoning back before its call and what was said with that.

    What the client kept of it beside goes, unless it kept all. Never raises: a damaged string is none.
    """
    kept = _values(part for part in parts if isinstance(part, Thinking))
    brought = [_carried_by(part) for part in parts]
    fresh = [thoughts if _values(thoughts) - kept else [] for thoughts in brought]
    again = _values(part for thoughts in fresh for part in thoughts)
    out: list[Part] = []
    start = 0
    for part, thoughts in zip(parts, fresh, strict=True):
        if again and isinstance(part, Thinking) and (part.signature is None or part.signature.value in again):
            continue
        out[start:start] = thoughts
        out.append(_without_carried(part))
        if isinstance(part, ToolCall):
            start = len(out)
    return out


def _carried_by(part: Part) -> list[Thinking]:
    signature = part.signature if isinstance(part, ToolCall) else None
    if signature is None or signature.wire != CARRIED:
        return []
    try:
        return _decode(signature.value)
    except msgspec.MsgspecError:
        return []


def _without_carried(part: Part) -> Part:
    carried = isinstance(part, ToolCall) and part.signature is not None and part.signature.wire == CARRIED
    return replace(part, signature=None) if carried else part


def _values(thinking: Iterable[Thinking]) -> set[str]:
    return {part.signature.value for part in thinking if part.signature is not None}
