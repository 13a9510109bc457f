"""The Responses wire: what a client of it, or a provider of it, can count on."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream, Problem, Refused, Tried, UnsupportedContent, UpstreamError
from omniroute.wire.codec import Dialect, Event, ModelCard
from omniroute.wire.conversation import (
    Answer,
    Audio,
    CallDelta,
    CallStart,
    Choice,
    Citation,
    CitationDelta,
    Conversation,
    Delta,
    Doc,
    End,
    Failure,
    File,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
    Opaque,
    OutputFormat,
    PartEnd,
    Ping,
    Reasoning,
    Refusal,
    RefusalDelta,
    Signature,
    SignatureDelta,
    Source,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.signatures import unwrap_signature
from tests.support import recordings
from tests.support.openai_responses import (
    WIRE,
    assert_legal,
    assert_typed_response,
    events_of,
    read_stream,
    reference,
    write_stream,
)
from tests.support.properties import examples

PLAIN = recordings.ids("openai-responses", streaming=False)
STREAMS = recordings.ids("openai-responses", streaming=True)

# Recordings of servers whose own tool items the SDK's types do not know.
LOOSE = ("model-web-search-tool-stream", "xai-code-execution")


def request(**fields: Any) -> Doc:
    return {"model": "m", "input": "hi", **fields}


def written(talk: Conversation, dialect: Dialect | None = None) -> tuple[Doc, Notes]:
    notes = Notes()
    return WIRE.write_request(talk, dialect or Dialect(), notes), notes


def asked(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(model="m", turns=list(turns) or [user("hi")], **fields)


def user(*parts: Any) -> Turn:
    return Turn(role="user", parts=[Text(text=p) if isinstance(p, str) else p for p in parts])


def assistant(*parts: Any) -> Turn:
    return Turn(role="assistant", parts=[Text(text=p) if isinstance(p, str) else p for p in parts])


def meaning(parts: list[Any]) -> list[Any]:
    """Parts without what is the server's own: ids of reasoning items."""
    docs = msgspec.to_builtins(parts)
    for doc in docs:
        doc.get("signature", {}).pop("id", None)
    return docs


# ── real traffic ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*PLAIN, *STREAMS])
def test_recorded_requests_come_back_the_same(name: str) -> None:
    recording = recordings.load(name)
    body = (recording.request or {}).get("body")
    if not isinstance(body, dict):
        pytest.skip("only the answer was recorded")
    before = json.dumps(body)
    talk = WIRE.read_request(body)
    notes = Notes()
    again = WIRE.read_request(WIRE.write_request(talk, Dialect(), notes))
    assert json.dumps(body) == before
    assert (notes.dropped, notes.emulated) == ([], [])
    assert _without_ids(again) == _without_ids(talk)


def _without_ids(talk: Conversation) -> Any:
    doc = msgspec.to_builtins(talk)
    for turn in doc.get("turns", []):
        turn.pop("id", None)
        turn["parts"] = [part for part in turn["parts"] if part != {"type": "text", "text": ""}]
    return doc


@pytest.mark.parametrize("name", PLAIN)
def test_recorded_answers_come_back_the_same(name: str) -> None:
    recording = recordings.load(name)
    if recording.status != 200 or "output" not in recording.body:
        pytest.skip("an error, or no Responses answer")
    answer = WIRE.read_answer(recording.body)
    notes = Notes()
    body = (recording.request or {}).get("body") or {}
    doc = WIRE.write_answer(answer, reference(body), notes)
    again = WIRE.read_answer(doc)
    assert meaning(again.choices[0].parts) == meaning(answer.choices[0].parts)
    assert again.choices[0].logprobs == answer.choices[0].logprobs
    assert again.usage == (answer.usage or Usage())
    assert not notes.dropped
    if not any(loose in name for loose in LOOSE):
        assert_typed_response(doc)
    glance = WIRE.glance(json.dumps(recording.body).encode())
    assert (glance.usage, glance.finish, glance.model) == (
        answer.usage,
        answer.choices[0].finish,
        answer.model,
    )
    assert not glance.empty and glance.problem is None


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_come_back_the_same(name: str) -> None:
    raw = recordings.load(name).body.encode()
    deltas = read_stream(raw)
    out = write_stream(deltas)
    assert_legal(out, typed=not any(loose in name for loose in LOOSE))
    again = read_stream(out)
    assert _told(again) == _told(deltas)
    assert type(deltas[-1]) in (End, Failure)


def _told(deltas: list[Delta]) -> list[Any]:
    docs = msgspec.to_builtins([d for d in deltas if not isinstance(d, Start | PartEnd)])
    for doc in docs:
        doc.get("signature", {}).pop("id", None)
        doc.pop("native", None)
    return docs


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_may_be_cut_anywhere(name: str) -> None:
    raw = recordings.load(name).body.encode()
    whole = read_stream(raw)
    for cut in range(1, len(raw), max(1, len(raw) // 30)):
        assert read_stream(raw, [cut]) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_the_tap_sees_what_the_reader_reads(name: str) -> None:
    raw = recordings.load(name).body.encode()
    deltas = read_stream(raw)
    usage = next((d.usage for d in deltas if isinstance(d, UsageDelta)), None)
    finish = next((d.finish for d in deltas if isinstance(d, Finished)), None)
    for size in (7, 1000, len(raw)):
        tap = WIRE.tap()
        for start in range(0, len(raw), size):
            tap.feed(raw[start : start + size])
        assert (tap.usage, tap.finish) == (usage, finish)
        assert tap.finished == (b'"response.completed"' in raw or b'"error"' in raw or finish is not None)


def test_codex_is_understood_and_answered() -> None:
    clients = recordings.require("clients")
    for entry in json.loads((clients / "codex.json").read_text())["requests"]:
        body = entry["body"]
        talk = WIRE.read_request(body)
        assert {tool.namespace for tool in talk.tools} == {None, "multi_agent_v1"}
        assert [tool.name for tool in talk.tools if tool.kind == "server"] == ["web_search"]
        doc, notes = written(talk)
        assert doc["tools"] == body["tools"]
        assert doc["include"] == body["include"] and doc["store"] is False
        assert (notes.dropped, notes.emulated) == ([], [])
        answer = Answer(
            choices=[Choice(parts=[Thinking(text="hm"), Text(text="hi")], finish=Finish())], usage=Usage()
        )
        assert_typed_response(WIRE.write_answer(answer, reference(body), Notes()))


# ── request in ───────────────────────────────────────────────────────────────────────────────────

REFUSED = [
    ({"input": 5}, "input"),
    ({"input": [5]}, "input[0]"),
    ({"input": [{"role": "cat", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "input[0].content[0].image_url",
    ),
    ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [{}]}]}, "tools[0].tools[0].type"),
    ({"tool_choice": "maybe"}, "tool_choice"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_output_tokens": True}, "max_output_tokens"),
    ({"instructions": 5}, "instructions"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"text": {"format": 5}}, "text.format"),
    ({"include": "all"}, "include"),
]


@pytest.mark.parametrize(("fields", "place"), REFUSED)
def test_a_wrong_shape_is_refused_with_its_place(fields: Doc, place: str) -> None:
    with pytest.raises(Refused) as refused:
        WIRE.read_request(request(**fields))
    assert refused.value.problem.kind == "invalid_request"
    assert refused.value.problem.param == place
    assert place in refused.value.problem.message


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"type": "telepathy"}, "input[0]"),
        ({"role": "user", "content": [{"type": "smell"}]}, "input[0].content[0]"),
    ],
)
def test_unknown_content_is_not_lost_but_refused(item: Doc, path: str) -> None:
    with pytest.raises(UnsupportedContent) as unsupported:
        WIRE.read_request(request(input=[item]))
    assert unsupported.value.path == path


