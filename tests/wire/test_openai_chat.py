"""The Chat Completions wire as a whole: real traffic of many servers and clients, answers, glances, small things."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion

from omniroute.errors import UpstreamError
from omniroute.wire.codec import Dialect, ModelCard
from omniroute.wire.conversation import (
    Answer,
    Audio,
    Choice,
    Citation,
    Doc,
    File,
    Finish,
    FinishReason,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from omniroute.wire.openai_chat import OpenAIChat
from tests.support import recordings
from tests.support.streams import reference

WIRE = OpenAIChat()
FORMATS = ("openai-chat", "mistral-chat")
RECORDED = [name for format in FORMATS for name in recordings.ids(format)]


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


# ── requests ─────────────────────────────────────────────────────────────────────────────────────

ALL_QUIRKS = frozenset(
    "max_completion_tokens developer_role cache_control custom_tools allowed_tools tool_images tool_name top_k "
    "many_stops file_url video_url reasoning_content".split()
)
LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
OWN_WORDS = {
    "enable_thinking": "enable_thinking",
    "reasoning": "reasoning_object",
    "thinking": "thinking_object",
}
"""A server's own word for reasoning → the quirk of those that know it."""


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_request_keeps_its_meaning(name: str) -> None:
    recording = recordings.load(name)
    body = recording.request and recording.request.get("body")
    if not isinstance(body, dict) or not body.get("messages"):
        pytest.skip("the recording has no request")
    before = json.dumps(body)
    talk = WIRE.read_request(body)
    assert json.dumps(body) == before
    notes = Notes()
    quirks = ALL_QUIRKS | {quirk for key, quirk in OWN_WORDS.items() if key in body}
    again = WIRE.read_request(WIRE.write_request(talk, Dialect(quirks=quirks, thinking_levels=LEVELS), notes))
    assert notes.dropped == []
    assert essence(again) == essence(talk)


def essence(talk: Any) -> Any:
    """A request without what writing may word in another way: empty texts, and where texts are joined."""
    found = plain(talk)
    found.get("extras", {}).get("openai-chat", {}).pop("stream_options", None)
    for turn in found["turns"]:
        turn["parts"] = joined(turn["parts"])
        for part in turn["parts"]:
            if part["type"] == "file":
                part.setdefault("name", "file.pdf")
            if part["type"] == "tool_result":
                part["content"] = joined(part.get("content", []))
    # Not asking for what nobody gives unasked is the same as not saying it.
    for key, default in (("store", False), ("extras", {"openai-chat": {}}), ("output", {"kind": "text"})):
        if found.get(key) == default:
            del found[key]
    for tool in found.get("tools", []):
        tool.setdefault("schema", {"type": "object", "properties": {}})
    if found.get("output", {}).get("kind") == "json_schema":
        found["output"].setdefault("name", "answer")
    if found.get("reasoning", {}).get("enabled") and "effort" in found["reasoning"]:
        del found["reasoning"]["enabled"]
    if not found.get("tools"):
        found.pop("tool_choice", None)
    return found


def joined(parts: list[Any]) -> list[Any]:
    said = "".join(p["text"].strip() for p in parts if p["type"] == "text")
    cached = any(p.get("cache") for p in parts if p["type"] == "text")
    rest = [p for p in parts if p["type"] != "text"]
    return [{"type": "said", "text": said, "cached": cached}, *rest] if said else rest


