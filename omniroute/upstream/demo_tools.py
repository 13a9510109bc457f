"""Which tool the demo model calls, and with what: the one the user asks for, with the least its schema demands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from omniroute.upstream.demo_request import Heard
from omniroute.upstream.demo_values import WORD, value_for
from omniroute.wire.conversation import Conversation, Doc, Tool, ToolCall, ToolChoice

GREETING = "echo hello from omniroute"
"""The only command that a demo answer ever asks a client to run."""

_PATIENCE = 10_000
"""For a property that holds a time limit: long enough in milliseconds, and no harm in seconds."""

_SHELL = frozenset({"bash", "shell", "exec", "execute", "run", "command", "commands", "terminal"})
_LISTING = frozenset({"list", "ls", "dir", "directory"})
_READING = frozenset({"read", "view", "cat", "open", "file", "files"})
_NO_FILE = frozenset({"image", "notebook", "web"})

_ASKS_SHELL = frozenset({"run", "command", "commands", "shell", "bash", "terminal", "execute"})
_ASKS_FILES = frozenset({"file", "files", "read", "list", "folder", "directory"})
_ASKS_TOOLS = frozenset({"tool", "tools"})
_ASKS_TWO = re.compile(
    r"\bparallel\b|\b(two|both)\b.{0,40}\b(tool|function|command|call)s\b", re.IGNORECASE | re.DOTALL
)

_NO_MEANING = frozenset({"get", "do", "the", "a", "of", "for", "my", "current", "tool"})
"""Words of a tool's name that a user who wants it need not say."""

_CHANGES = frozenset(
    "add agent apply cancel close create delete edit enter exit insert invoke kill move patch post remove rename "
    "replace save schedule send skill spawn stop task team todo todowrite update write".split()
)
"""A tool with such a word in its name is called only when its whole name is said: a demo must not change anything."""