def test_reasoning_keeps_its_place_before_its_call() -> None:
    talk = WIRE.read_request(
        request(
            input=[
                {"role": "user", "content": "go"},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "A"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "B"},
                {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
            ]
        )
    )
    kinds = [type(part).__name__ for part in talk.turns[1].parts]
    assert kinds == ["Thinking", "ToolCall", "Thinking", "ToolCall"]


@pytest.mark.parametrize(
    ("choice", "canonical"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="named", names=("f",))),
        ({"type": "custom", "name": "c"}, ToolChoice(mode="named", names=("c",))),
        ({"type": "web_search"}, ToolChoice(mode="named", names=("web_search",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice(mode="allowed", names=("f",)),
        ),
        ({"type": "mcp", "server_label": "s", "name": "t"}, None),
    ],
)
def test_tool_choice_both_ways(choice: Any, canonical: ToolChoice | None) -> None:
    tools = [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "custom", "name": "c"},
        {"type": "web_search"},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com"},
    ]
    talk = WIRE.read_request(request(tools=tools, tool_choice=choice))
    assert talk.tool_choice == canonical
    doc, _ = written(talk)
    assert doc["tool_choice"] == choice
    assert doc["tools"] == tools


def test_settings_that_only_this_wire_has_ride_along() -> None:
    fields = {
        "truncation": "auto",
        "max_tool_calls": 3,
        "prompt": {"id": "pmpt_1"},
        "reasoning": {"effort": "low", "mode": "pro"},
        "text": {"verbosity": "high", "tone": "dry"},
        "include": ["web_search_call.action.sources"],
        "stream_options": {"include_obfuscation": False},
    }
    talk = WIRE.read_request(request(**fields))
    doc, _ = written(talk)
    assert {key: doc[key] for key in fields if key not in ("include", "reasoning")} == {
        key: value for key, value in fields.items() if key not in ("include", "reasoning")
    }
    assert doc["reasoning"] == {"effort": "low", "mode": "pro"}
    assert "web_search_call.action.sources" in doc["include"]


def test_settings_that_say_the_usual_say_nothing() -> None:
    talk = WIRE.read_request(request(truncation="disabled", background=False, tools=None, store=None))
    assert talk.extras == {"openai-responses": {}}
    assert talk.store is None


# ── request out ──────────────────────────────────────────────────────────────────────────────────


def test_a_leading_system_turn_becomes_instructions_and_others_keep_their_place() -> None:
    turns = [
        Turn(role="system", parts=[Text(text="a"), Text(text="b")]),
        Turn(role="system", parts=[Text(text="c")]),
        user("hi"),
        Turn(role="developer", parts=[Text(text="d")]),
    ]
    doc, _ = written(asked(*turns))
    assert doc["instructions"] == "a\n\nb"
    assert [item["role"] for item in doc["input"]] == ["system", "user", "developer"]
    doc, _ = written(asked(*turns), Dialect(quirks=frozenset({"no_developer_role"})))
    assert [item["role"] for item in doc["input"]] == ["system", "user", "system"]


def test_nothing_is_stored_for_clients_of_other_wires() -> None:
    doc, _ = written(asked(reasoning=Reasoning(effort="low")))
    assert doc["store"] is False
    assert doc["include"] == ["reasoning.encrypted_content"]
    doc, _ = written(asked(store=True, reasoning=Reasoning(effort="low")))
    assert doc["store"] is True
    assert "include" not in doc


@pytest.mark.parametrize(
    ("reasoning", "dialect", "expected", "dropped"),
    [
        (Reasoning(effort="high"), {}, {"effort": "high"}, []),
        (Reasoning(budget=4096, enabled=True), {}, {"effort": "low", "summary": "auto"}, []),
        (Reasoning(budget=60000), {}, {"effort": "high"}, []),
        (Reasoning(budget=60000), {"thinking_levels": ("low", "xhigh")}, {"effort": "xhigh"}, []),
        (Reasoning(effort="minimal"), {"thinking_levels": ("low", "high")}, {"effort": "low"}, []),
        (Reasoning(enabled=False), {"thinking_levels": ("none", "low")}, {"effort": "none"}, []),
        (Reasoning(enabled=False), {"thinking_levels": ("minimal", "low")}, {"effort": "minimal"}, []),
        (Reasoning(enabled=False), {}, None, ["reasoning"]),
        (Reasoning(enabled=False), {"capabilities": frozenset({"tools"})}, None, []),
        (Reasoning(enabled=False, effort="none"), {}, {"effort": "none"}, []),
        (Reasoning(adaptive=True, visible=True), {}, {"summary": "auto"}, []),
        (Reasoning(effort="high"), {"capabilities": frozenset({"tools"})}, None, ["reasoning"]),
        (
            Reasoning(effort="low", summary="auto"),
            {"quirks": frozenset({"no_reasoning_summary"})},
            {"effort": "low"},
            ["reasoning.summary"],
        ),
    ],
)
def test_reasoning_in_the_models_own_words(
    reasoning: Reasoning, dialect: Doc, expected: Doc | None, dropped: list[str]
) -> None:
    doc, notes = written(asked(reasoning=reasoning), Dialect(**dialect))
    assert doc.get("reasoning") == expected
    assert notes.dropped == dropped


def test_what_the_api_lacks_is_noted() -> None:
    _, notes = written(
        asked(
            stop=["."],
            seed=1,
            top_k=5,
            presence_penalty=0.5,
            frequency_penalty=0.5,
            logit_bias={"1": 2.0},
            choices=2,
            modalities=["text", "audio"],
            extras={"openai-chat": {"prediction": {}, "stream_options": {}}},
        )
    )
    assert notes.dropped == [
        "stop",
        "seed",
        "top_k",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "n",
        "modalities",
        "prediction",
    ]


