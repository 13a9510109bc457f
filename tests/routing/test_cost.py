"""What requests cost: recorded usages at the catalogue's prices, worked out by hand beside each.

The figures are millionths of a dollar: so many tokens times the price of a million of them.
"""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from omniroute.catalog.read import read_catalogue
from omniroute.config.settings import Price
from omniroute.routing.cost import cost_of
from omniroute.wire.codec import Wire
from omniroute.wire.conversation import Usage
from tests.support import recordings
from tests.support.crossing import wires

CATALOGUE = read_catalogue()
WIRES: dict[str, str] = {
    "mistral-chat": "openai-chat",
    "gemini-generate": "gemini",
    "gemini-stream": "gemini",
    "cohere-chat": "cohere",
}


def price_of(target: str) -> Price:
    provider, model = target.split("/", 1)
    return msgspec.convert(CATALOGUE[provider]["models"][model]["price"], Price)


def usage_of(name: str) -> Usage:
    """The usage of a recording as the gateway sees it in bytes that pass."""
    recording = recordings.load(name)
    wire: Wire = wires()[WIRES.get(recording.wire_format, recording.wire_format)]
    if not recording.streaming:
        seen = wire.glance(json.dumps(recording.body).encode()).usage
    else:
        tap = wire.tap()
        tap.feed(recording.body.encode())
        seen = tap.usage
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    ("name", "target", "cost"),
    [
        # 3 fresh, 1217 from the cache (a tenth of the price), 5 out; the counts stand beside each other
        ("anthropic-messages/anthropic-cached-prompt-tokens-0-81a33a", "anthropic/claude-sonnet-4-5", 3 * 3 + 1217 * 0.3 + 5 * 15),
        # 10 fresh, 2 written for 5 min (a quarter more), 1 read
        ("anthropic-messages/anthropic-completion-anthropic-0-804d28", "anthropic/claude-sonnet-4-5", 10 * 3 + 2 * 3.75 + 1 * 0.3 + 21 * 15),
        # the region's price, 2 fresh and 1322 written
        ("bedrock-converse/bedrock-cache-write-and-read-0-5ebc08", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 2 * 3.3 + 1322 * 4.125 + 5 * 16.5),
        # 2944 of 6047 are cached; the 1408 of reasoning are among the 1623
        ("openai-responses/openai-code-interpreter-tool-1-0-a980b5", "openai/gpt-5-nano", 3103 * 0.05 + 2944 * 0.005 + 1623 * 0.4),
        ("openai-responses/openai-image-generation-tool-1-0-63ee08", "openai/gpt-5", 1021 * 1.25 + 1920 * 0.125 + 1249 * 10),
        # 4418 of 8576 are written to the cache
        ("openai-responses/openai-responses-model-web-search-tool-without-external-acc-0-fb21b2", "openai/gpt-5.6-sol", 4158 * 4 + 4418 * 5 + 52 * 20),
        ("openai-chat/openai-agent-0-e2f680", "openai/gpt-4o-mini", 252 * 0.15 + 39 * 0.6),
        # thoughts stand beside the answer and are charged as it is; the total is 1586
        ("gemini-stream/gemini-2-5-pro-stream-0-8ea2c0", "gemini/gemini-2.5-pro", 272 * 1.25 + (200 + 1114) * 10),
        # 217 of 568 from the cache, 1027 thought
        ("gemini-generate/gemini-web-search-with-gemini-gemini-3-5-flash-grounds-the-0-fc4185", "gemini/gemini-3.5-flash", 351 * 1.5 + 217 * 0.15 + (305 + 1027) * 9),
        # what code gave back to the model, 149, is prompt, too
        ("gemini-generate/gemini-code-execution-with-gemini-gemini-3-5-flash-runs-cod-0-9b8b52", "gemini/gemini-3.5-flash", (85 + 149) * 1.5 + (122 + 87) * 9),
        # 144 of 229 are sound
        ("gemini-generate/gemini-multimodal-tool-return-matrix-direct-uploaded-file-a-1-1e48f4", "gemini/gemini-2.5-flash", 85 * 0.3 + 144 * 1 + 17 * 2.5),
        # 8126 of 10491 from the cache, and 80 of thoughts beside 52
        ("gemini-stream/gemini-browser-agent-persistent-session-0-39a87c", "gemini/gemini-2.5-flash", 2365 * 0.3 + 8126 * 0.03 + (52 + 80) * 2.5),
        # hits and misses: 512 and 51
        ("openai-chat/deepseek-deferred-capability-with-thinking-0-6de6fb", "deepseek/deepseek-flash", 51 * 0.15 + 512 * 0.003 + 116 * 0.6),
        ("openai-responses/deepseek-web-search-with-deepseek-deepseek-v4-flash-searches-0-624fab", "deepseek/deepseek-flash", 13514 * 0.15 + 15872 * 0.003 + 1450 * 0.6),
        # 148 of reasoning stand outside of the 68
        ("openai-chat/xai-multi-tool-0-ef8034", "xai/grok-4-fast-reasoning", 284 * 0.2 + 152 * 0.05 + (68 + 148) * 0.5),
        ("openai-responses/xai-function-calling-xai-grok-4-1-fast-non-reasoning-can-0-3d2171", "xai/grok-4.3", 148 * 1.25 + 192 * 0.2 + 127 * 2.5),
        ("openai-chat/groq-reasoning-0-d17df8", "groq/qwen/qwen3-32b", 17 * 0.29 + 649 * 0.59),
        ("openai-chat/groq-tool-use-failed-error-streaming-with-text-1-6c530e", "groq/openai/gpt-oss-120b", 343 * 0.15 + 180 * 0.6),
        ("mistral-chat/mistral-history-uses-prompt-cache-1-eb548f", "mistral/mistral-large-latest", 44 * 0.5 + 224 * 0.05 + 5 * 1.5),
        # `billed_units`: 39 of 1683 and 27 of 62, and the cache is the provider's own gain
        ("cohere-chat/cohere-citations-0-d82aa2", "cohere/command-a-03-2025", 39 * 2.5 + 27 * 10),
        ("cohere-chat/cohere-function-calling-cohere-command-a-03-2025-can-use-to-0-cfb4fe", "cohere/command-a-03-2025", 44 * 2.5 + 28 * 10),
        ("openai-chat/cerebras-structured-output-tools-2-0-de0f5a", "cerebras/zai-glm-4.7", 394 * 2.25 + 63 * 2.75),
        # `cached_tokens` stands at the top
        ("openai-chat/moonshot-moonshotai-reasoning-0-f348f0", "kimi/kimi-k2.6", 10 * 0.95 + 10 * 0.16 + 30 * 4),
        ("openai-chat/zai-vision-thinking-0-2fdaca", "glm/glm-4.6v", 431 * 0.3 + 4 * 0.05 + 73 * 0.9),
        ("openai-chat/alibaba-reasoning-0-2c2a04", "alibaba/qwen3-max", 24 * 1.2 + 1668 * 6),
        ("openai-chat/together-with-tool-call-0-72bcbf", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo", (198 + 24) * 0.88),
        ("openai-chat/perplexity-document-models-perplexity-sonar-pro-understands-doc-0-9f4afe", "perplexity/sonar-pro", 17 * 3 + 6 * 15),
        ("openai-chat/zai-multi-tool-0-bf85a0", "glm/glm-4.7-flash", 0),
    ],
)  # fmt: skip
def test_recorded(name: str, target: str, cost: float) -> None:
    assert cost_of(usage_of(name), price_of(target)) * 1_000_000 == pytest.approx(cost, rel=1e-9)


