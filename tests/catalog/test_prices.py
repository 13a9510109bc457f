"""The prices of the catalogue: plausible each by itself, dated, and the ones that vendors publish."""

from __future__ import annotations

import re

import msgspec
import pytest

from omniroute.catalog.read import SHIPPED, read_catalogue
from omniroute.config.settings import Price

PRICES = {
    f"{provider}/{model}": msgspec.convert(facts["price"], Price)
    for provider, entry in read_catalogue().items()
    for model, facts in entry["models"].items()
    if facts.get("price") is not None
}
PAID = [name for name, price in PRICES.items() if price.input or price.output]


@pytest.mark.parametrize("name", PRICES)
def test_plausible(name: str) -> None:
    price = PRICES[name]
    if "embed" in name:
        assert (price.output, price.input <= 1) == (0, True)
    else:
        assert price.input <= price.output <= 10 * price.input
    assert price.cached is None or 0 < price.cached <= price.input
    # A longer write is dearer, and none is far from what plain input costs.
    writes = [p for p in (price.cache_write, price.cache_write_1h) if p is not None]
    assert writes == sorted(writes)
    assert all(price.input / 2 <= write <= 2.5 * price.input for write in writes)
    assert price.audio_input is None or price.input < price.audio_input <= 10 * price.input
    # Thoughts are an answer, too; only where thinking is another mode of the model do they cost more.
    assert price.reasoning is None or price.reasoning <= 4 * price.output
    assert max(p for p in msgspec.structs.astuple(price) if p is not None) <= 1000


def test_most_models_of_those_who_publish_prices_have_one() -> None:
    assert len(PAID) > 150


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_says_where_its_prices_come_from(path) -> None:
    said = re.findall(r"^# prices: (.+)$", path.read_text(), re.MULTILINE)
    assert len(said) == 1
    dated = re.search(r"\w, as of [A-Z][a-z]+ 20\d\d$|\), as of [A-Z][a-z]+ 20\d\d$", said[0])
    assert bool(dated) == any(name.startswith(f"{path.stem}/") for name in PAID)
    assert dated or re.match(r"(none|free)\b", said[0])


@pytest.mark.parametrize(
    "name", [name for name in PAID if re.search(r"claude-(fable|opus|sonnet|haiku)", name)]
)
def test_claude_writes_cost_by_rule(name: str) -> None:
    """Wherever Claude is sold, a cache write costs 1.25 times the input, one for an hour twice as much."""
    price = PRICES[name]
    assert price.cache_write == pytest.approx(1.25 * price.input)
    assert price.cache_write_1h in (None, pytest.approx(2 * price.input))
    assert price.cached is not None
    assert round(price.cached / price.input, 9) <= 0.1


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("anthropic/claude-opus-4-6", Price(input=5, output=25, cached=0.5, cache_write=6.25, cache_write_1h=10)),
        ("anthropic/claude-sonnet-5-5", Price(input=2, output=10, cached=0.1, cache_write=2.5, cache_write_1h=4)),
        ("bedrock-claude/anthropic.claude-haiku-4-5", Price(input=1.1, output=5.5, cached=0.11, cache_write=1.375, cache_write_1h=2.2)),
        ("openai/gpt-6.1-terra", Price(input=1, output=5, cached=0.05, cache_write=1.25, cache_write_1h=2.5)),
        ("openai/gpt-4.1", Price(input=2, output=8, cached=0.5)),
        ("openai/gpt-4o", Price(input=2.5, output=10, cached=1.25)),
        ("gemini/gemini-2.5-pro", Price(input=1.25, output=10, cached=0.125)),
        ("deepseek/deepseek-v4-pro", Price(input=0.66, output=1.98, cached=0.022)),
        ("groq/openai/gpt-oss-20b", Price(input=0.075, output=0.3, cached=0.0375)),
        ("xai/grok-4.3", Price(input=1.25, output=2.5, cached=0.2)),
        ("mistral/mistral-large-4", Price(input=0.7, output=2.1, cached=0.07)),
        ("minimax/MiniMax-M3", Price(input=0.3, output=1.2, cached=0.06)),
    ],
)  # fmt: skip
def test_as_published(name: str, price: Price) -> None:
    assert PRICES[name] == price


@pytest.mark.parametrize(
    "name", ["kimi-cn/kimi-k2.5", "glm-cn/glm-4.7", "alibaba-cn/qwen3-max", "vertex/gemma-4-31b-it"]
)
def test_unknown_rather_than_wrong(name: str) -> None:
    """Whoever sells a model in another currency, or another way, says nothing of what it costs here."""
    assert name not in PRICES