def test_limits_of_other_wires_are_brought_into_bounds() -> None:
    doc, notes = written(asked(max_tokens=1, service_tier="standard_only"))
    assert doc["max_output_tokens"] == 16
    assert "service_tier" not in doc
    assert (notes.emulated, notes.dropped) == (["max_tokens"], ["service_tier"])
    doc, _ = written(asked(max_tokens=9000), Dialect(max_output=4000))
    assert doc["max_output_tokens"] == 4000


def test_settings_that_the_target_refuses_stay_away() -> None:
    quirks = frozenset({"no_store", "no_temperature"})
    doc, notes = written(asked(temperature=1.0), Dialect(quirks=quirks))
    assert "store" not in doc and "temperature" not in doc
    assert notes.dropped == ["temperature"]


def test_tools_of_other_wires_stay_as_lenient_as_they_were() -> None:
    tools = [
        Tool(name="f", schema={"type": "object"}),
        Tool(
            name="c",
            kind="custom",
            format={"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
        ),
        Tool(name="computer", kind="server", wire="anthropic-messages", native={"type": "computer"}),
    ]
    doc, notes = written(asked(tools=tools))
    assert doc["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    ]
    assert notes.dropped == ["tools[].computer"]


def test_output_formats() -> None:
    schema = {"type": "object"}
    doc, _ = written(asked(output=OutputFormat(kind="json_schema", schema=schema), verbosity="low"))
    assert doc["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": schema},
        "verbosity": "low",
    }
    doc, _ = written(asked(output=OutputFormat(kind="json_object")))
    assert doc["text"] == {"format": {"type": "json_object"}}
    doc, _ = written(asked(output=OutputFormat(kind="text")))
    assert "text" not in doc


def test_tool_results_follow_the_kind_of_their_call() -> None:
    talk = asked(
        user("go"),
        assistant(
            ToolCall(id="a", name="f", arguments=""),
            ToolCall(id="b", name="c", arguments="free text", kind="custom"),
        ),
        user(
            ToolResult(id="a", content=[Text(text="boom")], error=True),
            ToolResult(id="b", content=[Text(text="x"), Image(source=Source(url="https://e.com/i.png"))]),
            "and?",
        ),
    )
    doc, notes = written(talk)
    assert doc["input"][1:] == [
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "c", "input": "free text"},
        {"type": "function_call_output", "call_id": "a", "output": "Error: boom"},
        {
            "type": "custom_tool_call_output",
            "call_id": "b",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "https://e.com/i.png"},
            ],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and?"}]},
    ]
    assert notes.emulated == ["tool_result.is_error"]


@pytest.mark.parametrize(
    ("thinking", "quirks", "items"),
    [
        (Thinking(text="raw"), [], []),
        (Thinking(text="x", signature=Signature(value="s", wire="anthropic-messages")), [], []),
        (
            Thinking(text="sum", summary=True, signature=Signature(value="E", wire=WIRE.name, id="rs_1")),
            [],
            [
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "sum"}],
                    "encrypted_content": "E",
                }
            ],
        ),
        # OpenAI refuses raw reasoning beside its encrypted form.
        (
            Thinking(text="raw", signature=Signature(value="E", wire=WIRE.name, id="rs_1")),
            [],
            [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}],
        ),
        # A server without encryption gets back what it wrote.
        (
            Thinking(text="raw", signature=Signature(value="", wire=WIRE.name, id="r1")),
            [],
            [
                {
                    "type": "reasoning",
                    "id": "r1",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "raw"}],
                }
            ],
        ),
        (Thinking(signature=Signature(value="", wire=WIRE.name, id="rs_1"), redacted=True), [], []),
        (
            Thinking(text="raw"),
            ["reasoning_text"],
            [{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]}],
        ),
    ],
)
def test_earlier_reasoning_goes_back_only_where_it_is_valid(
    thinking: Thinking, quirks: list[str], items: list[Doc]
) -> None:
    doc, notes = written(
        asked(user("a"), assistant(thinking, "b"), user("c")), Dialect(quirks=frozenset(quirks))
    )
    found = [item for item in doc["input"] if item["type"] == "reasoning"]
    if quirks:
        found = [{key: value for key, value in item.items() if key != "id"} for item in found]
    assert found == items
    assert not notes.dropped


