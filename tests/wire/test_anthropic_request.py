"""Requests of Anthropic Messages: what they mean, and how those of other wires are written for a target."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.conversation import (
    Audio,
    Citation,
    File,
    Image,
    Notes,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Source,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    Turn,
    Video,
)
from tests.support import recordings
from tests.support.anthropic_messages import (
    ALIEN,
    FORMATS,
    OWN,
    WIRE,
    Doc,
    asked,
    call,
    result,
    written,
)

# ── real requests ──────────────────────────────────────────────────────────────────────────────────


def plain(doc: Doc) -> Doc:
    """The same request with one spelling for what may be spelled in two ways."""
    doc = deepcopy(doc)
    if isinstance(doc.get("system"), str):
        doc["system"] = [{"type": "text", "text": doc["system"]}]
    for message in doc["messages"]:
        message["content"] = _blocks(message["content"])
        for block in message["content"]:
            if block["type"] == "tool_result":
                block["content"] = _blocks(block.get("content") or [])
                if block.get("is_error") is False:
                    del block["is_error"]
    if doc.get("output_format"):
        doc["output_config"] = {"format": doc.pop("output_format")}
    choice = doc.get("tool_choice", {})
    if choice.get("disable_parallel_tool_use") is False:
        del choice["disable_parallel_tool_use"]
    for tool in doc.get("tools") or []:
        if tool.get("description") == "":
            del tool["description"]
    if not doc.get("tools"):
        doc.pop("tools", None)
        doc.pop("tool_choice", None)
    doc["messages"] = _merged(doc["messages"])
    doc.setdefault("max_tokens", 8192)
    return {k: v for k, v in doc.items() if v not in (False, [])}


def _blocks(content: str | list[Doc]) -> list[Doc]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _merged(messages: list[Doc]) -> list[Doc]:
    merged: list[Doc] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = {"role": message["role"], "content": merged[-1]["content"] + message["content"]}
        else:
            merged.append(message)
    return merged


@pytest.mark.parametrize("name", [n for f in (*FORMATS, "anthropic-count-tokens") for n in recordings.ids(f)])
def test_a_recorded_request_comes_back_as_it_was(name: str) -> None:
    recording = recordings.load(name)
    body = recording.request and recording.request.get("body")
    if not isinstance(body, dict):
        return
    before, notes = deepcopy(body), Notes()
    talk = WIRE.read_request(body)
    snapshot = msgspec.to_builtins(talk)
    out = written(talk, notes)
    assert plain(out) == plain(before)
    assert (notes.dropped, notes.emulated) == ([], [])
    assert (body, msgspec.to_builtins(talk)) == (before, snapshot)


@pytest.mark.parametrize("index", [1, 2, 3])
def test_claude_code_gets_its_own_request_back(index: int) -> None:
    clients = recordings.require("clients")
    body = json.loads((clients / "claude-code.json").read_text())["requests"][index]["body"]
    talk = WIRE.read_request(body)
    assert plain(written(talk)) == plain(body)
    assert WIRE.peek(json.dumps(body).encode())[:2] == (body["model"], True)
    said = [p.text for t in talk.turns for p in t.parts if isinstance(p, Text)]
    assert not any(text.startswith("x-anthropic-billing-header") for text in said)
    roles = [turn.role for turn in talk.turns]
    assert (
        roles
        == [["system", "user"], ["system", "user", "assistant", "user"], ["system", "user", "system"]][
            index - 1
        ]
    )


# ── a request's shape ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("doc", "place"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages[0].content[0].source.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": []}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"messages": [], "max_tokens": "many"}, "max_tokens"),
        ({"messages": [], "max_tokens": True}, "max_tokens"),
        ({"messages": [], "stream": 1}, "stream"),
        ({"messages": [], "model": 4}, "model"),
        ({"messages": [], "system": 4}, "system"),
        ({"messages": [], "tools": {}}, None),
        ({"messages": [], "tools": {"name": "f"}}, "tools"),
        ({"messages": [], "tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"messages": [], "tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"messages": [], "tool_choice": "auto"}, "tool_choice"),
        ({"messages": [], "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"messages": [], "stop_sequences": [1]}, "stop_sequences[0]"),
        ({"messages": [], "output_config": []}, "output_config"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(doc: Doc, place: str | None) -> None:
    if place is None:
        WIRE.read_request(doc)
        return
    with pytest.raises(Refused) as caught:
        WIRE.read_request(doc)
    assert caught.value.problem.kind == "invalid_request"
    assert caught.value.problem.param == place


def test_unknown_content_is_never_lost_in_silence() -> None:
    with pytest.raises(UnsupportedContent, match=r"messages\[0\]\.content\[0\].*hologram"):
        WIRE.read_request({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]})


@pytest.mark.parametrize(
    ("raw", "peeked"),
    [
        (b'{"model":"m","stream":true}', ("m", True)),
        (b'{"stream":null,"messages":[],"model":"m"}', ("m", False)),
        (b'{"messages":[]}', ("", False)),
    ],
)
def test_peek(raw: bytes, peeked: tuple[str, bool]) -> None:
    assert WIRE.peek(raw)[:2] == peeked


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"model":3}', b"{"])
def test_peek_raises_for_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.peek(raw)


def test_paths() -> None:
    assert WIRE.path("m", True, "chat") == "/messages"
    assert WIRE.path("m", False, "count_tokens") == "/messages/count_tokens"


# ── a request for this target, from elsewhere ──────────────────────────────────────────────────────


def short(messages: list[Doc]) -> list[str]:
    """`user: text, result a` for each message."""
    names = {
        "text": lambda b: b["text"],
        "tool_use": lambda b: f"call {b['id']}",
        "tool_result": lambda b: f"result {b['tool_use_id']}",
    }
    return [
        f"{m['role']}: " + ", ".join(names[b["type"]](b) for b in _blocks(m["content"])) for m in messages
    ]


USER, BOT, SYSTEM = "user", "assistant", "system"


@pytest.mark.parametrize(
    ("turns", "messages", "emulated"),
    [
        pytest.param(
            [
                (USER, "go"),
                (BOT, call("a"), call("b")),
                (USER, result("b")),
                (USER, result("a")),
                (USER, "on"),
            ],
            ["user: go", "assistant: call a, call b", "user: result a, result b, on"],
            [],
            id="results in another order and in turns of their own",
        ),
        pytest.param(
            [(USER, "go"), (BOT, call("a")), (USER, "wait"), (BOT, "yes?"), (USER, result("a"))],
            ["user: go", "assistant: call a", "user: result a, wait", "assistant: yes?"],
            [],
            id="a late result goes to its call",
        ),
        pytest.param(
            [(USER, "go"), (BOT, call("a"), call("b")), (USER, result("a"), Text(text="on"))],
            ["user: go", "assistant: call a, call b", "user: result a, result b, on"],
            ["tool_result"],
            id="a missing result is made up for",
        ),
        pytest.param(
            [(USER, "go"), (BOT, call("a"))],
            ["user: go", "assistant: call a", "user: result a"],
            ["tool_result"],
            id="a call without anything after it",
        ),
        pytest.param(
            [(USER, "go"), (USER, result("x", "12"))],
            ["user: go, Result of the tool call x:, 12"],
            ["tool_result"],
            id="a result without a call becomes text",
        ),
        pytest.param(
            [(USER, "go"), (BOT, call("a")), (USER, result("a")), (BOT, call("a")), (USER, result("a", "2"))],
            ["user: go", "assistant: call a", "user: result a", "assistant: call a_2", "user: result a_2"],
            [],
            id="an id that is used again",
        ),
        pytest.param(
            [(USER, "go"), (BOT, call("a")), (BOT, call("b")), (USER, result("a")), (USER, result("b"))],
            ["user: go", "assistant: call a, call b", "user: result a, result b"],
            [],
            id="calls in two turns",
        ),
        pytest.param(
            [(USER, "go"), (BOT, Text(text=""), call("a")), (USER, result("a"), Text(text=" \n"))],
            ["user: go", "assistant: call a", "user: result a"],
            [],
            id="empty texts go",
        ),
        pytest.param(
            [(BOT, "hello"), (USER, "hi")],
            ["user: (The conversation begins with the assistant.)", "assistant: hello", "user: hi"],
            [],
            id="somebody has to begin",
        ),
        pytest.param([(SYSTEM, "be kind")], ["user: be kind"], [], id="only a system text"),
        pytest.param(
            [(USER, "a"), (BOT, "b \n")], ["user: a", "assistant: b"], [], id="a prefill ends without blanks"
        ),
        pytest.param(
            [(USER, "a"), (BOT, Refusal(text="no")), (USER, ""), (USER, "b")],
            ["user: a", "assistant: no", "user: b"],
            [],
            id="a refusal is text",
        ),
    ],
)
def test_messages_are_put_in_order(
    turns: list[tuple[Any, ...]], messages: list[str], emulated: list[str]
) -> None:
    notes = Notes()
    talk = asked(
        turns=[
            Turn(role=role, parts=[Text(text=p) if isinstance(p, str) else p for p in parts])
            for role, *parts in turns
        ]
    )
    assert short(written(talk, notes)["messages"]) == messages
    assert notes.emulated == emulated


@pytest.mark.parametrize(
    ("quirks", "reasoning", "goes_on"),
    [([], None, False), (["no_prefill"], None, True), ([], Reasoning(budget=2000), True)],
)
def test_a_prefill_where_the_model_takes_none(
    quirks: list[str], reasoning: Reasoning | None, goes_on: bool
) -> None:
    notes = Notes()
    turns = [Turn(role="user", parts=[Text(text="go")]), Turn(role="assistant", parts=[Text(text="{")])]
    doc = written(asked(turns=turns, reasoning=reasoning), notes, quirks=frozenset(quirks))
    assert [message["role"] for message in doc["messages"]][2:] == (["user"] if goes_on else [])
    assert notes.emulated == (["prefill"] if goes_on else [])


def test_two_equal_parallel_calls_stay_two() -> None:
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=[call("a", "f", '{"x":1}'), call("b", "f", '{"x":1}')]),
        Turn(role="user", parts=[result("a", "1"), result("b", "1")]),
    ]
    assert short(written(asked(turns=turns))["messages"])[1:] == [
        "assistant: call a, call b",
        "user: result a, result b",
    ]


@pytest.mark.parametrize(
    ("quirks", "system", "roles"),
    [
        (frozenset(), "first\nlater", [USER, BOT, USER]),
        (frozenset({"system_messages"}), "first", [USER, SYSTEM, BOT, USER]),
    ],
)
def test_system_turns_are_hoisted_unless_the_model_takes_them_in_place(
    quirks: frozenset[str], system: str, roles: list[str]
) -> None:
    turns = [
        Turn(role="developer", parts=[Text(text="first")]),
        Turn(role="user", parts=[Text(text="a")]),
        Turn(role="system", parts=[Text(text="later")]),
        Turn(role="assistant", parts=[Text(text="b")]),
        Turn(role="user", parts=[Text(text="c")]),
    ]
    doc = written(asked(turns=turns), quirks=quirks)
    assert "\n".join(block["text"] for block in _blocks(doc["system"])) == system
    assert [message["role"] for message in doc["messages"]] == roles


@pytest.mark.parametrize(
    ("arguments", "input", "emulated"),
    [
        ("{}", {}, False),
        ("", {}, False),
        ("null", {}, False),
        ('{"a": [1, 2.5]}', {"a": [1, 2.5]}, False),
        ('{"a": ', {"arguments": '{"a": '}, True),
        ("[1]", {"arguments": [1]}, True),
    ],
)
def test_arguments_become_an_object(arguments: str, input: Doc, emulated: bool) -> None:
    notes = Notes()
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=[call("a", "f", arguments)]),
    ]
    block = written(asked(turns=turns), notes)["messages"][1]["content"][0]
    assert block["input"] == input
    assert ("tool_calls[].arguments" in notes.emulated) is emulated


PDF = Source(data="JVBERi0=", media_type="application/pdf")


@pytest.mark.parametrize(
    ("part", "block", "dropped"),
    [
        (
            Image(source=Source(url="https://x/y.png")),
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            [],
        ),
        (
            Image(source=Source(data="AA==", media_type="image/png"), detail="high"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            ["image_url.detail"],
        ),
        (Image(source=Source(file_id="file-1")), None, ["file_id"]),
        (
            File(source=PDF, name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "title": "a.pdf",
            },
            [],
        ),
        (
            File(source=Source(data="aGk=", media_type="text/csv")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
            [],
        ),
        (
            File(source=Source(text="hi")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
            [],
        ),
        (
            File(source=Source(data="AA==", media_type="image/png")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            [],
        ),
        (File(source=Source(file_id="file-1")), None, ["file_id"]),
        (Audio(source=Source(data="AA==")), None, ["input_audio"]),
        (Audio(source=Source(data="AA=="), transcript="hello"), {"type": "text", "text": "hello"}, []),
        (Video(source=Source(url="https://x/y.mp4")), None, ["video"]),
        (Opaque(wire="gemini", doc={}, label="executableCode"), None, ["executableCode"]),
        (
            Text(text="a", cache="1h"),
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            [],
        ),
        (
            Text(text="a", citations=[Citation(url="https://x")]),
            {"type": "text", "text": "a"},
            ["annotations"],
        ),
    ],
)
def test_content_of_other_wires(part: Any, block: Doc | None, dropped: list[str]) -> None:
    notes = Notes()
    doc = written(asked(turns=[Turn(role="user", parts=[Text(text="see"), part])]), notes)
    assert _blocks(doc["messages"][0]["content"])[1:] == ([block] if block else [])
    assert notes.dropped == dropped


def test_images_and_errors_in_tool_results() -> None:
    answer = ToolResult(
        id="a", content=[Text(text="see"), Image(source=Source(url="https://x/y.png"))], error=True
    )
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=[call("a")]),
        Turn(role="user", parts=[answer]),
    ]
    block = written(asked(turns=turns))["messages"][2]["content"][0]
    assert block["is_error"] is True
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]


@pytest.mark.parametrize(
    ("part", "quirks", "blocks"),
    [
        (
            Thinking(text="hm", signature=OWN),
            [],
            [{"type": "thinking", "thinking": "hm", "signature": "sig"}],
        ),
        (Thinking(redacted=True, signature=OWN), [], [{"type": "redacted_thinking", "data": "sig"}]),
        (Thinking(text="hm", signature=ALIEN), [], []),
        (Thinking(text="hm"), [], []),
        (
            Thinking(text="hm"),
            ["unsigned_thinking"],
            [{"type": "thinking", "thinking": "hm", "signature": ""}],
        ),
    ],
)
def test_only_its_own_reasoning_goes_back_to_a_target(
    part: Thinking, quirks: list[str], blocks: list[Doc]
) -> None:
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=[part, Text(text="ok")]),
        Turn(role="user", parts=[Text(text="on")]),
    ]
    doc = written(asked(turns=turns), quirks=frozenset(quirks))
    assert _blocks(doc["messages"][1]["content"])[:-1] == blocks


# ── thinking ───────────────────────────────────────────────────────────────────────────────────────

BUDGETS: Doc = {"thinking_min": 1024, "max_output": 64000}
ADAPTIVE: Doc = {
    "quirks": frozenset({"adaptive_thinking", "no_thinking_budget"}),
    "thinking_levels": ("low", "medium", "high", "max"),
    "max_output": 128000,
}


@pytest.mark.parametrize(
    ("reasoning", "dialect", "thinking", "effort"),
    [
        (Reasoning(effort="low"), BUDGETS, {"type": "enabled", "budget_tokens": 4096}, None),
        (Reasoning(effort="minimal"), BUDGETS, {"type": "enabled", "budget_tokens": 1024}, None),
        (Reasoning(effort="max"), BUDGETS, {"type": "enabled", "budget_tokens": 32000}, None),
        (Reasoning(budget=5000), BUDGETS, {"type": "enabled", "budget_tokens": 5000}, None),
        (Reasoning(budget=10), BUDGETS, {"type": "enabled", "budget_tokens": 1024}, None),
        (
            Reasoning(budget=9000),
            BUDGETS | {"thinking_max": 8000},
            {"type": "enabled", "budget_tokens": 8000},
            None,
        ),
        (Reasoning(adaptive=True), BUDGETS, {"type": "enabled", "budget_tokens": 16384}, None),
        (Reasoning(enabled=True), {}, {"type": "enabled", "budget_tokens": 8192}, None),
        (Reasoning(effort="none"), BUDGETS, {"type": "disabled"}, None),
        (Reasoning(enabled=False), {}, {"type": "disabled"}, None),
        (Reasoning(budget=0), {}, {"type": "disabled"}, None),
        (Reasoning(visible=True), {}, None, None),
        (None, ADAPTIVE, None, None),
        (Reasoning(effort="high"), ADAPTIVE, {"type": "adaptive"}, "high"),
        (Reasoning(effort="xhigh"), ADAPTIVE, {"type": "adaptive"}, "high"),
        (Reasoning(effort="minimal"), ADAPTIVE, {"type": "adaptive"}, "low"),
        (Reasoning(budget=20000), ADAPTIVE, {"type": "adaptive"}, "high"),
        (
            Reasoning(enabled=True, visible=True),
            ADAPTIVE,
            {"type": "adaptive", "display": "summarized"},
            None,
        ),
        (Reasoning(enabled=False), {"quirks": frozenset({"always_thinks"})}, None, "low"),
        (Reasoning(effort="high"), {"capabilities": frozenset({"tools"})}, None, None),
        (Reasoning(enabled=False), {"capabilities": frozenset({"tools"})}, None, None),
    ],
)
def test_effort_and_budget_in_the_words_of_the_model(
    reasoning: Reasoning | None, dialect: Doc, thinking: Doc | None, effort: str | None
) -> None:
    doc = written(asked(reasoning=reasoning), **dialect)
    assert doc.get("thinking") == thinking
    assert doc.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("asked_for", "dialect", "budget", "max_tokens"),
    [
        (None, {}, None, 8192),
        (None, {"quirks": frozenset({"adaptive_thinking"})}, None, 32000),
        (None, {"max_output": 8192}, None, 8192),
        (700, {"max_output": 8192}, None, 700),
        (None, {}, 16384, 24576),
        (None, {"max_output": 64000}, 16384, 64000),
        (None, {"max_output": 8192}, 4096, 8192),
        (20000, {}, 16384, 20000),
        (10000, {}, 5000, 10000),
        (1500, {}, 1024, 1500),
        (1000, {}, "none", 1000),
    ],
)
def test_max_tokens_is_always_said_and_exceeds_the_budget(
    asked_for: int | None, dialect: Doc, budget: int | str | None, max_tokens: int
) -> None:
    notes = Notes()
    reasoning = None if budget is None else Reasoning(effort="high")
    doc = written(asked(max_tokens=asked_for, reasoning=reasoning), notes, **dialect)
    assert doc["max_tokens"] == max_tokens
    assert doc.get("thinking", {}).get("budget_tokens") == (budget if isinstance(budget, int) else None)
    assert notes.dropped == (["reasoning"] if budget == "none" else [])


@pytest.mark.parametrize(
    ("settings", "dialect", "left", "dropped"),
    [
        (
            {"temperature": 0.2, "top_p": 0.5, "top_k": 9},
            {},
            {"temperature": 0.2, "top_p": 0.5, "top_k": 9},
            [],
        ),
        ({"temperature": 1.7}, {}, {"temperature": 1}, []),
        (
            {"temperature": 0.2, "top_p": 0.5},
            {"quirks": frozenset({"one_sampling"})},
            {"temperature": 0.2},
            ["top_p"],
        ),
        (
            {"temperature": 0.2, "top_k": 5},
            {"quirks": frozenset({"no_sampling"})},
            {},
            ["temperature", "top_k"],
        ),
        (
            {"temperature": 0.2, "top_p": 0.5, "top_k": 9, "reasoning": Reasoning(budget=2000)},
            {},
            {},
            ["temperature", "top_p", "top_k"],
        ),
        (
            {"temperature": 1, "top_p": 0.95, "reasoning": Reasoning(budget=2000)},
            {},
            {"temperature": 1, "top_p": 0.95},
            [],
        ),
        ({"temperature": 0.2, "reasoning": Reasoning(enabled=False)}, {}, {"temperature": 0.2}, []),
    ],
)
def test_sampling_that_the_model_takes(settings: Doc, dialect: Doc, left: Doc, dropped: list[str]) -> None:
    notes = Notes()
    doc = written(asked(max_tokens=4000, **settings), notes, **dialect)
    assert {k: doc[k] for k in ("temperature", "top_p", "top_k") if k in doc} == left
    assert notes.dropped == dropped
    assert notes.emulated == (["temperature"] if settings.get("temperature", 0) > 1 else [])


@pytest.mark.parametrize(
    ("parts", "thinks"),
    [
        ([Thinking(text="hm", signature=OWN), call("a")], True),
        ([Thinking(text="hm", signature=ALIEN), call("a")], False),
        ([Text(text="so"), call("a")], False),
    ],
)
def test_a_budget_is_left_out_where_the_reasoning_behind_the_calls_is_missing(
    parts: list[Any], thinks: bool
) -> None:
    notes = Notes()
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=parts),
        Turn(role="user", parts=[result("a")]),
    ]
    doc = written(asked(turns=turns, reasoning=Reasoning(budget=2000)), notes)
    assert ("thinking" in doc) is thinks
    assert notes.dropped == ([] if thinks else ["reasoning"])
    assert "thinking" in written(
        asked(turns=turns, reasoning=Reasoning(budget=2000)), quirks=frozenset({"unsigned_thinking"})
    )


def test_finished_turns_need_no_reasoning() -> None:
    turns = [
        Turn(role="user", parts=[Text(text="go")]),
        Turn(role="assistant", parts=[call("a")]),
        Turn(role="user", parts=[result("a")]),
        Turn(role="assistant", parts=[Text(text="done")]),
        Turn(role="user", parts=[Text(text="again")]),
    ]
    assert "thinking" in written(asked(turns=turns, reasoning=Reasoning(budget=2000)))


@pytest.mark.parametrize(
    ("thinking", "effort", "read"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, None, Reasoning(enabled=True, budget=2000)),
        (
            {"type": "adaptive", "display": "omitted"},
            "max",
            Reasoning(enabled=True, adaptive=True, effort="max", visible=False),
        ),
        ({"type": "disabled"}, None, Reasoning(enabled=False)),
        (None, "low", Reasoning(effort="low")),
        (None, None, None),
    ],
)
def test_what_a_client_says_of_thinking(
    thinking: Doc | None, effort: str | None, read: Reasoning | None
) -> None:
    doc = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4000}
    doc |= {"thinking": thinking} if thinking else {}
    doc |= {"output_config": {"effort": effort}} if effort else {}
    talk = WIRE.read_request(doc)
    assert talk.reasoning == read
    assert written(talk) == doc


def test_thinking_that_only_this_wire_knows_comes_back() -> None:
    doc = {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 10,
        "thinking": {"type": "between_tools"},
    }
    talk = WIRE.read_request(doc)
    assert talk.reasoning is None
    assert written(talk) == doc


# ── tools, output, settings ────────────────────────────────────────────────────────────────────────

F = Tool(name="f", schema={"type": "object"})
G = Tool(name="g", schema={"type": "object"})


@pytest.mark.parametrize(
    ("choice", "parallel", "out", "names"),
    [
        (None, None, None, "fg"),
        (ToolChoice(mode="auto"), True, {"type": "auto"}, "fg"),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, "fg"),
        (ToolChoice(mode="required"), False, {"type": "any", "disable_parallel_tool_use": True}, "fg"),
        (ToolChoice(mode="none"), False, {"type": "none"}, "fg"),
        (ToolChoice(mode="named", names=("g",)), None, {"type": "tool", "name": "g"}, "fg"),
        (ToolChoice(mode="allowed", names=("g",)), None, {"type": "auto"}, "g"),
        (ToolChoice(mode="allowed", names=("f",), must=True), None, {"type": "any"}, "f"),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, out: Doc | None, names: str) -> None:
    doc = written(asked(tools=[F, G], tool_choice=choice, parallel_tools=parallel))
    assert doc.get("tool_choice") == out
    assert "".join(tool["name"] for tool in doc["tools"]) == names


@pytest.mark.parametrize(
    ("dialect", "type"),
    [
        ({}, "auto"),
        (ADAPTIVE, "any"),
        (ADAPTIVE | {"quirks": ADAPTIVE["quirks"] | {"no_forced_tools"}}, "auto"),
    ],
)
def test_a_thinking_budget_forbids_to_force_a_tool(dialect: Doc, type: str) -> None:
    notes = Notes()
    talk = asked(tools=[F], tool_choice=ToolChoice(mode="required"), reasoning=Reasoning(effort="low"))
    assert written(talk, notes, **dialect)["tool_choice"] == {"type": type}
    assert notes.dropped == (["tool_choice"] if type == "auto" else [])


def test_no_tools_no_tool_choice() -> None:
    doc = written(asked(tool_choice=ToolChoice(mode="none"), parallel_tools=False))
    assert doc.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    ("tool", "out", "dropped", "emulated"),
    [
        (Tool(name="f"), {"name": "f", "input_schema": {"type": "object", "properties": {}}}, [], []),
        (
            Tool(name="f", description="d", schema={"$ref": "#/x"}),
            {"name": "f", "description": "d", "input_schema": {"$ref": "#/x", "type": "object"}},
            [],
            [],
        ),
        (
            Tool(name="f", schema={"type": "object"}, strict=True),
            {"name": "f", "input_schema": {"type": "object"}},
            ["tools[].strict"],
            [],
        ),
        (
            Tool(name="web_search", kind="server", wire="openai-responses", native={}),
            None,
            ["tools[].web_search"],
            [],
        ),
        (
            Tool(
                name="patch",
                kind="custom",
                format={"type": "grammar", "syntax": "lark", "definition": "start: X"},
            ),
            {
                "name": "patch",
                "description": "The text must follow this lark grammar:\nstart: X",
                "input_schema": {
                    "type": "object",
                    "properties": {
                        "input": {"type": "string", "description": "The whole input, as free text."}
                    },
                    "required": ["input"],
                },
            },
            [],
            ["tools[].custom"],
        ),
    ],
)
def test_tools_of_other_wires(tool: Tool, out: Doc | None, dropped: list[str], emulated: list[str]) -> None:
    notes = Notes()
    doc = written(asked(tools=[tool]), notes)
    assert doc.get("tools") == ([out] if out else None)
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("output", "dialect", "native"),
    [
        (OutputFormat(kind="text"), {}, None),
        (OutputFormat(kind="json_schema", schema=SCHEMA), {"quirks": frozenset({"structured_output"})}, True),
        (OutputFormat(kind="json_schema", schema=SCHEMA), {"capabilities": frozenset({"json_schema"})}, True),
        (OutputFormat(kind="json_schema", schema=SCHEMA), {}, False),
        (OutputFormat(kind="json_object"), {"quirks": frozenset({"structured_output"})}, False),
    ],
)
def test_structured_output(output: OutputFormat, dialect: Doc, native: bool | None) -> None:
    notes = Notes()
    talk = asked(output=output)
    talk.turns.insert(0, Turn(role="system", parts=[Text(text="Be brief.")]))
    doc = written(talk, notes, **dialect)
    assert doc.get("output_config") == (
        {"format": {"type": "json_schema", "schema": SCHEMA}} if native else None
    )
    if native is False:
        assert notes.emulated == ["response_format"]
        assert doc["system"][0] == {"type": "text", "text": "Be brief."}
        assert "JSON" in doc["system"][1]["text"]
        assert output.schema is None or json.dumps(SCHEMA, separators=(",", ":")) in doc["system"][1]["text"]
    else:
        assert doc["system"] == "Be brief."
        assert notes.emulated == []


def test_what_has_no_place_here_is_noted() -> None:
    notes = Notes()
    talk = asked(
        seed=1,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        logit_bias={"1": 2.0},
        logprobs=True,
        top_logprobs=2,
        choices=3,
        verbosity="low",
        metadata={"a": "b"},
        store=True,
        previous_id="resp_1",
        service_tier="flex",
        modalities=["text", "audio"],
        stop=["\n", "END"],
        user="u",
        extras={"openai-chat": {"stream_options": {"include_usage": True}, "prediction": {}}},
    )
    doc = written(talk, notes)
    assert doc["stop_sequences"] == ["END"]
    assert doc["metadata"] == {"user_id": "u"}
    assert set(notes.dropped) == {
        *("seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n"),
        *("verbosity", "metadata", "store", "previous_response_id", "service_tier", "modalities", "stop"),
        "prediction",
    }


def test_cache_marks_for_stable_prefixes_on_request() -> None:
    talk = asked(tools=[F, G])
    talk.turns.insert(0, Turn(role="system", parts=[Text(text="Be brief.")]))
    doc = written(talk, prompt_cache="auto")
    mark = {"type": "ephemeral"}
    assert ["cache_control" in tool for tool in doc["tools"]] == [False, True]
    assert doc["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    assert doc["messages"][-1]["content"] == [{"type": "text", "text": "hi", "cache_control": mark}]
    talk.turns[1].parts[0] = Text(text="hi", cache="5m")
    assert written(talk, prompt_cache="auto") == written(talk)


@pytest.mark.parametrize(
    ("system", "position", "after"),
    [
        (None, "prepend", "new"),
        ("old", "prepend", "new\n\nold"),
        ("old", "append", "old\n\nnew"),
        (
            [{"type": "text", "text": "old"}],
            "append",
            [{"type": "text", "text": "old"}, {"type": "text", "text": "new"}],
        ),
        (
            [{"type": "text", "text": "old"}],
            "prepend",
            [{"type": "text", "text": "new"}, {"type": "text", "text": "old"}],
        ),
        (
            [{"type": "text", "text": "x-anthropic-billing-header: 1"}, {"type": "text", "text": "old"}],
            "prepend",
            [
                {"type": "text", "text": "x-anthropic-billing-header: 1"},
                {"type": "text", "text": "new"},
                {"type": "text", "text": "old"},
            ],
        ),
    ],
)
def test_add_system(system: Any, position: Any, after: Any) -> None:
    doc = {"messages": []} if system is None else {"messages": [], "system": system}
    WIRE.add_system(doc, "new", position)
    assert doc["system"] == after
