"""Gemini requests: every spelling is read, and every conversation is written as Google wants it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from google.genai import types

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.codec import Dialect
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
from tests.support import recordings, requests
from tests.support.gemini import GEMINI

OWN = Signature(value="c2ln", wire="gemini")
FOREIGN = Signature(value="abc", wire="anthropic-messages")


def read(doc: Doc) -> Conversation:
    before = copy.deepcopy(doc)
    talk = GEMINI.read_request(doc)
    assert doc == before
    return talk


def read_parts(*parts: Any) -> list[Part]:
    return read({"contents": [{"parts": list(parts)}]}).turns[0].parts


def write(talk: Conversation, *quirks: str, **dialect: Any) -> tuple[Doc, Notes]:
    return requests.written(GEMINI, talk, quirks, **dialect)


def user(*parts: Part | str) -> Turn:
    return Turn(role="user", parts=[Text(text=part) if isinstance(part, str) else part for part in parts])


def model(*parts: Part | str) -> Turn:
    return Turn(
        role="assistant", parts=[Text(text=part) if isinstance(part, str) else part for part in parts]
    )


def system(text: str) -> Turn:
    return Turn(role="system", parts=[Text(text=text)])


def contents(*turns: Turn, quirks: tuple[str, ...] = ()) -> list[Any]:
    found: list[Any] = write(Conversation(turns=list(turns)), *quirks)[0]["contents"]
    return found


# ── spellings ────────────────────────────────────────────────────────────────────────────────────────

HELLO = [user("Hello")]


@pytest.mark.parametrize(
    "given",
    [
        "Hello",
        {"parts": [{"text": "Hello"}]},
        {"role": "user", "parts": {"text": "Hello"}},
        {"role": "USER", "parts": "Hello"},
        [{"role": "user", "parts": ["Hello"]}],
        ["Hello"],
    ],
)
def test_contents_in_every_form(given: Any) -> None:
    assert read({"contents": given}).turns == HELLO


def test_a_request_to_count_may_be_wrapped() -> None:
    talk = read(
        {"generate_content_request": {"model": "models/x", "contents": "Hello", "system_instruction": "Be."}}
    )
    assert talk.turns == [system("Be."), *HELLO]


def test_snake_case_at_every_level_means_the_same() -> None:
    snake = {
        "system_instruction": {"parts": [{"text": "S"}]},
        "contents": [
            {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}, {"file_data": {"file_uri": "https://x/a.pdf", "mime_type": "application/pdf"}}]},
            {"role": "model", "parts": [{"function_call": {"id": "1", "name": "f", "args": {"my_arg": 1}}, "thought_signature": "c2ln"}]},
            {"role": "user", "parts": [{"function_response": {"id": "1", "name": "f", "response": {"my_value": 2}}}]},
        ],
        "tools": {"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object", "properties": {"my_arg": {}}}}], "google_search": {"time_range_filter": {}}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": "64", "top_k": 3.0, "stop_sequences": ["x"], "response_mime_type": "application/json", "response_json_schema": {"type": "object", "properties": {"any_of": {}}}, "thinking_config": {"thinking_budget": 9, "include_thoughts": True}},
    }  # fmt: skip
    talk = read(snake)
    call, result = talk.turns[2].parts[0], talk.turns[3].parts[0]
    assert (
        isinstance(call, ToolCall) and json.loads(call.arguments) == {"my_arg": 1} and call.signature == OWN
    )
    assert isinstance(result, ToolResult) and result.content == [Text(text='{"my_value":2}')]
    assert talk.turns[1].parts == [
        Image(source=Source(data="AA==", media_type="image/png")),
        File(source=Source(url="https://x/a.pdf", media_type="application/pdf")),
    ]
    assert [tool.name for tool in talk.tools] == ["f", "googleSearch"]
    assert talk.tools[0].schema == {"type": "object", "properties": {"my_arg": {}}}
    assert talk.tools[1].native == {"googleSearch": {"time_range_filter": {}}}
    assert talk.tool_choice == ToolChoice(mode="named", names=("f",))
    assert (talk.max_tokens, talk.top_k, talk.stop) == (64, 3, ["x"])
    assert talk.output == OutputFormat(
        kind="json_schema", schema={"type": "object", "properties": {"any_of": {}}}
    )
    assert talk.reasoning == Reasoning(enabled=True, budget=9, visible=True)
    assert talk.extras == {}


# ── parts in ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "part, read_as",
    [
        ({"text": "a", "thoughtSignature": "c2ln"}, Text(text="a", signature=OWN)),
        ({"text": "a", "thought": True}, Thinking(text="a")),
        ({"text": "", "thoughtSignature": "c2ln"}, Thinking(signature=OWN, redacted=True)),
        ({"thoughtSignature": "c2ln"}, Thinking(signature=OWN, redacted=True)),
        ({"inlineData": {"mimeType": "image/png", "data": "-_-_"}}, Image(source=Source(data="+/+/", media_type="image/png"))),
        ({"inlineData": {"mimeType": "image/png", "data": "AA"}}, Image(source=Source(data="AA==", media_type="image/png"))),
        ({"inlineData": {"mimeType": "image/png", "data": "AA=="}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}, Image(source=Source(data="AA==", media_type="image/png"), detail="high")),
        ({"inlineData": {"mimeType": "audio/mp3", "data": "AA=="}}, Audio(source=Source(data="AA==", media_type="audio/mp3"), format="mp3")),
        ({"fileData": {"fileUri": "https://x/v.mp4"}}, Video(source=Source(url="https://x/v.mp4", media_type="video/mp4"))),
        ({"fileData": {"fileUri": "gs://b/a.pdf", "displayName": "a.pdf"}}, File(source=Source(url="gs://b/a.pdf", media_type="application/pdf"), name="a.pdf")),
        ({"executableCode": {"code": "1"}}, Opaque(wire="gemini", doc={"executableCode": {"code": "1"}}, label="executableCode")),
        ({"toolCall": {"toolType": "X"}}, Opaque(wire="gemini", doc={"toolCall": {"toolType": "X"}}, label="toolCall")),
        ({"text": "a", "partMetadata": {"k": 1}}, Text(text="a")),
    ],
)  # fmt: skip
def test_parts_are_read(part: Doc, read_as: Part) -> None:
    assert read_parts(part) == [read_as]


def test_a_signature_on_its_own_belongs_to_the_text_before_it() -> None:
    assert read_parts({"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}) == [
        Text(text="a", signature=OWN)
    ]


@pytest.mark.parametrize(
    "response, text, error",
    [
        ({"output": "fine"}, "fine", False),
        ({"result": "fine"}, "fine", False),
        ({"error": "bad"}, "bad", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"output": {"a": 1}}, '{"output":{"a":1}}', False),
        ({"output": "x", "more": 1}, '{"output":"x","more":1}', False),
        ({"temperature": 20}, '{"temperature":20}', False),
    ],
)
def test_function_responses_are_read_and_mean_the_same_written(response: Doc, text: str, error: bool) -> None:
    turns = [
        {"role": "user", "parts": [{"text": "?"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": response}}]},
    ]
    talk = read({"contents": turns})
    assert talk.turns[2].parts == [ToolResult(id="1", name="f", content=[Text(text=text)], error=error)]
    again = write(talk)[0]["contents"][2]["parts"][0]["functionResponse"]["response"]
    assert again == ({"output": "fine"} if response == {"result": "fine"} else response)


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize(
    "text", ["fine", "null", " ", "7", "[1]", '{"a":1}', "{}", '{"output":"x"}', '{"error":"x"}', '{"broken"']
)
def test_any_text_of_a_result_comes_back(text: str, error: bool) -> None:
    result = ToolResult(id="1", name="f", content=[Text(text=text)], error=error)
    turns = [
        Turn("user", [Text(text="?")]),
        Turn("assistant", [ToolCall("1", "f", "{}")]),
        Turn("user", [result]),
    ]
    contents = write(Conversation(model="m", turns=turns))[0]["contents"]
    assert read({"contents": contents}).turns[2].parts == [result]


def ids(*turns: tuple[str, list[Doc]]) -> list[str]:
    talk = read({"contents": [{"role": role, "parts": parts} for role, parts in turns]})
    return [p.id for turn in talk.turns for p in turn.parts if isinstance(p, ToolCall | ToolResult)]


def call(name: str, **rest: Any) -> Doc:
    return {"functionCall": {"name": name, "args": {}, **rest}}


def result(name: str, **rest: Any) -> Doc:
    return {"functionResponse": {"name": name, "response": {}, **rest}}


@pytest.mark.parametrize(
    "turns, found",
    [
        # Three equal calls are three calls, and their results answer them in order.
        ([("model", [call("f")] * 3), ("user", [result("f")] * 3)], ["0_1", "0_2", "0_3", "0_1", "0_2", "0_3"]),
        # By name, where the results come in another order.
        ([("model", [call("a"), call("b")]), ("user", [result("b"), result("a")])], ["0_1", "0_2", "0_2", "0_1"]),
        # By id, where there is one.
        ([("model", [call("f", id="x"), call("f", id="y")]), ("user", [result("f", id="y"), result("f", id="x")])], ["x", "y", "y", "x"]),
        # A client may make up an id for the result of a call that had none.
        ([("model", [call("f")]), ("user", [result("f", id="mine")])], ["0_1", "0_1"]),
        # The same call in the next round is another one.
        ([("model", [call("f")]), ("user", [result("f")]), ("model", [call("f")]), ("user", [result("f")])], ["0_1", "0_1", "2_2", "2_2"]),
        # Nothing to answer: the id stays, or is one of its own.
        ([("user", [result("f", id="lost"), result("g")])], ["lost", "0_1"]),
    ],
)  # fmt: skip
def test_calls_and_results_find_each_other(turns: list[tuple[str, list[Doc]]], found: list[str]) -> None:
    assert [name.removeprefix("gcall_") for name in ids(*turns)] == found


# ── settings in ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "config, reasoning",
    [
        ({"thinkingBudget": 0}, Reasoning(enabled=False, budget=0, visible=False)),
        ({"thinkingBudget": -1}, Reasoning(enabled=True, adaptive=True, visible=False)),
        ({"thinkingBudget": 512, "includeThoughts": True}, Reasoning(enabled=True, budget=512, visible=True)),
        ({"thinkingLevel": "HIGH"}, Reasoning(enabled=True, effort="high", visible=False)),
        ({"thinking_level": "minimal"}, Reasoning(enabled=True, effort="minimal", visible=False)),
        ({"includeThoughts": True}, Reasoning(visible=True)),
        ({}, None),
    ],
)
def test_thinking_is_read(config: Doc, reasoning: Reasoning | None) -> None:
    assert read({"contents": "x", "generationConfig": {"thinkingConfig": config}}).reasoning == reasoning


@pytest.mark.parametrize(
    "config, choice",
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": 2}, ToolChoice(mode="required")),
        ({"mode": "ANY", "allowedFunctionNames": ["a"]}, ToolChoice(mode="named", names=("a",))),
        (
            {"mode": "ANY", "allowedFunctionNames": ["a", "b"]},
            ToolChoice(mode="allowed", names=("a", "b"), must=True),
        ),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice(mode="allowed", names=("a",))),
        ({"mode": "MODE_UNSPECIFIED"}, None),
    ],
)
def test_tool_choice_is_read(config: Doc, choice: ToolChoice | None) -> None:
    assert read({"contents": "x", "toolConfig": {"functionCallingConfig": config}}).tool_choice == choice


def test_what_only_gemini_knows_comes_back_to_gemini_only() -> None:
    doc = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}],
        "toolConfig": {
            "functionCallingConfig": {"mode": "VALIDATED", "streamFunctionCallArguments": True},
            "retrievalConfig": {"languageCode": "de"},
        },
        "generationConfig": {
            "temperature": 0,
            "imageConfig": {"aspectRatio": "16:9"},
            "audioTimestamp": True,
        },
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
        "labels": {"some_team": "blue"},
        "serviceTier": "flex",
    }
    talk = read(doc)
    out, notes = write(talk)
    assert (out, notes.dropped) == (doc, [])
    talk.tool_choice = ToolChoice(mode="none")
    assert write(talk)[0]["toolConfig"]["functionCallingConfig"]["mode"] == "NONE"
    other = Conversation(turns=HELLO, extras={"openai-chat": {"audio": {}, "stream_options": {}}})
    assert write(other)[1].dropped == ["audio"]


@pytest.mark.parametrize(
    "doc, param",
    [
        ({"contents": 5}, "contents[0]"),
        ({"contents": [{"parts": [5]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": "x", "tools": ["f"]}, "tools[0]"),
        (
            {"contents": "x", "tools": [{"functionDeclarations": [{}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        ({"contents": "x", "generationConfig": []}, "generationConfig"),
        ({"contents": "x", "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        (
            {"contents": "x", "generationConfig": {"maxOutputTokens": True}},
            "generationConfig.maxOutputTokens",
        ),
        ({"contents": "x", "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences"),
        ({"contents": "x", "system_instruction": 1}, "systemInstruction"),
    ],
)
def test_wrong_shapes_are_refused_with_their_place(doc: Doc, param: str) -> None:
    with pytest.raises(Refused) as refused:
        read(doc)
    assert refused.value.problem.kind == "invalid_request"
    assert refused.value.problem.param == param


@pytest.mark.parametrize(
    "content, path",
    [({"parts": [{"hologram": {}}]}, "contents[0].parts[0]"), ({"text": "no parts"}, "contents[0]")],
)
def test_unknown_content_is_never_lost(content: Doc, path: str) -> None:
    with pytest.raises(UnsupportedContent) as unsupported:
        read({"contents": [content]})
    assert unsupported.value.path == path


# ── contents out ─────────────────────────────────────────────────────────────────────────────────────


def test_system_texts_before_the_conversation() -> None:
    talk = Conversation(turns=[system("A"), Turn(role="developer", parts=[Text(text="B")]), user("x")])
    assert write(talk)[0] == {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "systemInstruction": {"parts": [{"text": "A"}, {"text": "B"}]},
    }
    assert write(talk, "no_system_role")[0] == {
        "contents": [{"role": "user", "parts": [{"text": "A"}, {"text": "B"}, {"text": "x"}]}]
    }


def test_system_texts_inside_the_conversation_stay_in_their_place() -> None:
    out, notes = write(Conversation(turns=[user("x"), model("y"), system("Be brief."), user("z")]))
    assert out["contents"][2] == {"role": "user", "parts": [{"text": "Be brief."}, {"text": "z"}]}
    assert notes.emulated == ["system message inside the conversation"]


def test_a_system_text_alone_is_what_the_user_says() -> None:
    assert write(Conversation(turns=[system("Greet me.")]))[0] == {
        "contents": [{"role": "user", "parts": [{"text": "Greet me."}]}]
    }


def test_neighbours_of_one_role_become_one_and_the_user_begins() -> None:
    found = contents(model("a"), model("b"), user("c"), user("d"))
    assert [turn["role"] for turn in found] == ["user", "model", "user"]
    assert found[1]["parts"] == [{"text": "a"}, {"text": "b"}]
    assert found[2]["parts"] == [{"text": "c"}, {"text": "d"}]


def test_results_stand_right_after_their_calls_in_their_order() -> None:
    found = contents(
        user("go"),
        model(
            "Two:", ToolCall(id="1", name="a", arguments='{"x":1}'), ToolCall(id="2", name="b", arguments="")
        ),
        user("By the way", ToolResult(id="2", content=[Text(text="B")])),
        user(ToolResult(id="1", content=[Text(text="no"), Text(text="way")], error=True)),
    )
    assert found[1]["parts"] == [
        {"text": "Two:"},
        {"functionCall": {"id": "1", "name": "a", "args": {"x": 1}}},
        {"functionCall": {"id": "2", "name": "b", "args": {}}},
    ]
    assert found[2]["parts"] == [
        {"functionResponse": {"id": "1", "name": "a", "response": {"error": "no\nway"}}},
        {"functionResponse": {"id": "2", "name": "b", "response": {"output": "B"}}},
        {"text": "By the way"},
    ]


def test_an_id_of_our_making_is_not_sent_upstream() -> None:
    found = contents(user("x"), model(ToolCall(id="gcall_1_1", name="a")), user(ToolResult(id="gcall_1_1")))
    assert found[1]["parts"] == [{"functionCall": {"name": "a", "args": {}}}]
    assert found[2]["parts"] == [{"functionResponse": {"name": "a", "response": {"output": ""}}}]


def test_a_result_without_its_call_keeps_its_name() -> None:
    found = contents(user(ToolResult(id="9", name="f", content=[Text(text="x")])))
    assert found[0]["parts"] == [{"functionResponse": {"id": "9", "name": "f", "response": {"output": "x"}}}]


@pytest.mark.parametrize(
    "arguments, args",
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("null", {}),
        ('{"a": ', {"_raw_arguments": '{"a": '}),
        ("[1]", {"_raw_arguments": "[1]"}),
    ],
)
def test_arguments_are_an_object_whatever_they_were(arguments: str, args: Doc) -> None:
    out, notes = write(
        Conversation(turns=[user("x"), model(ToolCall(id="1", name="f", arguments=arguments))])
    )
    assert out["contents"][1]["parts"][0]["functionCall"]["args"] == args
    assert bool(notes.emulated) is ("_raw_arguments" in args)


def test_images_in_results() -> None:
    image = Image(source=Source(data="AA==", media_type="image/png"))
    turns = (
        user("x"),
        model(ToolCall(id="1", name="f"), ToolCall(id="2", name="g")),
        user(ToolResult(id="1", content=[Text(text="see"), image]), ToolResult(id="2")),
    )
    inline = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    after = contents(*turns)[2]["parts"]
    assert [next(iter(part)) for part in after] == [
        "functionResponse",
        "functionResponse",
        "text",
        "inlineData",
    ]
    inside = contents(*turns, quirks=("tool_images",))[2]["parts"]
    assert inside[0]["functionResponse"]["parts"] == [inline]
    assert len(inside) == 2


@pytest.mark.parametrize(
    "part, written, dropped",
    [
        (Text(text=""), None, []),
        (Text(text="a", signature=OWN), {"text": "a", "thoughtSignature": "c2ln"}, []),
        (Text(text="a", signature=FOREIGN), {"text": "a"}, []),
        (Text(text="a", cache="5m"), {"text": "a"}, []),
        (Thinking(text="t"), {"text": "t", "thought": True}, []),
        (Thinking(text="t", signature=OWN), {"text": "t", "thought": True, "thoughtSignature": "c2ln"}, []),
        (Thinking(text="t", signature=FOREIGN), None, []),
        (Thinking(signature=OWN, redacted=True), {"text": "", "thoughtSignature": "c2ln"}, []),
        (Refusal(text="No."), {"text": "No."}, []),
        (Image(source=Source(url="https://x/a.webp?s=1")), {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/a.webp?s=1"}}, []),
        (Image(source=Source(data="AA==")), {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}}, []),
        (Image(source=Source(data="AA=="), detail="auto"), {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}}, []),
        (Image(source=Source(data="AA=="), detail="low"), {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}}, ["image detail"]),
        (Image(source=Source(file_id="file-1")), None, ["image given by file id"]),
        (Audio(source=Source(data="AA=="), format="mp3"), {"inlineData": {"mimeType": "audio/mpeg", "data": "AA=="}}, []),
        (File(source=Source(text="Lorem"), name="a.txt"), {"text": "a.txt\n\nLorem"}, []),
        (File(source=Source(data="AA==", media_type="application/pdf")), {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}}, []),
        (Opaque(wire="gemini", doc={"executableCode": {}}), {"executableCode": {}}, []),
        (Opaque(wire="anthropic-messages", doc={}, label="server_tool_use"), None, ["server_tool_use"]),
    ],
)  # fmt: skip
def test_parts_are_written(part: Part, written: Doc | None, dropped: list[str]) -> None:
    out, notes = write(Conversation(turns=[user("x"), model(part), user("y")]))
    found = [p for turn in out["contents"] if turn["role"] == "model" for p in turn["parts"]]
    assert found == ([written] if written is not None else [])
    assert notes.dropped == dropped


def test_detail_where_the_target_takes_it() -> None:
    image = Image(source=Source(data="AA=="), detail="high")
    found = contents(user(image), quirks=("media_resolution",))
    assert found[0]["parts"][0]["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"}


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────

SKIP = "skip_thought_signature_validator"


@pytest.mark.parametrize(
    "parts, signatures",
    [
        ([ToolCall(id="1", name="a"), ToolCall(id="2", name="b")], [SKIP, None]),
        ([ToolCall(id="1", name="a", signature=OWN), ToolCall(id="2", name="b")], ["c2ln", None]),
        ([ToolCall(id="1", name="a", signature=FOREIGN)], [SKIP]),
        # A format without a place on the call brings it as reasoning before the call.
        ([Thinking(signature=OWN, redacted=True), ToolCall(id="1", name="a")], ["c2ln"]),
    ],
)
def test_a_target_that_wants_signatures_gets_one_on_the_first_call(
    parts: list[Part], signatures: list[str | None]
) -> None:
    found = contents(user("x"), model(*parts), quirks=("thought_signatures",))
    assert [part.get("thoughtSignature") for part in found[1]["parts"]] == signatures


# ── settings out ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "reasoning, dialect, config",
    [
        (Reasoning(effort="high"), {}, {"thinkingBudget": 16384, "includeThoughts": True}),
        (Reasoning(effort="high"), {"thinking_max": 8000}, {"thinkingBudget": 8000, "includeThoughts": True}),
        (Reasoning(effort="max"), {}, {"thinkingBudget": 24576, "includeThoughts": True}),
        (Reasoning(effort="max"), {"thinking_max": 32768}, {"thinkingBudget": 32768, "includeThoughts": True}),
        (Reasoning(budget=100), {"thinking_min": 128}, {"thinkingBudget": 128, "includeThoughts": True}),
        (Reasoning(enabled=True, adaptive=True), {}, {"thinkingBudget": -1, "includeThoughts": True}),
        (Reasoning(enabled=False), {}, {"thinkingBudget": 0}),
        (Reasoning(effort="none"), {"thinking_min": 128}, {"thinkingBudget": 128}),
        (Reasoning(enabled=True, budget=9, visible=False), {}, {"thinkingBudget": 9}),
        (Reasoning(visible=True), {}, {"includeThoughts": True}),
        (Reasoning(effort="medium"), {"thinking_levels": ("low", "high")}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (Reasoning(effort="max"), {"thinking_levels": ("low", "high")}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (Reasoning(budget=2000), {"thinking_levels": ("minimal", "low", "high")}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        (Reasoning(enabled=False), {"thinking_levels": ("minimal", "low")}, {"thinkingLevel": "MINIMAL"}),
        (Reasoning(enabled=True, adaptive=True), {"thinking_levels": ("low", "high")}, {"includeThoughts": True}),
        (Reasoning(effort="low"), {"quirks": frozenset({"thinking_level"})}, {"thinkingLevel": "LOW", "includeThoughts": True}),
    ],
)  # fmt: skip
def test_thinking_is_written(reasoning: Reasoning, dialect: dict[str, Any], config: Doc) -> None:
    out = GEMINI.write_request(Conversation(turns=HELLO, reasoning=reasoning), Dialect(**dialect), Notes())
    assert out["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    "choice, config",
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="named", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="allowed", names=("f",), must=True), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="allowed", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice_is_written(choice: ToolChoice, config: Doc) -> None:
    talk = Conversation(turns=HELLO, tools=[Tool(name="f")], tool_choice=choice)
    assert write(talk)[0]["toolConfig"] == {"functionCallingConfig": config}


SCHEMA: Doc = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"]}},
    "additionalProperties": False,
}


def test_tools_are_written() -> None:
    tools = [
        Tool(name="f", description="F.", schema=SCHEMA),
        Tool(name="nothing", schema={"type": "object", "properties": {}}),
        Tool(
            name="patch",
            kind="custom",
            description="P.",
            format={"type": "grammar", "definition": "start: X"},
        ),
        Tool(name="googleSearch", kind="server", wire="gemini", native={"googleSearch": {}}),
        Tool(name="web_search", kind="server", wire="openai-responses", native={"type": "web_search"}),
    ]
    out, notes = write(Conversation(turns=HELLO, tools=tools))
    search, functions = out["tools"]
    assert search == {"googleSearch": {}}
    f, nothing, patch = functions["functionDeclarations"]
    assert f == {"name": "f", "description": "F.", "parametersJsonSchema": SCHEMA}
    assert nothing["parametersJsonSchema"] == {"type": "object", "properties": {}}
    assert (
        list(patch["parametersJsonSchema"]["properties"]) == ["input"] and "start: X" in patch["description"]
    )
    assert notes.dropped == ["tools[].web_search"]
    assert notes.emulated == ["custom tools"]

    f, nothing, _ = write(Conversation(turns=HELLO, tools=tools), "openapi_schema")[0]["tools"][1][
        "functionDeclarations"
    ]
    assert f["parameters"]["properties"] == {"a": {"type": "STRING", "nullable": True}}
    assert "parameters" not in nothing, "an object without properties is refused"


@pytest.mark.parametrize(
    "output, quirks, config",
    [
        (OutputFormat(kind="text"), (), {"responseMimeType": "text/plain"}),
        (OutputFormat(kind="json_object"), (), {"responseMimeType": "application/json"}),
        (OutputFormat(kind="json_schema", schema=SCHEMA), (), {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
        (OutputFormat(kind="json_schema", schema={"type": "string"}), ("openapi_schema",), {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}),
        (OutputFormat(kind="json_schema", schema={"type": "string"}, description="D"), (), {"responseMimeType": "application/json", "responseJsonSchema": {"type": "string", "description": "D"}}),
    ],
)  # fmt: skip
def test_output_shape_is_written(output: OutputFormat, quirks: tuple[str, ...], config: Doc) -> None:
    assert write(Conversation(turns=HELLO, output=output), *quirks)[0]["generationConfig"] == config


def test_json_is_asked_for_in_words_where_it_cannot_stand_beside_functions() -> None:
    talk = Conversation(
        turns=HELLO, output=OutputFormat(kind="json_schema", schema=SCHEMA), tools=[Tool(name="f")]
    )
    out, notes = write(talk, "no_json_with_tools")
    assert "generationConfig" not in out
    assert "JSON Schema" in out["systemInstruction"]["parts"][0]["text"]
    assert notes.emulated == ["response_format"]


def test_what_gemini_has_no_word_for_is_noted() -> None:
    talk = Conversation(
        turns=HELLO, parallel_tools=False, verbosity="low", logit_bias={"1": 1}, user="u", metadata={"a": "b"},
        prompt_cache_key="k", previous_id="r", store=True, service_tier="scale", stop=list("abcdef"),
        tools=[Tool(name="f", strict=True)],
    )  # fmt: skip
    out, notes = write(talk)
    assert out["generationConfig"]["stopSequences"] == list("abcde")
    assert set(notes.dropped) == {
        "parallel_tool_calls", "verbosity", "logit_bias", "metadata", "previous_response_id", "store", "service_tier", "stop", "tools[].strict",
    }  # fmt: skip
    assert notes.emulated == ["user", "prompt_cache_key"]


def test_what_asks_for_nothing_is_not_noted() -> None:
    talk = Conversation(turns=HELLO, parallel_tools=True, store=False, service_tier="auto", max_tokens=5000)
    out, notes = write(talk, max_output=4000)
    assert out["generationConfig"] == {"maxOutputTokens": 4000}
    assert (notes.dropped, notes.emulated) == ([], ["max_tokens"])


# ── real requests ────────────────────────────────────────────────────────────────────────────────────

RECORDED = [
    *recordings.ids("gemini-generate"),
    *recordings.ids("gemini-stream"),
    *recordings.ids("gemini-count-tokens"),
]


def accepted(doc: Doc) -> None:
    """The SDK's strict types know every field of a written request."""
    for content in [*doc["contents"], *([doc["systemInstruction"]] if "systemInstruction" in doc else [])]:
        types.Content.model_validate(content)
    for tool in doc.get("tools", []):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(doc.get("toolConfig", {}))
    types.GenerationConfig.model_validate(doc.get("generationConfig", {}))


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("quirks", [(), ("openapi_schema", "thinking_level", "thought_signatures")])
def test_recorded_requests_keep_their_meaning(name: str, quirks: tuple[str, ...]) -> None:
    request = recordings.load(name).request
    if request is None or not isinstance(request.get("body"), dict):
        pytest.skip("only the answer was recorded")
    talk = read(request["body"])
    out, _ = write(talk, *quirks)
    accepted(out)
    again = read(out)
    texts = [p.text for turn in talk.turns for p in turn.parts if isinstance(p, Text) and p.text]
    assert [p.text for turn in again.turns for p in turn.parts if isinstance(p, Text) and p.text][
        : len(texts)
    ] == texts
    assert calls_of(again) == calls_of(talk)
    assert [tool.name for tool in again.tools if tool.kind == "function"] == [
        tool.name for tool in talk.tools if tool.kind == "function"
    ]
    if not quirks:
        assert (
            again.output == talk.output
            and again.tool_choice == talk.tool_choice
            and again.extras == talk.extras
        )


