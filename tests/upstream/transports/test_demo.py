"""The built-in model answers as a provider of any wire format would."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anthropic.types
import jsonschema
import msgspec
import openai.types.chat
import openai.types.responses
import pytest
from google.genai import types as google_types
from pydantic import TypeAdapter

from omniroute.errors import UpstreamError
from omniroute.registry import load
from omniroute.upstream.transport import Inbound, Outbound, Transport
from omniroute.upstream.transports.demo import Demo
from omniroute.wire.bridge import SPLITTERS, read_answer
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Conversation,
    Delta,
    End,
    Failure,
    Finished,
    Image,
    Notes,
    OutputFormat,
    Reasoning,
    SignatureDelta,
    Source,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UsageDelta,
)
from omniroute.wire.embeddings import EmbeddingRequest, Embeddings, numbers_of, read_embeddings
from omniroute.wire.ollama_embeddings import Prompt
from tests.support.recordings import require

WIRES = {d.name: d.cls() for d in load(plugins=False).all("wire")}
ALL = sorted(WIRES)
UNSIGNED = ("cohere", "ollama")
"""Formats that have reasoning but no place for a signature of it."""
UNCOUNTED = ("bedrock-converse",)
"""Formats that do not say how many tokens were thought."""
IN_WORDS = ("anthropic-messages", "anthropic-vertex", "bedrock-converse")
"""Formats that ask for JSON in words, where the target is not known to know schemas."""
SIGNED = [name for name in ALL if name not in UNSIGNED]
DIALECT = Dialect(
    quirks=frozenset({"max_completion_tokens", "developer_role", "custom_tools"}), max_output=4096
)

SHELL = Tool(
    name="exec_command",
    description="Runs a command.",
    schema={
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "description": {"type": "string"},
            "timeout": {"type": "integer"},
        },
        "required": ["command", "description"],
    },
)
WEATHER = Tool(
    name="get_weather",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@dataclass
class Streamed:
    """What a stream told, put together."""

    deltas: list[Delta]

    @property
    def text(self) -> str:
        return "".join(d.text for d in self.deltas if isinstance(d, TextDelta))

    @property
    def thoughts(self) -> str:
        return "".join(d.text for d in self.deltas if isinstance(d, ThinkingDelta))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        starts = [d for d in self.deltas if isinstance(d, CallStart)]
        pieces = {s.part: "" for s in starts}
        for delta in self.deltas:
            if isinstance(delta, CallDelta):
                pieces[delta.part] += delta.arguments
        return [(s.name, json.loads(pieces[s.part])) for s in starts]

    @property
    def finish(self) -> str:
        return [d.finish.reason for d in self.deltas if isinstance(d, Finished)][-1]

    @property
    def usage(self) -> Any:
        return [d.usage for d in self.deltas if isinstance(d, UsageDelta)][-1]


@pytest.fixture(scope="module")
def demo() -> Transport:
    return Demo().build()


def talk(text: str, **settings: Any) -> Conversation:
    settings.setdefault("model", "demo-fast")
    return Conversation(turns=[Turn(role="user", parts=[Text(text=text)])], **settings)


async def send(demo: Transport, name: str, conversation: Conversation, operation: str = "chat") -> Inbound:
    wire = WIRES[name]
    document = wire.write_request(
        conversation, msgspec.structs.replace(DIALECT, model=conversation.model), Notes()
    )
    path = wire.path(conversation.model, conversation.stream, operation)  # type: ignore[arg-type]
    return await demo.send(Outbound(url=f"demo:{path}", headers={}, body=msgspec.json.encode(document)))


async def plain(demo: Transport, name: str, conversation: Conversation) -> Answer:
    inbound = await send(demo, name, conversation)
    body = await inbound.read()
    assert inbound.status == 200, body
    return read_answer(body, WIRES[name])


async def streamed(demo: Transport, name: str, conversation: Conversation) -> Streamed:
    conversation.stream = True
    inbound = await send(demo, name, conversation)
    assert inbound.status == 200
    return Streamed(deltas_of(WIRES[name], [chunk async for chunk in inbound.chunks()]))


def deltas_of(wire: Wire, chunks: list[bytes]) -> list[Delta]:
    splitter, reader = SPLITTERS[wire.framing](), wire.reader()
    events = [event for chunk in chunks for event in splitter.feed(chunk)] + splitter.end()
    return [delta for event in events for delta in reader.feed(event)] + list(reader.end())


def text_of(answer: Answer) -> str:
    return "".join(part.text for part in answer.choices[0].parts if isinstance(part, Text))


def calls_of(answer: Answer) -> list[tuple[str, Any]]:
    calls = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    return [(call.name, json.loads(call.arguments)) for call in calls]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
async def test_it_tells_what_it_saw(demo: Transport, name: str) -> None:
    image = Image(source=Source(data="aGk=", media_type="image/png"))
    conversation = Conversation(
        model="demo-fast",
        turns=[
            Turn(role="system", parts=[Text(text="Be kind.")]),
            Turn(role="user", parts=[image, Text(text="What is this?")]),
        ],
        tools=[WEATHER],
    )
    answer = await plain(demo, name, conversation)
    for seen in (
        "demo-fast",
        f"format {name}",
        "1 message",
        "a system prompt",
        "1 image",
        "1 tool",
        "What is this?",
    ):
        assert seen in text_of(answer)
    assert answer.choices[0].finish is not None
    assert answer.choices[0].finish.reason == "stop"
    assert answer.usage is not None
    assert answer.usage.input > 200
    assert answer.usage.output > 0


@pytest.mark.parametrize("name", ALL)
async def test_a_stream_says_the_same_as_a_plain_answer(demo: Transport, name: str) -> None:
    asked = {"reasoning": Reasoning(effort="high", visible=True, summary="auto"), "tools": [SHELL]}
    answer = await plain(demo, name, talk("Please run a command.", **asked))
    stream = await streamed(demo, name, talk("Please run a command.", **asked))
    assert stream.text == text_of(answer)
    assert stream.calls == calls_of(answer) != []
    assert isinstance(stream.deltas[-1], End)
    assert stream.finish == "tool_calls"
    assert stream.usage == answer.usage


@pytest.mark.parametrize("name", ALL)
async def test_a_stream_comes_one_event_at_a_time(demo: Transport, name: str) -> None:
    inbound = await send(demo, name, talk("hello", stream=True))
    chunks = [chunk async for chunk in inbound.chunks()]
    assert inbound.headers["content-type"] == WIRES[name].stream_type
    assert len(chunks) > 20
    splitter = SPLITTERS[WIRES[name].framing]()
    assert [len(splitter.feed(chunk)) for chunk in chunks] == [1] * len(chunks)


@pytest.mark.parametrize("name", ALL)
async def test_the_same_question_gets_the_same_bytes(demo: Transport, name: str) -> None:
    asked = {"reasoning": Reasoning(effort="high"), "tools": [SHELL], "stream": True}
    answers = [await (await send(demo, name, talk("run a command", **asked))).read() for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", SIGNED)
async def test_it_thinks_when_asked_to_and_signs_its_thoughts(demo: Transport, name: str) -> None:
    reasoning = Reasoning(enabled=True, effort="high", visible=True, summary="auto")
    answer = await plain(demo, name, talk("Why?", reasoning=reasoning))
    thoughts = [part for part in answer.choices[0].parts if isinstance(part, Thinking)]
    assert "Why?" in thoughts[0].text
    signature = thoughts[0].signature
    assert signature is not None
    assert signature.wire == name
    assert answer.usage is not None
    assert (0 if name in UNCOUNTED else 1) <= answer.usage.reasoning < answer.usage.output
    stream = await streamed(demo, name, talk("Why?", reasoning=reasoning))
    assert stream.thoughts == thoughts[0].text
    assert any(isinstance(d, SignatureDelta) and d.signature.value == signature.value for d in stream.deltas)


@pytest.mark.parametrize("name", UNSIGNED)
async def test_it_thinks_when_asked_to_without_a_signature(demo: Transport, name: str) -> None:
    reasoning = Reasoning(enabled=True, effort="high")
    answer = await plain(demo, name, talk("Why?", reasoning=reasoning))
    thoughts = [part for part in answer.choices[0].parts if isinstance(part, Thinking)]
    assert "Why?" in thoughts[0].text
    stream = await streamed(demo, name, talk("Why?", reasoning=reasoning))
    assert stream.thoughts == thoughts[0].text


@pytest.mark.parametrize("name", ALL)
async def test_it_does_not_think_unasked(demo: Transport, name: str) -> None:
    stream = await streamed(demo, name, talk("Why?"))
    assert stream.thoughts == ""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ALL)
async def test_a_tool_loop_comes_to_its_end(demo: Transport, name: str, stream: bool) -> None:
    conversation = talk("Please run a command.", tools=[WEATHER, SHELL])
    answer = await plain(demo, name, conversation)
    call = next(part for part in answer.choices[0].parts if isinstance(part, ToolCall))
    assert call.name == "exec_command"
    arguments = json.loads(call.arguments)
    jsonschema.validate(arguments, SHELL.schema)
    assert arguments["command"] == "echo hello from omniroute"
    result = ToolResult(id=call.id, name=call.name, content=[Text(text="hello from omniroute\n")])
    conversation.turns += [
        Turn(role="assistant", parts=answer.choices[0].parts),
        Turn(role="user", parts=[result]),
    ]
    if stream:
        second = await streamed(demo, name, conversation)
        said, calls, finish = second.text, second.calls, second.finish
    else:
        last = await plain(demo, name, conversation)
        said, calls = text_of(last), calls_of(last)
        finish = last.choices[0].finish.reason if last.choices[0].finish else ""
    assert '`exec_command` answered: "hello from omniroute"' in said
    assert (calls, finish) == ([], "stop")


@pytest.mark.parametrize("name", ALL)
async def test_two_tools_are_two_calls(demo: Transport, name: str) -> None:
    stream = await streamed(demo, name, talk("Call two tools in parallel.", tools=[WEATHER, SHELL]))
    assert len(stream.calls) == 2
    answer = await plain(demo, name, talk("Use both tools.", tools=[WEATHER, SHELL]))
    ids = [part.id for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("name", [name for name in ALL if name != "ollama"])  # has no word for it
async def test_a_tool_that_must_be_called_is_called(demo: Transport, name: str) -> None:
    choice = ToolChoice(mode="named", names=("get_weather",))
    answer = await plain(demo, name, talk("Good morning.", tools=[SHELL, WEATHER], tool_choice=choice))
    assert calls_of(answer) == [("get_weather", {"city": "demo"})]


@pytest.mark.parametrize("name", ALL)
async def test_no_tool_is_called_where_none_may_be(demo: Transport, name: str) -> None:
    choice = ToolChoice(mode="none")
    answer = await plain(demo, name, talk("run a command", tools=[SHELL], tool_choice=choice))
    assert calls_of(answer) == []


@pytest.mark.parametrize("name", [name for name in ALL if name not in IN_WORDS])
async def test_structured_output_fits_its_schema(demo: Transport, name: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "size": {"type": "string", "enum": ["small", "large"]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "people": {"type": "integer", "minimum": 10},
        },
        "required": ["city", "size", "tags", "people"],
        "additionalProperties": False,
    }
    output = OutputFormat(kind="json_schema", name="place", schema=schema, strict=True)
    answer = await plain(demo, name, talk("Where?", output=output))
    jsonschema.validate(json.loads(text_of(answer)), schema)


async def test_a_json_object_is_json(demo: Transport) -> None:
    answer = await plain(demo, "openai-chat", talk("Where?", output=OutputFormat(kind="json_object")))
    assert json.loads(text_of(answer)) == {"model": "demo-fast", "said": "Where?"}


@pytest.mark.parametrize("name", ALL)
async def test_it_keeps_to_max_tokens(demo: Transport, name: str) -> None:
    answer = await plain(demo, name, talk("hello", max_tokens=16))
    assert text_of(answer) == "Hello from OmniRoute. I am `demo-fast`, a model inside of the ga"
    assert answer.choices[0].finish is not None
    assert answer.choices[0].finish.reason == "length"
    assert answer.usage is not None
    assert answer.usage.output == 16
    assert (await streamed(demo, name, talk("hello", max_tokens=16))).finish == "length"


@pytest.mark.parametrize("name", [name for name in ALL if name != "openai-responses"])
async def test_it_stops_at_a_stop_sequence(demo: Transport, name: str) -> None:
    answer = await plain(demo, name, talk("hello", stop=["never said", "OmniRoute"]))
    assert text_of(answer) == "Hello from "
    assert answer.choices[0].finish is not None
    assert answer.choices[0].finish.reason == "stop"


async def test_every_choice_that_is_asked_for_is_given(demo: Transport) -> None:
    answer = await plain(demo, "openai-chat", talk("hello", choices=3))
    assert len(answer.choices) == 3
    stream = await streamed(demo, "openai-chat", talk("hello", choices=3))
    assert {d.choice for d in stream.deltas if isinstance(d, Finished)} == {0, 1, 2}


@pytest.mark.parametrize("name", [name for name in ALL if WIRES[name].path("m", False, "count_tokens")])
async def test_it_counts_tokens(demo: Transport, name: str) -> None:
    conversation = talk("x" * 400, tools=[WEATHER])
    inbound = await send(demo, name, conversation, "count_tokens")
    tokens = WIRES[name].read_count(json.loads(await inbound.read()))
    answer = await plain(demo, name, conversation)
    assert answer.usage is not None
    assert tokens == answer.usage.input > 100


EMBEDDING = [one for name in ALL if (one := WIRES[name].embeddings) is not None]
SHAPES = [shape for one in EMBEDDING for shape in one.variants]


def near(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of two vectors of length 1."""
    return sum(x * y for x, y in zip(a, b, strict=True))