@pytest.mark.parametrize("client", ["aider", "cline", "kilo", "opencode", "pi", "qwen-code"])
def test_requests_of_real_clients(client: str) -> None:
    folder = recordings.require("clients")
    for sent in json.loads((folder / f"{client}.json").read_text())["requests"]:
        talk = WIRE.read_request(sent["body"])
        assert WIRE.peek(json.dumps(sent["body"]).encode())[:2] == (talk.model, talk.stream)
        notes = Notes()
        out = WIRE.write_request(talk, Dialect(), notes)
        assert notes.dropped == []
        assert [m["role"] for m in out["messages"]] == [m["role"] for m in sent["body"]["messages"]]
        assert len(out.get("tools", [])) == len(sent["body"].get("tools", []))


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [n for f in FORMATS for n in recordings.ids(f, streaming=False)])
def test_recorded_answer_keeps_its_meaning(name: str) -> None:
    recording = recordings.load(name)
    if recording.status != 200:
        pytest.skip("an error")
    answer = WIRE.read_answer(recording.body)
    notes = Notes()
    out = WIRE.write_answer(answer, reference(), notes)
    again = WIRE.read_answer(out)
    assert notes.dropped == []
    for one, other in zip(answer.choices, again.choices, strict=True):
        assert meaning(one.parts) == meaning(other.parts)
        assert one.finish is not None and other.finish is not None
        assert one.finish.reason == other.finish.reason
    assert again.usage == answer.usage
    assert (out["object"], out["id"][:9], out["model"]) == ("chat.completion", "chatcmpl-", "m")


def meaning(parts: list[Part]) -> Any:
    thoughts = "".join(p.text for p in parts if isinstance(p, Thinking))
    signatures = [p.signature for p in parts if isinstance(p, Thinking | ToolCall | Text) and p.signature]
    text = "".join(p.text for p in parts if isinstance(p, Text))
    calls = [(p.id, p.name, p.arguments, p.kind) for p in parts if isinstance(p, ToolCall)]
    cited = [c.url for p in parts if isinstance(p, Text) for c in p.citations]
    refusals = [p.text for p in parts if isinstance(p, Refusal)]
    return thoughts, signatures, text, calls, cited, refusals


@pytest.mark.parametrize("name", [n for f in FORMATS for n in recordings.ids(f, streaming=False)])
def test_a_glance_sees_what_reading_sees(name: str) -> None:
    recording = recordings.load(name)
    if recording.status != 200:
        pytest.skip("an error")
    glance = WIRE.glance(json.dumps(recording.body).encode())
    answer = WIRE.read_answer(recording.body)
    assert (glance.usage, glance.finish, glance.model) == (
        answer.usage,
        answer.choices[0].finish,
        answer.model,
    )
    assert glance.empty is (not answer.choices[0].parts and answer.choices[0].finish.reason != "length")  # type: ignore[union-attr]  # read always gives one
    assert glance.problem is None


def answered(message: Doc, finish: Any = "stop", **more: Any) -> Doc:
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    ("body", "empty", "problem"),
    [
        (answered({"content": "a"}), False, None),
        (answered({"content": ""}), True, None),
        (answered({"content": None}), True, None),
        (answered({}), True, None),
        (answered({"content": ""}, "length"), False, None),  # all went into thinking
        (answered({"content": None}, "content_filter"), False, None),
        (answered({"content": "", "reasoning": "hm"}), False, None),
        (answered({"content": None, "tool_calls": [{"id": "a", "function": {"name": "f"}}]}), False, None),
        (answered({"content": None, "tool_calls": []}), True, None),
        (answered({"content": [{"type": "text", "text": "a"}]}), False, None),
        (answered({"refusal": "no"}), False, None),
        ({"choices": []}, True, None),
        ({"choices": None}, True, None),
        ({}, True, None),
        ({"choices": "odd"}, True, None),
        ([], True, None),
        ({"error": {"message": "too many requests", "code": 429}}, True, "rate_limit"),
        ({"error": "overloaded"}, True, "overloaded"),
        ({"object": "error", "message": "no such model: a", "code": 404}, True, "model_not_found"),
        (answered({"content": "a"}, "stop", model=7), False, None),
    ],
)
def test_glance(body: Any, empty: bool, problem: str | None) -> None:
    glance = WIRE.glance(json.dumps(body).encode())
    assert (glance.empty, glance.problem and glance.problem.kind) == (empty, problem)


def test_a_glance_at_html_says_that_it_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.glance(b"<html>")