_COMMAND = frozenset({"command", "cmd", "script"})
_PLACE = frozenset(
    {"path", "paths", "file", "filename", "dir", "directory", "folder", "cwd", "workdir", "root"}
)
_FILE_NAME = re.compile(r"(?<![\w/.:-])(?:[\w.-]*/)*[\w-]+\.[A-Za-z]\w{0,5}\b(?![/:])")
_WORD = re.compile(r"[A-Za-z]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_BACKTICKS = re.compile(r"`+(?:json)?\s*(\{.*?\})\s*`+", re.DOTALL)


def calls_for(talk: Conversation, heard: Heard, new_id: Callable[[], str]) -> list[ToolCall]:
    """The calls with which this request is answered; none when it is to be answered in words."""
    offered = [tool for tool in talk.tools if tool.kind != "server"]
    choice = talk.tool_choice or ToolChoice()
    if not offered or choice.mode == "none":
        return []
    if choice.names:
        offered = [tool for tool in offered if tool.name in choice.names] or offered
    forced = choice.mode in ("required", "named") or choice.must
    chosen = _forced(offered, heard) if forced else _asked_for(offered, heard)
    if not chosen:
        return []
    if talk.parallel_tools is not False and _ASKS_TWO.search(heard.prompt):
        chosen = [*chosen, chosen[0]][:2]
    else:
        chosen = chosen[:1]
    return [_call(tool, heard.prompt, new_id()) for tool in chosen]


# which ────────────────────────────────────────────────────────────────────────────────────────────


def _forced(offered: list[Tool], heard: Heard) -> list[Tool]:
    """A tool must be called: one that fits and was not called yet, so that a loop comes to its end."""
    fresh = [tool for tool in offered if tool.name not in heard.called] or offered
    return _fitting(fresh, heard.prompt) or fresh[:1]


def _asked_for(offered: list[Tool], heard: Heard) -> list[Tool]:
    return [] if heard.results else _fitting(offered, heard.prompt)


def _fitting(offered: list[Tool], prompt: str) -> list[Tool]:
    """The tools that the prompt asks for, the best first; the first rule that finds any decides."""
    words = frozenset(word.lower() for word in _WORD.findall(prompt))
    harmless = [tool for tool in offered if not _words(tool.name) & _CHANGES]
    named = [tool for tool in offered if _names(prompt, tool.name)]
    if named:
        return named
    if words & _ASKS_SHELL and (shells := _best(harmless, _shell_score)):
        return shells
    if words & _ASKS_FILES and (readers := _best(harmless, _file_score(prompt))):
        return readers
    meant = [tool for tool in harmless if _means(words, tool.name)]
    if meant:
        return meant
    asks = words & (_ASKS_TOOLS | _ASKS_SHELL | _ASKS_FILES)
    return (_best(harmless, _shell_score) or harmless or offered[:1]) if asks else []


def _names(prompt: str, name: str) -> bool:
    """Whether the prompt says the name itself: in backticks, beside the word "tool", or as no plain word could be."""
    exact = re.escape(name)
    if name.isalpha() and name[1:].islower():
        return re.search(rf"`{exact}`|\b{exact} tool\b|\btool {exact}\b", prompt) is not None
    return re.search(rf"(?<![\w-]){exact}(?![\w-])", prompt) is not None


def _means(words: frozenset[str], name: str) -> bool:
    """Whether all words of a name that mean something stand in the prompt: "the weather" means `get_weather`."""
    needed = _words(name) - _NO_MEANING
    return bool(needed) and needed <= words


def _best(tools: list[Tool], score: Callable[[Tool], int]) -> list[Tool]:
    found = max(tools, key=score, default=None)
    return [found] if found is not None and score(found) > 0 else []


def _shell_score(tool: Tool) -> int:
    named = len(_words(tool.name) & _SHELL)
    takes = any(_words(name) & (_COMMAND | {"commands"}) for name in _required(tool))
    return 2 * named + 3 * takes if named or takes else 0


def _file_score(prompt: str) -> Callable[[Tool], int]:
    """A tool that reads where the prompt names a file, else one that lists; both only if they take a place."""
    favoured = _READING if _FILE_NAME.search(prompt) else _LISTING

    def score(tool: Tool) -> int:
        words = _words(tool.name)
        places = any(_words(name) & _PLACE for name in _properties(tool))
        if not places or words & _NO_FILE or not words & (_READING | _LISTING):
            return 0
        return 1 + 2 * len(words & favoured)

    return score


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _HUMPS.split(name) if word)


def _properties(tool: Tool) -> Sequence[str]:
    found = (tool.schema or {}).get("properties")
    return list(found) if isinstance(found, dict) else []


def _required(tool: Tool) -> Sequence[str]:
    found = (tool.schema or {}).get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


# with what ────────────────────────────────────────────────────────────────────────────────────────


def _call(tool: Tool, prompt: str, id: str) -> ToolCall:
    given = _given_object(prompt)
    if tool.kind == "custom":
        arguments = WORD
    elif given is not None:
        arguments = given
    else:
        arguments = msgspec.json.encode(
            value_for(tool.schema or {"type": "object"}, _suggest(prompt))
        ).decode()
    kind: Literal["function", "custom"] = "custom" if tool.kind == "custom" else "function"
    return ToolCall(id=id, name=tool.name, arguments=arguments, kind=kind, namespace=tool.namespace)


def _given_object(prompt: str) -> str | None:
    """The JSON object that the prompt holds in backticks, as it is written."""
    for match in _BACKTICKS.finditer(prompt):
        try:
            msgspec.json.decode(match[1], type=dict)
        except (msgspec.DecodeError, UnicodeEncodeError):
            continue
        return match[1]
    return None


def _suggest(prompt: str) -> Callable[[str, Doc], Any]:
    """Values for what a property's name says it holds: a command, a place, a time limit."""
    file = _FILE_NAME.search(prompt)
    place = file[0] if file else "."

    def suggest(name: str, schema: Doc) -> Any:
        words = _words(name)
        is_list = str(schema.get("type")).lower() == "array"
        if words & _COMMAND:
            return ["bash", "-lc", GREETING] if is_list else GREETING
        if words & {"timeout"}:
            return _PATIENCE
        return place if words & _PLACE and not is_list else None

    return suggest
