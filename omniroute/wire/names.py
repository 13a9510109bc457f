"""Tool names and call ids that a wire refuses are changed one to one, and names are changed back in the answer.

The change is a pure function of the request, so nothing has to be remembered between turns: the same history gives
the same names and ids again, which also keeps provider-side prompt caches warm.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Self

import msgspec

from omniroute.wire.codec import NameRule, Wire
from omniroute.wire.conversation import (
    Answer,
    CallStart,
    Conversation,
    Delta,
    Part,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WholePart,
)

replace = msgspec.structs.replace

Named = tuple[str | None, str]
"""A tool's namespace and name."""


class NameMap:
    """The changes between one request and one target. Tools keep their names wherever the target takes them."""

    __slots__ = ("_client_ids", "_ids", "_inward", "_outward")

    def __init__(self, outward: dict[Named, str], ids: NameRule | None, client_ids: NameRule | None) -> None:
        self._outward = outward
        self._inward = {sent: named for named, sent in outward.items()}
        self._ids = ids
        self._client_ids = client_ids

    @classmethod
    def of(cls, talk: Conversation, client: Wire, target: Wire) -> Self:
        named: list[Named] = [
            (None if target.namespaces else t.namespace, t.name) for t in talk.tools if t.kind != "server"
        ]
        outward: dict[Named, str] = {}
        taken = {name for namespace, name in named if namespace is None and _fits(name, target.tool_names)}
        for namespace, name in named:
            wanted = name if namespace is None else f"{namespace}__{name}"
            sent = fit(wanted, target.tool_names)
            if (namespace, name) == (None, sent):
                continue
            if sent in taken:
                sent = fit(f"{sent}_{_digest(wanted)[:6]}", target.tool_names)
            taken.add(sent)
            outward[namespace, name] = sent
        return cls(outward, target.call_ids, client.call_ids)

    def outward(self, talk: Conversation) -> Conversation:
        """The conversation in names that the target takes; the same object when nothing has to change."""
        if not self._outward and self._ids is None:
            return talk
        return replace(
            talk,
            turns=[replace(turn, parts=[self._part_out(p) for p in turn.parts]) for turn in talk.turns],
            tools=[self._tool_out(tool) for tool in talk.tools],
            tool_choice=self._choice_out(talk.tool_choice),
        )

    def inward_answer(self, answer: Answer) -> Answer:
        """An answer in the client's names."""
        if not self._inward and self._client_ids is None:
            return answer
        choices = [replace(c, parts=[self._part_in(p) for p in c.parts]) for c in answer.choices]
        return replace(answer, choices=choices)

    def inward_delta(self, delta: Delta) -> Delta:
        """A piece of a stream in the client's names."""
        if isinstance(delta, CallStart):
            namespace, name = self._inward.get(delta.name, (delta.namespace, delta.name))
            return replace(delta, namespace=namespace, name=name, id=fit(delta.id, self._client_ids))
        if isinstance(delta, WholePart):
            return replace(delta, content=self._part_in(delta.content))
        return delta

    def _name_out(self, namespace: str | None, name: str) -> str:
        sent = self._outward.get((namespace, name))
        return sent if sent is not None else self._outward.get((None, name), name)

    def _tool_out(self, tool: Tool) -> Tool:
        sent = self._name_out(tool.namespace, tool.name)
        return tool if sent == tool.name else replace(tool, name=sent, namespace=None)

    def _choice_out(self, choice: ToolChoice | None) -> ToolChoice | None:
        if choice is None or not choice.names:
            return choice
        return replace(choice, names=tuple(self._name_out(None, name) for name in choice.names))

    def _part_out(self, part: Part) -> Part:
        if isinstance(part, ToolCall):
            name = self._name_out(part.namespace, part.name)
            namespace = part.namespace if name == part.name else None
            return replace(part, name=name, namespace=namespace, id=fit(part.id, self._ids))
        if isinstance(part, ToolResult):
            answered = self._name_out(None, part.name) if part.name else None
            return replace(part, name=answered, id=fit(part.id, self._ids))
        return part

    def _part_in(self, part: Part) -> Part:
        if not isinstance(part, ToolCall):
            return part
        namespace, name = self._inward.get(part.name, (part.namespace, part.name))
        return replace(part, namespace=namespace, name=name, id=fit(part.id, self._client_ids))


def fit(name: str, rule: NameRule | None) -> str:
    """The name itself where the rule takes it, else a readable one that only this name gives."""
    if not name or _fits(name, rule) or rule is None:
        return name
    tail = "_" + _digest(name)[:10]
    clean = _refused(rule.allowed).sub("_", name)
    if rule.first and not re.match(f"[{rule.first}]", clean):
        clean = "_" + clean
    return clean[: rule.longest - len(tail)] + tail


def _fits(name: str, rule: NameRule | None) -> bool:
    if rule is None:
        return True
    if len(name) > rule.longest or _refused(rule.allowed).search(name):
        return False
    return not rule.first or re.match(f"[{rule.first}]", name) is not None


@lru_cache(maxsize=64)
def _refused(allowed: str) -> re.Pattern[str]:
    return re.compile(f"[^{allowed}]")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
