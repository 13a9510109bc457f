"""The Gemini wire as a whole: its paths and lists, and the official SDK talking to what we write."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from google import genai
from google.genai import errors, types

from omniroute.errors import Problem
from omniroute.wire.codec import ModelCard, Operation, Peek
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Conversation,
    Delta,
    End,
    Finish,
    Finished,
    Notes,
    Signature,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
)
from tests.support.gemini import GEMINI, deltas
from tests.support.streams import reference


@pytest.mark.parametrize(
    "model, stream, operation, path",
    [
        ("gemini-x", False, "chat", "/models/gemini-x:generateContent"),
        ("gemini-x", True, "chat", "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("gemini-x", False, "count_tokens", "/models/gemini-x:countTokens"),
        ("models/gemini-x", False, "chat", "/models/gemini-x:generateContent"),
        ("tunedModels/mine", False, "chat", "/tunedModels/mine:generateContent"),
        (
            "publishers/google/models/g",
            True,
            "chat",
            "/publishers/google/models/g:streamGenerateContent?alt=sse",
        ),
        ("a b?c", False, "chat", "/models/a%20b%3Fc:generateContent"),
    ],
)
def test_paths(model: str, stream: bool, operation: Operation, path: str) -> None:
    assert GEMINI.path(model, stream, operation) == path


def test_the_body_names_no_model() -> None:
    assert not GEMINI.model_in_body
    assert GEMINI.peek(b'{"contents": []}') == Peek("", False)
    for raw in (b"[]", b"{", b"5"):
        with pytest.raises(msgspec.DecodeError):
            GEMINI.peek(raw)


def test_counts() -> None:
    assert GEMINI.read_count({"totalTokens": 12, "promptTokensDetails": []}) == 12
    assert GEMINI.read_count({}) == 0
    assert GEMINI.write_count(7) == {"totalTokens": 7}


def test_a_list_of_models() -> None:
    cards = [ModelCard(id="fast", name="Fast", context=1000, max_output=100), ModelCard(id="plain")]
    fast, plain = GEMINI.write_models(cards)["models"]
    methods = ["generateContent", "streamGenerateContent", "countTokens"]
    assert fast == {
        "name": "models/fast",
        "displayName": "Fast",
        "inputTokenLimit": 1000,
        "outputTokenLimit": 100,
        "supportedGenerationMethods": methods,
    }
    assert plain == {"name": "models/plain", "displayName": "plain", "supportedGenerationMethods": methods}


def test_signs_of_life_change_nothing() -> None:
    """A blank line may stand anywhere between events; comments would end the Python SDK's stream."""
    for array in (False, True):
        writer = GEMINI.writer(reference(array=array), Notes())
        pieces = [writer.feed(delta) for delta in FEED]
        quiet, alive = b"".join(pieces), GEMINI.keep_alive.join(pieces)
        assert json.loads(alive) == json.loads(quiet) if array else deltas(alive) == deltas(quiet)


# ── the official SDK ─────────────────────────────────────────────────────────────────────────────────

# The SDK subclasses a session of aiohttp, which aiohttp advises against.
sdk_warns = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

Handler = Callable[[web.Request], Any]
FOREIGN = Signature(value="Erc==", wire="anthropic-messages")


@asynccontextmanager
async def sdk(handler: Handler) -> AsyncIterator[tuple[Any, list[Any]]]:
    """The SDK's client against a server that answers with `handler`, and the bodies that the server saw."""
    seen: list[Any] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application()
    app.router.add_post("/{tail:.*}", serve)
    async with TestServer(app) as server:
        options = types.HttpOptions(
            base_url=str(server.make_url("")), retry_options=types.HttpRetryOptions(attempts=1)
        )
        client = genai.Client(api_key="k", http_options=options)
        try:
            yield client.aio.models, seen
        finally:
            await client.aio.aclose()
            client.close()


def streamed(*chunks: bytes) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return answer


