"""The official SDKs as clients of the gateway: a simple question that offers some tools, and what the SDK parsed.

`Heard.shape` lists where the result does not hold what the SDK's own types demand (the SDKs do not check by
themselves: a missing field would show up as an `AttributeError` in somebody's program).
"""

from __future__ import annotations

import asyncio
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anthropic
import openai
import pydantic
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.fidelity import read_anthropic, read_chat, read_gemini, read_responses
from tests.fidelity.meaning import Failure, Meaning

LONGEST = 30.0
"""Seconds for one call: an answer from loopback that takes longer never comes."""

QUESTION = "What do you say?"
GO_ON = "And then?"
RESULT = "The tool has run."
MOST_TOKENS = 8000
ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {"q": {"type": "string"}}}
ANY_FORMAT: dict[str, Any] = {"type": "text"}


@dataclass(frozen=True)
class Offer:
    """A tool that the question offers, because the recording calls it."""

    name: str
    custom: bool = False


@dataclass
class Heard:
    meaning: Meaning
    shape: list[str] = field(default_factory=list)
    crash: str = ""
    """The SDK raised what is not an answer of the API: its name and words."""
    turn: list[dict[str, Any]] = field(default_factory=list)
    """The assistant's turn in the client's own format, as a program would put it into its next request."""


class Client(ABC):
    """One SDK with one of its calls. `wire` is the format that it speaks."""

    wire: ClassVar[str]

    @abstractmethod
    def __init__(self, url: str, key: str = "k") -> None: ...

    @abstractmethod
    async def ask(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer]) -> Heard:
        """Raises what the SDK raises. `own`: the upstream speaks this format, so its bytes came untouched."""

    @abstractmethod
    def failed(self, error: Exception) -> Failure | None:
        """An SDK's exception as a failure; None when it is not about an answer."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def go_on(self, model: str, turn: list[dict[str, Any]], offers: Sequence[Offer]) -> None:
        """The next request: the assistant's turn, then a result for each call, or `GO_ON` where there is none."""

    async def hear(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer] = ()) -> Heard:
        """What the SDK makes of the answer, errors and crashes too."""
        try:
            with warnings.catch_warnings():
                # What a recording holds may be deprecated or unknown to this version of an SDK.
                warnings.simplefilter("ignore")
                async with asyncio.timeout(LONGEST):
                    return await self.ask(model, stream=stream, own=own, offers=offers)
        except Exception as error:
            failure = self.failed(error)
            if failure is not None:
                return Heard(Meaning(error=failure))
            return Heard(Meaning(), crash=f"{type(error).__name__}: {error}".replace("\n", " "))


def dump(value: Any) -> dict[str, Any]:
    """What an SDK's object holds and was sent, as the API's own JSON."""
    document: dict[str, Any] = value.model_dump(
        mode="json", by_alias=True, exclude_unset=True, warnings=False
    )
    return document


def misshapen(value: pydantic.BaseModel) -> list[str]:
    """Where an object breaks the SDK's own types."""
    try:
        type(value).model_validate(value.model_dump(exclude_unset=True, by_alias=True, warnings=False))
    except pydantic.ValidationError as error:
        return [
            f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)[:3]
        ]
    return []


def _retry_after(error: Any) -> str | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers.get("retry-after") if headers is not None else None


class _OpenAI(Client):
    def __init__(self, url: str, key: str = "k") -> None:
        self._sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    async def close(self) -> None:
        await self._sdk.close()

    def failed(self, error: Exception) -> Failure | None:
        if isinstance(error, openai.APIStatusError):
            failure = read_chat.error({"error": error.body}, error.status_code)
            failure.retry_after = _retry_after(error)
            return failure
        if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
            body = (
                error.body if isinstance(error.body, dict) else {"message": error.message, "type": error.type}
            )
            return read_chat.error({"error": body}, None)
        return None


class OpenAIChat(_OpenAI):
    """`chat.completions.create`, and the `.stream()` helper for what the gateway wrote itself."""

    wire = "openai-chat"

    async def ask(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer]) -> Heard:
        request: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "reasoning_effort": "medium",
        }
        if offers:
            request["tools"] = [_chat_tool(o) for o in offers]
        if not stream:
            answer = await self._sdk.chat.completions.create(**request)
            return _chat_heard(dump(answer), [] if own else misshapen(answer))
        request["stream_options"] = {"include_usage": True}
        if own:
            chunks = [dump(c) async for c in await self._sdk.chat.completions.create(**request, stream=True)]
            return Heard(read_chat.read_stream(chunks))
        return await self._helper(request)

    async def _helper(self, request: dict[str, Any]) -> Heard:
        shape: list[str] = []
        # The SDK's types of a stream know no custom tools, though the API does.
        custom = any(t["type"] == "custom" for t in request.get("tools", ()))
        async with self._sdk.chat.completions.stream(**request) as stream:
            async for event in stream:
                if event.type == "chunk" and not custom:
                    shape += misshapen(event.chunk)
            # The final completion would be refused for a length finish; the snapshot is the same, unjudged.
            answer = stream.current_completion_snapshot
        return _chat_heard(answer.model_dump(mode="json", exclude_none=True, warnings=False), shape[:3])

    async def go_on(self, model: str, turn: list[dict[str, Any]], offers: Sequence[Offer]) -> None:
        calls = [c for message in turn for c in message.get("tool_calls") or []]
        results = [{"role": "tool", "tool_call_id": c["id"], "content": RESULT} for c in calls]
        said: list[Any] = [{"role": "user", "content": QUESTION}, *turn]
        said += results or [{"role": "user", "content": GO_ON}]
        tools: Any = [_chat_tool(o) for o in offers] or openai.omit
        await self._sdk.chat.completions.create(model=model, messages=said, tools=tools)