def test_documents_and_audio() -> None:
    parts = [
        File(source=Source(text="the text"), name="note.txt"),
        File(source=Source(data="aGVsbG8=", media_type="text/plain")),
        File(source=Source(data="JVBERi0=", media_type="application/pdf")),
        Audio(source=Source(data="UklGRg==", media_type="audio/wav")),
    ]
    doc, notes = written(asked(user(*parts)))
    assert doc["input"][0]["content"] == [
        {"type": "input_text", "text": "note.txt\n\nthe text"},
        {"type": "input_text", "text": "hello"},
        {
            "type": "input_file",
            "filename": "document.pdf",
            "file_data": "data:application/pdf;base64,JVBERi0=",
        },
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    assert not notes.dropped


def test_cache_marks_go_where_they_are_known() -> None:
    talk = asked(user(Text(text="long", cache="1h")))
    doc, notes = written(talk)
    assert doc["input"][0]["content"] == [{"type": "input_text", "text": "long"}]
    assert notes.emulated == ["cache_control"]
    doc, notes = written(talk, Dialect(quirks=frozenset({"prompt_cache_breakpoint"})))
    mark = doc["input"][0]["content"][0]["prompt_cache_breakpoint"]
    assert mark == {"mode": "explicit", "ttl": "12h"}
    assert not notes.emulated


def test_a_cached_system_text_keeps_its_mark_where_marks_are_known() -> None:
    talk = asked(Turn(role="system", parts=[Text(text="long", cache="5m")]), user("hi"))
    doc, notes = written(talk)
    assert doc["instructions"] == "long"
    assert notes.emulated == ["cache_control"]
    doc, notes = written(talk, Dialect(quirks=frozenset({"prompt_cache_breakpoint"})))
    assert "instructions" not in doc
    assert doc["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert not notes.emulated


def test_names_of_speakers_have_no_place() -> None:
    _, notes = written(asked(Turn(role="user", parts=[Text(text="hi")], name="Ann")))
    assert notes.dropped == ["name"]


def test_images_of_the_assistant_are_shown_to_the_model() -> None:
    image = Image(source=Source(data="iVBORw0K", media_type="image/png"))
    doc, notes = written(asked(user("draw"), assistant("here:", image), user("again")))
    assert [(item["role"], item["content"][0]["type"]) for item in doc["input"]] == [
        ("user", "input_text"),
        ("assistant", "output_text"),
        ("user", "input_image"),
        ("user", "input_text"),
    ]
    assert notes.emulated == ["image in an assistant message"]


def test_opaque_content_returns_to_its_own_wire_only() -> None:
    own = Opaque(wire=WIRE.name, doc={"type": "web_search_call", "id": "ws_1"}, label="web_search_call")
    other = Opaque(wire="anthropic-messages", doc={"type": "server_tool_use"}, label="server_tool_use")
    doc, notes = written(asked(user("a"), assistant(own, other, "b")))
    assert doc["input"][1] == own.doc
    assert notes.dropped == ["server_tool_use"]


def test_writing_changes_nothing() -> None:
    talk = WIRE.read_request(
        request(input=[{"role": "user", "content": "x"}], tools=[{"type": "web_search"}])
    )
    before = msgspec.to_builtins(talk)
    doc, _ = written(talk)
    doc["tools"].append({})
    doc["input"].clear()
    assert msgspec.to_builtins(talk) == before


@pytest.mark.parametrize(
    ("doc", "position", "instructions", "roles"),
    [
        ({"input": "hi"}, "prepend", "new", None),
        ({"input": "hi", "instructions": "old"}, "prepend", "new\n\nold", None),
        ({"input": "hi", "instructions": "old"}, "append", "old\n\nnew", None),
        ({"input": [{"role": "user", "content": "x"}]}, "append", "new", ["user"]),
        (
            {"input": [{"role": "developer", "content": "a"}, {"role": "user", "content": "x"}]},
            "append",
            None,
            ["developer", "developer", "user"],
        ),
    ],
)
def test_add_system(doc: Doc, position: Any, instructions: str | None, roles: list[str] | None) -> None:
    WIRE.add_system(doc, "new", position)
    assert doc.get("instructions") == instructions
    if roles is not None:
        assert [item["role"] for item in doc["input"]] == roles


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def answer_doc(*output: Doc, **fields: Any) -> Doc:
    return {"id": "resp_1", "object": "response", "status": "completed", "output": list(output), **fields}


def message(text: str) -> Doc:
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        (answer_doc(message("x")), "stop"),
        (answer_doc(message("x"), status="complete"), "stop"),
        (answer_doc({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}), "tool_calls"),
        (answer_doc(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (answer_doc(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (answer_doc(status="incomplete", incomplete_details=None), "other"),
        (answer_doc(status="queued"), "other"),
        (answer_doc({"type": "mcp_call", "id": "mcp_1", "name": "f"}), "stop"),
    ],
)
def test_finish(doc: Doc, reason: str) -> None:
    finish = WIRE.read_answer(doc).choices[0].finish
    assert finish is not None and finish.reason == reason


def test_a_failed_answer_with_status_200_is_a_failure() -> None:
    doc = answer_doc(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    with pytest.raises(UpstreamError) as failed:
        WIRE.read_answer(doc)
    assert failed.value.problem.kind == "rate_limit"
    glance = WIRE.glance(json.dumps(doc).encode())
    assert glance.problem == failed.value.problem


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"input_tokens": 5, "output_tokens": None}, Usage(input=5)),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {
                    "cached_tokens": 30,
                    "cache_write_tokens": 20,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 5, "ttl_30m_tokens": 15},
                },
                "output_tokens": 10,
                "output_tokens_details": {"reasoning_tokens": 4},
                "total_tokens": 110,
            },
            Usage(input=100, output=10, cached=30, cache_write=15, cache_write_1h=5, reasoning=4),
        ),
        # Reasoning beside `output_tokens`, as the total shows.
        (
            {
                "input_tokens": 7,
                "output_tokens": 3,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 30,
            },
            Usage(input=7, output=23, reasoning=20),
        ),
    ],
)
def test_usage(usage: Any, expected: Usage | None) -> None:
    assert WIRE.read_answer(answer_doc(usage=usage)).usage == expected


def test_all_texts_and_all_annotations_of_an_answer_count() -> None:
    notes = [
        {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 3},
        {"type": "brand_new", "x": 1},
    ]
    cited = message("two")
    cited["content"][0]["annotations"] = notes
    refused = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "no"}],
    }
    parts = WIRE.read_answer(answer_doc(message("one"), cited, refused)).choices[0].parts
    assert [type(part).__name__ for part in parts] == ["Text", "Text", "Refusal"]
    assert isinstance(parts[1], Text)
    assert [(c.kind, c.native) for c in parts[1].citations] == [("file", notes[0]), ("other", notes[1])]


def test_raw_reasoning_without_a_summary_is_read() -> None:
    doc = {
        "type": "reasoning",
        "id": "r",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "t"}],
    }
    (part,) = WIRE.read_answer(answer_doc(doc)).choices[0].parts
    assert isinstance(part, Thinking)
    assert (part.text, part.summary) == ("t", False)


def full_answer() -> Answer:
    parts: list[Any] = [
        Thinking(text="hm", signature=Signature(value="s", wire="anthropic-messages")),
        Thinking(signature=Signature(value="r", wire="anthropic-messages"), redacted=True),
        Text(text="See this.", citations=[Citation(url="https://e.com", title="E", start=0, end=3)]),
        Refusal(text="no"),
        ToolCall(id="c1", name="f", arguments='{"a": 1}', signature=Signature(value="g", wire="gemini")),
        ToolCall(id="c2", name="p", arguments="free", kind="custom"),
        Image(source=Source(data="iVBORw0K", media_type="image/png")),
    ]
    usage = Usage(input=10, output=5, cached=4, reasoning=2)
    return Answer(
        id="chatcmpl-1", choices=[Choice(parts=parts, finish=Finish(reason="tool_calls"))], usage=usage
    )