def calls_of(talk: Conversation) -> list[Any]:
    parts = [part for turn in talk.turns for part in turn.parts]
    asked = [(p.id, p.name, json.loads(p.arguments)) for p in parts if isinstance(p, ToolCall)]
    told = [(p.id, p.name, p.error, [c.text for c in p.content if isinstance(c, Text)]) for p in parts if isinstance(p, ToolResult)]  # fmt: skip
    return [asked, told]


def test_gemini_cli_requests() -> None:
    path = recordings.require("clients") / "gemini-cli.json"
    for request in json.loads(path.read_text())["requests"]:
        talk = read(request["body"])
        out, notes = write(talk)
        assert notes.dropped == []
        assert out == {
            **request["body"],
            "systemInstruction": {"parts": request["body"]["systemInstruction"]["parts"]},
        }


# ── edits ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "doc, first, last",
    [
        ({}, ["new"], ["new"]),
        ({"systemInstruction": "old"}, ["new", "old"], ["old", "new"]),
        ({"system_instruction": {"role": "user", "parts": {"text": "old"}}}, ["new", "old"], ["old", "new"]),
        ({"systemInstruction": {"parts": [{"text": "old"}, {"text": "er"}]}}, ["new", "old", "er"], ["old", "er", "new"]),
        ({"generateContentRequest": {"systemInstruction": [{"text": "old"}]}}, ["new", "old"], ["old", "new"]),
    ],
)  # fmt: skip
def test_a_system_text_is_added(doc: Doc, first: list[str], last: list[str]) -> None:
    for position, texts in (("prepend", first), ("append", last)):
        edited = copy.deepcopy(doc)
        GEMINI.add_system(edited, "new", position)  # type: ignore[arg-type]
        turns = read(edited).turns
        assert [part.text for part in turns[0].parts if isinstance(part, Text)] == texts


def test_a_request_to_count_counts_the_system_text_too() -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    assert GEMINI.count_request(body, "m") == body
    whole = {**body, "systemInstruction": {"parts": [{"text": "s"}]}}
    assert GEMINI.count_request(whole, "m") == {"generateContentRequest": {"model": "models/m", **whole}}
