"""What a request means, in no format, and whether what reached the upstream means the same.

A difference is a failure unless the client was told of it: its name stands in the header `X-OmniRoute-Dropped`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]


@dataclass
class Tool:
    description: str = ""
    schema: Schema = field(default_factory=dict)


@dataclass
class Request:
    """`dialogue` is (role, words) with neighbours of one role joined; media are compared as a bag, since formats put
    the images of a tool result in different places."""

    system: list[str] = field(default_factory=list)
    dialogue: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    media: list[tuple[str, str]] = field(default_factory=list)
    tools: dict[str, Tool] = field(default_factory=dict)
    server_tools: list[str] = field(default_factory=list)
    server_parts: list[str] = field(default_factory=list)
    choice: tuple[str, tuple[str, ...]] | None = None
    parallel: bool | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    reasoning: str | None = None
    """`off`, `on`, or an effort word; a budget is `on`."""
    output: Schema | str | None = None
    """A schema's skeleton, or `json`."""
    names: dict[str, str] = field(default_factory=dict)
    """Call id → tool name, to name the results."""

    def say(self, role: str, words: str) -> None:
        """Words of a turn. Neighbours of one role are one turn: some formats want them joined."""
        squeezed = squeeze(words)
        if not squeezed:
            return
        if self.dialogue and self.dialogue[-1][0] == role:
            self.dialogue[-1] = (role, self.dialogue[-1][1] + squeezed)
        else:
            self.dialogue.append((role, squeezed))

    def instruct(self, words: str) -> None:
        if squeeze(words):
            self.system.append(squeeze(words))

    def call(self, id: str | None, name: str, arguments: Any) -> None:
        if id:
            self.names[id] = name
        self.calls.append((name, parsed(arguments)))

    def result(self, id: str | None, words: str, name: str | None = None) -> None:
        self.results.append((name or self.names.get(id or "", "?"), squeeze(words)))

    def show(self, kind: str, data: str | None) -> None:
        """An image, audio, a file: by its URL, or the digest of its bytes in base64."""
        if data and data.startswith("data:") and "," in data:
            data = data.split(",", 1)[1]
        plain = data or ""
        short = plain if plain.startswith(("http:", "https:", "gs:")) else hashlib.sha256(plain.encode()).hexdigest()
        self.media.append((kind, short[:200]))

    def set(self, name: str, value: Any) -> None:
        if value is not None and value != []:
            self.sampling[name] = value


def squeeze(words: str) -> str:
    return "".join(words.split())


def parsed(arguments: Any) -> Any:
    """Arguments as JSON; nothing is an empty object; free text stays what it is."""
    if not isinstance(arguments, str):
        return arguments or {}
    try:
        return json.loads(arguments or "{}") or {}
    except ValueError:
        return arguments


NUMBERED = ("null", "string", "number", "integer", "boolean", "array", "object")
"""Gemini's `Type` enumeration, for clients that write numbers."""


def skeleton(schema: Any, root: Any = None, depth: int = 0) -> Schema:
    """What a JSON Schema demands of types, names and values, by the words that all formats have."""
    if not isinstance(schema, dict) or depth > 6:
        return {}
    root = schema if root is None else root
    schema = _resolved(schema, root)
    out: Schema = {}
    types = schema.get("type")
    said = [NUMBERED[types]] if isinstance(types, int) else [types] if isinstance(types, str) else types or []
    kinds = sorted(t.lower() for t in said if t.lower() != "null")
    if len(kinds) == 1:
        out["type"] = kinds[0]
    elif kinds:
        out["any"] = [{"type": k} for k in kinds]
    for name, inner in (schema.get("properties") or {}).items():
        out.setdefault("properties", {})[name] = skeleton(inner, root, depth + 1)
    if schema.get("required"):
        out["required"] = sorted(schema["required"])
    if isinstance(schema.get("items"), dict):
        out["items"] = skeleton(schema["items"], root, depth + 1)
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if values:
        out["enum"] = sorted(str(v) for v in values if v is not None)
    branches = schema.get("anyOf") or schema.get("any_of") or schema.get("oneOf") or []
    some = [b for b in (skeleton(b, root, depth + 1) for b in branches) if b and b != {"type": "null"}]
    if len(some) == 1:
        out = {**some[0], **out}
    elif some:
        out["any"] = some
    return out


