"""Files, includes and the catalogue become one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniroute.config.load import Loaded, load
from tests.support.config import CATALOGUE, configure, registry


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def loaded(folder: Path) -> Loaded:
    return load(folder / "omniroute.yaml", env={}, registry=registry(), catalogue=CATALOGUE)


def test_includes_are_relative_to_their_file_and_sorted(tmp_path: Path) -> None:
    write(
        tmp_path,
        omniroute_yaml="version: 1\ninclude: ['parts/*.yaml']\nroutes: [{pipeline: chat}]\n",
        parts__b_yaml="include: deep/c.yaml\nroutes: [{match: {path: b}, pipeline: chat}]\n",
        parts__a_yaml="routes: [{match: {path: a}, pipeline: chat}]\n",
        parts__deep__c_yaml="routes: [{match: {path: c}, pipeline: chat}]\nserver: {drain: 1s}\n",
    )
    found = loaded(tmp_path)
    assert [r.match.path for r in found.settings.routes] == [None, "a", "b", "c"]
    assert found.settings.server.drain == 1
    assert found.place("server.drain") == f"{tmp_path}/parts/deep/c.yaml:2:17"
    assert str(tmp_path / "parts" / "*.yaml") in found.globs
    assert {p.name for p in found.files if p.is_relative_to(tmp_path)} == {
        "omniroute.yaml",
        "a.yaml",
        "b.yaml",
        "c.yaml",
    }


def test_a_file_is_read_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        omniroute_yaml="version: 1\ninclude: ['*.yaml', a.yaml]\n",
        a_yaml="include: b.yaml\nmodels: {a: acme/fast}\nproviders: {acme: {}}\n",
        b_yaml="models: {b: acme/fast}\n",
    )
    assert loaded(tmp_path).settings.models == {"a": "acme/fast", "b": "acme/fast"}


@pytest.mark.parametrize(
    ("main", "other", "limit"),
    [
        ("{type: round-robin, limit: 2}", "{type: round-robin, limit: 3, override: true}", 3),
        ("{type: round-robin, limit: 2, override: true}", "{type: round-robin, limit: 3}", 2),
        ("{type: round-robin, limit: 2, override: true}", "{type: round-robin, limit: 3, override: true}", 3),
    ],
)
def test_the_entry_that_says_override_wins_whole(tmp_path: Path, main: str, other: str, limit: int) -> None:
    write(
        tmp_path,
        omniroute_yaml=f"version: 1\ninclude: a.yaml\nstrategies: {{mine: {main}}}\n",
        a_yaml=f"strategies: {{mine: {other}}}\n",
    )
    assert loaded(tmp_path).settings.strategies["mine"].options == {"limit": limit}


def test_a_users_document_hides_the_shipped_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        omniroute_yaml="version: 1\n",
        pipelines__chat_yaml="[auth, route, translate]\n",
        transforms__mine_yaml="ops: [{remove: user}]\n",
    )
    settings = loaded(tmp_path).settings
    assert [s.name for s in settings.pipelines["chat"].stages] == ["auth", "route", "translate"]
    assert "count_tokens" in settings.pipelines
    assert {"mine", "drop_metadata"} <= set(settings.transforms)
    assert settings.pipelines["chat"].stages[0].place == f"{tmp_path}/pipelines/chat.yaml:1"


def test_inline_documents_win(tmp_path: Path) -> None:
    write(
        tmp_path,
        omniroute_yaml="version: 1\npipelines: {chat: [route, translate]}\n",
        pipelines__chat_yaml="[auth, route, translate]\n",
    )
    assert len(loaded(tmp_path).settings.pipelines["chat"].stages) == 2


def test_a_shipped_pipeline_gives_way() -> None:
    text = "version: 1\npipelines: {mine: {endpoints: chat, stages: [route, translate]}}\n"
    pipelines = configure(text).settings.pipelines
    assert (pipelines["mine"].endpoints, pipelines["chat"].endpoints) == (("chat",), ())


def provider(text: str, id: str = "acme") -> Any:
    return configure(f"version: 1\nproviders: {{{id}: {text}}}\n").settings.providers[id]


def test_a_provider_starts_from_the_catalogue() -> None:
    found = provider("{tier: cheap, models: {slow-4.5: {context: 5k}, mine: {}}}")
    assert found.tier == "cheap"
    assert found.formats["openai-chat"].base_url == "https://api.acme.example/v1"
    assert list(found.models) == ["fast", "slow-4.5", "mine"]
    assert (found.models["slow-4.5"].context, found.models["slow-4.5"].aliases) == (5000, ("slow",))


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("{}", ["fast", "slow-4.5"]),
        ("", ["fast", "slow-4.5"]),
        ("{models: {}}", []),
        ("{models: }", []),
        ("{models: [fast, other]}", ["fast", "other"]),
    ],
)
def test_an_empty_section_means_none(text: str, models: list[str]) -> None:
    assert list(provider(text).models) == models


def test_models_chosen_by_name_keep_their_facts() -> None:
    assert provider("{models: [fast]}").models["fast"].context == 128_000


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        (
            "{}",
            {"anthropic-messages": "https://duo.example/anthropic", "openai-chat": "https://duo.example/v1"},
        ),
        ("{format: openai-chat}", {"openai-chat": "https://duo.example/v1"}),
        ("{format: openai-chat, base_url: 'http://m'}", {"openai-chat": "http://m"}),
        (
            "{formats: {openai-chat: 'http://m'}}",
            {"anthropic-messages": "https://duo.example/anthropic", "openai-chat": "http://m"},
        ),
    ],
)
def test_formats_over_the_catalogue(text: str, formats: dict[str, str]) -> None:
    found = provider(text, "duo")
    assert {name: f.base_url for name, f in found.formats.items()} == formats
    assert (found.format, found.base_url) == (None, None)


def test_a_url_alone_is_that_of_the_only_format() -> None:
    assert provider("{base_url: 'http://mirror'}").formats["openai-chat"].base_url == "http://mirror"


def test_from() -> None:
    text = """
version: 1
providers:
  acme: {from: none, format: anthropic-messages, base_url: "http://mine"}
  work: {from: acme, prefix: []}
"""
    found = configure(text).settings.providers
    assert (list(found["acme"].formats), found["acme"].models) == (["anthropic-messages"], {})
    assert list(found["work"].models) == ["fast", "slow-4.5"]


def test_the_catalogue_is_not_blamed_on_the_user() -> None:
    loaded = configure("version: 1\nproviders:\n  acme: {tier: free}\n")
    assert loaded.blame("providers.acme.tier") == "omniroute.yaml:3:16"
    assert loaded.blame("providers.acme.models.fast.context") == "catalogue:acme"
