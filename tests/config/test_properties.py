"""Whatever is written, a load ends in settings or in findings."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from omniroute.config.excerpt import headline
from omniroute.errors import ConfigError
from tests.support.config import CATALOGUE, configure
from tests.support.properties import examples

SECRET = "s3cret-that-nobody-sees"
BASE: dict[str, Any] = {
    "version": 1,
    "x-own": {"a": 1},
    "server": {"listen": ":${PORT:-80}", "limits": {"body": "1MiB"}, "workers": 2},
    "auth": {"required": False},
    "keys": {
        "me": {"key": "${SECRET}", "models": ["acme/*"], "limits": {"rpm": "5k"}, "ips": ["10.0.0.0/8"]}
    },
    "providers": {
        "acme": {"accounts": {"a": {"key": "${SECRET}", "quota": {"limit": {"usd": 5}}}}, "strategy": "mine"},
        "lab": {"format": "openai-chat", "base_url": "http://lab.example", "auth": "none", "models": ["m"]},
        "duo": {"from": "duo", "format": "openai-chat", "headers": {"authorization": "${SECRET}"}},
    },
    "proxies": {"p": {"url": "http://u:${SECRET}@h:1"}},
    "combos": {"a": ["acme/fast", {"model": "b", "when": "request.tokens < `5`"}], "b": {"targets": "lab/m"}},
    "strategies": {"mine": {"type": "round-robin", "sticky": {"by": "key"}}},
    "models": {"gpt-*": "lab/*", "x": "a"},
    "middleware": {"m": {"retry": {"attempts": 2, "token": "${SECRET}"}}},
    "transforms": {"t": {"on": "request", "ops": [{"set": {"a": "{{ model }}"}}]}},
    "pipelines": {"chat": ["auth", "route", "translate", "m", {"stage": "transform", "use": ["t"]}]},
    "routes": [{"match": {"path": "/v1/*"}, "pipeline": "chat"}],
}

WORDS = st.sampled_from(
    ["", "acme/fast", "a", "${SECRET}", "${UNSET}", "${", "$${", "mine", "direct", "none", "-1", "5s", "{{ x", "*", "a.b", "\u2028", "\x85", "é"]
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(), WORDS, st.text(max_size=6))
KEYS = st.one_of(
    st.sampled_from(["from", "type", "stage", "model", "models", "targets", "key", "x-a", "override", "when", "*", "format", "base_url", "formats", "include"]),
    st.text(max_size=4),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=6,
)


def load(text: str) -> None:
    try:
        findings = list(configure(text, env={"SECRET": SECRET}, catalogue=CATALOGUE).findings)
    except ConfigError as error:
        findings = error.findings
        assert any(f.severity == "error" for f in findings)
    if "${SECRET}" in text:
        assert not any(SECRET in headline(f) for f in findings if f.code >= "OR12")


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a tree with every key of it."""
    found: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        item = todo.pop()
        if isinstance(item, dict | list):
            pairs = list(item.items() if isinstance(item, dict) else enumerate(item))
            found += [(item, key) for key, _ in pairs]
            todo += [value for _, value in pairs]
    return found


def copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: copy(value) for key, value in tree.items()}
    return [copy(item) for item in tree] if isinstance(tree, list) else tree


def test_the_base_is_fine() -> None:
    configure(yaml.safe_dump(BASE, sort_keys=False), env={"SECRET": SECRET})


QUICK = examples(60)


@QUICK
@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    tree = copy(BASE)
    for _ in range(data.draw(st.integers(1, 3))):
        spots = places(tree)
        container, key = spots[data.draw(st.integers(0, len(spots) - 1))]
        container[key] = data.draw(TREES)
    load(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


@QUICK
@given(st.data())
def test_any_damage_to_the_text(data: st.DataObject) -> None:
    text = yaml.safe_dump(BASE, sort_keys=False)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text(max_size=4) | WORDS) + text[at + cut :]
    load(text)


@QUICK
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    load(text)
