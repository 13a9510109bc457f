"""Requests of Cohere's chat API, read and written."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.cohere import Cohere
from omniroute.wire.conversation import (
    Audio,
    Citation,
    Conversation,
    File,
    Image,
    Notes,
    OutputFormat,
    Part,
    Reasoning,
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
from tests.support import recordings
from tests.support.requests import asked, talk, written

WIRE = Cohere()
PLAIN = frozenset({"no_reasoning_effort"})


def write(conversation: Conversation, **dialect: Any) -> tuple[dict[str, Any], Notes]:
    return written(WIRE, conversation, model="m", **dialect)


# ── in ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", recordings.ids("cohere-chat"))
def test_recorded_requests_keep_their_meaning(name: str) -> None:
    given = recordings.load(name).request
    if given is None or given["url_path"] != "/v2/chat":
        pytest.skip("not a request of version 2")
    read = WIRE.read_request(given["body"])
    out, notes = write(read)
    again = WIRE.read_request(out)
    assert again.turns == [turn for turn in read.turns if turn.parts]
    assert (again.tools, again.tool_choice, again.output) == (read.tools, read.tool_choice, read.output)
    assert notes.dropped == []


@pytest.mark.parametrize(
    "body, place",
    [
        (asked(messages={}), "messages"),
        (asked(messages=[{"role": "robot"}]), "messages[0].role"),
        (asked(messages=[{"role": "user", "content": [{}]}]), "messages[0].content[0].type"),
        (asked(messages=[{"role": "user", "content": 7}]), "messages[0].content"),
        (asked(messages=[{"role": "tool", "content": "x"}]), "messages[0].tool_call_id"),
        (
            asked(messages=[{"role": "assistant", "tool_calls": [{"function": {}}]}]),
            "messages[0].tool_calls[0].function.name",
        ),
        (asked(tools=[{}]), "tools[0].function"),
        (asked(tool_choice="auto"), "tool_choice"),
        (asked(response_format={"type": "xml"}), "response_format.type"),
        (asked(thinking={"type": "maybe"}), "thinking.type"),
        (asked(documents=[7]), "documents[0]"),
        (asked(messages=[], documents=["x"]), "documents"),
        (asked(k=0.5), "k"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_shape_is_refused_by_name(body: dict[str, Any], place: str) -> None:
    with pytest.raises(Refused) as caught:
        WIRE.read_request(body)
    assert caught.value.problem.param == place


def test_unknown_content_is_not_lost_in_silence() -> None:
    with pytest.raises(UnsupportedContent, match="'hologram'"):
        WIRE.read_request(asked(messages=[{"role": "user", "content": [{"type": "hologram"}]}]))


@pytest.mark.parametrize(
    "document, file",
    [
        ("a text", File(source=Source(text="a text"), citations=True)),
        ({"data": "a text"}, File(source=Source(text="a text"), citations=True)),
        (
            {"id": "d", "data": {"title": "T", "text": "a"}},
            File(source=Source(text="a"), name="T", context="d", citations=True),
        ),
        ({"data": {"snippet": "a"}}, File(source=Source(text='{"snippet":"a"}'), citations=True)),
    ],
)
def test_documents_belong_to_the_question(document: Any, file: File) -> None:
    read = WIRE.read_request(asked(documents=[document]))
    assert read.turns[0].parts == [file, Text(text="hi")]
    assert len(write(read)[0]["documents"]) == 1


# ── out ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "part, content, dropped, emulated",
    [
        (Text(text="a"), "a", [], []),
        (Text(text="a", cache="5m"), "a", [], ["cache_control"]),
        (
            Image(source=Source(data="QUJD", media_type="image/png")),
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
            [],
            [],
        ),
        (Image(source=Source(file_id="f")), None, ["image_url"], []),
        (File(source=Source(data="AAAA", media_type="application/pdf")), None, ["file"], []),
        (Audio(source=Source(data="AA"), transcript="said"), "said", [], ["audio"]),
        (Video(source=Source(url="http://x")), None, ["video"], []),
    ],
)
def test_content_that_goes_out(part: Part, content: Any, dropped: list[str], emulated: list[str]) -> None:
    doc, notes = write(talk(part))
    assert doc["messages"] == ([] if content is None else [{"role": "user", "content": content}])
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_documents_stand_beside_the_messages_unless_json_is_forced() -> None:
    file = File(source=Source(text="body"), name="a.txt")
    doc, notes = write(talk(file, Text(text="sum up")))
    assert doc["documents"] == [{"data": {"title": "a.txt", "text": "body"}}]
    assert doc["messages"] == [{"role": "user", "content": "sum up"}]
    assert notes.emulated == []
    doc, notes = write(talk(file, output=OutputFormat(kind="json_object")))
    assert "documents" not in doc
    assert doc["messages"][0]["content"] == "a.txt:\nbody"
    assert notes.emulated == ["file"]


def test_there_is_one_system_message_and_it_is_the_first() -> None:
    turns = [
        Turn(role="system", parts=[Text(text="a")]),
        Turn(role="user", parts=[Text(text="hi")]),
        Turn(role="developer", parts=[Text(text="b")]),
    ]
    doc, _ = write(Conversation(model="m", turns=turns))
    assert doc["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "hi"},
    ]
    home = WIRE.read_request(
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "b"}]}
    )
    assert [message["role"] for message in write(home)[0]["messages"]] == ["user", "system"]


@pytest.mark.parametrize(
    "dialect, message",
    [
        ({"quirks": PLAIN}, {"tool_plan": "I look."}),
        ({"capabilities": frozenset({"tools"})}, {"tool_plan": "I look."}),
        ({}, {"content": [{"type": "thinking", "thinking": "I look."}]}),
    ],
)
def test_what_was_thought_before_a_call(dialect: dict[str, Any], message: dict[str, Any]) -> None:
    doc, notes = write(
        talk(
            Thinking(text="private", signature=Signature(value="s", wire="gemini")),
            Thinking(text="I look."),
            ToolCall(id="1", name="f", arguments=""),
            role="assistant",
        ),
        **dialect,
    )
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert doc["messages"] == [{"role": "assistant", **message, "tool_calls": [call]}]
    assert notes.dropped == []


def test_results() -> None:
    image = Image(source=Source(data="QUJD", media_type="image/png"))
    doc, notes = write(
        talk(
            ToolResult(id="1", content=[Text(text="broken")], error=True),
            ToolResult(id="2", content=[image]),
            Text(text="so?"),
        )
    )
    first, second, user = doc["messages"]
    assert first == {
        "role": "tool",
        "tool_call_id": "1",
        "content": [{"type": "text", "text": "Error:"}, {"type": "text", "text": "broken"}],
    }
    assert second["content"] == "The result is in the next message of the user."
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert notes.emulated == ["tool_result.is_error", "tool_result.image"]


def test_citations_of_earlier_answers() -> None:
    own = Citation(wire="cohere", native={"start": 0, "end": 1}, start=0, end=1)
    more = Citation(wire="cohere", start=0, end=1)
    doc, notes = write(talk(Text(text="ab", citations=[own, more]), role="assistant"))
    assert doc["messages"][0]["citations"] == [{"start": 0, "end": 1}]
    assert notes.dropped == []
    _, notes = write(talk(Text(text="ab", citations=[Citation(url="http://x")]), role="assistant"))
    assert notes.dropped == ["annotations"]


SOME: dict[str, Any] = {"type": "object", "properties": {"x": {}}, "required": ["x"]}
TOOLS = [Tool(name="a", schema=SOME, strict=True), Tool(name="b", schema=SOME, strict=True)]


@pytest.mark.parametrize(
    "choice, names, word, emulated",
    [
        (None, ["a", "b"], None, []),
        (ToolChoice(mode="none"), ["a", "b"], "NONE", []),
        (ToolChoice(mode="required"), ["a", "b"], "REQUIRED", []),
        (ToolChoice(mode="named", names=("b",)), ["b"], "REQUIRED", ["tool_choice"]),
        (ToolChoice(mode="allowed", names=("a",)), ["a"], None, ["tool_choice"]),
        (ToolChoice(mode="allowed", names=("a",), must=True), ["a"], "REQUIRED", ["tool_choice"]),
    ],
)
def test_a_choice_among_tools(
    choice: ToolChoice | None, names: list[str], word: str | None, emulated: list[str]
) -> None:
    doc, notes = write(talk(tools=TOOLS, tool_choice=choice))
    assert [tool["function"]["name"] for tool in doc["tools"]] == names
    assert doc.get("tool_choice") == word
    assert doc["strict_tools"] is True
    assert (notes.dropped, notes.emulated) == ([], emulated)


def test_tools_that_are_not_functions() -> None:
    tools = [Tool(name="s", kind="server", wire="gemini", native={}), Tool(name="sh", kind="custom"), *TOOLS]
    doc, notes = write(talk(tools=tools, parallel_tools=False))
    assert doc["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert "strict_tools" not in doc
    assert notes.dropped == ["tools[].s", "parallel_tool_calls", "tools[].strict"]
    assert notes.emulated == ["tools[].custom"]


@pytest.mark.parametrize(
    "tools, strict, dropped",
    [
        (TOOLS, True, []),
        ([*TOOLS, Tool(name="c", schema=SOME)], None, ["tools[].strict"]),
        ([*TOOLS, Tool(name="c", schema={"type": "object"}, strict=True)], None, ["tools[].strict"]),
        ([Tool(name="c", schema=SOME)], None, []),
    ],
    ids=["all", "one is not", "one has no required argument", "none"],
)
def test_all_tools_are_strict_or_none(tools: list[Tool], strict: bool | None, dropped: list[str]) -> None:
    doc, notes = write(talk(tools=tools))
    assert doc.get("strict_tools") is strict
    assert notes.dropped == dropped


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def test_json_is_forced_where_there_are_no_tools_and_asked_for_where_there_are() -> None:
    output = OutputFormat(kind="json_schema", name="x", schema=SCHEMA)
    doc, notes = write(talk(output=output))
    assert doc["response_format"] == {"type": "json_object", "json_schema": SCHEMA}
    assert notes.emulated == []
    doc, notes = write(talk(output=output, tools=[Tool(name="a")]))
    assert "response_format" not in doc
    assert '"properties"' in doc["messages"][0]["content"]
    assert notes.emulated == ["response_format"]


@pytest.mark.parametrize(
    "reasoning, dialect, thinking, dropped",
    [
        (Reasoning(adaptive=True), {}, None, []),
        (Reasoning(enabled=True), {}, {"type": "enabled"}, []),
        (Reasoning(enabled=False), {}, {"type": "disabled"}, []),
        (Reasoning(effort="none"), {}, {"type": "disabled"}, []),
        (Reasoning(budget=500), {}, {"type": "enabled", "token_budget": 500}, []),
        (Reasoning(effort="low"), {}, {"type": "enabled", "token_budget": 4096}, []),
        (Reasoning(effort="max"), {"thinking_max": 9000}, {"type": "enabled", "token_budget": 9000}, []),
        (Reasoning(effort="low"), {"quirks": PLAIN}, None, ["reasoning"]),
        (Reasoning(enabled=False), {"quirks": PLAIN}, None, []),
    ],
)
def test_thinking(reasoning: Reasoning, dialect: dict[str, Any], thinking: Any, dropped: list[str]) -> None:
    doc, notes = write(talk(reasoning=reasoning), **dialect)
    assert doc.get("thinking") == thinking
    assert notes.dropped == dropped


def test_settings_are_kept_within_what_the_api_takes() -> None:
    doc, notes = write(
        talk(
            max_tokens=9000,
            temperature=1.7,
            top_p=1.0,
            top_k=900,
            presence_penalty=-1.0,
            frequency_penalty=0.5,
            seed=3,
            stop=list("abcdefg"),
            stream=True,
            logit_bias={"1": 1.0},
            top_logprobs=3,
            choices=2,
            user="u",
            service_tier="flex",
            extras={"gemini": {"safetySettings": []}, "openai-chat": {"stream_options": {}}},
        ),
        max_output=4096,
    )
    assert {key: value for key, value in doc.items() if key not in ("model", "messages")} == {
        "stream": True,
        "max_tokens": 4096,
        "temperature": 1,
        "p": 0.99,
        "k": 500,
        "presence_penalty": 0,
        "frequency_penalty": 0.5,
        "seed": 3,
        "stop_sequences": list("abcde"),
    }
    assert set(notes.emulated) == {"max_tokens", "temperature", "top_p", "top_k", "presence_penalty", "user"}
    assert set(notes.dropped) == {
        "stop[5:]",
        "top_logprobs",
        "logit_bias",
        "n",
        "service_tier",
        "safetySettings",
    }


@pytest.mark.parametrize(
    "system, position, content",
    [
        (None, "append", "new"),
        ("old", "prepend", "new\n\nold"),
        ("old", "append", "old\n\nnew"),
        ([{"type": "text", "text": "old"}], "append", [{"type": "text", "text": t} for t in ("old", "new")]),
    ],
)
def test_a_system_text_is_added(system: Any, position: Any, content: Any) -> None:
    doc = asked()
    if system is not None:
        doc["messages"] = [{"role": "system", "content": system}, *doc["messages"]]
    WIRE.add_system(doc, "new", position)
    assert doc["messages"][0] == {"role": "system", "content": content}
    assert doc["messages"][-1] == {"role": "user", "content": "hi"}
