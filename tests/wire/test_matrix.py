"""The matrix: whole, and true to what is known of some pairs."""

from __future__ import annotations

import pytest

from omniroute.registry import load
from omniroute.wire.embeddings_matrix import FEATURES as EMBEDDING_FEATURES
from omniroute.wire.embeddings_matrix import embeddings_matrix
from omniroute.wire.matrix import FEATURES, SIGNED, cell, matrix

WIRES = {d.name: d.cls() for d in load(plugins=False).all("wire")}
CELLS = matrix(WIRES)


def test_every_pair_and_every_feature_has_a_verdict() -> None:
    assert len(CELLS) == len(WIRES) * (len(WIRES) - 1)
    assert all(set(found) == {*FEATURES, SIGNED} for found in CELLS.values())


@pytest.mark.parametrize(
    "client, target, feature, verdict",
    [
        ("openai-chat", "anthropic-messages", "text", "kept"),
        ("openai-chat", "anthropic-messages", "parallel calls", "kept"),
        ("openai-chat", "anthropic-messages", "logit bias", "dropped"),
        ("openai-chat", "gemini", "tool choice: required", "kept"),
        ("anthropic-messages", "openai-chat", "top_k", "dropped"),
        ("anthropic-messages", "gemini", "error of a tool", "kept"),
        ("anthropic-messages", "openai-chat", "seed", "unsaid"),
        ("gemini", "openai-responses", "tool calls and results", "kept"),
        ("openai-responses", "gemini", SIGNED, "kept"),
    ],
)
def test_what_is_known(client: str, target: str, feature: str, verdict: str) -> None:
    assert CELLS[client, target][feature].verdict == verdict


@pytest.mark.parametrize(
    "feature", ["text", "system text", "tool", "tool calls and results", "parallel calls"]
)
def test_the_essentials_are_kept_everywhere(feature: str) -> None:
    for (client, target), found in CELLS.items():
        assert found[feature].verdict in ("kept", "emulated"), (client, target, found[feature])


@pytest.mark.parametrize("name", WIRES)
def test_nothing_is_lost_on_the_way_to_the_same_format(name: str) -> None:
    for feature, talk in FEATURES.items():
        found = cell(talk, WIRES[name], WIRES[name])
        assert found.verdict in ("kept", "unsaid", "emulated"), (feature, found)


EMBEDDINGS = embeddings_matrix(WIRES)


def test_clients_and_targets_of_embeddings_are_all_there() -> None:
    targets = {"cohere", "gemini", "ollama", "openai-chat"}
    clients = targets - {"cohere"}
    assert set(EMBEDDINGS) == {(c, t) for c in clients for t in targets if c != t}
    assert all(set(found) == set(EMBEDDING_FEATURES) for found in EMBEDDINGS.values())


@pytest.mark.parametrize(
    "client, target, feature, verdict",
    [
        ("openai-chat", "gemini", "several texts", "kept"),
        ("openai-chat", "gemini", "token ids", "refused"),
        ("openai-chat", "cohere", "text", "emulated"),
        ("openai-chat", "cohere", "dimensions", "kept"),
        ("gemini", "cohere", "for a query", "kept"),
        ("gemini", "openai-chat", "for a query", "dropped"),
        ("gemini", "cohere", "for likeness", "dropped"),
        ("ollama", "cohere", "long texts are an error", "kept"),
        ("ollama", "gemini", "long texts are an error", "dropped"),
        ("ollama", "gemini", "title", "unsaid"),
    ],
)
def test_what_is_known_of_embeddings(client: str, target: str, feature: str, verdict: str) -> None:
    assert EMBEDDINGS[client, target][feature].verdict == verdict