def answered(doc: Any, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(doc, status=status)

    return answer


FEED: list[Delta] = [
    Start(id="up-1"),
    ThinkingDelta(part=0, text="Hm"),
    SignatureDelta(part=0, signature=FOREIGN),
    TextDelta(part=1, text="Let me "),
    TextDelta(part=1, text="look."),
    CallStart(part=2, id="c1", name="add"),
    CallStart(part=3, id="c2", name="add"),
    CallDelta(part=3, arguments='{"b":2}'),
    CallDelta(part=2, arguments='{"a"'),
    CallDelta(part=2, arguments=":1}"),
    Finished(finish=Finish(reason="tool_calls")),
    UsageDelta(usage=Usage(input=10, output=7, reasoning=3, cached=4)),
    End(),
]


@sdk_warns
async def test_the_sdk_reads_a_stream() -> None:
    writer = GEMINI.writer(reference(), Notes())
    chunks = [writer.feed(delta) for delta in FEED]
    async with sdk(streamed(GEMINI.keep_alive, *chunks[:3], GEMINI.keep_alive, *chunks[3:])) as (
        models,
        seen,
    ):
        stream = await models.generate_content_stream(model="m", contents="Hi")
        events = [event async for event in stream]
    parts = [part for event in events for part in event.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.text and part.thought) == "Hm"
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Let me look."
    calls = [part.function_call for part in parts if part.function_call]
    assert [(call.id, call.name, call.args) for call in calls] == [
        ("c1", "add", {"a": 1}),
        ("c2", "add", {"b": 2}),
    ]
    assert {event.response_id for event in events} == {"up-1"}
    assert events[-1].candidates[0].finish_reason == types.FinishReason.STOP
    usage = events[-1].usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (10, 4, 3)
    assert (usage.cached_content_token_count, usage.total_token_count) == (4, 17)
    assert GEMINI.read_request(seen[0]).turns[0].parts == [Text(text="Hi")]


@sdk_warns
async def test_the_sdk_sees_an_error_in_a_stream() -> None:
    writer = GEMINI.writer(reference(), Notes())
    text = writer.feed(TextDelta(part=0, text="Half"))
    async with sdk(streamed(text, writer.close(Problem(kind="overloaded", message="Busy.")))) as (models, _):
        with pytest.raises(errors.ServerError) as raised:
            async for _ in await models.generate_content_stream(model="m", contents="Hi"):
                pass
    assert (raised.value.code, raised.value.message, raised.value.status) == (503, "Busy.", "UNAVAILABLE")


@sdk_warns
async def test_the_sdk_sees_an_error() -> None:
    body = GEMINI.write_error(Problem(kind="authentication", message="No key."), "req_1")
    async with sdk(answered(body, 401)) as (models, _):
        with pytest.raises(errors.ClientError) as raised:
            await models.generate_content(model="m", contents="Hi")
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


def add(a: int, b: int | None = None) -> int:
    """Adds."""
    return a + (b or 0)


@sdk_warns
async def test_a_whole_turn_with_the_sdk() -> None:
    """Every setting of the SDK is read, and its history comes back with calls, results and foreign signatures."""
    answer = Answer(
        id="up-2",
        choices=[
            Choice(
                parts=[
                    Thinking(text="Hm", signature=FOREIGN),
                    ToolCall(id="c1", name="add", arguments='{"a":1}', signature=FOREIGN),
                ],
                finish=Finish(reason="tool_calls"),
            )
        ],
        usage=Usage(input=1, output=2),
    )
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        tools=[add, types.Tool(google_search=types.GoogleSearch())],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),  # type: ignore[arg-type]
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(thinking_budget=99, include_thoughts=True),
        max_output_tokens=50,
        stop_sequences=["END"],
    )
    async with sdk(answered(GEMINI.write_answer(answer, reference(), Notes()))) as (models, seen):
        first = await models.generate_content(model="m", contents="1 + nothing?", config=config)
        history = [
            types.Content(role="user", parts=[types.Part(text="1 + nothing?")]),
            first.candidates[0].content,
            types.Content(
                role="user", parts=[types.Part.from_function_response(name="add", response={"result": "1"})]
            ),
        ]
        await models.generate_content(model="m", contents=history, config=config)
    talk: Conversation = GEMINI.read_request(seen[1])
    thinking, call = talk.turns[2].parts
    assert isinstance(thinking, Thinking) and (thinking.text, thinking.signature) == ("Hm", FOREIGN)
    assert isinstance(call, ToolCall) and (call.id, call.signature) == ("c1", FOREIGN)
    assert json.loads(call.arguments) == {"a": 1}
    result: Any = talk.turns[3].parts[0]
    assert (result.id, result.content) == ("c1", [Text(text="1")])
    assert {tool.name for tool in talk.tools} == {"add", "googleSearch"}
    schema: Any = next(tool.schema for tool in talk.tools if tool.name == "add")
    assert set(schema["properties"]) == {"a", "b"}
    assert talk.reasoning is not None and (talk.reasoning.budget, talk.reasoning.visible) == (99, True)
    assert (talk.max_tokens, talk.stop) == (50, ["END"])
    assert talk.tool_choice is not None and talk.tool_choice.mode == "required"