def test_an_error_in_a_good_answer_is_raised() -> None:
    with pytest.raises(UpstreamError) as raised:
        WIRE.read_answer({"error": {"message": "Rate limit reached", "code": 429}})
    assert raised.value.problem.kind == "rate_limit"


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a"}, [Text(text="a")]),
        ({"content": ""}, []),
        ({"content": None, "refusal": "", "audio": {"data": ""}, "function_call": {"name": ""}}, []),
        ({"reasoning_content": "hm", "content": "a"}, [Thinking(text="hm"), Text(text="a")]),
        ({"reasoning": "hm", "content": "a"}, [Thinking(text="hm"), Text(text="a")]),
        (
            {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
            [Thinking(text="hm")],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]},
            [Thinking(text="hm", summary=True)],
        ),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, [Thinking(text="hm")]),
        ({"content": "<think>hm</think>a"}, [Thinking(text="hm"), Text(text="a")]),
        (
            {"content": [{"type": "reference", "reference_ids": [1]}]},
            [Opaque(wire="openai-chat", doc={"type": "reference", "reference_ids": [1]}, label="reference")],
        ),
        (
            {"content": [{"type": "text"}]},
            [Opaque(wire="openai-chat", doc={"type": "text"}, label="text")],
        ),
        ({"refusal": "no"}, [Refusal(text="no")]),
        (
            {"audio": {"id": "a1", "data": "AA==", "transcript": "hi", "format": "wav"}},
            [Audio(source=Source(data="AA==", media_type="audio/wav"), transcript="hi", id="a1")],
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": None}}]},
            [ToolCall(id="c", name="f")],
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{broken"}}]},
            [ToolCall(id="c", name="f", arguments="{broken")],
        ),
        (
            {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            [ToolCall(id="c", name="f", arguments="x", kind="custom")],
        ),
        (
            {
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "custom": {"name": "", "input": ""},
                        "function": {"name": "f"},
                    }
                ]
            },
            [ToolCall(id="c", name="f")],
        ),
        ({"tool_calls": [{"id": "", "function": {"name": ""}}]}, []),
        (
            {"content": "a", "extra_content": {"google": {"thought_signature": "s"}}},
            [Text(text="a", signature=Signature(value="s", wire="openai-chat"))],
        ),
        (
            {"annotations": [{"type": "other", "x": 1}], "content": "a"},
            [
                Text(
                    text="a",
                    citations=[Citation(kind="other", wire="openai-chat", native={"type": "other", "x": 1})],
                )
            ],
        ),
    ],
)
def test_answers_of_many_servers(message: Doc, parts: list[Part]) -> None:
    assert WIRE.read_answer(answered(message)).choices[0].parts == parts


def test_calls_without_ids_get_some_that_stay_the_same() -> None:
    call = {"id": "", "function": {"name": "f", "arguments": "{}"}}
    parts = [WIRE.read_answer(answered({"tool_calls": [call, call]})).choices[0].parts for _ in range(2)]
    ids = [part.id for part in parts[0] if isinstance(part, ToolCall)]
    assert parts[0] == parts[1]
    assert len(set(ids)) == 2 and all(id.startswith("call_") and len(id) < 40 for id in ids)


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ({"citations": ["https://a", "https://b"]}, ["https://a", "https://b"]),
        ({"search_results": [{"url": "https://a", "title": "A"}], "citations": ["https://x"]}, ["https://a"]),
        ({"citations": None, "search_results": None}, []),
    ],
)
def test_sources_beside_the_choices_are_citations(body: Doc, urls: list[str]) -> None:
    text = WIRE.read_answer(answered({"content": "a"}, **body)).choices[0].parts[0]
    assert isinstance(text, Text)
    assert [citation.url for citation in text.citations] == urls


