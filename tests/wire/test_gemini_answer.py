"""Gemini answers, both ways: whatever real servers send, and only what the SDK's types allow."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.conversation import (
    Answer,
    Choice,
    Citation,
    Doc,
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
from tests.support import recordings
from tests.support.gemini import GEMINI, chunk, meaning
from tests.support.streams import reference


def write(*parts: Part, **fields: Any) -> Doc:
    """A written answer, which the SDK's types have accepted."""
    finish = fields.pop("finish", Finish())
    answer = Answer(id="rid", choices=[Choice(parts=list(parts), finish=finish)], **fields)
    before = msgspec.json.encode(answer)
    doc = GEMINI.write_answer(answer, reference(), Notes())
    assert msgspec.json.encode(answer) == before
    types.GenerateContentResponse.model_validate(doc)
    return doc


def parts_of(doc: Doc) -> Any:
    return doc["candidates"][0]["content"]["parts"]


# ── finish ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "native, reason",
    [
        ("STOP", "stop"),
        (1, "stop"),
        ("MAX_TOKENS", "length"),
        (2, "length"),
        ("SAFETY", "content_filter"),
        (3, "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_call"),
        (10, "malformed_call"),
        ("UNEXPECTED_TOOL_CALL", "malformed_call"),
        ("OTHER", "other"),
        ("SOMETHING_NEW", "other"),
        (99, "other"),
    ],
)
def test_finish_is_read(native: str | int, reason: str) -> None:
    choice = GEMINI.read_answer(chunk({"text": "x"}, finish=native)).choices[0]
    assert choice.finish is not None and choice.finish.reason == reason


@pytest.mark.parametrize("native", [None, "", 0, "FINISH_REASON_UNSPECIFIED", [], {}])
def test_no_finish(native: Any) -> None:
    assert GEMINI.read_answer({"candidates": [{"finishReason": native}]}).choices[0].finish is None


def test_stop_after_calls_means_calls() -> None:
    answer = GEMINI.read_answer(chunk({"functionCall": {"name": "f"}}, finish="STOP"))
    assert answer.choices[0].finish == Finish(reason="tool_calls", native="STOP")


@pytest.mark.parametrize(
    "finish, native",
    [
        (Finish(), "STOP"),
        (Finish(reason="tool_calls", native="tool_use"), "STOP"),
        (Finish(reason="tool_calls", native="STOP"), "STOP"),
        (Finish(reason="length"), "MAX_TOKENS"),
        (Finish(reason="context_length"), "MAX_TOKENS"),
        (Finish(reason="content_filter"), "SAFETY"),
        (Finish(reason="content_filter", native="SPII"), "SPII"),
        (Finish(reason="refusal"), "SAFETY"),
        (Finish(reason="pause", native="pause_turn"), "OTHER"),
        (Finish(reason="malformed_call"), "MALFORMED_FUNCTION_CALL"),
        (Finish(reason="other", native="STOP"), "OTHER"),
    ],
)
def test_finish_is_written(finish: Finish, native: str) -> None:
    assert write(Text(text="x"), finish=finish)["candidates"][0]["finishReason"] == native


def test_every_reason_has_a_word() -> None:
    for reason in msgspec.json.schema(FinishReason)["enum"]:
        assert write(finish=Finish(reason=reason))["candidates"][0]["finishReason"]


# ── odd answers ──────────────────────────────────────────────────────────────────────────────────────

BLOCKED = Finish(reason="content_filter", native="SAFETY", message="No.")