# The answers whose figures were not put there by a recorder.
TOLD = [
    entry["file"].removesuffix(".json")
    for entry in recordings.index()
    if (entry["provider"], entry["status"]) == ("xai", 200)
    and entry["wire_format"] in ("openai-chat", "openai-responses")
    and "image-generation" not in entry["file"]
]


@pytest.mark.parametrize("name", TOLD or ["missing"])
def test_as_the_provider_itself_reckons(name: str) -> None:
    """xAI tells the cost of each answer, in ten-thousandths of a millionth of a dollar."""
    recording = recordings.load(name)
    text = recording.body if recording.streaming else json.dumps(recording.body)
    ticks = re.findall(r'"cost_in_usd_ticks": ?(\d+)', text)
    if not ticks:
        assert "num_server_side_tools_used" in text  # older answers with tools of its own do not tell
        return
    model = re.findall(r'"model": ?"(grok-[^"]+)"', text)[-1]
    assert cost_of(usage_of(name), price_of(f"xai/{model}")) == pytest.approx(int(ticks[-1]) / 1e10)


# One price for each kind of token, so that a sum shows what was counted as what.
EACH = Price(
    input=1, output=10, cached=100, cache_write=1e3, cache_write_1h=1e4, reasoning=1e5, audio_input=1e6, audio_output=1e7
)  # fmt: skip
PLAIN = Price(input=1, output=10)


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(input=3, output=2), EACH, 23),
        (Usage(input=9, cached=2, cache_write=3, cache_write_1h=1), EACH, 3 + 200 + 3000 + 10_000),
        (Usage(output=9, reasoning=4), EACH, 50 + 400_000),
        (Usage(input=9, audio_input=4, output=7, audio_output=2), EACH, 5 + 4e6 + 50 + 2e7),
        # sound that was cached costs what the cache costs
        (Usage(input=9, cached=7, audio_input=4), EACH, 700 + 2e6),
        # not billed: the beginning of the prompt, cached or not, and some of the answer
        (Usage(input=9, cached=7, unbilled_input=5), EACH, 2 + 200),
        (Usage(input=9, cached=3, unbilled_input=5), EACH, 4),
        (Usage(output=9, reasoning=6, unbilled_output=5), EACH, 4e5),
        # counts that contradict each other are never negative money
        (Usage(input=1, cached=5, output=1, reasoning=5), EACH, 500 + 1e5),
        (Usage(output=2, unbilled_output=5), EACH, 0),
        # what has no price of its own costs what prompt or answer cost
        (Usage(input=9, cached=2, cache_write=3, cache_write_1h=1, audio_input=1, output=9, reasoning=4, audio_output=1), PLAIN, 99),
        (Usage(input=1, cache_write_1h=1), Price(input=1, output=1, cache_write=5), 5),
        # a cache that costs nothing is not a cache without a price
        (Usage(input=9, cached=9), Price(input=1, output=1, cached=0), 0),
    ],
)  # fmt: skip
def test_every_token_is_charged_once(usage: Usage, price: Price, cost: float) -> None:
    assert cost_of(usage, price) * 1_000_000 == pytest.approx(cost)