@pytest.mark.parametrize(
    ("word", "called", "reason"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("", False, "stop"),
        (None, True, "tool_calls"),
        ("eos", False, "stop"),
        ("length", True, "length"),
        ("model_length", False, "context_length"),
        ("function_call", True, "tool_calls"),
        ("content_filter", False, "content_filter"),
        ("STOP", False, "stop"),
        ("error", False, "other"),
        ("insufficient_system_resource", False, "other"),
    ],
)
def test_finish_reasons(word: str | None, called: bool, reason: FinishReason) -> None:
    calls = [{"id": "c", "function": {"name": "f"}}] if called else []
    finish = WIRE.read_answer(answered({"content": "a", "tool_calls": calls}, word)).choices[0].finish
    assert finish == Finish(reason=reason, native=word or None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(input=3, output=2)),
        (None, None),
        ({}, None),
        ({"prompt_tokens": None, "completion_tokens": 0}, Usage()),
        # Cached tokens stand in four places.
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(input=9, cached=4)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(input=9, cached=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(input=9, cached=4)),
        ({"prompt_tokens": 9, "num_cached_tokens": 4}, Usage(input=9, cached=4)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 5}},
            Usage(input=9, cached=2, cache_write=5),
        ),
        ({"prompt_tokens": 9, "cache_creation_input_tokens": 5}, Usage(input=9, cache_write=5)),
        # Cached tokens left out of the prompt: more than it could hold.
        (
            {
                "prompt_tokens": 23,
                "completion_tokens": 110,
                "total_tokens": 133,
                "prompt_tokens_details": {"cached_tokens": 190},
            },
            Usage(input=213, output=110, cached=190),
        ),
        # Reasoning inside the output, or beside it with a total that tells, or without one.
        (
            {
                "completion_tokens": 9,
                "total_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(output=9, reasoning=4),
        ),
        (
            {
                "prompt_tokens": 436,
                "completion_tokens": 68,
                "total_tokens": 652,
                "completion_tokens_details": {"reasoning_tokens": 148},
            },
            Usage(input=436, output=216, reasoning=148),
        ),
        (
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            Usage(input=35, output=74, reasoning=62),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 11,
                "completion_tokens_details": {"reasoning_tokens": 25},
            },
            Usage(input=9, output=27, reasoning=25),
        ),
        (
            {
                "prompt_tokens": 43,
                "completion_tokens": 10,
                "total_tokens": 53,
                "completion_tokens_details": {"reasoning_tokens": 11},
            },
            Usage(input=43, output=10, reasoning=10),
        ),
        (
            {"prompt_tokens": 1, "prompt_tokens_details": None, "completion_tokens_details": []},
            Usage(input=1),
        ),
    ],
)
def test_usage(given: Any, expected: Usage | None) -> None:
    assert WIRE.read_answer(answered({"content": "a"}, usage=given)).usage == expected


@pytest.mark.parametrize(
    ("tier", "written"),
    [("default", "default"), ("priority", "priority"), ("batch", None), ("on_demand", None), (None, None)],
)
def test_tiers_that_the_sdk_does_not_know_are_left_out(tier: str | None, written: str | None) -> None:
    doc = WIRE.write_answer(Answer(service_tier=tier), reference(), Notes())
    assert doc.get("service_tier") == written
    ChatCompletion.model_validate(doc)


@pytest.mark.parametrize(
    "body",
    [{"x_groq": {"usage": {"prompt_tokens": 3}}}, {"usage": None, "x_groq": {"usage": {"prompt_tokens": 3}}}],
)
def test_usage_elsewhere(body: Doc) -> None:
    assert WIRE.read_answer(answered({"content": "a"}, **body)).usage == Usage(input=3)


def test_usage_is_written_with_cache_writes() -> None:
    usage = Usage(input=20, output=8, cached=5, cache_write=3, cache_write_1h=2, reasoning=4)
    out = WIRE.write_answer(Answer(choices=[Choice()], usage=usage), reference(), Notes())["usage"]
    assert (out["prompt_tokens"], out["completion_tokens"], out["total_tokens"]) == (20, 8, 28)
    assert out["prompt_tokens_details"] == {"cached_tokens": 5, "audio_tokens": 0, "cache_write_tokens": 5}
    assert out["completion_tokens_details"]["reasoning_tokens"] == 4