def test_an_answer_in_full() -> None:
    asking = request(
        instructions="Be brief.",
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        tool_choice="auto",
        temperature=0.5,
        parallel_tool_calls=False,
        reasoning={"effort": "low"},
        text={"verbosity": "low"},
        metadata={"a": "b"},
    )
    doc = WIRE.write_answer(full_answer(), reference(asking), Notes())
    assert_typed_response(doc)
    for key in ("instructions", "tools", "tool_choice", "temperature", "parallel_tool_calls", "metadata"):
        assert doc[key] == asking[key]
    assert doc["reasoning"] == {"effort": "low", "summary": None}
    assert doc["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (doc["id"], doc["model"], doc["status"]) == ("resp_1", "m", "completed")
    assert doc["usage"]["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 0}
    assert [item["type"] for item in doc["output"]] == [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "reasoning",
        "custom_tool_call",
        "image_generation_call",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_signatures_of_other_wires_come_back_in_the_next_turn(stream: bool) -> None:
    answer = full_answer()
    answer.choices[0].parts.append(Text(text="bye", signature=Signature(value="t", wire="gemini")))
    if stream:
        deltas: list[Delta] = [WholePart(part=n, content=p) for n, p in enumerate(answer.choices[0].parts)]
        output = events_of(write_stream([*deltas, End()]))[-1]["response"]["output"]
    else:
        output = WIRE.write_answer(answer, reference(), Notes())["output"]
    talk = WIRE.read_request(request(input=[{"role": "user", "content": "hi"}, *output]))
    parts = [part for turn in talk.turns for part in turn.parts]
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    assert [(t.text, t.signature, t.redacted) for t in thoughts] == [
        ("hm", Signature(value="s", wire="anthropic-messages"), False),
        ("", Signature(value="r", wire="anthropic-messages"), True),
    ]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    assert calls[0].signature == Signature(value="g", wire="gemini")
    texts = [part for part in parts if isinstance(part, Text) and part.text == "bye"]
    assert texts[0].signature == Signature(value="t", wire="gemini")


def test_raw_thoughts_are_shown_as_summary_to_whom_asked_for_one() -> None:
    answer = Answer(choices=[Choice(parts=[Thinking(text="hm")])])
    plain = WIRE.write_answer(answer, reference(), Notes())["output"][0]
    assert plain["content"] == [{"type": "reasoning_text", "text": "hm"}] and plain["summary"] == []
    asked_for = reference({"reasoning": {"summary": "auto"}})
    summed = WIRE.write_answer(answer, asked_for, Notes())["output"][0]
    assert summed["summary"] == [{"type": "summary_text", "text": "hm"}] and "content" not in summed


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("context_length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("refusal", "incomplete", {"reason": "content_filter"}),
        ("pause", "incomplete", {"reason": None}),
        ("malformed_call", "incomplete", {"reason": None}),
        ("other", "completed", None),
    ],
)
def test_how_an_answer_ended(reason: Any, status: str, details: Doc | None) -> None:
    answer = Answer(choices=[Choice(parts=[Text(text="x")], finish=Finish(reason=reason))])
    doc = WIRE.write_answer(answer, reference(), Notes())
    assert_typed_response(doc)
    assert (doc["status"], doc["incomplete_details"]) == (status, details)


def test_what_has_no_place_in_an_answer_is_noted() -> None:
    notes = Notes()
    parts = [
        Audio(source=Source(data="AA=="), transcript="said"),
        Opaque(wire="anthropic-messages", doc={}, label="server_tool_use"),
        Text(text="x", citations=[Citation(kind="other")]),
    ]
    doc = WIRE.write_answer(Answer(choices=[Choice(parts=parts), Choice()]), reference(), notes)
    assert [c["text"] for item in doc["output"] for c in item["content"]] == ["said", "x"]
    assert notes.dropped == ["n", "audio", "server_tool_use", "citations"]


@pytest.mark.parametrize(
    ("citation", "annotation"),
    [
        (
            Citation(url="https://e.com"),
            {
                "type": "url_citation",
                "url": "https://e.com",
                "title": "https://e.com",
                "start_index": 0,
                "end_index": 5,
            },
        ),
        (
            Citation(kind="document", title="Book", end=2, quote="q"),
            {"type": "file_citation", "file_id": "Book", "filename": "Book", "index": 2},
        ),
        (
            Citation(kind="document"),
            {"type": "file_citation", "file_id": "document", "filename": "document", "index": 5},
        ),
        (Citation(kind="other", wire=WIRE.name, native={"type": "new"}), {"type": "new"}),
    ],
)
def test_citations_as_annotations(citation: Citation, annotation: Doc) -> None:
    answer = Answer(choices=[Choice(parts=[Text(text="abcde", citations=[citation])])])
    doc = WIRE.write_answer(answer, reference(), Notes())
    assert doc["output"][0]["content"][0]["annotations"] == [annotation]


def test_no_answer_at_all_is_legal() -> None:
    assert_typed_response(WIRE.write_answer(Answer(), reference(), Notes()))


# ── stream in ────────────────────────────────────────────────────────────────────────────────────


def sse(*events: Doc) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def added(index: int, **item: Any) -> Doc:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, **item: Any) -> Doc:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


COMPLETED: Doc = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}


def kinds(deltas: list[Delta]) -> list[str]:
    return [type(delta).__name__ for delta in deltas]


def test_items_are_known_by_their_index() -> None:
    """GitHub Copilot changes an item's id between added and done."""
    deltas = read_stream(
        sse(
            added(0, type="function_call", id="a", call_id="c1", name="f", arguments=""),
            added(1, type="function_call", id="b", call_id="c2", name="g", arguments=""),
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 1,
                "item_id": "x",
                "delta": "{",
            },
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 0,
                "item_id": "y",
                "delta": "[",
            },
            done(1, type="function_call", id="z", call_id="c2", name="g", arguments="{}"),
            done(0, type="function_call", id="w", call_id="c1", name="f", arguments="[]"),
            COMPLETED,
        )
    )
    arguments = {0: "", 1: ""}
    for delta in deltas:
        if isinstance(delta, CallDelta):
            arguments[delta.part] += delta.arguments
    assert arguments == {0: "[]", 1: "{}"}


def test_what_no_delta_brought_comes_late_but_once() -> None:
    late = read_stream(
        sse(
            done(0, **message("all of it")),
            {
                "type": "response.completed",
                "response": {
                    "status": "completed",
                    "output": [
                        message("all of it"),
                        {
                            "type": "function_call",
                            "id": "fc",
                            "call_id": "c",
                            "name": "f",
                            "arguments": "{}",
                        },
                    ],
                },
            },
        )
    )
    assert [d.text for d in late if isinstance(d, TextDelta)] == ["all of it"]
    assert kinds(late)[-5:] == ["CallStart", "CallDelta", "PartEnd", "Finished", "End"]
    assert Finished(finish=Finish(reason="tool_calls", native="completed")) in late


def test_only_the_rest_of_a_text_comes_with_its_done() -> None:
    place = {"output_index": 0, "content_index": 0}
    deltas = read_stream(
        sse(
            added(0, type="message", id="m", content=[]),
            {"type": "response.output_text.delta", **place, "delta": "Good "},
            {"type": "response.output_text.done", **place, "text": "Good day"},
            {
                "type": "response.content_part.done",
                **place,
                "part": {"type": "output_text", "text": "Good day"},
            },
            done(0, **message("Good day")),
            COMPLETED,
        )
    )
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["Good ", "day"]


