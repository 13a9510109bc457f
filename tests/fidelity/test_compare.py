"""The proof itself is put to the test: a loss that it would not see proves nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.fidelity import own_answers as own
from tests.fidelity.compare import compare, verdict
from tests.fidelity.meaning import Call, Choice, Failure, Meaning, settle
from tests.fidelity.replay import PLAIN, STREAMED
from tests.fidelity.replay import events as sse_events
from tests.fidelity.request_run import READ
from tests.fidelity.requests import differences
from tests.support import aws_events

WIRES = sorted(PLAIN)


def plain(wire: str) -> Meaning:
    return settle(PLAIN[wire](own.PLAIN[wire]))


@pytest.mark.parametrize("wire", WIRES)
def test_one_answer_means_the_same_in_all_formats(wire: str) -> None:
    """Plain and streamed, against the plain chat answer."""
    streamed = settle(STREAMED[wire](events(own.STREAMS[wire])))
    lost = ["usage.reasoning"] if wire in own.UNCOUNTED else []
    for meaning in (plain(wire), streamed):
        assert [d.field for d in compare(plain("openai-chat"), meaning, wire)] == lost


def events(stream: list[str] | list[bytes]) -> list[dict[str, Any]]:
    if isinstance(stream[0], bytes):
        return aws_events.events(b"".join(stream))  # type: ignore[arg-type]  # all are bytes where one is
    return sse_events("".join(stream))  # type: ignore[arg-type]  # and all are text where one is


def _cut_text(meaning: Meaning) -> None:
    meaning.first.texts[0] = meaning.first.texts[0][:-3]


def _no_thought(meaning: Meaning) -> None:
    meaning.first.reasoning.clear()


def _other_arguments(meaning: Meaning) -> None:
    meaning.first.calls[0].arguments = {"city": "Todi", "days": 2}


def _call_twice(meaning: Meaning) -> None:
    meaning.first.calls.append(Call(own.TOOL, own.ARGUMENTS))


def _finished(meaning: Meaning) -> None:
    meaning.first.finish = "stop"


def _cached_left_out(meaning: Meaning) -> None:
    assert meaning.usage is not None
    assert meaning.usage.input is not None
    meaning.usage.input -= own.CACHED


def _failed(meaning: Meaning) -> None:
    meaning.error = Failure("server", 500, "no")


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_cut_text, "texts"),
        (_no_thought, "reasoning"),
        (_other_arguments, "calls"),
        (_call_twice, "calls"),
        (_finished, "finish"),
        (_cached_left_out, "usage.input"),
        (_failed, "error"),
    ],
)
def test_a_loss_is_seen(spoil: Callable[[Meaning], None], field: str) -> None:
    """Each of these is a failure, in every client format."""
    spoiled = plain("openai-chat")
    spoil(spoiled)
    for client in WIRES:
        found = compare(plain("openai-chat"), spoiled, client)
        assert [d.field for d in found] == [field]
        assert verdict(found) == "fail"


def test_what_a_format_cannot_say_is_lossy_by_law() -> None:
    """Two choices become one in a format of one choice; elsewhere that is a failure."""
    two = Meaning([Choice(texts=["a"], finish="stop"), Choice(texts=["b"], finish="stop")])
    one = Meaning([Choice(texts=["a"], finish="stop")])
    assert verdict(compare(two, one, "anthropic-messages")) == "lossy"
    assert verdict(compare(two, one, "gemini")) == "fail"


REQUEST: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}],
    "temperature": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("messages", 0, "content"), "", "system"),
        (("messages", 1, "content", 0, "text"), "Wait.", "dialogue"),
        (("messages", 1, "content", 1, "image_url", "url"), "https://a/c.png", "media"),
        (("messages", 2, "tool_calls", 0, "function", "arguments"), "{}", "calls"),
        (("messages", 3, "content"), "7", "results"),
        (("tools", 0, "function", "parameters", "properties", "x", "type"), "string", "tools.schema"),
        (("temperature",), 1.0, "temperature"),
    ],
)
def test_a_loss_in_a_request_is_seen(path: tuple[Any, ...], value: Any, field: str) -> None:
    spoiled = copy.deepcopy(REQUEST)
    place: Any = spoiled
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    read = READ["openai-chat"]
    assert [name for name, _ in differences(read(REQUEST), read(REQUEST))] == []
    assert [name for name, _ in differences(read(REQUEST), read(spoiled))] == [field]