async def embedded(
    demo: Transport, shape: Embeddings, text: str, dimensions: int | None = None
) -> list[float]:
    asked = EmbeddingRequest(inputs=[text], dimensions=dimensions)
    body = {"prompt": text} if isinstance(shape, Prompt) else shape.write_request(asked, Dialect(), Notes())
    outbound = Outbound(url=f"demo:{shape.path('demo')}", headers={}, body=msgspec.json.encode(body))
    inbound = await demo.send(outbound)
    assert inbound.status == 200
    return numbers_of(read_embeddings(await inbound.read(), shape, 1).vectors[0])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
async def test_it_turns_texts_into_vectors(demo: Transport, shape: Embeddings) -> None:
    one, again, like, other = [
        await embedded(demo, shape, text)
        for text in ("A red fox jumps", "A red fox jumps", "the fox jumps, red", "taxes are due in May")
    ]
    assert (one, len(one)) == (again, 256)
    assert near(one, one) == pytest.approx(1)
    assert near(one, like) > 0.5 > near(one, other)


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if not isinstance(s, Prompt)], ids=lambda s: type(s).__name__
)
async def test_its_vectors_are_as_long_as_asked_for(demo: Transport, shape: Embeddings) -> None:
    assert len(await embedded(demo, shape, "hello", 12)) == 12
    body = {"model": "demo", "input": "x", "dimensions": 5000}
    inbound = await demo.send(Outbound(url="demo:/embeddings", headers={}, body=msgspec.json.encode(body)))
    assert inbound.status == 400


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    "status, kinds",
    [
        (429, {"rate_limit"}),
        (500, {"server"}),
        (401, {"authentication"}),
        (503, {"overloaded", "unavailable"}),
        (418, {"invalid_request"}),
    ],
)
@pytest.mark.parametrize("name", ALL)
async def test_failures_can_be_asked_for(
    demo: Transport, name: str, status: int, kinds: set[str], stream: bool
) -> None:
    inbound = await send(demo, name, talk("hello", model=f"demo-error-{status}", stream=stream))
    problem = WIRES[name].read_error(inbound.status, inbound.headers, await inbound.read())
    assert inbound.status == status
    assert problem.kind in kinds
    assert problem.message == f"The demo model was asked to fail with {status}."
    assert inbound.headers.get("retry-after") == ("1" if status in (429, 503) else None)