@pytest.mark.parametrize("type", ["message", "reasoning"])
@pytest.mark.parametrize("index", [0, 1, 4])
def test_a_server_that_counts_content_its_own_way_says_nothing_twice(index: int, type: str) -> None:
    """Bedrock counts the content of all items together, but not in the items themselves."""
    kind = {"message": "output_text", "reasoning": "reasoning_text"}[type]
    place = {"output_index": 0, "content_index": index}
    content = [{"type": kind, "text": "Good day", "annotations": []}]
    deltas = read_stream(
        sse(
            added(0, type=type, id="m", content=[]),
            {"type": f"response.{kind}.delta", **place, "delta": "Good "},
            {"type": f"response.{kind}.delta", **place, "delta": "day"},
            {"type": f"response.{kind}.done", **place, "text": "Good day"},
            done(0, type=type, id="m", content=content),
            COMPLETED,
        )
    )
    assert [d.text for d in deltas if isinstance(d, TextDelta | ThinkingDelta)] == ["Good ", "day"]


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"type": "error", "code": "server_error", "message": "Oh."}, "server", "Oh."),
        (
            {"type": "error", "error": {"type": "insufficient_quota", "message": "Empty."}},
            "quota",
            "Empty.",
        ),
        (
            {
                "type": "response.failed",
                "response": {
                    "status": "failed",
                    "error": {"code": "server_is_overloaded", "message": "Full."},
                },
            },
            "overloaded",
            "Full.",
        ),
        (
            {"type": "response.failed", "response": {"status": "failed", "error": None}},
            "server",
            "The upstream failed and gave no reason.",
        ),
        (
            {"error": {"message": "Too long: maximum context length is 5.", "code": None}},
            "context_length",
            None,
        ),
    ],
)
def test_failures_in_the_stream(event: Doc, kind: str, message: str | None) -> None:
    deltas = read_stream(sse({"type": "response.created", "response": {"id": "r"}}, event, COMPLETED))
    failure = deltas[-1]
    assert isinstance(failure, Failure) and failure.kind == kind
    assert message is None or failure.message == message
    assert "End" not in kinds(deltas)


def test_a_stream_without_its_last_event_is_broken() -> None:
    deltas = read_stream(sse(added(0, type="message", id="m", content=[])) + b"data: [DONE]\n\n")
    assert isinstance(deltas[-1], Failure) and deltas[-1].kind == "bad_gateway"


def test_what_follows_the_end_is_not_part_of_the_stream() -> None:
    deltas = read_stream(sse(COMPLETED, {"type": "response.created", "response": {}}) + b"data: [DONE]\n\n")
    assert kinds(deltas) == ["Start", "Finished", "End"]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert kinds(read_stream(sse(COMPLETED).rstrip(b"\n")))[-1] == "End"


def test_broken_json_is_malformed() -> None:
    with pytest.raises(MalformedStream):
        WIRE.reader().feed(Event("", b'{"type": '))


NAMES = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_text.annotation.added",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
        "response.failed",
        "error",
        "never.heard.of.it",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "x"]) | JSON,
        "id": JSON,
        "call_id": JSON,
        "name": JSON,
        "arguments": JSON,
        "content": JSON,
        "summary": JSON,
        "encrypted_content": JSON,
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": NAMES | JSON,
        "output_index": st.integers(0, 2) | JSON,
        "content_index": st.integers(0, 1) | JSON,
        "summary_index": JSON,
        "item_id": JSON,
        "delta": st.text(max_size=4) | JSON,
        "text": JSON,
        "item": ITEMS | JSON,
        "part": JSON,
        "annotation": JSON,
        "logprobs": JSON,
        "response": st.fixed_dictionaries(
            {}, optional={"output": st.lists(ITEMS, max_size=2), "usage": JSON, "error": JSON}
        )
        | JSON,
        "error": JSON,
    },
)


@examples(200)
@given(st.lists(EVENTS | JSON, max_size=12))
def test_legal_but_odd_json_never_breaks_reader_or_writer(events: list[Any]) -> None:
    reader = WIRE.reader()
    deltas: list[Delta] = []
    for event in events:
        deltas += reader.feed(Event("", json.dumps(event).encode()))
    deltas += reader.end()
    assert_legal(write_stream(deltas), typed=False)


REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional=dict.fromkeys(
        ("instructions", "reasoning", "text", "include", "tool_choice", "temperature", "user"), JSON
    )
    | {
        "input": st.lists(ITEMS | st.fixed_dictionaries({"role": st.just("user"), "content": JSON}) | JSON)
        | JSON,
        "tools": st.lists(ITEMS | JSON, max_size=2) | JSON,
    },
)


@examples(200)
@given(REQUESTS)
def test_any_request_is_read_or_refused(doc: Doc) -> None:
    try:
        talk = WIRE.read_request(doc)
    except (Refused, UnsupportedContent):
        return
    json.dumps(WIRE.write_request(talk, Dialect(), Notes()))


@examples(100)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": JSON,
            "status": st.sampled_from(["completed", "incomplete"]) | JSON,
            "output": st.lists(ITEMS | JSON, max_size=3) | JSON,
            "usage": JSON,
            "incomplete_details": JSON,
        },
    )
)
def test_any_answer_is_read_and_comes_out_legal(doc: Doc) -> None:
    try:
        answer = WIRE.read_answer(doc)
    except UpstreamError:
        return
    WIRE.glance(json.dumps(doc).encode())
    json.dumps(WIRE.write_answer(answer, reference(), Notes()))


@examples(100)
@given(st.lists(st.binary(max_size=40), max_size=5))
def test_garbage_is_malformed_or_nothing(chunks: list[bytes]) -> None:
    reader = WIRE.reader()
    for chunk in chunks:
        try:
            assert all(delta is not None for delta in reader.feed(Event("", chunk)))
        except MalformedStream:
            return


# ── stream out ───────────────────────────────────────────────────────────────────────────────────


def sequence(*deltas: Delta, **fields: Any) -> list[str]:
    events = assert_legal(write_stream(deltas, fields or None))
    return [event["type"].removeprefix("response.") for event in events[2:]]


def test_text_step_by_step() -> None:
    assert sequence(
        Start(),
        TextDelta(part=0, text="a"),
        TextDelta(part=0, text="b"),
        CitationDelta(part=0, citation=Citation(url="https://e.com")),
        Finished(finish=Finish()),
        UsageDelta(usage=Usage(input=1)),
        End(),
    ) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_the_signature_of_a_call_comes_back_with_it() -> None:
    signature = Signature(value="s", wire="gemini")
    deltas: list[Delta] = [CallStart(part=0, id="c", name="f", signature=signature), End()]
    response = assert_legal(write_stream(deltas, None))[-1]["response"]
    talk = WIRE.read_request(request(input=response["output"]))
    assert [part for turn in talk.turns for part in turn.parts] == [
        ToolCall(id="c", name="f", arguments="{}", signature=signature)
    ]


def test_summaries_and_raw_reasoning_step_by_step() -> None:
    assert sequence(
        ThinkingDelta(part=0, text="a", summary=True),
        ThinkingDelta(part=0, text="b", summary=True, block=1),
        PartEnd(part=0),
        ThinkingDelta(part=1, text="raw"),
        SignatureDelta(part=1, signature=Signature(value="s", wire="anthropic-messages")),
        End(),
    ) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_interleaved_calls_reasoning_and_text_lose_nothing() -> None:
    deltas: list[Delta] = [
        ThinkingDelta(part=0, text="think "),
        CallStart(part=1, id="c1", name="f"),
        CallDelta(part=1, arguments='{"a"'),
        ThinkingDelta(part=0, text="again "),
        CallStart(part=2, id="c2", name="g", kind="custom"),
        CallDelta(part=2, arguments="free "),
        CallDelta(part=1, arguments=": 1}"),
        TextDelta(part=3, text="Hello "),
        CallDelta(part=2, arguments="text"),
        ThinkingDelta(part=0, text="more"),
        TextDelta(part=3, text="you"),
        RefusalDelta(part=4, text="no"),
        Finished(finish=Finish(reason="tool_calls")),
        End(),
    ]
    output = assert_legal(write_stream(deltas))[-1]["response"]["output"]
    thoughts = [
        c["text"] for item in output for c in item.get("content", []) if c["type"] == "reasoning_text"
    ]
    texts = [c["text"] for item in output for c in item.get("content", []) if c["type"] == "output_text"]
    assert ("".join(thoughts), "".join(texts)) == ("think again more", "Hello you")
    calls = {item["call_id"]: item.get("arguments") or item.get("input") for item in output if "name" in item}
    assert calls == {"c1": '{"a": 1}', "c2": "free text"}


