"""What is common to all pairs of wires: the model's name, tool names that do not fit, and endings."""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec
import pytest

from omniroute.errors import Problem
from omniroute.registry import load
from omniroute.wire.bridge import CrossTap, WatchTap, translate_request
from omniroute.wire.codec import Dialect, NameRule, Wire
from omniroute.wire.conversation import (
    Answer,
    CallStart,
    Choice,
    Conversation,
    Notes,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from omniroute.wire.names import NameMap, fit
from tests.support.streams import reference

WIRES: dict[str, Wire] = {d.name: d.cls() for d in load(plugins=False).all("wire")}
PAIRS = [pytest.param(a, b, id=f"{a}-{b}") for a, b in itertools.permutations(WIRES, 2)]


@pytest.mark.parametrize("client, target", PAIRS)
def test_the_target_gets_its_own_name(client: str, target: str) -> None:
    talk = Conversation(model="my-combo", turns=[Turn(role="user", parts=[Text(text="hi")])])
    document, _ = translate_request(talk, WIRES[client], WIRES[target], Dialect(model="m-1"), Notes())
    assert document.get("model") == ("m-1" if WIRES[target].model_in_body else None)


@pytest.mark.parametrize(
    "name, rule, sent",
    [
        ("fits", NameRule("a-z", 10), "fits"),
        ("", NameRule("a-z", 10), ""),
        ("any thing", None, "any thing"),
        ("has space", NameRule("a-zA-Z0-9_", 64), "has_space_"),
        ("9lives", NameRule("a-zA-Z0-9_", 64, first="a-zA-Z_"), "_9lives_"),
        ("x" * 100, NameRule("a-z", 30), "x" * 19 + "_"),
    ],
)
def test_names_are_fitted_readably_and_one_to_one(name: str, rule: NameRule | None, sent: str) -> None:
    fitted = fit(name, rule)
    assert fitted.startswith(sent)
    assert fit(name, rule) == fitted
    if rule is not None:
        assert len(fitted) <= rule.longest
    if fitted != name:
        assert fit(name + "!", rule) != fitted


class Strict(msgspec.Struct):
    """As much of a wire as names need."""

    tool_names: NameRule | None = NameRule("a-z_", 20)
    call_ids: NameRule | None = NameRule("a-z0-9_", 12)
    namespaces: bool = False


def test_tools_are_renamed_on_the_way_out_and_back() -> None:
    talk = Conversation(
        turns=[
            Turn(role="assistant", parts=[ToolCall(id="call:1", name="Get Weather!", arguments="{}")]),
            Turn(role="user", parts=[ToolResult(id="call:1", name="Get Weather!", content=[])]),
        ],
        tools=[Tool(name="Get Weather!"), Tool(name="plain"), Tool(name="run", namespace="shell")],
        tool_choice=ToolChoice(mode="named", names=("Get Weather!",)),
    )
    names = NameMap.of(talk, WIRES["openai-responses"], Strict())  # type: ignore[arg-type]  # enough of a wire
    sent = names.outward(talk)
    renamed = sent.tools[0].name
    call, result = sent.turns[0].parts[0], sent.turns[1].parts[0]
    assert isinstance(call, ToolCall) and isinstance(result, ToolResult)
    assert set(renamed) <= set("abcdefghijklmnopqrstuvwxyz_") or renamed[-10:].isalnum()
    assert [t.name for t in sent.tools[1:]] == ["plain", "shell__run"]
    assert call.name == result.name == renamed
    assert call.id == result.id != "call:1"
    assert sent.tool_choice is not None and sent.tool_choice.names == (renamed,)
    assert talk.tools[0].name == "Get Weather!", "the conversation itself is not changed"

    back = names.inward_delta(CallStart(part=0, id="x", name="shell__run"))
    assert isinstance(back, CallStart) and (back.namespace, back.name) == ("shell", "run")
    answer = names.inward_answer(Answer(choices=[Choice(parts=[ToolCall(id="x", name=renamed)])]))
    part = answer.choices[0].parts[0]
    assert isinstance(part, ToolCall) and part.name == "Get Weather!"


ERROR = re.compile(rb"error|exception")
CUT = Problem(kind="timeout", message="silent")
CHAT_HEAD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'


@pytest.mark.parametrize("client", WIRES)
@pytest.mark.parametrize("problem", [CUT, None], ids=["timeout", "eof"])
def test_a_cut_stream_ends_with_an_error_whatever_the_client(client: str, problem: Problem | None) -> None:
    tap = CrossTap(WIRES["openai-chat"], WIRES[client].writer(reference(), Notes()), NameMap({}, None, None))
    out = tap.feed(CHAT_HEAD)
    tail, left = tap.end(problem)
    assert b"hello" in out
    assert ERROR.search(tail)
    assert left is None
    assert tap.cut is not None
    assert tap.end(None) == (b"", None)


@pytest.mark.parametrize("bad", [b"data: {oops\n\n", b"data: {oops"])
def test_what_was_good_before_a_broken_event_is_kept(bad: bytes) -> None:
    from omniroute.errors import MalformedStream

    tap = CrossTap(
        WIRES["openai-chat"],
        WIRES["anthropic-messages"].writer(reference(), Notes()),
        NameMap({}, None, None),
    )
    try:
        out, problem = tap.feed(CHAT_HEAD + bad), None
    except MalformedStream:
        out, problem = b"", CUT
    tail, _ = tap.end(problem)
    assert (out + tail).count(b'"hello"') == 1
    assert b"event: error" in tail


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_passes_as_bytes_is_watched(wire: str) -> None:
    tap = WatchTap(WIRES[wire], "req_1")
    assert tap.feed(b"data: {}\n\n") == b"data: {}\n\n"
    tail, left = tap.end(None)
    assert (bool(ERROR.search(tail)), left, tap.cut is not None) == (True, None, True)


def any_json() -> list[Any]:
    return [None, 7, "x", [], {}, [None], {"choices": 7}, {"candidates": [7]}, {"type": 7}, {"content": [7]}]


@pytest.mark.parametrize("source", WIRES)
@pytest.mark.parametrize("value", any_json(), ids=str)
def test_odd_json_in_a_stream_never_surprises(source: str, value: Any) -> None:
    from omniroute.errors import MalformedStream

    tap = CrossTap(WIRES[source], WIRES["openai-chat"].writer(reference(), Notes()), NameMap({}, None, None))
    try:
        tap.feed(b"data: " + msgspec.json.encode(value) + b"\n\n")
    except MalformedStream:
        return
    assert tap.end(None)[0]


ENDED_WITH_AN_ERROR = {
    "anthropic-messages": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"full"}}\n\n',
    "openai-chat": b'data: {"error":{"message":"full","type":"overloaded_error"}}\n\ndata: [DONE]\n\n',
    "openai-responses": (
        b'data: {"type":"response.failed","sequence_number":1,"response":{"id":"r","object":"response",'
        b'"status":"failed","error":{"code":"server_is_overloaded","message":"full"},"output":[]}}\n\n'
    ),
}


@pytest.mark.parametrize("wire", ENDED_WITH_AN_ERROR)
def test_an_upstream_that_ends_its_stream_with_an_error_is_noted(wire: str) -> None:
    """The client has read it there; the log and the account's rest must know, too."""
    tap = WatchTap(WIRES[wire], "req_1")
    tap.feed(ENDED_WITH_AN_ERROR[wire])
    assert tap.end(None) == (b"", None)
    assert tap.cut is not None
    assert (tap.cut.kind, tap.cut.message) == ("overloaded", "full")
