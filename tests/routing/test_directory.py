"""What a model name means: the order of CONFIG 7."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniroute.config.load import load_text
from omniroute.engine.build import Workshop, build
from omniroute.engine.generation import Generation
from omniroute.registry import Registry, load
from omniroute.routing.explain import explanation, explanation_text
from omniroute.routing.facts import Facts
from omniroute.routing.plan import Plan, plan
from omniroute.state.state import State

CONFIG = """
version: 1
providers:
  glm: {format: openai-chat, from: none, base_url: "http://x/v1", prefix: [zai], accounts: {a: {key: k}}, models: {glm-4.7: {aliases: [glm-latest], context: 1000}, glm-4.6: {}}}
  lab: {format: openai-chat, base_url: "http://x/v1", auth: {type: none}}
  shut: {format: openai-chat, base_url: "http://x/v1", enabled: false, accounts: {a: {key: k}}, models: {glm-4.6: {}, only-shut: {}}}
  keyless: {format: openai-chat, base_url: "http://x/v1", accounts: {a: {key: ""}}, models: {m: {}}}
combos:
  always-on: [glm/glm-4.7, nested, keyless/m]
  nested: [lab/qwen/coder, glm/glm-4.7, shut/only-shut]
  sized: [{model: glm/glm-4.7, when: "request.tokens < `100`"}, lab/big]
  asleep: {targets: [glm/glm-4.7], enabled: false}
models:
  gpt-4o: always-on
  "claude-*": lab/claude-*
  "claude-opus-*": glm/glm-4.7
  glm-4.6: lab/mine
default: lab/unknown
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(plugins=False)


@pytest.fixture
def state() -> State:
    return State(clock=lambda: 1000.0, dice=random.Random(1))


@pytest.fixture
def generation(registry: Registry, state: State, tmp_path: Path) -> Iterator[Generation]:
    loaded = load_text(CONFIG, env={}, registry=registry, folder=tmp_path)
    yield build(loaded, 1, Workshop(registry, state, lambda kind: None, lambda record: None))  # type: ignore[arg-type,return-value]  # nothing is sent


def planned(generation: Generation, state: State, model: str, tokens: int = 10, **facts: Any) -> Plan | None:
    known = {"wire": "openai-chat", "operation": "chat", "stream": False, "headers": {}, "caller": None}
    made = Facts(model=model, tokens=tokens, document=lambda: {"model": model}, **{**known, **facts})
    return plan(generation.directory, made, state, now=1000.0, dice=state.dice)


@pytest.mark.parametrize(
    "name, via, target",
    [
        ("always-on", "combo", "always-on"),
        ("gpt-4o", "alias", "always-on"),
        ("claude-haiku", "wildcard", "lab/claude-haiku"),
        ("claude-opus-5", "wildcard", "glm/glm-4.7"),
        ("glm/glm-4.7", "provider", "glm/glm-4.7"),
        ("zai/glm-4.7", "provider", "glm/glm-4.7"),
        ("glm/glm-latest", "provider", "glm/glm-4.7"),
        ("lab/any/thing/goes", "provider", "lab/any/thing/goes"),
        ("glm-4.7", "model", "glm/glm-4.7"),
        ("glm-latest", "model", "glm/glm-4.7"),
        ("glm-4.6", "alias", "lab/mine"),
        ("asleep", "default", "lab/unknown"),
        ("nobody-knows", "default", "lab/unknown"),
        ("glm/none-such", "default", "lab/unknown"),
    ],
)
def test_what_a_name_means(generation: Generation, name: str, via: str, target: str) -> None:
    found = generation.directory.find(name)
    assert found is not None
    assert (found.via, found.of.name) == (via, target)


def test_an_open_list_has_a_bound(generation: Generation) -> None:
    lab = generation.directory.providers["lab"]
    for number in range(5000):
        assert lab.target(f"m{number}") is not None
    assert len(lab._targets) <= 2000


def test_a_plan_gives_a_reason_for_each_target(generation: Generation, state: State) -> None:
    made = planned(generation, state, "always-on")
    assert made is not None
    assert [(s.target.name, s.verdict, s.reason) for s in made.steps] == [
        ("glm/glm-4.7", "in", "usable"),
        ("lab/qwen/coder", "in", "usable"),
        ("shut/only-shut", "out", "provider shut is disabled"),
        ("keyless/m", "out", "no account of keyless is active: its key is empty"),
    ]


@pytest.mark.parametrize("tokens, first", [(10, "glm/glm-4.7"), (500, "lab/big")])
def test_when_decides_by_the_request(generation: Generation, state: State, tokens: int, first: str) -> None:
    made = planned(generation, state, "sized", tokens=tokens)
    assert made is not None
    assert made.usable[0].target.name == first


def test_a_resting_account_makes_a_target_later(generation: Generation, state: State) -> None:
    account = generation.directory.providers["glm"].accounts[0]
    state.cooldowns.rest(
        account.id, account.identity, pace="limited", reason="rate limit: slow down", seconds=30, began=1000
    )
    made = planned(generation, state, "glm/glm-4.7")
    assert made is not None
    assert (made.steps[0].verdict, made.ready_at) == ("later", 1030.0)
    told = explanation(made, 1000.0)
    assert told["targets"][0]["ready_in"] == 30
    assert "later glm/glm-4.7" in explanation_text(made, 1000.0)


def test_planning_changes_nothing(generation: Generation, state: State) -> None:
    first = planned(generation, state, "always-on")
    again = planned(generation, state, "always-on")
    assert first is not None and again is not None
    assert [s.target.name for s in first.steps] == [s.target.name for s in again.steps]


def test_near_names(generation: Generation) -> None:
    assert "glm/glm-4.7" in generation.directory.near("glm/glm-47")
    assert os.path.basename(generation.directory.near("other/glm-4.7")[0]) == "glm-4.7"