def _chat_heard(document: dict[str, Any], shape: list[str]) -> Heard:
    turn = [choice["message"] for choice in document.get("choices", [])[:1]]
    return Heard(read_chat.read(document), shape, turn=turn)


def _chat_tool(offer: Offer) -> dict[str, Any]:
    if offer.custom:
        return {"type": "custom", "custom": {"name": offer.name, "format": ANY_FORMAT}}
    return {"type": "function", "function": {"name": offer.name, "parameters": ANY_OBJECT}}


class OpenAIResponses(_OpenAI):
    """`responses.create`, and the `.stream()` helper for what the gateway wrote itself."""

    wire = "openai-responses"

    async def ask(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer]) -> Heard:
        request: dict[str, Any] = {
            "model": model,
            "input": QUESTION,
            "reasoning": {"effort": "medium", "summary": "auto"},
        }
        if offers:
            request["tools"] = [_responses_tool(o) for o in offers]
        if not stream:
            answer = await self._sdk.responses.create(**request)
            document = dump(answer)
            shape = [] if own else misshapen(answer)
            return Heard(read_responses.read(document), shape, turn=document.get("output") or [])
        if own:
            events = [dump(e) async for e in await self._sdk.responses.create(**request, stream=True)]
            return Heard(read_responses.read_stream(events))
        return await self._helper(request)

    async def _helper(self, request: dict[str, Any]) -> Heard:
        shape: list[str] = []
        raw: list[dict[str, Any]] = []
        async with self._sdk.responses.stream(**request) as stream:
            async for event in stream:
                shape += misshapen(event)
                raw.append(event.model_dump(mode="json", exclude_none=True, warnings=False))
        numbers = [e.get("sequence_number") for e in raw]
        if numbers != list(range(len(raw))):
            shape.append(f"sequence_number is not 0, 1, 2 … but {numbers[:8]}")
        if raw and raw[-1]["type"] in ("error", "response.failed"):
            return Heard(read_responses.read_stream(raw), shape[:3])
        shape += read_responses.streamed_twice(raw)
        output = raw[-1]["response"].get("output") if raw else None
        return Heard(read_responses.read_stream(raw), shape[:3], turn=output or [])

    async def go_on(self, model: str, turn: list[dict[str, Any]], offers: Sequence[Offer]) -> None:
        said: list[Any] = [{"role": "user", "content": QUESTION}, *turn]
        results = [
            {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": RESULT}
            for item in turn
            if item.get("type") in ("function_call", "custom_tool_call")
        ]
        said += results or [{"role": "user", "content": GO_ON}]
        tools: Any = [_responses_tool(o) for o in offers] or openai.omit
        await self._sdk.responses.create(model=model, input=said, tools=tools)


def _responses_tool(offer: Offer) -> dict[str, Any]:
    if offer.custom:
        return {"type": "custom", "name": offer.name, "format": ANY_FORMAT}
    return {"type": "function", "name": offer.name, "parameters": ANY_OBJECT, "strict": False}


class AnthropicMessages(Client):
    """`messages.create`, and `messages.stream` with the message that the SDK gathers."""

    wire = "anthropic-messages"

    def __init__(self, url: str, key: str = "k") -> None:
        self._sdk = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)

    async def close(self) -> None:
        await self._sdk.close()

    async def ask(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer]) -> Heard:
        request: dict[str, Any] = {
            "model": model,
            "max_tokens": MOST_TOKENS,
            "messages": [{"role": "user", "content": QUESTION}],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        }
        if offers:
            request["tools"] = [{"name": o.name, "input_schema": ANY_OBJECT} for o in offers]
        if not stream:
            answer = await self._sdk.messages.create(**request)
            return _anthropic_heard(dump(answer), [] if own else misshapen(answer))
        if own:
            events = [dump(e) async for e in await self._sdk.messages.create(**request, stream=True)]
            return Heard(read_anthropic.read_stream(events))
        shape: list[str] = []
        async with self._sdk.messages.stream(**request) as events_of:
            async for event in events_of:
                if event.type in RAW_EVENTS:
                    shape += misshapen(event)
            message = await events_of.get_final_message()
        return _anthropic_heard(message.model_dump(mode="json", exclude_none=True, warnings=False), shape[:3])

    async def go_on(self, model: str, turn: list[dict[str, Any]], offers: Sequence[Offer]) -> None:
        results: list[dict[str, Any]] = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": RESULT}
            for message in turn
            for block in message["content"]
            if block["type"] == "tool_use"
        ]
        said: list[Any] = [{"role": "user", "content": QUESTION}, *turn]
        said.append({"role": "user", "content": results or GO_ON})
        tools: Any = [{"name": o.name, "input_schema": ANY_OBJECT} for o in offers] or anthropic.omit
        await self._sdk.messages.create(model=model, max_tokens=MOST_TOKENS, messages=said, tools=tools)

    def failed(self, error: Exception) -> Failure | None:
        if isinstance(error, anthropic.APIStatusError):
            # An error event in a stream is raised with the status of the stream's head, 200.
            status = error.status_code if error.status_code >= 400 else None
            failure = read_anthropic.error(error.body, status)
            failure.retry_after = _retry_after(error)
            return failure
        return None