@pytest.mark.parametrize("name", ALL)
async def test_a_stream_can_be_cut(demo: Transport, name: str) -> None:
    inbound = await send(demo, name, talk("hello", model="demo-cut", stream=True))
    chunks: list[bytes] = []
    with pytest.raises(UpstreamError, match="in mid-answer"):
        async for chunk in inbound.chunks():
            chunks.append(chunk)  # noqa: PERF401  # what came before the cut is wanted
    deltas = deltas_of(WIRES[name], chunks)
    assert "Hello from OmniRoute" in Streamed(deltas).text
    assert isinstance(deltas[-1], Failure)
    with pytest.raises(UpstreamError):
        await (await send(demo, name, talk("hello", model="demo-cut"))).read()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": 1, "input": 1.5, "contents": 1}'])
async def test_a_bad_body_gets_the_wires_own_error(demo: Transport, name: str, body: bytes) -> None:
    path = WIRES[name].path("demo", False, "chat")
    inbound = await demo.send(Outbound(url=f"demo:{path}", headers={}, body=body))
    problem = WIRES[name].read_error(inbound.status, inbound.headers, await inbound.read())
    assert (inbound.status, problem.kind) == (400, "invalid_request")
    assert problem.message


async def test_an_unknown_path_is_not_found(demo: Transport) -> None:
    inbound = await demo.send(Outbound(url="demo:/images", headers={}, body=b"{}"))
    assert inbound.status == 404


