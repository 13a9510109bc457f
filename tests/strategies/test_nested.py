"""Strategies inside of strategies, by any of the ways in which they can be written."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.config.load import Loaded, load_text
from omniroute.engine.build import Workshop, build
from omniroute.errors import ConfigError
from omniroute.registry import load
from omniroute.state.state import State

REGISTRY = load(plugins=False)


def loaded(strategies: str, strategy: str) -> Loaded:
    text = f"version: 1\nstrategies: {strategies}\ncombos: {{c: {{strategy: {strategy}, targets: [demo/demo]}}}}\n"
    return load_text(text, env={}, registry=REGISTRY)


@pytest.mark.parametrize(
    "strategies, strategy",
    [
        ("{}", "{type: race, first: 3, within: {type: tiered, within: {type: round-robin, limit: 3}}}"),
        (
            "{turns: {type: round-robin, limit: 3}}",
            "{type: race, first: 3, within: {type: tiered, within: turns}}",
        ),
        (
            "{fast: {race: {first: 3, within: tiers}}, tiers: {type: tiered, within: turns}, turns: {type: round-robin, limit: 3}}",
            "fast",
        ),
        (
            "{fast: {type: race, within: {tiered: {within: {type: turns, limit: 3}}}}, turns: {type: round-robin, limit: 9}}",
            "{type: fast, first: 3}",
        ),
    ],
)
def test_it_is_the_same_however_it_is_written(strategies: str, strategy: str) -> None:
    transport: Any = None
    workshop = Workshop(REGISTRY, State(), lambda kind: transport, lambda record: None)
    made: Any = build(loaded(strategies, strategy), 1, workshop).directory.combos["c"].strategy
    assert made.at_once == 3
    assert made._within._within.limit == 3


@pytest.mark.parametrize(
    "strategies, told",
    [
        ("{a: {type: tiered, within: a}}", "strategy 'a' is inside of itself: a → a"),
        (
            "{a: {type: tiered, within: b}, b: {type: race, within: {type: tiered, within: a}}}",
            "strategy 'b' is inside of itself: a → b → a",
        ),
        ("{a: {type: tiered, within: nobody}}", "there is no strategy 'nobody'"),
        ("{a: {type: tiered, within: {type: round-robin, limits: 3}}}", "unknown key 'limits'"),
    ],
)
def test_what_goes_in_a_circle_or_nowhere_is_told(strategies: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("→", ".")):
        loaded(strategies, "a")