def _anthropic_heard(document: dict[str, Any], shape: list[str]) -> Heard:
    turn = [{"role": "assistant", "content": document.get("content") or []}]
    return Heard(read_anthropic.read(document), shape, turn=turn)


RAW_EVENTS = ("message_start", "message_delta", "content_block_start", "content_block_delta")


class GoogleGenAI(Client):
    """`generate_content` and `generate_content_stream`."""

    wire = "gemini"

    def __init__(self, url: str, key: str = "k") -> None:
        self._sdk = genai.Client(
            api_key=key,
            http_options=genai_types.HttpOptions(
                base_url=url, retry_options=genai_types.HttpRetryOptions(attempts=1)
            ),
        )

    async def close(self) -> None:
        await self._sdk.aio.aclose()
        self._sdk.close()

    async def ask(self, model: str, *, stream: bool, own: bool, offers: Sequence[Offer]) -> Heard:
        config = _gemini_config(offers)
        models = self._sdk.aio.models
        if not stream:
            answer = await models.generate_content(model=model, contents=QUESTION, config=config)
            return _gemini_heard([_gemini_doc(answer)])
        chunks = [
            _gemini_doc(c)
            async for c in await models.generate_content_stream(model=model, contents=QUESTION, config=config)
        ]
        return _gemini_heard(chunks)

    async def go_on(self, model: str, turn: list[dict[str, Any]], offers: Sequence[Offer]) -> None:
        calls = [p["functionCall"] for content in turn for p in content["parts"] if "functionCall" in p]
        results: list[Any] = [{"functionResponse": _gemini_result(c)} for c in calls]
        said: list[dict[str, Any]] = [
            {"role": "user", "parts": [{"text": QUESTION}]},
            *turn,
            {"role": "user", "parts": results or [{"text": GO_ON}]},
        ]
        contents: Any = [genai_types.Content.model_validate(content) for content in said]
        config = _gemini_config(offers)
        await self._sdk.aio.models.generate_content(model=model, contents=contents, config=config)

    def failed(self, error: Exception) -> Failure | None:
        if not isinstance(error, genai_errors.APIError):
            return None
        failure = read_gemini.error(error.details, error.code if error.code >= 400 else None)
        failure.retry_after = _retry_after(error)
        return failure


def _gemini_config(offers: Sequence[Offer]) -> genai_types.GenerateContentConfig:
    functions = [
        genai_types.FunctionDeclaration(name=o.name, parameters_json_schema=ANY_OBJECT) for o in offers
    ]
    return genai_types.GenerateContentConfig(
        thinking_config=genai_types.ThinkingConfig(include_thoughts=True, thinking_budget=2000),
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
        tools=[genai_types.Tool(function_declarations=functions)] if functions else None,
    )


def _gemini_result(called: dict[str, Any]) -> dict[str, Any]:
    return {**{k: called[k] for k in ("id", "name") if k in called}, "response": {"output": RESULT}}


def _gemini_heard(chunks: list[dict[str, Any]]) -> Heard:
    parts = [
        part
        for chunk in chunks
        for candidate in (chunk.get("candidates") or [])[:1]
        for part in (candidate.get("content") or {}).get("parts") or []
    ]
    return Heard(read_gemini.read_stream(chunks), turn=[{"role": "model", "parts": parts}])


def _gemini_doc(answer: genai_types.GenerateContentResponse) -> dict[str, Any]:
    text = answer.model_dump_json(by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    document: dict[str, Any] = json.loads(text)
    return document


CLIENTS: tuple[type[Client], ...] = (OpenAIChat, OpenAIResponses, AnthropicMessages, GoogleGenAI)