async def test_a_closed_answer_ends(demo: Transport) -> None:
    inbound = await send(demo, "openai-chat", talk("hello", stream=True))
    chunks = inbound.chunks()
    await anext(chunks)
    await inbound.close()
    await inbound.close()
    assert [chunk async for chunk in chunks] == []


async def test_words_take_their_time_unless_the_model_is_fast(demo: Transport) -> None:
    began = time.monotonic()
    inbound = await send(demo, "openai-chat", talk("hello", model="demo", stream=True, max_tokens=10))
    count = len([chunk async for chunk in inbound.chunks()])
    assert time.monotonic() - began >= 0.015 * (count - 1)


async def test_a_model_in_the_path_is_found(demo: Transport) -> None:
    body = b'{"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}'
    inbound = await demo.send(
        Outbound(url="demo:/models/a%20b/c:generateContent?key=x", headers={}, body=body)
    )
    assert "I am `a b/c`" in (await inbound.read()).decode()


# ── real clients ─────────────────────────────────────────────────────────────────────────────────

PLAIN_TYPES: dict[str, Any] = {
    "openai-chat": openai.types.chat.ChatCompletion,
    "openai-responses": openai.types.responses.Response,
    "anthropic-messages": anthropic.types.Message,
    "gemini": google_types.GenerateContentResponse,
}
EVENT_TYPES: dict[str, Any] = {
    "openai-chat": openai.types.chat.ChatCompletionChunk,
    "openai-responses": openai.types.responses.ResponseStreamEvent,
    "anthropic-messages": anthropic.types.RawMessageStreamEvent,
    "gemini": google_types.GenerateContentResponse,
}


