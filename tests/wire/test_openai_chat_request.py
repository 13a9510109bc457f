"""Chat Completions requests: shapes that are refused, words of many servers, and what each dialect gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Source,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.openai_chat import OpenAIChat
from tests.support import requests

WIRE = OpenAIChat()


def read(**settings: Any) -> Conversation:
    return WIRE.read_request({"model": "m", "messages": [], **settings})


def write(talk: Conversation, *quirks: str, **dialect: Any) -> tuple[Doc, Notes]:
    return requests.written(WIRE, talk, quirks, **dialect)


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


def model(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def messages(turns: list[Turn], *quirks: str) -> tuple[list[Doc], Notes]:
    doc, notes = write(Conversation(model="m", turns=turns), *quirks)
    return doc["messages"], notes


# ── in ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("doc", "param"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": {"type": "text"}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].input_audio.data",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [], "model": 5}, "model"),
        ({"messages": [], "stream": "yes"}, "stream"),
        ({"messages": [], "temperature": "hot"}, "temperature"),
        ({"messages": [], "temperature": True}, "temperature"),
        ({"messages": [], "max_tokens": 1.5}, "max_tokens"),
        ({"messages": [], "n": "2"}, "n"),
        ({"messages": [], "stop": 5}, "stop"),
        ({"messages": [], "stop": [5]}, "stop[0]"),
        ({"messages": [], "logit_bias": {"5": "x"}}, "logit_bias.5"),
        ({"messages": [], "tools": {}}, "tools"),
        ({"messages": [], "tools": [5]}, "tools[0]"),
        ({"messages": [], "tools": [{"type": "function"}]}, "tools[0].function"),
        ({"messages": [], "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"messages": [], "tools": [{"function": {"name": "f", "parameters": 5}}]},
            "tools[0].function.parameters",
        ),
        ({"messages": [], "tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"messages": [], "functions": [{}]}, "functions[0].name"),
        ({"messages": [], "tool_choice": "maybe"}, "tool_choice"),
        ({"messages": [], "tool_choice": 5}, "tool_choice"),
        ({"messages": [], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"messages": [], "response_format": "json"}, "response_format"),
        ({"messages": [], "response_format": {"type": "xml"}}, "response_format.type"),
        ({"messages": [], "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(doc: Doc, param: str) -> None:
    with pytest.raises(Refused) as raised:
        WIRE.read_request({"model": "m", **doc})
    problem = raised.value.problem
    assert (problem.kind, problem.param, problem.http_status) == ("invalid_request", param, 400)
    assert param in problem.message


def test_unknown_content_is_not_lost_in_silence() -> None:
    with pytest.raises(UnsupportedContent) as raised:
        read(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "hologram"}]}])
    assert raised.value.path == "messages[0].content[1]"


PNG = "data:image/png;base64,AA=="


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text(text="a", cache="5m"),
        ),
        (
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text(text="a", cache="5m"),
        ),
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            Image(source=Source(data="AA==", media_type="image/png"), detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://a"}, Image(source=Source(url="https://a"))),
        ({"type": "input_image", "image_url": "https://a"}, Image(source=Source(url="https://a"))),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Audio(source=Source(data="AA==", media_type="audio/mpeg"), format="mp3"),
        ),
        ({"type": "input_audio", "input_audio": "https://a"}, Audio(source=Source(url="https://a"))),
        ({"type": "audio_url", "audio_url": {"url": "https://a"}}, Audio(source=Source(url="https://a"))),
        ({"type": "video_url", "video_url": {"url": "https://a"}}, Video(source=Source(url="https://a"))),
        ({"type": "file", "file": {"file_id": "f1"}}, File(source=Source(file_id="f1"))),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            File(source=Source(data="AA==", media_type="application/pdf"), name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": "https://a"}}, File(source=Source(url="https://a"))),
        (
            {"type": "file", "file": {"file_data": "AA=="}},
            File(source=Source(data="AA==", media_type="application/pdf")),
        ),
        ({"type": "file_url", "file_url": {"url": "https://a"}}, File(source=Source(url="https://a"))),
        (
            {"type": "document_url", "document_url": "https://a", "document_name": "A"},
            File(source=Source(url="https://a"), name="A"),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, Thinking(text="hm")),
    ],
)
def test_content_is_read(content: Doc, part: Part) -> None:
    assert read(messages=[{"role": "user", "content": [content]}]).turns == [user(part)]


def test_settings_are_read() -> None:
    talk = read(
        stream=True,
        max_completion_tokens=9,
        max_tokens=5,
        stop="x",
        top_k=4,
        random_seed=3,
        logit_bias={"7": -1},
        n=2,
        response_format={"type": "json_object"},
        stream_options={"include_usage": True},
        made_up={"a": 1},
        absent=None,
        temperature=None,
    )
    assert (talk.stream, talk.max_tokens, talk.stop, talk.top_k, talk.seed) == (True, 9, ["x"], 4, 3)
    assert (talk.logit_bias, talk.choices, talk.temperature) == ({"7": -1.0}, 2, None)
    assert talk.output == OutputFormat(kind="json_object")
    extras = {"stream_options": {"include_usage": True}, "made_up": {"a": 1}}
    assert talk.extras == {"openai-chat": extras}
    assert write(talk)[0]["made_up"] == {"a": 1}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ("any", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="named", names=("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice(mode="named", names=("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice(mode="allowed", names=("f",), must=True),
        ),
    ],
)
def test_tool_choice_is_read(choice: Any, expected: ToolChoice) -> None:
    assert read(tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning_effort": "none"}, Reasoning(effort="none", enabled=False)),
        ({"reasoning": {"effort": "high", "exclude": True}}, Reasoning(effort="high", visible=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning(enabled=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 99}}, Reasoning(enabled=True, budget=99)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(adaptive=True)),
        ({"enable_thinking": True, "thinking_budget": 50}, Reasoning(enabled=True, budget=50)),
        ({}, None),
    ],
)
def test_reasoning_is_read_in_any_words(settings: Doc, expected: Reasoning | None) -> None:
    assert read(**settings).reasoning == expected


def test_reasoning_words_that_nobody_knows_come_back() -> None:
    settings = {"reasoning_effort": "turbo", "thinking": {"type": "enabled", "clear_thinking": False}}
    doc, _ = write(read(**settings), "thinking_object")
    assert {key: doc[key] for key in settings} == settings


def test_the_empty_text_beside_calls_is_no_part() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    talk = read(messages=[{"role": "assistant", "content": "", "tool_calls": [call]}])
    assert talk.turns == [model(ToolCall(id="c", name="f"))]


def test_results_without_ids_find_their_calls() -> None:
    calls = [{"type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("f", "g", "f")]
    talk = read(
        messages=[
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "name": "g", "content": "2"},
            {"role": "tool", "content": "1"},
            {"role": "tool", "name": "f", "content": "3"},
        ]
    )
    ids = [part.id for part in talk.turns[0].parts if isinstance(part, ToolCall)]
    answered = [part.id for turn in talk.turns[1:] for part in turn.parts if isinstance(part, ToolResult)]
    assert len(set(ids)) == 3
    assert answered == [ids[1], ids[0], ids[2]]


# ── out: messages ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("turn", "quirks", "expected"),
    [
        (Turn(role="developer", parts=[Text(text="a")]), [], {"role": "system", "content": "a"}),
        (
            Turn(role="developer", parts=[Text(text="a")]),
            ["developer_role"],
            {"role": "developer", "content": "a"},
        ),
        (
            Turn(role="system", parts=[Text(text="a")]),
            ["no_system_role"],
            {"role": "user", "content": "a"},
        ),
        (
            Turn(role="system", parts=[Text(text="a"), Text(text="b")]),
            [],
            {"role": "system", "content": "a\n\nb"},
        ),
        (user(Text(text="a")), [], {"role": "user", "content": "a"}),
        (user(), [], {"role": "user", "content": ""}),
        (
            user(Text(text="a"), Text(text="b")),
            [],
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ),
        (user(Text(text="a"), Text(text="b")), ["string_content"], {"role": "user", "content": "a\n\nb"}),
        (
            Turn(role="user", parts=[Text(text="a")], name="ann"),
            [],
            {"role": "user", "content": "a", "name": "ann"},
        ),
        (model(Text(text="a"), Text(text="b")), [], {"role": "assistant", "content": "ab"}),
        (model(), [], {"role": "assistant", "content": ""}),
        (model(Refusal(text="no")), [], {"role": "assistant", "content": None, "refusal": "no"}),
        (
            model(Audio(source=Source(file_id="a1"), id="a1")),
            [],
            {"role": "assistant", "content": None, "audio": {"id": "a1"}},
        ),
        (model(Thinking(text="hm"), Text(text="a")), [], {"role": "assistant", "content": "a"}),
        (
            model(Thinking(text="hm"), Text(text="a")),
            ["reasoning_content"],
            {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        ),
        (
            model(Thinking(text="hm"), Text(text="a")),
            ["reasoning"],
            {"role": "assistant", "content": "a", "reasoning": "hm"},
        ),
        (
            model(Thinking(text="hm"), Text(text="a")),
            ["think_tags"],
            {"role": "assistant", "content": "<think>hm</think>\na"},
        ),
        (
            model(Thinking(text="hm"), Text(text="a")),
            ["thinking_chunks"],
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                ],
            },
        ),
        (
            user(Text(text="a", cache="1h")),
            ["cache_control"],
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
                ],
            },
        ),
        (
            user(File(source=Source(text="body"), name="a.txt")),
            [],
            {"role": "user", "content": "a.txt:\nbody"},
        ),
        (
            user(File(source=Source(data="aGk=", media_type="text/plain"))),
            [],
            {"role": "user", "content": "hi"},
        ),
        (
            user(File(source=Source(data="é", media_type="text/plain"), name="a.txt")),
            [],
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,é"}}
                ],
            },
        ),
    ],
)
def test_a_turn_is_written(turn: Turn, quirks: list[str], expected: Doc) -> None:
    written, notes = messages([turn], *quirks)
    assert written == [expected]
    assert notes.dropped == []


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        (Image(source=Source(file_id="f")), "image.file_id"),
        (Video(source=Source(url="https://a")), "video"),
        (Audio(source=Source(url="https://a")), "audio"),
        (File(source=Source(url="https://a")), "document.url"),
        (Opaque(wire="gemini", doc={}, label="executableCode"), "executableCode"),
    ],
)
def test_what_cannot_be_said_is_noted(part: Part, dropped: str) -> None:
    assert messages([user(part)])[1].dropped == [dropped]


@pytest.mark.parametrize(
    ("part", "quirk", "type"),
    [
        (Video(source=Source(url="https://a")), "video_url", "video_url"),
        (Audio(source=Source(url="https://a")), "audio_url", "audio_url"),
        (File(source=Source(url="https://a")), "file_url", "file"),
    ],
)
def test_urls_for_those_that_take_them(part: Part, quirk: str, type: str) -> None:
    written, notes = messages([user(part)], quirk)
    assert written[0]["content"][0]["type"] == type
    assert notes.dropped == []


def call(id: str, name: str = "f") -> ToolCall:
    return ToolCall(id=id, name=name)


def result(id: str, text: str = "ok") -> ToolResult:
    return ToolResult(id=id, content=[Text(text=text)])


def order(turns: list[Turn], *quirks: str) -> list[str]:
    """The messages in short: role, ids of calls or of the call answered."""
    short = []
    for message in messages(turns, *quirks)[0]:
        ids = [c["id"] for c in message.get("tool_calls", [])] or [message.get("tool_call_id", "")]
        short.append(f"{message['role']} {','.join(ids)}".strip())
    return short


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([model(call("a")), user(result("a"))], ["assistant a", "tool a"]),
        (
            [model(call("a"), call("b")), user(result("b"), result("a"), Text(text="x"))],
            ["assistant a,b", "tool a", "tool b", "user"],
        ),
        # A user who spoke before the results did not stand between call and result.
        (
            [model(call("a")), user(Text(text="x")), user(result("a"))],
            ["assistant a", "tool a", "user"],
        ),
        # One turn for each call, as another format has them, is one message.
        (
            [model(Text(text="t")), model(call("a")), model(call("b")), user(result("a")), user(result("b"))],
            ["assistant a,b", "tool a", "tool b"],
        ),
        # Ids that a client uses anew in each turn.
        (
            [model(call("a")), user(result("a")), model(call("a")), user(result("a"))],
            ["assistant a", "tool a", "assistant a", "tool a"],
        ),
        # A result without its call stays where it is, for the server to judge.
        ([user(result("z")), model(call("z"))], ["tool z", "assistant z"]),
        ([model(Text(text="t")), model(Text(text="u"))], ["assistant", "assistant"]),
    ],
)
def test_results_stand_right_after_their_calls(turns: list[Turn], expected: list[str]) -> None:
    assert order(turns) == expected


def test_an_alternating_server() -> None:
    turns = [user(Text(text="a")), user(Text(text="b")), model(Text(text="c")), model(Text(text="d"))]
    written, _ = messages(turns, "alternate")
    assert [(m["role"], m["content"]) for m in written] == [("user", "a\n\nb"), ("assistant", "c\n\nd")]


def test_an_answer_that_was_begun() -> None:
    written, _ = messages([user(Text(text="a")), model(Text(text="I"))], "prefix")
    assert written[-1] == {"role": "assistant", "content": "I", "prefix": True}


def test_errors_of_tools_are_told_in_words() -> None:
    turns = [user(ToolResult(id="a", content=[Text(text="no file")], error=True))]
    written, notes = messages(turns)
    assert written[0]["content"] == "Error: no file"
    assert notes.emulated == ["tool_result.is_error"]


def test_images_of_tools_follow_in_a_user_message() -> None:
    shot = ToolResult(id="a", content=[Image(source=Source(url="https://a"))])
    written, notes = messages([model(call("a"), call("b")), user(shot, result("b"))])
    assert [m["role"] for m in written] == ["assistant", "tool", "tool", "user"]
    assert written[3]["content"][1] == {"type": "image_url", "image_url": {"url": "https://a"}}
    assert notes.emulated == ["tool_result.image"]
    inside, _ = messages([model(call("a")), user(shot)], "tool_images")
    assert inside[1]["content"] == [{"type": "image_url", "image_url": {"url": "https://a"}}]


def test_short_call_ids() -> None:
    written, _ = messages([model(call("toolu_01VmA9")), user(result("toolu_01VmA9"))], "call_ids_9")
    id = written[0]["tool_calls"][0]["id"]
    assert len(id) == 9 and id.isalnum()
    assert written[1]["tool_call_id"] == id
    assert order([model(call("abcDEF123"))], "call_ids_9") == ["assistant abcDEF123"]


def test_signatures_of_other_wires_are_never_sent() -> None:
    foreign = Signature(value="secret", wire="gemini")
    turns = [
        model(Thinking(text="hm", signature=foreign), Thinking(signature=foreign, redacted=True)),
        model(ToolCall(id="a", name="f", signature=foreign), Text(text="t", signature=foreign)),
    ]
    assert "secret" not in str(messages(turns, "reasoning_content")[0])


DETAIL = {"type": "reasoning.encrypted", "data": "d", "id": "a"}
SEALED = Signature(value=json.dumps(DETAIL), wire="openai-chat")
PLAIN = Signature(value="s", wire="openai-chat")
EXTRA = {"google": {"thought_signature": "s"}}


@pytest.mark.parametrize(
    ("part", "details", "extra", "call_extra"),
    [
        (Thinking(signature=SEALED, redacted=True), [DETAIL], None, None),
        (Text(text="t", signature=SEALED), [DETAIL], None, None),
        (ToolCall(id="a", name="f", signature=SEALED), [DETAIL], None, None),
        (Thinking(signature=PLAIN, redacted=True), None, EXTRA, None),
        (Text(text="t", signature=PLAIN), None, EXTRA, None),
        (ToolCall(id="a", name="f", signature=PLAIN), None, None, EXTRA),
    ],
)
def test_signatures_go_back_where_they_came_from(
    part: Part, details: list[Doc] | None, extra: Doc | None, call_extra: Doc | None
) -> None:
    """Whatever part another client format brought them back on."""
    message = messages([model(part)])[0][0]
    calls = message.get("tool_calls", [{}])
    assert message.get("reasoning_details") == details
    assert message.get("extra_content") == extra
    assert calls[0].get("extra_content") == call_extra


# ── out: settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("talk", "quirks", "expected", "dropped", "emulated"),
    [
        (Conversation(max_tokens=5), [], {"max_tokens": 5}, [], []),
        (Conversation(max_tokens=5), ["max_completion_tokens"], {"max_completion_tokens": 5}, [], []),
        (Conversation(top_k=5), [], {}, ["top_k"], []),
        (Conversation(top_k=5), ["top_k"], {"top_k": 5}, [], []),
        (Conversation(seed=5), ["random_seed"], {"random_seed": 5}, [], []),
        (Conversation(temperature=1.5), ["temperature_1"], {"temperature": 1}, [], ["temperature"]),
        (Conversation(stop=list("abcde")), [], {"stop": list("abcd")}, ["stop[4:]"], []),
        (Conversation(stop=list("abcde")), ["many_stops"], {"stop": list("abcde")}, [], []),
        (Conversation(stop=["a"]), ["no_stop"], {}, ["stop"], []),
        (Conversation(store=False), [], {}, [], []),
        (Conversation(store=True), [], {"store": True}, [], []),
        (Conversation(service_tier="standard_only"), [], {}, ["service_tier"], []),
        (Conversation(previous_id="r"), [], {}, ["previous_response_id"], []),
        (Conversation(logit_bias={"5": 1.0, "6": 0.5}), [], {"logit_bias": {"5": 1, "6": 0.5}}, [], []),
        (Conversation(stream=True), [], {"stream": True, "stream_options": {"include_usage": True}}, [], []),
        (Conversation(stream=True), ["no_stream_options"], {"stream": True}, [], []),
        (Conversation(tool_choice=ToolChoice(mode="none"), parallel_tools=True), [], {}, [], []),
        (
            Conversation(extras={"gemini": {"safetySettings": [], "include": []}}),
            [],
            {},
            ["safetySettings"],
            [],
        ),
        (Conversation(output=OutputFormat(kind="text")), [], {}, [], []),
        (
            Conversation(output=OutputFormat(kind="json_object")),
            [],
            {"response_format": {"type": "json_object"}},
            [],
            [],
        ),
    ],
)
def test_settings_are_written(
    talk: Conversation, quirks: list[str], expected: Doc, dropped: list[str], emulated: list[str]
) -> None:
    doc, notes = write(talk, *quirks)
    assert {k: v for k, v in doc.items() if k not in ("model", "messages")} == expected
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_long_names_of_users_stay_apart_and_fit() -> None:
    long = "user_" + "x" * 100
    doc, _ = write(Conversation(user=long, prompt_cache_key=long + "y"))
    assert len(doc["user"]) == len(doc["prompt_cache_key"]) == 64
    assert doc["user"] != doc["prompt_cache_key"]
    assert doc["user"] == write(Conversation(user=long))[0]["user"]


def test_the_limit_of_the_model() -> None:
    doc, notes = write(Conversation(max_tokens=32000), max_output=8192)
    assert (doc["max_tokens"], notes.emulated) == (8192, ["max_tokens"])


EVERY_LEVEL = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@pytest.mark.parametrize(
    ("asked", "quirks", "dialect", "expected"),
    [
        (Reasoning(effort="xhigh"), [], {}, {"reasoning_effort": "xhigh"}),
        (Reasoning(effort="xhigh"), [], {"thinking_levels": ("low", "high")}, {"reasoning_effort": "high"}),
        (Reasoning(effort="minimal"), [], {"thinking_levels": ("low", "high")}, {"reasoning_effort": "low"}),
        (Reasoning(effort="medium"), [], {"thinking_levels": ("low", "high")}, {"reasoning_effort": "high"}),
        (Reasoning(enabled=False), [], {}, {}),
        (Reasoning(enabled=False), [], {"thinking_levels": EVERY_LEVEL}, {"reasoning_effort": "none"}),
        (Reasoning(enabled=False), [], {"thinking_levels": ("low", "high")}, {"reasoning_effort": "low"}),
        (Reasoning(enabled=True, budget=10000), [], {}, {"reasoning_effort": "high"}),
        (Reasoning(enabled=True, budget=60000), [], {}, {"reasoning_effort": "high"}),
        (
            Reasoning(enabled=True, budget=60000),
            [],
            {"thinking_levels": EVERY_LEVEL},
            {"reasoning_effort": "max"},
        ),
        (Reasoning(budget=-1), [], {}, {}),
        (Reasoning(adaptive=True), [], {}, {}),
        (Reasoning(effort="high"), ["no_reasoning_effort"], {}, {}),
        (Reasoning(effort="high"), [], {"capabilities": frozenset({"tools"})}, {}),
        (Reasoning(effort="high"), ["reasoning_object"], {}, {"reasoning": {"effort": "high"}}),
        (Reasoning(budget=2000), ["reasoning_object"], {}, {"reasoning": {"max_tokens": 2000}}),
        (
            Reasoning(enabled=False, visible=False),
            ["reasoning_object"],
            {},
            {"reasoning": {"enabled": False, "exclude": True}},
        ),
        (Reasoning(effort="high"), ["thinking_object"], {}, {"thinking": {"type": "enabled"}}),
        (Reasoning(enabled=False), ["thinking_object"], {}, {"thinking": {"type": "disabled"}}),
        (Reasoning(effort="none"), ["thinking_object"], {}, {"thinking": {"type": "disabled"}}),
        (
            Reasoning(enabled=False),
            ["thinking_object", "always_thinks"],
            {},
            {"thinking": {"type": "enabled"}},
        ),
        (
            Reasoning(effort="high"),
            ["thinking_object"],
            {"thinking_levels": ("high", "max")},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        ),
        (
            Reasoning(budget=9000),
            ["thinking_object", "thinking_budget"],
            {"thinking_max": 8000},
            {"thinking": {"type": "enabled", "budget_tokens": 8000}},
        ),
        (
            Reasoning(effort="low"),
            ["enable_thinking"],
            {},
            {"enable_thinking": True, "thinking_budget": 4096},
        ),
        (Reasoning(enabled=False), ["enable_thinking"], {}, {"enable_thinking": False}),
        (Reasoning(summary="auto"), ["enable_thinking"], {}, {}),
    ],
)
def test_reasoning_is_written_in_the_servers_words(
    asked: Reasoning, quirks: list[str], dialect: Doc, expected: Doc
) -> None:
    doc, _ = write(Conversation(reasoning=asked), *quirks, **dialect)
    assert {k: v for k, v in doc.items() if k not in ("model", "messages")} == expected


@pytest.mark.parametrize(
    ("asked", "dialect", "dropped", "emulated"),
    [
        (Reasoning(effort="high"), {"capabilities": frozenset[str]()}, ["reasoning"], []),
        (Reasoning(enabled=False), {"capabilities": frozenset[str]()}, [], []),
        (Reasoning(enabled=False), {"capabilities": frozenset({"thinking"})}, ["reasoning"], []),
        (Reasoning(enabled=False), {}, ["reasoning"], []),
        (Reasoning(enabled=False), {"thinking_levels": ("low",)}, ["reasoning_effort"], []),
        (Reasoning(enabled=False), {"thinking_levels": ("minimal", "low")}, [], ["reasoning_effort"]),
        (Reasoning(enabled=False), {"thinking_levels": ("none", "low")}, [], []),
        (Reasoning(effort="max"), {"thinking_levels": ("low",)}, [], ["reasoning_effort"]),
    ],
)
def test_reasoning_that_cannot_be_had_is_noted(
    asked: Reasoning, dialect: Doc, dropped: list[str], emulated: list[str]
) -> None:
    _, notes = write(Conversation(reasoning=asked), **dialect)
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


FUNCTION = Tool(name="f", schema={"type": "object"})


@pytest.mark.parametrize(
    ("choice", "quirks", "names", "expected"),
    [
        (ToolChoice(mode="required"), [], ["f", "g"], "required"),
        (
            ToolChoice(mode="named", names=("f",)),
            [],
            ["f", "g"],
            {"type": "function", "function": {"name": "f"}},
        ),
        (ToolChoice(mode="allowed", names=("g",)), [], ["g"], "auto"),
        (ToolChoice(mode="allowed", names=("g",), must=True), [], ["g"], "required"),
        (
            ToolChoice(mode="allowed", names=("g",)),
            ["allowed_tools"],
            ["f", "g"],
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
            },
        ),
    ],
)
def test_tool_choice_is_written(
    choice: ToolChoice, quirks: list[str], names: list[str], expected: Any
) -> None:
    doc, _ = write(Conversation(tools=[FUNCTION, Tool(name="g")], tool_choice=choice), *quirks)
    assert [tool["function"]["name"] for tool in doc["tools"]] == names
    assert doc["tool_choice"] == expected


@pytest.mark.parametrize(
    ("tool", "quirks", "type", "dropped", "emulated"),
    [
        (FUNCTION, [], "function", [], []),
        (Tool(name="f", strict=True), ["no_strict"], "function", ["tools[].strict"], []),
        (Tool(name="f", strict=False), ["no_strict"], "function", [], []),
        (Tool(name="f", kind="custom"), [], "function", [], ["tools[].custom"]),
        (Tool(name="f", kind="custom"), ["custom_tools"], "custom", [], []),
        (Tool(name="f", cache="5m"), [], "function", [], ["cache_control"]),
        (Tool(name="f", namespace="n"), [], "function", [], ["tools[].namespace"]),
        (
            Tool(name="web", kind="server", wire="anthropic-messages", native={"type": "web"}),
            [],
            None,
            ["tools[].web"],
            [],
        ),
        (
            Tool(name="web", kind="server", wire="openai-chat", native={"type": "web"}),
            [],
            "web",
            [],
            [],
        ),
    ],
)
def test_tools_are_written(
    tool: Tool, quirks: list[str], type: str | None, dropped: list[str], emulated: list[str]
) -> None:
    doc, notes = write(Conversation(tools=[tool]), *quirks)
    assert [tool["type"] for tool in doc.get("tools", [])] == ([type] if type else [])
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


@pytest.mark.parametrize("quirk", ["no_json_schema", "no_response_format"])
def test_a_schema_in_words(quirk: str) -> None:
    output = OutputFormat(kind="json_schema", schema={"type": "object", "title": "River"})
    doc, notes = write(Conversation(turns=[user(Text(text="a"))], output=output), quirk)
    assert doc.get("response_format") == ({"type": "json_object"} if quirk == "no_json_schema" else None)
    assert doc["messages"][0]["role"] == "system" and '"River"' in doc["messages"][0]["content"]
    assert notes.emulated == ["response_format"] and notes.dropped == []
