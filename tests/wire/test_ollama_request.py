"""Requests of Ollama's chat API, read and written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import Refused
from omniroute.wire.bridge import translate_request
from omniroute.wire.codec import Dialect
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    Notes,
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
from omniroute.wire.ollama import Ollama
from omniroute.wire.openai_chat import OpenAIChat
from tests.support import recordings
from tests.support.requests import asked, talk, written

WIRE = Ollama()
CHATS = [
    name for name in recordings.ids("ollama") if "chat" in name or "tool-calls" in name or "error" in name
]


def write(conversation: Conversation, **dialect: Any) -> tuple[dict[str, Any], Notes]:
    return written(WIRE, conversation, model="m", **dialect)


# ── in ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given, stream", [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_answers_are_streamed_unless_it_is_said(given: dict[str, Any], stream: bool) -> None:
    body = asked(**given)
    assert WIRE.peek(msgspec.json.encode(body))[:2] == ("m", stream)
    assert WIRE.read_request(body).stream is stream


@pytest.mark.parametrize("name", CHATS)
def test_recorded_requests_keep_their_meaning(name: str) -> None:
    given = recordings.load(name).request
    if given is None or given["url_path"] != "/api/chat":
        pytest.skip("not a chat")
    read = WIRE.read_request(given["body"])
    again = WIRE.read_request(write(read)[0])
    assert again.turns == read.turns
    assert again.stream is read.stream


@pytest.mark.parametrize(
    "body, place",
    [
        (asked(messages="hi"), "messages"),
        (asked(messages=["hi"]), "messages[0]"),
        (asked(messages=[{"role": "robot", "content": ""}]), "messages[0].role"),
        (asked(messages=[{"content": "hi"}]), "messages[0].role"),
        (asked(messages=[{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content"),
        (asked(messages=[{"role": "user", "content": "", "images": "x"}]), "messages[0].images"),
        (asked(messages=[{"role": "user", "content": "", "images": [1]}]), "messages[0].images[0]"),
        (
            asked(messages=[{"role": "assistant", "tool_calls": [{"function": {}}]}]),
            "messages[0].tool_calls[0].function.name",
        ),
        (asked(messages=[{"role": "assistant", "tool_calls": [{}]}]), "messages[0].tool_calls[0].function"),
        (asked(tools={}), "tools"),
        (asked(tools=[{"type": "function"}]), "tools[0].function"),
        (asked(tools=[{"function": {"name": "f", "parameters": 1}}]), "tools[0].function.parameters"),
        (asked(options=[]), "options"),
        (asked(options={"num_predict": "many"}), "options.num_predict"),
        (asked(options={"stop": [1]}), "options.stop[0]"),
        (asked(format="xml"), "format"),
        (asked(format=7), "format"),
        (asked(stream="yes"), "stream"),
        (asked(think=3), "think"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_shape_is_refused_by_name(body: dict[str, Any], place: str) -> None:
    with pytest.raises(Refused) as caught:
        WIRE.read_request(body)
    assert caught.value.problem.kind == "invalid_request"
    assert caught.value.problem.param == place


def test_null_means_not_said() -> None:
    empty = {"tools": None, "options": None, "format": "", "think": None, "keep_alive": None, "stream": False}
    read = WIRE.read_request(asked(**empty))
    assert read == WIRE.read_request(asked(stream=False))
    assert WIRE.read_request(asked(options={"num_predict": -1, "seed": None}, stream=False)) == read


@pytest.mark.parametrize(
    "think, reasoning",
    [
        (True, Reasoning(enabled=True)),
        (False, Reasoning(enabled=False)),
        ("low", Reasoning(effort="low")),
        ("max", Reasoning(effort="max")),
        ("none", Reasoning(effort="none", enabled=False)),
    ],
)
def test_think(think: Any, reasoning: Reasoning) -> None:
    read = WIRE.read_request(asked(think=think))
    assert read.reasoning == reasoning
    assert write(read)[0]["think"] == (think if think != "none" else False)


def test_a_level_that_only_the_model_knows_comes_back() -> None:
    read = WIRE.read_request(asked(think="turbo"))
    assert read.reasoning is None
    assert write(read)[0]["think"] == "turbo"


def test_results_find_their_calls_by_name_and_order() -> None:
    def call(name: str, **arguments: Any) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": arguments}}

    body = asked(
        messages=[
            {"role": "assistant", "content": "", "tool_calls": [call("a", x=1), call("b"), call("a", x=2)]},
            {"role": "tool", "content": "b", "tool_name": "b"},
            {"role": "tool", "content": "a1", "name": "a"},
            {"role": "tool", "content": "a2"},
            {"role": "tool", "content": "nobody asked"},
        ]
    )
    turns = WIRE.read_request(body).turns
    calls = [(part.id, part.name) for part in turns[0].parts if isinstance(part, ToolCall)]
    assert calls == [("call_1", "a"), ("call_2", "b"), ("call_3", "a")]
    results = [part for turn in turns[1:] for part in turn.parts if isinstance(part, ToolResult)]
    assert [(r.id, r.name) for r in results] == [
        ("call_2", "b"),
        ("call_1", "a"),
        ("call_3", "a"),
        ("call_4", None),
    ]
    assert WIRE.read_request(body).turns == turns, "the same history gives the same ids"


@pytest.mark.parametrize(
    "image, source",
    [
        ("iVBORw0KGgoAAA", Source(data="iVBORw0KGgoAAA", media_type="image/png")),
        ("/9j/4AAQ", Source(data="/9j/4AAQ", media_type="image/jpeg")),
        ("AAAA", Source(data="AAAA")),
        ("data:image/gif;base64,R0lG", Source(data="R0lG", media_type="image/gif")),
    ],
)
def test_images(image: str, source: Source) -> None:
    read = WIRE.read_request(asked(messages=[{"role": "user", "content": "", "images": [image]}]))
    assert read.turns[0].parts == [Image(source=source)]


def test_other_formats_name_the_options_that_they_do_not_know() -> None:
    body = asked(options={"num_ctx": 8192, "temperature": 0.1}, keep_alive="5m")
    notes = Notes()
    out, _ = translate_request(WIRE.read_request(body), WIRE, OpenAIChat(), Dialect(model="n"), notes)
    assert out["temperature"] == 0.1
    assert notes.dropped == ["options.num_ctx"]
    assert notes.emulated == ["keep_alive"], "how long a model stays loaded is a hint"


# ── out ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "part, message, dropped, emulated",
    [
        (Text(text="a"), {"content": "a"}, [], []),
        (Refusal(text="no"), {"content": "no"}, [], []),
        (Text(text="a", cache="5m"), {"content": "a"}, [], ["cache_control"]),
        (Image(source=Source(data="QUJD")), {"content": "", "images": ["QUJD"]}, [], []),
        (Image(source=Source(url="http://x/y.png")), {"content": ""}, ["image_url"], []),
        (Image(source=Source(data="QUJD"), detail="high"), None, ["image_url.detail"], []),
        (File(source=Source(text="body"), name="a.txt"), {"content": "a.txt:\nbody"}, [], ["file"]),
        (File(source=Source(data="aGk=", media_type="text/plain")), {"content": "hi"}, [], ["file"]),
        (File(source=Source(data="AAAA", media_type="application/pdf")), {"content": ""}, ["file"], []),
        (
            File(source=Source(data="QUJD", media_type="image/png")),
            {"content": "", "images": ["QUJD"]},
            [],
            [],
        ),
        (Audio(source=Source(data="AA"), transcript="said"), {"content": "said"}, [], ["audio"]),
        (Audio(source=Source(data="AA")), {"content": ""}, ["input_audio"], []),
        (Video(source=Source(url="http://x")), {"content": ""}, ["video"], []),
    ],
)
def test_content_that_goes_out(
    part: Part, message: dict[str, Any] | None, dropped: list[str], emulated: list[str]
) -> None:
    doc, notes = write(talk(part))
    if message is not None:
        assert doc["messages"] == [{"role": "user", **message}]
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_results_stand_before_what_the_user_says_and_name_their_tool() -> None:
    conversation = Conversation(
        model="m",
        turns=[
            Turn(
                role="assistant",
                parts=[
                    Thinking(text="private", signature=Signature(value="s", wire="anthropic-messages")),
                    ToolCall(id="t1", name="shot", arguments="{}"),
                ],
            ),
            Turn(
                role="user",
                parts=[
                    ToolResult(id="t1", content=[Image(source=Source(data="QUJD"))], error=True),
                    Text(text="and now?"),
                ],
            ),
        ],
    )
    doc, notes = write(conversation)
    assert doc["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "t1", "function": {"name": "shot", "arguments": {}}}],
        },
        {"role": "tool", "content": "Error: ", "images": ["QUJD"], "tool_name": "shot", "tool_call_id": "t1"},
        {"role": "user", "content": "and now?"},
    ]
    assert notes.emulated == ["tool_result.is_error"]
    assert notes.dropped == []


def test_a_turn_of_which_nothing_is_left_is_left_out() -> None:
    signed = Thinking(text="x", signature=Signature(value="s", wire="anthropic-messages"))
    assert write(talk(signed, role="assistant"))[0]["messages"] == []


def test_free_form_calls_and_broken_arguments_become_objects() -> None:
    doc, notes = write(
        talk(
            ToolCall(id="1", name="sh", arguments="ls", kind="custom"),
            ToolCall(id="2", name="f", arguments="[1]"),
            role="assistant",
        )
    )
    calls = doc["messages"][0]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [{"input": "ls"}, {"arguments": [1]}]
    assert notes.emulated == ["tool_calls[].arguments"]


@pytest.mark.parametrize(
    "choice, names, dropped, emulated",
    [
        (None, ["a", "b"], [], []),
        (ToolChoice(mode="auto"), ["a", "b"], [], []),
        (ToolChoice(mode="none"), [], [], ["tool_choice"]),
        (ToolChoice(mode="required"), ["a", "b"], ["tool_choice"], []),
        (ToolChoice(mode="named", names=("b",)), ["b"], ["tool_choice"], ["tool_choice"]),
        (ToolChoice(mode="allowed", names=("a",)), ["a"], [], ["tool_choice"]),
    ],
)
def test_a_choice_among_tools(
    choice: ToolChoice | None, names: list[str], dropped: list[str], emulated: list[str]
) -> None:
    tools = [Tool(name="a", schema={"type": "object"}), Tool(name="b")]
    doc, notes = write(talk(tools=tools, tool_choice=choice))
    assert [tool["function"]["name"] for tool in doc.get("tools", [])] == names
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_tools_that_are_not_functions() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    tools = [
        Tool(name="web_search", kind="server", wire="anthropic-messages", native={}),
        Tool(name="patch", kind="custom", description="Patches.", format=grammar),
        Tool(name="f", strict=True),
    ]
    doc, notes = write(talk(tools=tools, parallel_tools=False))
    assert [tool["function"]["name"] for tool in doc["tools"]] == ["patch", "f"]
    assert "start: WORD" in doc["tools"][0]["function"]["description"]
    assert notes.dropped == ["tools[].web_search", "tools[].strict", "parallel_tool_calls"]
    assert notes.emulated == ["tools[].custom"]


LEVELS = ("low", "medium", "high")


@pytest.mark.parametrize(
    "reasoning, dialect, think, dropped, emulated",
    [
        (Reasoning(adaptive=True), {}, None, [], []),
        (Reasoning(enabled=True), {}, True, [], []),
        (Reasoning(enabled=False), {}, False, [], []),
        (Reasoning(budget=0), {}, False, [], []),
        (Reasoning(effort="high"), {}, True, [], ["reasoning_effort"]),
        (Reasoning(budget=9000), {}, True, [], ["reasoning_effort"]),
        (Reasoning(effort="high"), {"thinking_levels": LEVELS}, "high", [], []),
        (Reasoning(effort="xhigh"), {"thinking_levels": LEVELS}, "high", [], ["reasoning_effort"]),
        (Reasoning(budget=5000), {"thinking_levels": LEVELS}, "medium", [], []),
        (Reasoning(effort="none"), {"thinking_levels": LEVELS}, False, [], []),
        (Reasoning(effort="high"), {"capabilities": frozenset({"tools"})}, None, ["reasoning"], []),
        (Reasoning(enabled=False), {"capabilities": frozenset({"tools"})}, None, [], []),
        (Reasoning(effort="high"), {"quirks": frozenset({"no_reasoning_effort"})}, None, ["reasoning"], []),
    ],
)
def test_thinking_in_words_of_this_format(
    reasoning: Reasoning, dialect: dict[str, Any], think: Any, dropped: list[str], emulated: list[str]
) -> None:
    doc, notes = write(talk(reasoning=reasoning), **dialect)
    assert doc.get("think") == think
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


@pytest.mark.parametrize(
    "output, format",
    [
        (OutputFormat(kind="text"), None),
        (OutputFormat(kind="json_object"), "json"),
        (OutputFormat(kind="json_schema", schema={"type": "object"}), {"type": "object"}),
    ],
)
def test_output(output: OutputFormat, format: Any) -> None:
    assert write(talk(output=output))[0].get("format") == format


def test_settings() -> None:
    doc, notes = write(
        talk(
            max_tokens=9000,
            stop=["x"],
            seed=1,
            top_k=5,
            logprobs=True,
            top_logprobs=2,
            logit_bias={"1": 2.0},
            choices=2,
            metadata={"a": 1},
            user="u",
            service_tier="flex",
            previous_id="r",
            extras={"gemini": {"safetySettings": []}, "openai-chat": {"stream_options": {}}},
        ),
        max_output=4096,
    )
    assert doc["options"] == {"num_predict": 4096, "stop": ["x"], "seed": 1, "top_k": 5}
    assert (doc["logprobs"], doc["top_logprobs"], doc["stream"]) == (True, 2, False)
    assert set(notes.dropped) == {
        "logit_bias",
        "metadata",
        "n",
        "service_tier",
        "previous_response_id",
        "safetySettings",
    }
    assert set(notes.emulated) == {"max_tokens", "user"}


@pytest.mark.parametrize(
    "position, roles", [("prepend", ["new", "old", "hi"]), ("append", ["old", "new", "hi"])]
)
def test_a_system_text_is_added(position: Any, roles: list[str]) -> None:
    messages = [{"role": "system", "content": "old"}, {"role": "user", "content": "hi"}]
    doc = asked(messages=messages)
    WIRE.add_system(doc, "new", position)
    assert [message["content"] for message in doc["messages"]] == roles
    assert len(messages) == 2