@pytest.mark.parametrize("name", sorted(PLAIN_TYPES))
async def test_official_sdks_accept_it(demo: Transport, name: str) -> None:
    asked = {"reasoning": Reasoning(effort="high", visible=True, summary="auto"), "tools": [SHELL]}
    whole = await (await send(demo, name, talk("run a command", **asked))).read()
    TypeAdapter(PLAIN_TYPES[name]).validate_json(whole)
    stream = await (await send(demo, name, talk("run a command", stream=True, **asked))).read()
    event_type = TypeAdapter(EVENT_TYPES[name])
    for event in SPLITTERS["sse"]().feed(stream):
        if event.data != b"[DONE]":
            event_type.validate_json(event.data)


CLIENTS = {
    "claude-code": ("anthropic-messages", "Bash"),
    "codex": ("openai-responses", "exec_command"),
    "gemini-cli": ("gemini", "run_shell_command"),
    "opencode": ("openai-chat", "bash"),
    "kilo": ("openai-chat", "bash"),
    "qwen-code": ("openai-chat", "run_shell_command"),
    "pi": ("openai-chat", "bash"),
}


@pytest.mark.parametrize("client", sorted(CLIENTS))
async def test_a_coding_cli_completes_its_tool_loop(demo: Transport, client: str) -> None:
    """With its own requests as recorded: the first asks to run something, the second brings what came of it."""
    name, shell = CLIENTS[client]
    requests = json.loads((require("clients") / f"{client}.json").read_text())["requests"]
    asked, answered = [r for r in requests if isinstance(r.get("body"), dict) and r["body"].get("tools")][:2]
    first = await post(demo, name, asked["body"])
    calls = first.calls
    assert [call[0] for call in calls] == [shell]
    tools = {tool.name: tool for tool in WIRES[name].read_request(asked["body"]).tools}
    jsonschema.validate(calls[0][1], tools[shell].schema)
    assert "echo hello from omniroute" in str(calls[0][1])
    second = await post(demo, name, answered["body"])
    assert second.calls == []
    assert "hi" in second.text
    assert second.finish == "stop"


async def post(demo: Transport, name: str, body: dict[str, Any]) -> Streamed:
    wire = WIRES[name]
    path = wire.path("demo-fast", True, "chat")
    document = body | {"model": "demo-fast"} if wire.model_in_body else body
    inbound = await demo.send(Outbound(url=f"demo:{path}", headers={}, body=msgspec.json.encode(document)))
    assert inbound.status == 200, await inbound.read()
    return Streamed(deltas_of(wire, [chunk async for chunk in inbound.chunks()]))


async def test_cline_is_given_a_list_of_commands(demo: Transport) -> None:
    requests = json.loads((require("clients") / "cline.json").read_text())["requests"]
    body = requests[0]["body"]
    body["messages"][-1]["content"] = "run a command please"
    stream = await post(demo, "openai-chat", body)
    assert stream.calls == [("run_commands", {"commands": ["echo hello from omniroute"]})]
