"""The official SDKs ask for embeddings: what they parse is what the provider said, whatever its format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.support import recordings

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
"""Google's SDK derives from a class of aiohttp that does not like it."""

CONFIG = """
providers:
  openai-up: {{format: openai-chat, base_url: "{url}/openai", accounts: {{a: {{key: k}}}}}}
  gemini-up: {{format: gemini, base_url: "{url}/gemini", accounts: {{a: {{key: k}}}}}}
  ollama-up: {{format: ollama, base_url: "{url}/ollama", accounts: {{a: {{key: k}}}}}}
  cohere-up: {{format: cohere, base_url: "{url}/cohere", accounts: {{a: {{key: k}}}}}}
"""
RECORDED = {
    "openai-up/e": "openai-embeddings/mistral-embeddings-legacy-0-773980",
    "gemini-up/e": "gemini-embeddings/vertex-google-task-prefix-vertex-0-c44e96",
    "ollama-up/e": "ollama/ollama-testclient-createembedding-0-f2a8f4",
    "cohere-up/e": "cohere-embed/cohere-embedding-basic-functionality-cohere-embed-v4-0-can-0-c39265",
}
"""Target → a real answer to one text."""


def said(target: str) -> tuple[list[float], int]:
    """The vector of a recording, and the tokens that it tells."""
    body = recordings.load(RECORDED[target]).body
    if target.startswith("openai"):
        return body["data"][0]["embedding"], body["usage"]["prompt_tokens"]
    if target.startswith("gemini"):
        return body["embedding"]["values"], body["usageMetadata"]["promptTokenCount"]
    if target.startswith("ollama"):
        return body["embeddings"][0], body["prompt_eval_count"]
    return body["embeddings"]["float"][0], body["meta"]["billed_units"]["input_tokens"]


def as_recorded(seen: Seen) -> Scripted:
    body = recordings.load(RECORDED[f"{seen.path.split('/')[1]}-up/e"]).body
    if seen.path.endswith(":batchEmbedContents"):
        body = {"embeddings": [body["embedding"]], "usageMetadata": body["usageMetadata"]}
    return Scripted(json=body)


async def by_openai(url: str, model: str, **settings: Any) -> tuple[Sequence[float], int]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as sdk:
        answer = await sdk.embeddings.create(model=model, input=["hello"], **settings)
    assert (answer.object, answer.model) == ("list", answer.model)
    return answer.data[0].embedding, answer.usage.total_tokens


async def by_openai_as_numbers(url: str, model: str) -> tuple[Sequence[float], int]:
    return await by_openai(url, model, encoding_format="float")


@asynccontextmanager
async def google(url: str) -> AsyncIterator[genai.client.AsyncClient]:
    retries = genai_types.HttpRetryOptions(attempts=1)
    options = genai_types.HttpOptions(base_url=url, retry_options=retries)
    sdk = genai.Client(api_key="k", http_options=options)
    try:
        yield sdk.aio
    finally:
        await sdk.aio.aclose()
        sdk.close()


async def by_google(url: str, model: str) -> tuple[Sequence[float], int | None]:
    async with google(url) as sdk:
        answer = await sdk.models.embed_content(model=model, contents=["hello"])
    assert answer.embeddings is not None
    assert answer.embeddings[0].values is not None
    return answer.embeddings[0].values, None


Ask = Callable[[str, str], Awaitable[tuple[Sequence[float], int | None]]]


@pytest.mark.parametrize("target", RECORDED)
@pytest.mark.parametrize("ask", [by_openai, by_openai_as_numbers, by_google])
async def test_an_sdk_gets_the_vector_of_a_real_answer(ask: Ask, target: str) -> None:
    vector, tokens = said(target)
    async with FakeUpstream(as_recorded) as up, gateway(CONFIG.format(url=up.url)) as gw:
        heard, counted = await ask(gw.url, target)
        assert (gw.records[-1].input_tokens, gw.records[-1].estimated) == (tokens, False)
    assert heard == pytest.approx(vector, rel=1e-6)
    assert counted in (tokens, None)


@pytest.mark.parametrize("provider", ["openai-up", "gemini-up", "ollama-up", "cohere-up"])
async def test_an_sdks_own_exception_for_a_refusal(provider: str) -> None:
    refusal = Scripted(status=404, json={"message": "no such model", "error": {"message": "no such model"}})
    async with FakeUpstream([refusal]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        with pytest.raises(openai.NotFoundError, match="no such model"):
            await by_openai(gw.url, f"{provider}/gone")
    async with FakeUpstream([refusal]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        with pytest.raises(genai_errors.ClientError, match="no such model"):
            await by_google(gw.url, f"{provider}/gone")


async def test_the_demo_model_answers_sdks() -> None:
    async with gateway("providers: {demo: {}}") as gw:
        assert len((await by_openai(gw.url, "demo", dimensions=12))[0]) == 12
        async with google(gw.url) as sdk:
            config = genai_types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=12)
            answer = await sdk.models.embed_content(model="demo", contents=["a", "b"], config=config)
    assert [len(one.values or ()) for one in answer.embeddings or ()] == [12, 12]