def test_a_call_without_arguments_has_an_empty_object() -> None:
    types = sequence(CallStart(part=0, id="", name="f"), End())
    assert types[1:3] == ["function_call_arguments.delta", "function_call_arguments.done"]


def test_usage_after_the_finish_is_in_the_last_event() -> None:
    raw = write_stream([Finished(finish=Finish()), UsageDelta(usage=Usage(input=3, output=4)), End()])
    usage = events_of(raw)[-1]["response"]["usage"]
    assert usage == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    }


def test_logprobs_stand_with_their_text() -> None:
    token = {"token": "a", "bytes": [97], "logprob": -0.1, "top_logprobs": []}
    late = {"token": "b", "bytes": [98], "logprob": -0.2, "top_logprobs": []}
    raw = write_stream(
        [
            LogprobsDelta(logprobs={"content": [token]}),
            TextDelta(part=0, text="a"),
            TextDelta(part=0, text="b"),
            LogprobsDelta(logprobs={"content": [late]}),
            End(),
        ]
    )
    events = assert_legal(raw)
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == [[token], []]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token, late]


def test_a_failure_ends_legally_and_hands_out_no_half_call() -> None:
    raw = write_stream(
        [
            TextDelta(part=0, text="Hi"),
            CallStart(part=1, id="c", name="f"),
            CallDelta(part=1, arguments='{"rm'),
            Failure(kind="overloaded", message="Full."),
            TextDelta(part=2, text="never"),
        ]
    )
    events = assert_legal(raw)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["message"] == "Full."
    response = events[-1]["response"]
    assert response["error"] == {"code": "server_is_overloaded", "message": "Full."}
    assert [item["type"] for item in response["output"]] == ["message"]


def test_closing_at_any_time_is_legal() -> None:
    deltas: list[Delta] = [
        Start(id="resp_up"),
        ThinkingDelta(part=0, text="a"),
        TextDelta(part=1, text="b"),
        CallStart(part=2, id="c", name="f"),
        CallDelta(part=2, arguments="{}"),
        Finished(finish=Finish()),
        UsageDelta(usage=Usage()),
        End(),
    ]
    for length in range(len(deltas) + 1):
        for problem in (None, Problem(kind="timeout", message="Too slow.")):
            writer = WIRE.writer(reference(), Notes())
            raw = b"".join(writer.feed(delta) for delta in deltas[:length])
            closing = writer.close(problem)
            assert_legal(raw + closing)
            assert (closing == b"") == (length == len(deltas))
            assert writer.close() == b"" and writer.feed(Ping()) == b""


def test_signs_of_life_are_comments() -> None:
    writer = WIRE.writer(reference(), Notes())
    assert writer.feed(Ping()) == WIRE.keep_alive
    assert WIRE.keep_alive.startswith(b":")


def test_an_event_leaves_at_once() -> None:
    writer = WIRE.writer(reference(), Notes())
    assert b"response.created" in writer.feed(Start())
    assert b"output_text.delta" in writer.feed(TextDelta(part=0, text="a"))
    assert b"output_text.done" in writer.feed(PartEnd(part=0))


def test_other_choices_have_no_place() -> None:
    notes = Notes()
    raw = write_stream(
        [TextDelta(part=0, text="a"), TextDelta(part=1, text="b", choice=1), End()], None, notes
    )
    assert b'"b"' not in raw
    assert notes.dropped == ["n"]


PARTS = st.integers(0, 4)
WORDS = st.text("ab ", max_size=3)
SIGNATURES = st.builds(Signature, value=st.just("s"), wire=st.sampled_from(["gemini", WIRE.name]))
DELTAS = st.one_of(
    st.builds(TextDelta, part=PARTS, text=WORDS),
    st.builds(RefusalDelta, part=PARTS, text=WORDS),
    st.builds(ThinkingDelta, part=PARTS, text=WORDS, summary=st.booleans(), block=st.integers(0, 2)),
    st.builds(SignatureDelta, part=PARTS, signature=SIGNATURES, redacted=st.booleans()),
    st.builds(CallStart, part=PARTS, id=st.just("c"), name=st.just("f")),
    st.builds(CallDelta, part=PARTS, arguments=WORDS),
    st.builds(CitationDelta, part=PARTS, citation=st.just(Citation(url="https://e.com"))),
    st.builds(PartEnd, part=PARTS),
    st.builds(WholePart, part=PARTS, content=st.builds(Text, text=WORDS)),
    st.builds(Finished, finish=st.builds(Finish, reason=st.sampled_from(["stop", "length"]))),
    st.just(UsageDelta(usage=Usage(input=1))),
    st.just(Ping()),
)


@examples(200)
@given(st.lists(DELTAS, max_size=14), st.booleans())
def test_any_deltas_make_a_legal_stream_with_all_text(deltas: list[Delta], summaries: bool) -> None:
    asking = {"reasoning": {"summary": "auto"}} if summaries else None
    raw = write_stream(deltas, asking)
    output = assert_legal(raw, typed=False)[-1]["response"]["output"]
    said = [d.content.text if isinstance(d, WholePart) else d.text for d in deltas if _is_text(d)]
    texts = [c["text"] for item in output for c in item.get("content", []) if c["type"] == "output_text"]
    assert "".join(texts) == "".join(said)


def _is_text(delta: Delta) -> bool:
    return isinstance(delta, TextDelta | WholePart)


