"""The shipped provider files: each is a provider as a configuration would write it, and their facts are sane."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml

from omniroute import wire
from omniroute.catalog.read import SHIPPED, read_catalogue, read_quirks
from omniroute.config.secrets import Secret
from omniroute.config.settings import Model, Provider
from omniroute.errors import ProblemKind

CATALOGUE = read_catalogue()
QUIRKS = read_quirks()
WIRES = {
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
    "gemini",
    "ollama",
    "cohere",
    "bedrock-converse",
    "anthropic-vertex",
}
LEVELS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

IDS = """
    alibaba alibaba-cn anthropic bedrock bedrock-claude bedrock-openai cerebras chutes cohere deepinfra deepseek demo fault fireworks gemini glm glm-cn groq
    huggingface hyperbolic kimi kimi-cn llama-cpp lmstudio minimax minimax-cn mistral nebius nvidia ollama
    ollama-cloud openai openrouter perplexity sambanova siliconflow siliconflow-cn together vercel-gateway vertex vertex-claude vllm xai
""".split()

LOCAL = "llama-cpp lmstudio ollama vllm".split()


def converted(id: str) -> Provider:
    known = {key: value for key, value in CATALOGUE[id].items() if not key.startswith("x-")}
    return msgspec.convert(
        known, Provider, dec_hook=lambda kind, raw: Secret(raw) if kind is Secret else kind.parse(raw)
    )


PROVIDERS = {id: converted(id) for id in CATALOGUE}
each_provider = pytest.mark.parametrize("id", CATALOGUE)


def test_ids() -> None:
    assert list(CATALOGUE) == IDS


@each_provider
def test_says_what_it_is(id: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", id)
    assert PROVIDERS[id].description
    assert PROVIDERS[id].models


@each_provider
def test_written_in_the_long_form(id: str) -> None:
    provider = PROVIDERS[id]
    assert provider.formats
    assert provider.format is None
    assert provider.base_url is None
    assert (SHIPPED / f"{id}.yaml").read_text().startswith("# yaml-language-server: $schema=")


@each_provider
def test_formats_are_known_and_urls_well_formed(id: str) -> None:
    provider = PROVIDERS[id]
    assert provider.formats.keys() <= WIRES
    for endpoint in provider.formats.values():
        url = urlsplit(endpoint.base_url)
        if provider.transport != "http":
            assert endpoint.base_url == f"{provider.transport}:"
            continue
        assert url.scheme == ("http" if id in LOCAL else "https")
        assert url.hostname
        assert not (url.query or url.fragment or url.username or endpoint.base_url.endswith("/"))
        assert not re.search(r"/(chat/completions|messages|responses|models)$", url.path)


@each_provider
def test_anthropic_endpoints_end_in_v1_and_name_the_version(id: str) -> None:
    provider = PROVIDERS[id]
    endpoint = provider.formats.get("anthropic-messages")
    if endpoint is not None and provider.transport == "http":
        assert endpoint.base_url.endswith("/v1")
        assert (provider.headers | endpoint.headers)["anthropic-version"] == "2023-06-01"


@each_provider
def test_credentials_are_sent_in_a_known_way(id: str) -> None:
    provider = PROVIDERS[id]
    for auth in (provider.auth, *(e.auth for e in provider.formats.values() if e.auth)):
        assert auth.type in ("bearer", "header", "none", "sigv4")
        assert (auth.header is not None) == (auth.type == "header")
        assert (auth.service is not None) == (auth.type == "sigv4")
    # Where nobody signs in, there is nothing to declare: the account is there.
    assert bool(provider.accounts) == (provider.auth.type == "none")


def test_prefixes_lead_to_one_provider() -> None:
    prefixes = Counter(chain.from_iterable(p.prefix for p in PROVIDERS.values()))
    assert [p for p, times in prefixes.items() if times > 1] == []
    assert prefixes.keys() & CATALOGUE.keys() == set()
    assert [p for p in prefixes if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", p)] == []


@each_provider
def test_a_new_model_is_usable_at_once(id: str) -> None:
    assert "*" in PROVIDERS[id].models


@each_provider
def test_model_names_and_aliases_are_said_once(id: str) -> None:
    models = PROVIDERS[id].models
    names = Counter([*models, *chain.from_iterable(m.aliases for m in models.values())])
    assert [name for name, times in names.items() if times > 1] == []
    assert [name for name in names if not re.fullmatch(r"\*|[\w.:@/-]+", name, re.ASCII)] == []


@each_provider
def test_quirks_are_listed(id: str) -> None:
    provider = PROVIDERS[id]
    used = set(provider.quirks).union(*(m.quirks for m in provider.models.values()))
    assert used <= QUIRKS.keys()
    assert not {"max_tokens", "max_completion_tokens"} <= used


def test_the_words_that_codecs_read_are_listed() -> None:
    sources = "".join(path.read_text() for path in Path(wire.__file__).parent.glob("*.py"))
    read = re.findall(r'"([a-z0-9_]+)" (?:not )?in [\w.]*quirks', sources)
    assert set(read) <= QUIRKS.keys()


@each_provider
def test_chat_completions_say_how_the_limit_is_called(id: str) -> None:
    if "openai-chat" in PROVIDERS[id].formats:
        assert {"max_tokens", "max_completion_tokens"} & set(PROVIDERS[id].quirks)


@each_provider
def test_format_of_a_model_is_one_of_the_provider(id: str) -> None:
    for name, model in PROVIDERS[id].models.items():
        assert model.format is None or model.format in PROVIDERS[id].formats, name


@each_provider
def test_limits_are_sane(id: str) -> None:
    for name, model in PROVIDERS[id].models.items():
        least = 500 if "embed" in name else 4000
        assert model.context is None or least <= model.context <= 10_000_000, name
        assert model.max_output is None or 1000 <= model.max_output <= (model.context or model.max_output), (
            name
        )


@each_provider
def test_thinking_is_sane(id: str) -> None:
    for name, model in PROVIDERS[id].models.items():
        if model.thinking is None:
            continue
        levels = model.thinking.levels
        assert model.capabilities is None or "thinking" in model.capabilities, name
        assert list(levels) == [level for level in LEVELS if level in levels], name
        assert (model.thinking.min or 0) < (model.thinking.max or 1_000_000), name
        assert "no_reasoning_effort" not in {*model.quirks, *PROVIDERS[id].quirks}, name


@each_provider
def test_capabilities_and_quirks_do_not_contradict(id: str) -> None:
    for name, model in PROVIDERS[id].models.items():
        if {"no_json_schema", "no_response_format"} & {*PROVIDERS[id].quirks, *model.quirks}:
            assert "json_schema" not in (model.capabilities or ()), name


@each_provider
def test_outcomes_are_kinds_of_problems(id: str) -> None:
    for outcome in PROVIDERS[id].outcomes:
        assert outcome.kind in get_args(ProblemKind)
        assert outcome.status or outcome.text


@pytest.mark.parametrize(
    ("id", "formats"),
    [
        ("openai", ["openai-chat", "openai-responses"]),
        ("anthropic", ["anthropic-messages"]),
        ("gemini", ["gemini"]),
        ("glm", ["anthropic-messages", "openai-chat"]),
        ("demo", ["openai-chat", "openai-responses", "anthropic-messages", "gemini"]),
    ],
)
def test_the_first_format_is_the_preferred_one(id: str, formats: list[str]) -> None:
    assert list(PROVIDERS[id].formats) == formats


@pytest.mark.parametrize("id", ["glm", "kimi", "minimax", "siliconflow", "alibaba"])
def test_the_mainland_twin_differs_in_every_url(id: str) -> None:
    ours, twin = PROVIDERS[id], PROVIDERS[f"{id}-cn"]
    assert list(twin.formats) == list(ours.formats)
    assert all(twin.formats[f].base_url != ours.formats[f].base_url for f in ours.formats)
    # Its prices are in yuan, and are not said.
    assert twin.models == {name: _unpriced(model) for name, model in ours.models.items()}


def _unpriced(model: Model) -> Model:
    paid = model.price is not None and model.price.input > 0
    return msgspec.structs.replace(model, price=None) if paid else model


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice in one map, which YAML loaders let pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value)
        assert [key for key, times in keys.items() if times > 1] == [], node.start_mark
        return super().construct_mapping(node, deep=deep)


@pytest.mark.parametrize(
    "path", [*SHIPPED.glob("*.yaml"), SHIPPED.parent / "quirks.yaml"], ids=lambda p: p.stem
)
def test_no_key_stands_twice(path) -> None:
    yaml.load(path.read_text(), Loader=_Strict)
