"""Requests of Bedrock's Converse, read and written."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.bedrock import Bedrock
from omniroute.wire.conversation import (
    Audio,
    Citation,
    Conversation,
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
from tests.support import recordings
from tests.support.requests import talk, written

WIRE = Bedrock()
WEATHER = Tool(name="weather", schema={"type": "object", "properties": {"city": {"type": "string"}}})
HI = Turn(role="user", parts=[Text(text="hi")])
RECORDED = [*recordings.ids("bedrock-converse"), *recordings.ids("bedrock-converse-stream")]


def turns(*given: tuple[str, list[Part]], **settings: Any) -> Conversation:
    return Conversation(turns=[Turn(role=role, parts=parts) for role, parts in given], **settings)  # type: ignore[arg-type]  # a table of roles


def write(conversation: Conversation, *quirks: str, **dialect: Any) -> tuple[dict[str, Any], Notes]:
    return written(WIRE, conversation, quirks, model="m", **dialect)


def content(conversation: Conversation, *quirks: str) -> tuple[list[dict[str, Any]], Notes]:
    """The content of the first message."""
    doc, notes = write(conversation, *quirks)
    return doc["messages"][0]["content"], notes


# ── in ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_come_back(name: str) -> None:
    """What is read and written again differs in nothing that means anything."""
    given = recordings.load(name).request
    if given is None:
        assert "vercel" not in name, "only answers were recorded there"
        return
    body = given["body"]
    talk = WIRE.read_request(body)
    written, notes = write(talk)
    assert notes.dropped == []
    expected = {key: value for key, value in body.items() if value not in ([], {})}
    expected["messages"] = _merged(expected["messages"])
    assert plain(written) == plain(expected)


def _merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one role as one message, as some models demand it."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = {**message, "content": merged[-1]["content"] + message["content"]}
        else:
            merged.append(message)
    return merged


def plain(value: Any) -> Any:
    """Without what may be said in two ways: success is the rule, JSON is text, a search result a document, blank text
    and empty lists are nothing."""
    if isinstance(value, list):
        return [plain(item) for item in value if item != {"text": "\n"}]
    if not isinstance(value, dict):
        return value
    if "searchResult" in value:
        found = value["searchResult"]
        document = {"format": "txt", "source": {"text": found["content"][0]["text"]}, "name": found["title"]}
        return plain({"document": document | {"context": found["source"], "citations": found["citations"]}})
    if set(value) == {"json"}:
        return {"text": json.dumps(value["json"], separators=(",", ":"))}
    if "text" in value.get("source", {}):
        data = b64encode(value["source"]["text"].encode()).decode()
        value = {**value, "source": {"bytes": data}}
    return {
        k: plain(v) for k, v in value.items() if (k, v) not in (("status", "success"), ("stopSequences", []))
    }


@pytest.mark.parametrize(
    "doc, place",
    [
        ({"messages": 7}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": 7}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"image": {}}]}]}, "messages[0].content[0].image.source"),
        ({"messages": [], "inferenceConfig": {"maxTokens": "x"}}, "inferenceConfig.maxTokens"),
        ({"messages": [], "toolConfig": {"tools": [{}]}}, "toolConfig.tools[0].toolSpec"),
        ({"messages": [], "toolConfig": {"toolChoice": {"maybe": {}}}}, "toolConfig.toolChoice"),
        (
            {
                "messages": [],
                "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}},
            },
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
    ],
)
def test_wrong_shapes_are_refused_by_their_place(doc: dict[str, Any], place: str) -> None:
    with pytest.raises(Refused) as refused:
        WIRE.read_request(doc)
    assert refused.value.problem.param == place


def test_unknown_content_is_not_lost_in_silence() -> None:
    with pytest.raises(UnsupportedContent, match="hologram"):
        WIRE.read_request({"messages": [{"role": "user", "content": [{"hologram": {}}]}]})


def test_where_cache_points_stand_is_read_from_what_is_before_them() -> None:
    point = {"cachePoint": {"type": "default"}}
    doc = {
        "messages": [{"role": "user", "content": [point, {"text": "a"}, point]}],
        "toolConfig": {"tools": [point]},
    }
    talk = WIRE.read_request(doc)
    assert talk.turns[0].parts == [Text(text="a", cache="5m")]
    assert talk.tools == []


# ── messages ───────────────────────────────────────────────────────────────────────────────────────


def test_roles_alternate_and_the_user_begins() -> None:
    doc, _ = write(
        turns(
            ("assistant", [Text(text="a")]),
            ("user", [Text(text="b")]),
            ("user", [Text(text="c")]),
            ("assistant", [Thinking(text="nobody signed this")]),
            ("user", [Text(text="d")]),
        )
    )
    assert [m["role"] for m in doc["messages"]] == ["user", "assistant", "user"]
    assert doc["messages"][2]["content"] == [{"text": "b"}, {"text": "c"}, {"text": "d"}]


def test_system_texts_stand_apart_and_in_the_midst_where_the_model_takes_them() -> None:
    given = turns(
        ("system", [Text(text="one", cache="5m")]),
        ("developer", [Text(text="two")]),
        ("user", [Text(text="hi")]),
        ("system", [Text(text="three")]),
    )
    doc, _ = write(given)
    assert doc["system"] == [
        {"text": "one"},
        {"cachePoint": {"type": "default"}},
        {"text": "two"},
        {"text": "three"},
    ]
    doc, _ = write(given, "no_system_role")
    assert "system" not in doc
    assert [block.get("text") for block in doc["messages"][0]["content"]] == [
        "one",
        None,
        "two",
        "hi",
        "three",
    ]
    doc, _ = write(given, "system_messages")
    assert doc["messages"][1] == {"role": "system", "content": [{"text": "three"}]}


def test_a_prompt_of_system_texts_alone_is_said_by_the_user() -> None:
    doc, _ = write(turns(("system", [Text(text="one")]), ("system", [Text(text="two", cache="5m")])))
    assert doc["system"] == [{"text": "one"}]
    assert doc["messages"] == [{"role": "user", "content": [{"text": "two"}]}]


def test_what_has_no_place_among_system_texts_is_named() -> None:
    image = Image(source=Source(data="QUJD", media_type="image/png"))
    opaque = Opaque(wire="gemini", doc={}, label="executableCode")
    _, notes = write(turns(("system", [Text(text="a"), image, opaque]), ("user", [Text(text="hi")])))
    assert notes.dropped == ["executableCode", "system content"]


def test_every_call_has_its_result_right_behind_it() -> None:
    doc, notes = write(
        turns(
            ("user", [Text(text="go")]),
            ("assistant", [ToolCall(id="1", name="f"), ToolCall(id="2", name="g")]),
            ("user", [Text(text="wait")]),
            (
                "user",
                [
                    ToolResult(id="2", content=[Text(text="two")]),
                    ToolResult(id="9", content=[Text(text="?")]),
                ],
            ),
            ("assistant", [ToolCall(id="1", name="f")]),
            ("user", [ToolResult(id="1", content=[], error=True)]),
            tools=[WEATHER],
        )
    )
    assert [m["role"] for m in doc["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert doc["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "1", "content": [{"text": "No result: this call was not answered."}]}},
        {"toolResult": {"toolUseId": "2", "content": [{"text": "two"}]}},
        {"text": "wait"},
        {"text": "Result of the tool call 9:"},
        {"text": "?"},
    ]
    assert doc["messages"][3]["content"][0]["toolUse"]["toolUseId"] == "1_2"
    assert doc["messages"][4]["content"] == [
        {"toolResult": {"toolUseId": "1_2", "content": [{"text": "(no output)"}], "status": "error"}}
    ]
    assert notes.emulated == ["tool_result"]


@pytest.mark.parametrize(
    "arguments, kind, sent",
    [
        ('{"a":1}', "function", {"a": 1}),
        ("", "function", {}),
        ("[1]", "function", {"arguments": [1]}),
        ("{broken", "function", {"arguments": "{broken"}),
        ("ls -l", "custom", {"input": "ls -l"}),
    ],
)
def test_arguments_are_an_object(arguments: str, kind: Any, sent: dict[str, Any]) -> None:
    call = ToolCall(id="1", name="f", arguments=arguments, kind=kind)
    doc, _ = write(turns(("user", [Text(text="go")]), ("assistant", [call])))
    assert doc["messages"][1]["content"][0]["toolUse"]["input"] == sent


@pytest.mark.parametrize("prefill", [True, False])
def test_the_model_may_be_made_to_go_on(prefill: bool) -> None:
    given = turns(("user", [Text(text="hi")]), ("assistant", [Text(text="The answer is \n")]))
    doc, notes = write(given, *([] if prefill else ["no_prefill"]))
    assert doc["messages"][1]["content"] == [{"text": "The answer is"}]
    assert len(doc["messages"]) == (2 if prefill else 3)
    assert notes.emulated == ([] if prefill else ["prefill"])


@pytest.mark.parametrize(
    "part, block",
    [
        (Image(source=Source(data="QQ==", media_type="image/webp")), {"image": {"format": "webp", "source": {"bytes": "QQ=="}}}),
        (Image(source=Source(data="QQ==", media_type="image/jpg")), {"image": {"format": "jpeg", "source": {"bytes": "QQ=="}}}),
        (
            Image(source=Source(url="s3://b/a.PNG")),
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a.PNG"}}}},
        ),
        (Video(source=Source(data="QQ==", media_type="video/3gpp")), {"video": {"format": "three_gp", "source": {"bytes": "QQ=="}}}),
        (Audio(source=Source(data="QQ=="), format="pcm16"), {"audio": {"format": "pcm", "source": {"bytes": "QQ=="}}}),
        (Audio(source=Source(data="QQ==", media_type="audio/mpeg")), {"audio": {"format": "mp3", "source": {"bytes": "QQ=="}}}),
        (File(source=Source(data="QQ==", media_type="image/png")), {"image": {"format": "png", "source": {"bytes": "QQ=="}}}),
        (
            File(source=Source(data="QQ=="), name="a_b.report/5.docx"),
            {"document": {"format": "docx", "source": {"bytes": "QQ=="}, "name": "a-b-report-5-docx"}},
        ),
        (
            File(source=Source(text="hi"), name="n", citations=True, context="c"),
            {
                "document": {
                    "format": "txt",
                    "source": {"bytes": "aGk="},
                    "name": "n",
                    "context": "c",
                    "citations": {"enabled": True},
                }
            },
        ),
        (
            File(source=Source(data="QQ==", media_type="text/x-python")),
            {"document": {"format": "txt", "source": {"bytes": "QQ=="}, "name": "document"}},
        ),
        (Refusal(text="no"), {"text": "no"}),
    ],
)  # fmt: skip
def test_content(part: Part, block: dict[str, Any]) -> None:
    found, notes = content(talk(part, Text(text="look")))
    assert found[0] == block
    assert notes.dropped == []


@pytest.mark.parametrize(
    "part, word",
    [
        (Image(source=Source(url="https://x/a.png")), "image_url"),
        (Image(source=Source(data="QQ==", media_type="image/tiff")), "image_url"),
        (Image(source=Source(file_id="f")), "image_url"),
        (Video(source=Source(url="https://x/a.mp4")), "video"),
        (Audio(source=Source(data="QQ=="), format="amr"), "input_audio"),
        (File(source=Source(url="https://x/a.pdf")), "file"),
        (File(source=Source(data="QQ==", media_type="application/zip")), "file"),
        (Opaque(wire="openai-responses", doc={}, label="mcp_call"), "mcp_call"),
        (Text(text="a", citations=[Citation(url="http://x", wire="openai-chat")]), "annotations"),
    ],
)
def test_content_that_cannot_be_said_is_dropped_by_name(part: Part, word: str) -> None:
    _, notes = content(talk(part, Text(text="hi")))
    assert notes.dropped == [word]


def test_documents_have_a_name_each_and_words_beside_them() -> None:
    pdf = File(source=Source(data="QQ==", media_type="application/pdf"), name="a  b.pdf")
    found, _ = content(talk(pdf, pdf, File(source=Source(data="QQ==", media_type="application/pdf"))))
    assert [block["document"]["name"] for block in found[:3]] == ["a b-pdf", "a b-pdf 2", "document"]
    assert found[3] == {"text": "The document is attached."}


def test_the_content_of_a_result() -> None:
    inside: list[Part] = [
        Text(text="seen", cache="5m"),
        Image(source=Source(data="QQ==", media_type="image/png")),
        Audio(source=Source(data="QQ=="), format="wav"),
    ]
    doc, notes = write(
        turns(
            ("user", [Text(text="go")]),
            ("assistant", [ToolCall(id="1", name="f")]),
            ("user", [ToolResult(id="1", content=inside)]),
        )
    )
    assert doc["messages"][2]["content"] == [
        {
            "toolResult": {
                "toolUseId": "1",
                "content": [{"text": "seen"}, {"image": {"format": "png", "source": {"bytes": "QQ=="}}}],
            }
        },
        {"cachePoint": {"type": "default"}},
    ]
    assert notes.dropped == ["tool_result.audio"]


# ── thinking ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wire, quirks, kept",
    [
        ("bedrock-converse", [], True),
        ("anthropic-messages", [], False),
        ("anthropic-messages", ["anthropic_signatures"], True),
        ("gemini", ["anthropic_signatures"], False),
        (None, [], False),
        (None, ["unsigned_thinking"], True),
    ],
)
def test_only_reasoning_that_will_be_believed_is_sent(
    wire: str | None, quirks: list[str], kept: bool
) -> None:
    signature = Signature(value="s", wire=wire) if wire else None
    given = turns(
        ("user", [Text(text="hi")]), ("assistant", [Thinking(text="t", signature=signature), Text(text="a")])
    )
    doc, _ = write(given, *quirks)
    assert ("reasoningContent" in doc["messages"][1]["content"][0]) is kept


THINKS = frozenset({"thinking", "tools"})


@pytest.mark.parametrize(
    "reasoning, quirks, fields, limit",
    [
        (
            Reasoning(budget=2048, enabled=True),
            [],
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            9000,
        ),
        (Reasoning(effort="low"), [], {"thinking": {"type": "enabled", "budget_tokens": 4096}}, 9000),
        (
            Reasoning(effort="high"),
            ["adaptive_thinking"],
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            9000,
        ),
        (Reasoning(enabled=False), [], {"thinking": {"type": "disabled"}}, 9000),
        (
            Reasoning(effort="medium"),
            ["reasoning_config"],
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            9000,
        ),
        (
            Reasoning(budget=60_000),
            ["reasoning_config"],
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            None,
        ),
        (Reasoning(effort="none"), ["reasoning_config"], {"reasoningConfig": {"type": "disabled"}}, 9000),
        (Reasoning(effort="xhigh"), ["reasoning_effort"], {"reasoning_effort": "high"}, 9000),
        (Reasoning(effort="minimal"), ["reasoning_effort"], {"reasoning_effort": "low"}, 9000),
        (Reasoning(enabled=False), ["reasoning_effort"], None, 9000),
        (Reasoning(enabled=False), ["no_reasoning_effort"], None, 9000),
    ],
)
def test_how_much_to_think(
    reasoning: Reasoning, quirks: list[str], fields: dict[str, Any] | None, limit: int | None
) -> None:
    doc, notes = write(talk(reasoning=reasoning, max_tokens=9000), *quirks, capabilities=THINKS)
    assert doc.get("additionalModelRequestFields") == fields
    assert doc.get("inferenceConfig", {}).get("maxTokens") == limit
    assert notes.dropped == (["max_tokens"] if limit is None else [])


@pytest.mark.parametrize(
    "quirks, capabilities", [(["no_reasoning_effort"], None), ([], frozenset({"tools"}))]
)
def test_models_that_cannot_think_are_not_asked_to(quirks: list[str], capabilities: Any) -> None:
    doc, notes = write(talk(reasoning=Reasoning(effort="high")), *quirks, capabilities=capabilities)
    assert "additionalModelRequestFields" not in doc
    assert notes.dropped == ["reasoning"]


def test_what_does_not_go_with_thinking_is_named() -> None:
    settings = {"temperature": 0.3, "top_p": 0.5, "top_k": 5, "tools": [WEATHER]}
    doc, notes = write(
        talk(reasoning=Reasoning(budget=2048), tool_choice=ToolChoice(mode="required"), **settings)
    )
    assert "inferenceConfig" not in doc
    assert "toolChoice" not in doc["toolConfig"]
    assert notes.dropped == ["temperature", "top_p", "tool_choice", "top_k"]


def test_calls_that_nobody_signed_cannot_be_thought_on() -> None:
    given = turns(
        ("user", [Text(text="go")]),
        ("assistant", [ToolCall(id="1", name="weather")]),
        ("user", [ToolResult(id="1", content=[Text(text="sun")])]),
        tools=[WEATHER],
        reasoning=Reasoning(budget=2048),
    )
    doc, notes = write(given)
    assert "additionalModelRequestFields" not in doc
    assert notes.dropped == ["reasoning"]
    given.turns[1].parts.insert(
        0, Thinking(text="t", signature=Signature(value="s", wire="bedrock-converse"))
    )
    doc, notes = write(given)
    assert doc["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2048
    assert notes.dropped == []


# ── tools ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "choice, written, tools, dropped, emulated",
    [
        (None, None, 2, [], []),
        (ToolChoice(mode="auto"), None, 2, [], []),
        (ToolChoice(mode="required"), {"any": {}}, 2, [], []),
        (ToolChoice(mode="named", names=("weather",)), {"tool": {"name": "weather"}}, 2, [], []),
        (ToolChoice(mode="allowed", names=("weather",)), None, 1, [], ["tool_choice"]),
        (ToolChoice(mode="allowed", names=("weather",), must=True), {"any": {}}, 1, [], ["tool_choice"]),
        (ToolChoice(mode="none"), None, 0, [], ["tool_choice"]),
    ],
)
def test_tool_choice(
    choice: ToolChoice | None, written: Any, tools: int, dropped: list[str], emulated: list[str]
) -> None:
    doc, notes = write(talk(tools=[WEATHER, Tool(name="now")], tool_choice=choice))
    config = doc.get("toolConfig", {"tools": []})
    assert (config.get("toolChoice"), len(config["tools"])) == (written, tools)
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_tools_stay_where_they_were_called_before() -> None:
    called = (
        ("user", [Text(text="go")]),
        ("assistant", [ToolCall(id="1", name="weather")]),
        ("user", [ToolResult(id="1", content=[Text(text="sun")])]),
    )
    doc, notes = write(turns(*called, tools=[WEATHER], tool_choice=ToolChoice(mode="none")))
    assert len(doc["toolConfig"]["tools"]) == 1
    assert notes.dropped == ["tool_choice"]
    doc, notes = write(turns(*called))
    assert doc["toolConfig"]["tools"] == [
        {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
    ]
    assert notes.dropped == []


@pytest.mark.parametrize("able", [True, False])
def test_strict_tools_and_schemas_where_the_model_knows_them(able: bool) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = Tool(name="f", schema=schema, strict=True)
    output = OutputFormat(kind="json_schema", name="place", schema=schema)
    doc, notes = write(
        talk(tools=[tool], output=output), capabilities=frozenset({"json_schema"} if able else ())
    )
    assert ("strict" in doc["toolConfig"]["tools"][0]["toolSpec"]) is able
    assert ("outputConfig" in doc) is able
    assert ("system" in doc) is not able
    assert (notes.dropped, notes.emulated) == (
        ([], []) if able else (["tools[].strict"], ["response_format"])
    )


def test_json_in_words() -> None:
    doc, notes = write(talk(output=OutputFormat(kind="json_object")), capabilities=frozenset({"json_schema"}))
    assert "JSON object" in doc["system"][0]["text"]
    assert notes.emulated == ["response_format"]


def test_tools_of_other_kinds() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    tools = [
        Tool(name="patch", description="Edits.", kind="custom", format=grammar),
        Tool(name="web_search", kind="server", wire="openai-responses", native={}),
        Tool(name="odd", schema={"properties": {}}),
        Tool(name="code", kind="server", wire="bedrock-converse", native={"systemTool": {"name": "code"}}),
    ]
    doc, notes = write(talk(tools=tools, parallel_tools=False))
    patch, odd, code = doc["toolConfig"]["tools"]
    assert "lark grammar:\nstart: /a/" in patch["toolSpec"]["description"]
    assert patch["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    assert odd["toolSpec"]["inputSchema"]["json"]["type"] == "object"
    assert code == {"systemTool": {"name": "code"}}
    assert notes.dropped == ["tools[].web_search", "parallel_tool_calls"]
    assert notes.emulated == ["tools[].custom"]


# ── settings ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "settings, quirks, written, dropped, emulated",
    [
        ({"max_tokens": 5000}, [], {"inferenceConfig": {"maxTokens": 4000}}, [], ["max_tokens"]),
        ({"temperature": 1.5}, [], {"inferenceConfig": {"temperature": 1}}, [], ["temperature"]),
        ({"temperature": 0.5, "top_p": 0.5}, ["one_sampling"], {"inferenceConfig": {"temperature": 0.5}}, ["top_p"], []),
        ({"temperature": 0.5, "top_k": 5}, ["no_sampling"], {}, ["temperature", "top_k"], []),
        ({"stop": ["a", " "]}, [], {"inferenceConfig": {"stopSequences": ["a"]}}, ["stop"], []),
        ({"stop": [" "]}, [], {}, ["stop"], []),
        ({"top_k": 5}, [], {"additionalModelRequestFields": {"top_k": 5}}, [], []),
        ({"top_k": 5}, ["no_top_k"], {}, ["top_k"], []),
        ({"service_tier": "priority"}, [], {"serviceTier": {"type": "priority"}}, [], []),
        ({"service_tier": "auto"}, [], {}, [], []),
        ({"service_tier": "scale"}, [], {}, ["service_tier"], []),
        ({"metadata": {"team": "blue", "n": 1}}, [], {"requestMetadata": {"team": "blue"}}, ["metadata"], []),
        ({"metadata": {"a": "b{c}"}}, [], {}, ["metadata"], []),
        ({"seed": 0, "frequency_penalty": 0.0}, [], {}, ["seed"], []),
        ({"seed": 1, "logprobs": True, "choices": 2}, [], {}, ["seed", "logprobs", "n"], []),
        ({"user": "u", "prompt_cache_key": "k"}, [], {}, [], ["user", "prompt_cache_key"]),
        ({"modalities": ["audio"]}, [], {}, ["modalities"], []),
        ({"extras": {"openai-chat": {"store": True, "web_search_options": {}}}}, [], {}, ["store", "web_search_options"], []),
    ],
)  # fmt: skip
def test_settings(
    settings: dict[str, Any],
    quirks: list[str],
    written: dict[str, Any],
    dropped: list[str],
    emulated: list[str],
) -> None:
    doc, notes = write(talk(**settings), *quirks, max_output=4000)
    del doc["messages"]
    assert doc == written
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


def test_what_only_this_format_knows_comes_back() -> None:
    fields = {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "x": 1},
        "anthropic_beta": ["b"],
    }
    doc = {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 5, "topK": 7},
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "additionalModelRequestFields": fields,
        "outputConfig": {"effort": "low"},
    }
    written, notes = write(WIRE.read_request(doc))
    assert written == doc
    assert notes.dropped == []


# ── caching ────────────────────────────────────────────────────────────────────────────────────────

POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}


@pytest.mark.parametrize(
    "quirks, message, tool",
    [
        ([], [HOUR], [POINT]),
        (["no_cache_1h"], [POINT], [POINT]),
        (["no_tool_cache_points"], [HOUR], []),
        (["no_cache_points"], [], []),
    ],
)
def test_cache_points_that_the_model_takes(quirks: list[str], message: list[Any], tool: list[Any]) -> None:
    cached = Tool(name="f", cache="5m")
    doc, notes = write(talk(Text(text="long", cache="1h"), tools=[cached]), *quirks)
    assert doc["messages"][0]["content"][1:] == message
    assert doc["toolConfig"]["tools"][1:] == tool
    assert notes.dropped == []
    assert notes.emulated == (["cache_control"] if quirks else [])


@pytest.mark.parametrize("quirks, points", [([], 3), (["no_tool_cache_points"], 2), (["no_cache_points"], 0)])
def test_cache_points_of_our_own(quirks: list[str], points: int) -> None:
    given = turns(("system", [Text(text="s")]), ("user", [Text(text="hi")]), tools=[WEATHER])
    doc, _ = write(given, *quirks, prompt_cache="auto")
    assert json.dumps(doc).count("cachePoint") == points
    marked = turns(("user", [Text(text="hi", cache="5m")]), tools=[WEATHER])
    doc, _ = write(marked, *quirks, prompt_cache="auto")
    assert json.dumps(doc).count("cachePoint") == min(points, 1)


def test_system_texts_are_put_before_and_after() -> None:
    doc: dict[str, Any] = {}
    WIRE.add_system(doc, "b", "append")
    WIRE.add_system(doc, "a", "prepend")
    assert doc["system"] == [{"text": "a"}, {"text": "b"}]