def _resolved(schema: Schema, root: Any) -> Schema:
    for _ in range(5):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target: Any = root
        for step in reference.removeprefix("#/").split("/") if reference != "#" else []:
            target = target.get(step, {}) if isinstance(target, dict) else {}
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def differences(expected: Request, got: Request) -> Iterator[tuple[str, str]]:
    """(field, words) of all that is not the same."""
    yield from _texts(expected, got)
    for name in ("calls", "results"):
        one, other = getattr(expected, name), getattr(got, name)
        if [_free(x) for x in one] != [_free(x) for x in other]:
            yield name, _apart(one, other)
    if sorted(expected.media) != sorted(got.media):
        yield "media", f"{[(k, v[:40]) for k, v in expected.media]} became {[(k, v[:40]) for k, v in got.media]}"
    yield from _tools(expected, got)
    if len(expected.server_tools) > len(got.server_tools):
        yield "server_tools", f"{expected.server_tools} became {got.server_tools}"
    if len(expected.server_parts) > len(got.server_parts):
        yield "server_parts", f"{expected.server_parts} became {got.server_parts}"
    if (expected.choice or ("auto", ())) != (got.choice or ("auto", ())):
        yield "tool_choice", f"{expected.choice} became {got.choice}"
    if expected.parallel is False and got.parallel is not False:
        yield "parallel", "one call at a time became any number"
    for name in sorted(expected.sampling):
        if name not in got.sampling or expected.sampling[name] != got.sampling[name]:
            yield name, f"{expected.sampling[name]!r:.60} became {got.sampling.get(name)!r:.60}"
    if expected.reasoning is not None and not _same_effort(expected.reasoning, got.reasoning):
        yield "reasoning", f"{expected.reasoning} became {got.reasoning}"
    if expected.output != got.output:
        yield "output", f"{_brief(expected.output)} became {_brief(got.output)}"


def _same_effort(one: str, other: str | None) -> bool:
    """A budget and an effort word both say that it thinks; how much is a matter of the model."""
    return one == other or (other is not None and "on" in (one, other) and "off" not in (one, other))


def _texts(expected: Request, got: Request) -> Iterator[tuple[str, str]]:
    everything = "".join(got.system) + "".join(words for _, words in got.dialogue)
    lost = [words for words in expected.system if words not in everything]
    if lost:
        yield "system", f"lost: {lost[0]!r:.80}"
    extra = [s for s in expected.system if not any(s in g for g in got.system)]
    one = _joined(expected.dialogue, [])
    # A system message that became a user's words is no new thing said.
    other = _joined(got.dialogue, extra)
    if one != other:
        yield "dialogue", _apart(one, other)


def _joined(dialogue: list[tuple[str, str]], without: list[str]) -> list[tuple[str, str]]:
    joined: list[tuple[str, str]] = []
    for role, words in dialogue:
        for text in without:
            words = words.replace(text, "")
        if not words:
            continue
        if joined and joined[-1][0] == role:
            joined[-1] = (role, joined[-1][1] + words)
        else:
            joined.append((role, words))
    return joined


def _free(pair: tuple[str, Any]) -> tuple[str, Any]:
    """Free text of a custom tool stands in an object with one member where a format knows objects only."""
    name, arguments = pair
    if isinstance(arguments, dict) and len(arguments) == 1 and isinstance(arguments.get("input"), str):
        return name, arguments["input"]
    return name, arguments


def _tools(expected: Request, got: Request) -> Iterator[tuple[str, str]]:
    if set(expected.tools) != set(got.tools):
        yield "tools", f"{sorted(expected.tools)} became {sorted(got.tools)}"
    for name in sorted(set(expected.tools) & set(got.tools)):
        one, other = expected.tools[name], got.tools[name]
        if squeeze(one.description) not in squeeze(other.description):
            yield "tools.description", f"{name}: {one.description!r:.60} became {other.description!r:.60}"
        if _bare(one.schema) != _bare(other.schema):
            yield "tools.schema", f"{name}: {_brief(one.schema)} became {_brief(other.schema)}"


def _bare(schema: Schema) -> Schema:
    """A tool without arguments is one without properties, whatever is said of its type."""
    return {} if not schema.get("properties") and schema.get("type", "object") == "object" else schema


def _brief(value: Any) -> str:
    return f"{json.dumps(value, sort_keys=True, ensure_ascii=False):.400}"


def _apart(one: list[Any], other: list[Any]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left = one[at] if at < len(one) else "nothing"
    right = other[at] if at < len(other) else "nothing"
    return f"#{at} of {len(one)}/{len(other)}: {left!r:.160} became {right!r:.160}"