FOREIGN = Signature(value="c2ln", wire="anthropic-messages", id="i")


def write(
    parts: list[Part], request: Doc | None = None, finish: Finish | None = None
) -> tuple[Doc, list[str]]:
    notes = Notes()
    answer = Answer(choices=[Choice(parts=parts, finish=finish)])
    return WIRE.write_answer(answer, reference(request), notes)["choices"][0], notes.dropped


@pytest.mark.parametrize(
    "parts",
    [
        [Thinking(text="hm", signature=FOREIGN), Text(text="a")],
        [Thinking(signature=FOREIGN, redacted=True), ToolCall(id="c", name="f")],
        [Thinking(text="hm"), ToolCall(id="c", name="f", signature=FOREIGN)],
        [Text(text="a", signature=FOREIGN)],
        [Thinking(text="one", signature=FOREIGN), Thinking(text="two"), Text(text="a")],
    ],
)
def test_foreign_signatures_come_back_with_the_next_turn(parts: list[Part]) -> None:
    """A client keeps the message and sends it back: what was signed elsewhere is whole again."""
    message = write(parts)[0]["message"]
    talk = WIRE.read_request({"model": "m", "messages": [message]})
    assert talk.turns[0].parts == parts
    sent = WIRE.write_request(talk, Dialect(), Notes())
    assert "c2ln" not in json.dumps(sent) and "or1." not in json.dumps(sent), "but never to another provider"


def test_signed_reasoning_of_this_wire_goes_back_as_it_was() -> None:
    entries = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "format": "anthropic-claude-v1",
            "index": 0,
            "signature": "s",
        },
        {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1", "id": "t1", "index": 1},
    ]
    answer = WIRE.read_answer(answered({"content": "a", "reasoning": "hm", "reasoning_details": entries}))
    message = WIRE.write_answer(answer, reference(), Notes())["choices"][0]["message"]
    assert message["reasoning_details"] == entries
    talk = WIRE.read_request({"model": "m", "messages": [message]})
    assert WIRE.write_request(talk, Dialect(), Notes())["messages"][0]["reasoning_details"] == entries
    strict = WIRE.write_request(talk, Dialect(quirks=frozenset({"strict_fields"})), Notes())
    assert strict["messages"] == [{"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("context_length", "length"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
        ("malformed_call", "stop"),
        ("other", "stop"),
    ],
)
def test_finish_reasons_are_written(reason: FinishReason, word: str) -> None:
    assert write([Text(text="a")], finish=Finish(reason=reason))[0]["finish_reason"] == word


def test_answers_to_a_client_of_the_legacy_functions() -> None:
    calls: list[Part] = [ToolCall(id="c", name="f"), ToolCall(id="d", name="g")]
    choice, dropped = write(calls, {"functions": [{"name": "f"}]}, Finish(reason="tool_calls"))
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert dropped == ["tool_calls[1:]"]


@pytest.mark.parametrize(
    ("arguments", "input"), [('{"input":"x y"}', "x y"), ("broken", "broken"), ('{"a":1}', '{"a":1}')]
)
def test_a_free_form_tool_gets_its_text(arguments: str, input: str) -> None:
    request = {"tools": [{"type": "custom", "custom": {"name": "f"}}]}
    choice, _ = write([ToolCall(id="c", name="f", arguments=arguments)], request)
    assert choice["message"]["tool_calls"] == [
        {"id": "c", "type": "custom", "custom": {"name": "f", "input": input}}
    ]