@pytest.mark.parametrize(
    "doc, choices",
    [
        ({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}}, [Choice(finish=BLOCKED)]),
        ({"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}]}, [Choice(finish=Finish(reason="length", native="MAX_TOKENS"))]),
        ({"candidates": [{"content": {"role": "model"}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed: f("}]}, [Choice(finish=Finish(reason="malformed_call", native="MALFORMED_FUNCTION_CALL", message="Malformed: f("))]),
        ({"candidates": [{"content": {"parts": [{"hologram": {"a": 1}}]}}]}, [Choice(parts=[Opaque(wire="gemini", doc={"hologram": {"a": 1}}, label="hologram")])]),
        ({"candidates": []}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_odd_answers_are_read_and_written(doc: Doc, choices: list[Choice]) -> None:
    answer = GEMINI.read_answer(doc)
    assert answer.choices == choices
    assert answer.usage is None
    out = GEMINI.write_answer(answer, reference(), Notes())
    assert GEMINI.read_answer(out).choices == choices


def test_calls_without_an_id_get_one_that_no_other_answer_gives() -> None:
    def ids(answer_id: str) -> list[str]:
        doc = chunk({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}, responseId=answer_id)
        return [part.id for part in GEMINI.read_answer(doc).choices[0].parts if isinstance(part, ToolCall)]

    assert ids("abc-1") == ids("abc-1") == ["gcall_abc1_1", "gcall_abc1_2"]
    assert len({*ids("abc"), *ids("xyz"), *ids(""), *ids("")}) == 8


# ── usage ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "meta, usage",
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(input=10, output=5)),
        ({"promptTokenCount": 85, "candidatesTokenCount": 122, "thoughtsTokenCount": 87, "toolUsePromptTokenCount": 149, "totalTokenCount": 443}, Usage(input=234, output=209, reasoning=87, tool_input=149)),
        ({"promptTokenCount": 90, "cachedContentTokenCount": 80, "candidatesTokenCount": 1, "totalTokenCount": 91}, Usage(input=90, cached=80, output=1)),
        ({"promptTokenCount": 90, "candidatesTokenCount": 9, "totalTokenCount": 99, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 50}], "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 7}]}, Usage(input=90, output=9, audio_input=50, audio_output=7)),
    ],
)  # fmt: skip
def test_usage_there_and_back(meta: Doc, usage: Usage) -> None:
    assert GEMINI.read_answer({"usageMetadata": meta}).usage == usage
    assert write(usage=usage)["usageMetadata"] == meta


@pytest.mark.parametrize("meta", [None, {}, {"trafficType": "ON_DEMAND"}, 5])
def test_no_usage(meta: Any) -> None:
    assert GEMINI.read_answer({"usageMetadata": meta}).usage is None


# ── parts out ────────────────────────────────────────────────────────────────────────────────────────


def test_every_kind_of_part_reaches_the_client() -> None:
    doc = write(
        Thinking(text="hm"),
        Text(text="So:"),
        ToolCall(id="1", name="f", arguments='{"a":1}'),
        ToolCall(id="2", name="g", arguments="{broken"),
        ToolCall(id="3", name="p", arguments="*** patch", kind="custom"),
        Image(source=Source(data="AA==", media_type="image/png")),
        Refusal(text="No."),
    )
    assert parts_of(doc) == [
        {"text": "hm", "thought": True},
        {"text": "So:"},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "2", "name": "g", "args": {"_raw_arguments": "{broken"}}},
        {"functionCall": {"id": "3", "name": "p", "args": {"input": "*** patch"}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"text": "No."},
    ]


def test_content_of_another_wire_is_noted() -> None:
    notes = Notes()
    part = Opaque(wire="anthropic-messages", doc={}, label="server_tool_use")
    GEMINI.write_answer(Answer(choices=[Choice(parts=[part])]), reference(), notes)
    assert notes.dropped == ["server_tool_use"]


FOREIGN = Signature(value="Erc+/=", wire="anthropic-messages")


@pytest.mark.parametrize(
    "part",
    [
        Thinking(text="hm", signature=FOREIGN),
        Thinking(signature=FOREIGN, redacted=True),
        ToolCall(id="1", name="f", signature=Signature(value="x", wire="openai-responses", id="rs_1")),
        Text(text="a", signature=Signature(value="c2ln", wire="gemini")),
    ],
)
def test_signatures_come_back_through_the_sdk(part: Thinking | ToolCall | Text) -> None:
    """The SDK decodes a signature from base64 and encodes it again when it sends the history back."""
    response = types.GenerateContentResponse.model_validate_json(json.dumps(write(part)))
    assert response.candidates is not None
    content = response.candidates[0].content
    assert content is not None
    history = json.loads(content.model_dump_json(exclude_none=True))
    talk = GEMINI.read_request({"contents": [history]})
    assert talk.turns[0].parts[0].signature == part.signature  # type: ignore[union-attr]


def test_a_candidate_each_for_several_choices() -> None:
    answer = Answer(choices=[Choice(parts=[Text(text="a")]), Choice(parts=[Text(text="b")])])
    doc = GEMINI.write_answer(answer, reference(), Notes())
    assert [(c["index"], c["content"]["parts"]) for c in doc["candidates"]] == [
        (0, [{"text": "a"}]),
        (1, [{"text": "b"}]),
    ]
    assert (doc["responseId"], doc["modelVersion"]) == ("1", "m")


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────


def test_sources_are_counted_in_characters_here_and_in_bytes_there() -> None:
    text = "Grüezi Zürich!"
    web = {"web": {"uri": "https://z", "title": "Z"}}
    grounding = {
        "groundingChunks": [web, {"retrievedContext": {"title": "doc"}}, {"web": {"uri": "https://unused"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 8, "endIndex": 15, "text": "Zürich"},
                "groundingChunkIndices": [0, 1, 9],
            }
        ],
    }
    doc = chunk({"thought": True, "text": "hm"}, {"text": text}, finish="STOP")
    doc["candidates"][0]["groundingMetadata"] = grounding
    found = GEMINI.read_answer(doc).choices[0].parts[1]
    assert isinstance(found, Text)
    first, second, unused = found.citations
    assert (first.url, first.title, first.quote, first.start, first.end) == (
        "https://z",
        "Z",
        "Zürich",
        7,
        13,
    )
    assert (second.kind, second.title, second.start) == ("document", "doc", 7)
    assert (unused.url, unused.start) == ("https://unused", None)


def test_sources_of_other_wires_become_grounding() -> None:
    citations = [
        Citation(url="https://a", title="A", start=3, end=6),
        Citation(url="https://b", start=3, end=6),
        Citation(kind="document", title="Doc", quote="said"),
    ]
    doc = write(Text(text="äh "), Text(text="ja, gut", citations=citations))
    assert doc["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b"}},
            {"retrievedContext": {"title": "Doc", "text": "said"}},
        ],
        "groundingSupports": [
            {
                "segment": {"startIndex": 3, "endIndex": 6, "text": " gu", "partIndex": 1},
                "groundingChunkIndices": [0, 1],
            }
        ],
    }


def test_log_probabilities_there_and_back() -> None:
    chosen = {"token": "Hi", "logProbability": -0.1}
    result = {"chosenCandidates": [chosen], "topCandidates": [{"candidates": [chosen, {"token": "Yo", "logProbability": -2.5}]}]}  # fmt: skip
    doc = chunk({"text": "Hi"}, finish="STOP")
    doc["candidates"][0]["logprobsResult"] = result
    logprobs = GEMINI.read_answer(doc).choices[0].logprobs
    top = [
        {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]},
        {"token": "Yo", "logprob": -2.5, "bytes": [89, 111]},
    ]
    assert logprobs == {"content": [{**top[0], "top_logprobs": top}]}
    answer = Answer(choices=[Choice(parts=[Text(text="Hi")], logprobs=logprobs)])
    out = GEMINI.write_answer(answer, reference(), Notes())
    assert out["candidates"][0]["logprobsResult"] == result


# ── real answers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", recordings.ids("gemini-generate"))
def test_recorded_answers(name: str) -> None:
    recording = recordings.load(name)
    if recording.status != 200:
        pytest.skip("an error")
    before = copy.deepcopy(recording.body)
    answer = GEMINI.read_answer(recording.body)
    assert recording.body == before
    out = GEMINI.write_answer(answer, reference(), Notes())
    again = GEMINI.read_answer(out)
    assert again.extras == answer.extras
    types.GenerateContentResponse.model_validate_json(json.dumps(without_extras(answer)))
    assert [meaning(choice.parts) for choice in again.choices] == [
        meaning(choice.parts) for choice in answer.choices
    ]
    assert [choice.finish for choice in again.choices] == [choice.finish for choice in answer.choices]
    assert again.usage == answer.usage
    counts = recording.body.get("usageMetadata", {})
    assert (answer.usage.total if answer.usage else None) == counts.get("totalTokenCount")
    glance = GEMINI.glance(json.dumps(recording.body).encode())
    assert glance.usage == answer.usage
    assert glance.finish is None or glance.finish.reason == answer.choices[0].finish.reason  # type: ignore[union-attr]
    assert not glance.empty


def without_extras(answer: Answer) -> Doc:
    """What a client gets that asked another upstream for the same."""
    return GEMINI.write_answer(msgspec.structs.replace(answer, extras={}), reference(), Notes())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names := st.sampled_from(
        ["candidates", "content", "parts", "text", "functionCall", "args", "finishReason", "usageMetadata", "thought",
         "thoughtSignature", "inlineData", "data", "groundingMetadata", "groundingChunks", "groundingSupports", "segment",
         "startIndex", "endIndex", "groundingChunkIndices", "web", "promptFeedback", "blockReason", "index", "error",
         "partialArgs", "willContinue", "jsonPath", "logprobsResult", "chosenCandidates", "responseId", "message"]
    ), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["candidates", "usageMetadata", "promptFeedback", "responseId"]), json_values
    )
)
def test_no_answer_is_too_odd(doc: Doc) -> None:
    GEMINI.write_answer(GEMINI.read_answer(doc), reference(), Notes())


@pytest.mark.parametrize(
    "doc, finish, empty, problem",
    [
        (chunk({"text": "x"}, finish="STOP"), "stop", False, None),
        (chunk({"functionCall": {"name": "f", "args": {}}}, finish="STOP"), "tool_calls", False, None),
        (chunk({"text": ""}, finish="STOP"), "stop", True, None),
        ({"candidates": [{"finishReason": "STOP"}]}, "stop", True, None),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length", False, None),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter", False, None),
        ({}, None, True, None),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "Busy."}}, None, False, "overloaded"),
    ],
)
def test_glance(doc: Doc, finish: str | None, empty: bool, problem: str | None) -> None:
    glance = GEMINI.glance(json.dumps(doc).encode())
    assert (glance.finish.reason if glance.finish else None) == finish
    assert glance.empty is empty
    assert (glance.problem.kind if glance.problem else None) == problem


def test_glance_at_what_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        GEMINI.glance(b"<html>")
