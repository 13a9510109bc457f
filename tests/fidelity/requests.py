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
    custom: bool = False
    """Takes free text; formats that know objects only give it one member."""


@dataclass
class Request:
    """`dialogue` is (role, words), a piece of text each; media are compared as a bag, since formats put the images of
    a tool result in different places. No white space counts."""

    system: list[str] = field(default_factory=list)
    dialogue: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    """URLs, and digests of bytes."""
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
        """Words of a turn."""
        if squeeze(words):
            self.dialogue.append((role, squeeze(words)))

    def instruct(self, words: str) -> None:
        if squeeze(words):
            self.system.append(squeeze(words))

    def call(self, id: str | None, name: str, arguments: Any) -> None:
        if id:
            self.names[id] = name
        self.calls.append((name, parsed(arguments)))

    def result(self, id: str | None, words: str, name: str | None = None) -> None:
        self.results.append((name or self.names.get(id or "", "?"), squeeze(words)))

    def show(self, data: str | None) -> None:
        """An image, audio, a file: by its URL, or the digest of its bytes in base64 of any alphabet."""
        plain = data or ""
        if plain.startswith("data:") and "," in plain:
            plain = plain.split(",", 1)[1]
        if not plain.startswith(("http:", "https:", "gs:")):
            standard = plain.replace("-", "+").replace("_", "/").rstrip("=")
            plain = hashlib.sha256(standard.encode()).hexdigest()
        self.media.append(plain[:200])

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
    yield from _pairs("calls", expected.calls, got.calls)
    yield from _pairs("results", expected.results, got.results)
    if sorted(expected.media) != sorted(got.media):
        yield "media", f"{[m[:40] for m in expected.media]} became {[m[:40] for m in got.media]}"
    yield from _tools(expected, got)
    if len(expected.server_tools) > len(got.server_tools):
        yield "server_tools", f"{expected.server_tools} became {got.server_tools}"
    if len(expected.server_parts) > len(got.server_parts):
        yield "server_parts", f"{expected.server_parts} became {got.server_parts}"
    if _choice(expected) != _choice(got):
        yield "tool_choice", f"{expected.choice} became {got.choice}"
    if expected.parallel is False and got.parallel is not False:
        yield "parallel", "one call at a time became any number"
    for name in sorted(expected.sampling):
        if name not in got.sampling or expected.sampling[name] != got.sampling[name]:
            yield name, f"{expected.sampling[name]!r:.60} became {got.sampling.get(name)!r:.60}"
    if expected.reasoning is not None and not _same_effort(expected.reasoning, got.reasoning):
        yield "reasoning", f"{expected.reasoning} became {got.reasoning}"
    in_words = expected.output == "json" and "JSON" in "".join(got.system)
    if expected.output != got.output and not in_words:
        yield "output", f"{_brief(expected.output)} became {_brief(got.output)}"


def _same_effort(one: str, other: str | None) -> bool:
    """That it thinks must be said, or that it does not; how much is rounded to what the target knows."""
    return other is not None and (one == "off") == (other == "off")


def _choice(request: Request) -> tuple[str, tuple[str, ...]]:
    """A choice among all the tools is no restriction."""
    mode, names = request.choice or ("auto", ())
    if mode.startswith("allowed-") and set(names) == set(request.tools):
        return mode.removeprefix("allowed-"), ()
    return mode, names


INVENTED = 400
"""Most characters that a writer may add to what was said: a note where a picture went, a go-on after a prefill."""


def _texts(expected: Request, got: Request) -> Iterator[tuple[str, str]]:
    everything = "".join(got.system) + "".join(words for _, words in got.dialogue)
    lost = [words for words in expected.system if words not in everything]
    if lost:
        yield "system", f"lost: {lost[0]!r:.80}"
    if missing := _first_missing(expected.dialogue, _joined(got.dialogue)):
        yield "dialogue", f"lost: {missing[0]}: {missing[1]!r:.100}"
    before = sum(map(len, expected.system)) + sum(len(words) for _, words in expected.dialogue)
    if len(everything) > before + INVENTED + sum(len(words) for _, words in expected.results):
        yield "dialogue", f"{before} characters became {len(everything)}"


def _first_missing(pieces: list[tuple[str, str]], turns: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The first piece that its role does not say, in order."""
    turn, at = 0, 0
    for role, words in pieces:
        while turn < len(turns):
            found = turns[turn][1].find(words, at) if turns[turn][0] == role else -1
            if found >= 0:
                at = found + len(words)
                break
            turn, at = turn + 1, 0
        else:
            return role, words
    return None


def _joined(dialogue: list[tuple[str, str]]) -> list[tuple[str, str]]:
    joined: list[tuple[str, str]] = []
    for role, words in dialogue:
        if joined and joined[-1][0] == role:
            joined[-1] = (role, joined[-1][1] + words)
        else:
            joined.append((role, words))
    return joined


def _pairs(field: str, one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Calls or results that are not the same, in order."""
    if len(one) != len(other):
        yield field, f"{len(one)} became {len(other)}"
    for left, right in zip(one, other, strict=False):
        same_name = "?" in (left[0], right[0]) or left[0] == right[0]
        if not (same_name and _same_value(left[1], right[1])):
            yield field, f"{left!r:.160} became {right!r:.160}"
            return


def _same_value(one: Any, other: Any) -> bool:
    """Free text may stand in an object with one member, or go out of one; a note may stand before it."""
    if one == other:
        return True
    inner_one, inner_other = ("" if v == "{}" else _inner(v) for v in (one, other))
    if isinstance(inner_one, str) and isinstance(inner_other, str):
        return inner_one in inner_other or not inner_one
    return False


def _inner(value: Any) -> Any:
    """The one string that stands for all; an object is not looked into when it is one of several members."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return value
        one = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value
        return squeeze(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False))
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in WRAPPERS:
        return next(iter(value.values()))
    return value


WRAPPERS = ("input", "arguments", "_raw_arguments", "raw")
"""Members that hold free text or broken JSON where a format knows objects only."""


def _tools(expected: Request, got: Request) -> Iterator[tuple[str, str]]:
    if set(expected.tools) != set(got.tools):
        yield "tools", f"{sorted(expected.tools)} became {sorted(got.tools)}"
    for name in sorted(set(expected.tools) & set(got.tools)):
        one, other = expected.tools[name], got.tools[name]
        if squeeze(one.description) not in squeeze(other.description):
            yield "tools.description", f"{name}: {one.description!r:.60} became {other.description!r:.60}"
        if not one.custom and _bare(one.schema) != _bare(other.schema):
            yield "tools.schema", f"{name}: {_brief(one.schema)} became {_brief(other.schema)}"


def _bare(schema: Schema) -> Schema:
    """A tool without arguments is one without properties, whatever is said of its type."""
    return {} if not schema.get("properties") and schema.get("type", "object") == "object" else schema


def _brief(value: Any) -> str:
    return f"{json.dumps(value, sort_keys=True, ensure_ascii=False):.400}"
