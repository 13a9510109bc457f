"""What changed, in names."""

from __future__ import annotations

import pytest

from omniroute.config.diff import differences, needs_restart
from omniroute.config.settings import Settings
from tests.support.config import configure

BASE = """\
version: 1
keys: {ci: {key: abc-abc}}
providers:
  acme: {accounts: {a: {key: def-def}}}
combos: {best: [acme/fast, acme/slow], other: [acme/fast]}
models: {gpt: best}
middleware: {again: {stage: retry, attempts: 3}}
store: memory
"""


def settings(text: str) -> Settings:
    return configure(text).settings


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("version: 1\n", "version: 1\n# moved down\n", []),
        ("{ci: {key: abc-abc}}", "{}", ["- key ci"]),
        ("abc-abc", "xyz-xyz", ["~ key ci: key"]),
        ("def-def", "xyz-xyz", ["~ provider acme: accounts"]),
        ("other:", "another:", ["- combo other", "+ combo another"]),
        ("[acme/fast, acme/slow]", "[acme/slow, acme/fast]", ["~ combo best: targets"]),
        ("gpt: best", "gpt: other", ["~ alias gpt"]),
        ("attempts: 3", "attempts: 4", ["~ middleware again: attempts"]),
        ("{stage: retry, attempts: 3}", "log", ["~ middleware again: type, attempts"]),
        ("store: memory", "store: sqlite:x.db", ["~ store"]),
        ("store: memory", "server: {workers: 2, drain: 1s}", ["~ server: workers, drain"]),
        ("store: memory", "routes: [{pipeline: chat}]", ["~ routes"]),
        ("store: memory", "default: best", ["~ default"]),
    ],
)
def test_differences(old: str, new: str, lines: list[str]) -> None:
    assert differences(settings(BASE), settings(BASE.replace(old, new) if old else BASE)) == lines


@pytest.mark.parametrize(
    ("new", "paths"),
    [
        ("server: {drain: 1s}", []),
        ("server: {workers: 2}", ["server.workers"]),
        ("server: {data_dir: /x, limits: {body: 1KiB}}", ["server.data_dir"]),
        ("store: sqlite:other.db", ["store"]),
    ],
)
def test_needs_restart(new: str, paths: list[str]) -> None:
    assert needs_restart(settings(BASE), settings(BASE.replace("store: memory", new))) == paths