@pytest.mark.parametrize(
    ("parts", "annotations", "dropped"),
    [
        (
            [Text(text="ab"), Text(text="cd", citations=[Citation(url="https://a", title="A")])],
            [("https://a", "A", 2, 4)],
            [],
        ),
        (
            [Text(text="ab"), Text(text="cd", citations=[Citation(url="https://a", start=1, end=2)])],
            [("https://a", "https://a", 3, 4)],
            [],
        ),
        ([Text(text="ab", citations=[Citation(kind="file", file_id="f")])], [], ["citations"]),
    ],
)
def test_citations_are_written(parts: list[Part], annotations: list[Any], dropped: list[str]) -> None:
    choice, lost = write(parts)
    found = [a["url_citation"] for a in choice["message"].get("annotations", [])]
    assert [(c["url"], c["title"], c["start_index"], c["end_index"]) for c in found] == annotations
    assert lost == dropped


@pytest.mark.parametrize(
    ("part", "key", "value", "dropped"),
    [
        (
            Image(source=Source(data="AA==", media_type="image/png")),
            "images",
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            [],
        ),
        (
            Audio(source=Source(data="AA=="), transcript="hi"),
            "audio",
            {"id": "audio_1", "data": "AA==", "transcript": "hi", "expires_at": 1700003600},
            [],
        ),
        (Opaque(wire="gemini", doc={}, label="executableCode"), "images", None, ["executableCode"]),
        (File(source=Source(url="https://a")), "images", None, ["file"]),
    ],
)
def test_other_content_of_answers(part: Part, key: str, value: Any, dropped: list[str]) -> None:
    choice, lost = write([part])
    if key == "audio":
        # The answer's own id is made first.
        value = value | {"id": "audio_2"}
    assert choice["message"].get(key) == value
    assert lost == dropped


# ── small things ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "peek"),
    [
        (b'{"model":"a"}', ("a", False)),
        (b'{"stream":true,"model":"a","messages":[]}', ("a", True)),
        (b'{"stream":null,"model":"a"}', ("a", False)),
    ],
)
def test_peek(raw: bytes, peek: Any) -> None:
    assert WIRE.peek(raw)[:2] == peek


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"model":1}', b'{"model":"a","stream":"yes"}'])
def test_peek_refuses_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.peek(raw)


@pytest.mark.parametrize(
    ("messages", "position", "expected"),
    [
        ([], "prepend", [("system", "T")]),
        ([("user", "a")], "append", [("system", "T"), ("user", "a")]),
        ([("system", "S"), ("user", "a")], "prepend", [("system", "T\n\nS"), ("user", "a")]),
        ([("system", "S"), ("developer", "D")], "append", [("system", "S"), ("developer", "D\n\nT")]),
        (
            [("system", [{"type": "text", "text": "S"}])],
            "append",
            [("system", [{"type": "text", "text": "S"}, {"type": "text", "text": "T"}])],
        ),
        ([("user", "a"), ("system", "S")], "append", [("system", "T"), ("user", "a"), ("system", "S")]),
    ],
)
def test_add_system(messages: Any, position: Any, expected: Any) -> None:
    given = [{"role": role, "content": content} for role, content in messages]
    doc = {"messages": given}
    WIRE.add_system(doc, "T", position)
    assert [(m["role"], m["content"]) for m in doc["messages"]] == expected
    assert [(m["role"], m["content"]) for m in given] == messages, "the list that was there stays as it was"


def test_paths_counts_and_models() -> None:
    assert WIRE.path("m", True, "chat") == "/chat/completions"
    assert WIRE.path("m", False, "count_tokens") is None
    assert WIRE.write_count(7) == {"object": "response.input_tokens", "input_tokens": 7}
    assert WIRE.read_count(WIRE.write_count(7)) == 7
    cards = [ModelCard(id="a"), ModelCard(id="b", owner="lab", name="B", created=5, context=9, max_output=3)]
    assert WIRE.write_models(cards) == {
        "object": "list",
        "data": [
            {"id": "a", "object": "model", "created": 0, "owned_by": "omniroute"},
            {
                "id": "b",
                "object": "model",
                "created": 5,
                "owned_by": "lab",
                "name": "B",
                "context_length": 9,
                "max_output_tokens": 3,
            },
        ],
    }