def sdk_client(raw: bytes, media_type: str, status: int = 200) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=raw, headers={"content-type": media_type})

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(
        api_key="k",
        base_url="http://localhost/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )


def test_the_official_sdk_accumulates_our_streams() -> None:
    deltas: list[Delta] = [
        Start(),
        ThinkingDelta(part=0, text="think"),
        TextDelta(part=1, text="Hello "),
        TextDelta(part=1, text="you"),
        CallStart(part=2, id="c1", name="f"),
        CallDelta(part=2, arguments='{"a":'),
        CallStart(part=3, id="c2", name="g"),
        CallDelta(part=3, arguments="{}"),
        CallDelta(part=2, arguments="1}"),
        Finished(finish=Finish(reason="tool_calls")),
        UsageDelta(usage=Usage(input=3, output=4)),
        End(),
    ]
    with sdk_client(write_stream(deltas), "text/event-stream") as client:
        with client.responses.stream(model="m", input="hi") as stream:
            seen = [event.type for event in stream]
            final = stream.get_final_response()
    assert seen[-1] == "response.completed"
    assert final.output_text == "Hello you"
    calls = [(c.call_id, c.arguments) for c in final.output if c.type == "function_call"]
    assert calls == [("c1", '{"a":1}'), ("c2", "{}")]
    assert final.usage is not None and final.usage.total_tokens == 7


def test_the_official_sdk_reads_our_answers_and_errors() -> None:
    doc = WIRE.write_answer(full_answer(), reference(), Notes())
    with sdk_client(json.dumps(doc).encode(), "application/json") as client:
        response = client.responses.create(model="m", input="hi")
    assert response.output_text == "See this."
    problem = Problem(kind="rate_limit", message="Slow down.", retry_after=3)
    body = json.dumps(WIRE.write_error(problem, "req_1")).encode()
    with sdk_client(body, "application/json", 429) as client, pytest.raises(openai.RateLimitError) as limited:
        client.responses.create(model="m", input="hi")
    assert limited.value.code == "rate_limit_exceeded"


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"code": "rate_limit_exceeded", "message": "x"}}, "rate_limit"),
        (429, {"error": {"type": "usage_limit_reached", "message": "x", "resets_in_seconds": 90}}, "quota"),
        (404, {"error": {"code": "previous_response_not_found", "message": "x"}}, "not_found"),
        (400, {"error": {"code": "context_length_exceeded", "message": "x"}}, "context_length"),
        (503, {"error": {"code": "server_is_overloaded", "message": "x"}}, "overloaded"),
        (400, {"code": "invalid-argument", "error": "Incorrect API key provided."}, "authentication"),
        (400, {"error": {"message": "Bad input.", "type": "invalid_request_error"}}, "invalid_request"),
    ],
)
def test_error_answers(status: int, body: Doc, kind: str) -> None:
    assert WIRE.read_error(status, {}, json.dumps(body).encode()).kind == kind


def test_when_to_come_back() -> None:
    body = json.dumps({"error": {"type": "usage_limit_reached", "resets_in_seconds": 90}}).encode()
    assert WIRE.read_error(429, {}, body).retry_after == 90
    assert WIRE.read_error(429, {"retry-after": "7"}, body).retry_after == 7


@pytest.mark.parametrize("body", [b"", b"<html><b>502</b></html>", b'{"error": {"mess'])
def test_pages_and_rubble_become_a_clean_error(body: bytes) -> None:
    problem = WIRE.read_error(502, {}, body)
    assert problem.kind == "bad_gateway"
    assert "<" not in problem.message


@pytest.mark.parametrize("name", recordings.ids("openai-responses", feature="error"))
def test_recorded_errors(name: str) -> None:
    recording = recordings.load(name)
    if recording.status < 400:
        pytest.skip("an error inside a stream")
    body = recording.body if isinstance(recording.body, str) else json.dumps(recording.body)
    problem = WIRE.read_error(recording.status, recording.headers, body.encode())
    assert problem.kind in ("invalid_request", "quota", "model_not_found", "authentication")


def test_error_bodies_tell_what_was_tried() -> None:
    tried = (Tried(target="a/m", reason="timeout"),)
    doc = WIRE.write_error(Problem(kind="overloaded", message="All busy.", tried=tried), "req_1")
    assert doc["error"]["message"] == "All busy."
    assert list(doc["error"]["tried"]) == [{"target": "a/m", "reason": "timeout", "status": None}]


def test_the_error_event_of_a_broken_stream() -> None:
    (event,) = events_of(WIRE.error_event(Problem(kind="bad_gateway", message="Cut."), "req_1"))
    assert event["type"] == "error" and event["message"] == "Cut."
    assert isinstance(event["code"], str) and event["param"] is None


# ── glances and small things ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("doc", "empty"),
    [
        (answer_doc(), True),
        (answer_doc(message("")), True),
        (answer_doc({"type": "reasoning", "summary": []}), True),
        (answer_doc(message("x")), False),
        (answer_doc({"type": "function_call", "name": "f"}), False),
        (answer_doc(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), False),
    ],
)
def test_an_empty_answer_is_seen(doc: Doc, empty: bool) -> None:
    assert WIRE.glance(json.dumps(doc).encode()).empty is empty


def test_a_glance_at_no_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.glance(b"<html>")
    assert WIRE.glance(b"[]").empty


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b""])
def test_the_tap_needs_no_particular_line_end(end: bytes) -> None:
    event = {
        "sequence_number": 3,
        "response": {"status": "completed", "output": [], "usage": {"input_tokens": 2, "output_tokens": 1}},
        "type": "response.completed",
    }
    raw = b"data: " + json.dumps(event).encode() + end
    for size in (1, 5, len(raw)):
        tap = WIRE.tap()
        for start in range(0, len(raw), size):
            tap.feed(raw[start : start + size])
        assert tap.finished and tap.usage == Usage(input=2, output=1)


def test_text_that_talks_of_the_terminal_event_does_not_end_a_stream() -> None:
    tap = WIRE.tap()
    text = 'then comes "type":"response.completed" with usage'
    tap.feed(sse({"type": "response.output_text.delta", "output_index": 0, "delta": text}))
    assert not tap.finished


@pytest.mark.parametrize(
    ("raw", "model", "stream"),
    [
        (b'{"model":"m","input":"x"}', "m", False),
        (b'{"input":[],"stream":true,"model":"a/b"}', "a/b", True),
        (b'{"model":"m","stream":null}', "m", False),
    ],
)
def test_peek(raw: bytes, model: str, stream: bool) -> None:
    assert WIRE.peek(raw)[:2] == (model, stream)


@pytest.mark.parametrize("raw", [b"{}", b'{"model": 5}', b"nonsense"])
def test_peek_refuses_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.peek(raw)


def test_paths_counts_and_models() -> None:
    assert WIRE.path("m", True, "chat") == "/responses"
    assert WIRE.path("m", False, "count_tokens") == "/responses/input_tokens"
    assert WIRE.read_count(WIRE.write_count(12)) == 12
    listed = WIRE.write_models([ModelCard(id="m", created=5)])
    assert listed["data"] == [{"id": "m", "object": "model", "created": 5, "owned_by": "omniroute"}]


def test_wrapped_signatures_are_opaque_to_clients() -> None:
    answer = Answer(choices=[Choice(parts=[Thinking(signature=Signature(value="x", wire="gemini"))])])
    item = WIRE.write_answer(answer, reference(), Notes())["output"][0]
    assert unwrap_signature(item["encrypted_content"], WIRE.name) == Signature(value="x", wire="gemini")
