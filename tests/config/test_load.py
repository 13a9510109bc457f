"""Settings, provenance and what to watch."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from omniroute import registry as registries
from omniroute.config.convert import dec_hook, options_of
from omniroute.config.layout import shipped
from omniroute.config.load import find_config, load
from omniroute.config.secrets import Secret
from omniroute.config.units import Count, Duration, Size
from omniroute.errors import ConfigError, ConfigUnreadable
from tests.support.config import CATALOGUE, configure, findings, registry

TEXT = """\
version: 1
server:
  listen: "127.0.0.1:${PORT:-1}"
  drain: 5s
providers:
  acme: {accounts: {main: {key: "${KEY}"}}, strategy: mine}
combos:
  best: [acme/fast, {model: acme/slow, when: "request.tokens < `5`", params: {temperature: 0.5}}]
strategies:
  mine: {type: round-robin, sticky: {by: "header:x-session", ttl: 30m}}
middleware:
  style: {stage: system_prompt, text: "Be brief."}
  again: {stage: retry, attempts: 3, wait: 1s}
pipelines:
  chat: [auth, style, route, translate, {stage: again, wait: 2s}, {retry: {attempts: 1}}, retry: , log]
routes:
  - {match: {header: {x-team: research}}, pipeline: chat}
"""
TEXT = TEXT.replace("retry: , log", "{retry: }, log")
ENV = {"KEY": "k3y-k3y-k3y"}


def test_components_are_resolved() -> None:
    settings = configure(TEXT, env=ENV).settings
    stages = {s.name: s for s in settings.pipelines["chat"].stages}
    assert (stages["style"].kind, stages["style"].options) == ("system_prompt", {"text": "Be brief."})
    assert stages["again"].options == {"attempts": 3, "wait": Duration(2)}
    assert stages["again"].place == "omniroute.yaml:15"
    strategy = settings.providers["acme"].strategy
    assert (strategy.kind, strategy.name) == ("round-robin", "mine")
    found = registry().find("strategy", strategy.kind)
    assert found is not None
    assert options_of(found, strategy).sticky.ttl == 1800  # type: ignore[attr-defined]  # the class of the test world


def test_values_are_parsed() -> None:
    settings = configure(TEXT, env=ENV).settings
    target = settings.combos["best"].targets[1]
    assert (target.model, target.params) == ("acme/slow", {"temperature": 0.5})
    assert isinstance(settings.server.drain, Duration)
    assert settings.routes[0].match.header == {"x-team": "research"}
    assert settings.providers["acme"].accounts["main"].key == Secret(ENV["KEY"])


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("server.listen", "omniroute.yaml:3:11 (default of ${PORT})"),
        ("server.drain", "omniroute.yaml:4:10"),
        ("server.workers", "default"),
        ("providers.acme.accounts.main.key", "omniroute.yaml:6:33 (env KEY)"),
        ("combos.best.targets[1].when", "omniroute.yaml:8:46"),
        ("pipelines.chat.stages[1]", "omniroute.yaml:15:16"),
    ],
)
def test_blame(path: str, place: str) -> None:
    assert configure(TEXT, env=ENV).blame(path) == place


def test_the_place_of_what_is_not_written_is_that_of_what_is_above() -> None:
    assert configure(TEXT, env=ENV).place("server.limits.body") == "omniroute.yaml:3:3"


def test_the_digest_follows_the_content_and_nothing_else(tmp_path: Path) -> None:
    first = configure(TEXT, env=ENV, folder=tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", first.digest)
    assert configure(TEXT, env={**ENV, "OTHER": "x"}, folder=tmp_path / "elsewhere").digest == first.digest
    assert configure(TEXT, env={"KEY": "another"}, folder=tmp_path).digest != first.digest
    assert configure(TEXT + "\n", env=ENV, folder=tmp_path).digest != first.digest
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "mine.yaml").write_text("[route, translate]", "utf-8")
    assert configure(TEXT, env=ENV, folder=tmp_path).digest != first.digest


def test_watching(tmp_path: Path) -> None:
    found = configure("version: 1\ninclude: ['*.d/*.yaml']\n", folder=tmp_path)
    assert tmp_path / "omniroute.yaml" in found.files
    assert set(found.globs) == {str(tmp_path / p / "*.yaml") for p in ("*.d", "pipelines", "transforms")}
    assert found.folder == tmp_path


def test_a_missing_include_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "omniroute.yaml").write_text("version: 1\ninclude: gone.yaml\n", "utf-8")
    with pytest.raises(ConfigError):
        load(tmp_path / "omniroute.yaml", env={}, registry=registry(), catalogue=CATALOGUE)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", "folder"])
def test_an_unreadable_main_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "omniroute.yaml"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigUnreadable, match="cannot read"):
        load(path, env={}, registry=registry(), catalogue=CATALOGUE)


def test_lenient_turns_unknown_keys_into_warnings() -> None:
    text = "version: 1\nfuture: {a: 1}\nserver: {new: 2}\n"
    assert len(configure(text, lenient=True).findings) == 2
    with pytest.raises(ConfigError):
        configure(text)


def test_findings_are_sorted_the_main_file_first(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x: 1\n", "utf-8")
    told = findings("version: 1\ny: 1\ninclude: a.yaml\nz: 1\n", folder=tmp_path)
    assert [re.search(r"key '(.)'", f)[1] for f in told] == ["y", "z", "x"]  # type: ignore[index]  # they match


def test_find_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "xdg" / "omniroute"
    user.mkdir(parents=True)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    assert find_config(None, env, cwd) == shipped() / "omniroute.yaml"
    (user / "omniroute.yaml").touch()
    assert find_config(None, env, cwd) == user / "omniroute.yaml"
    (cwd / "omniroute.yaml").touch()
    assert find_config(None, env, cwd) == cwd / "omniroute.yaml"
    monkeypatch.chdir(cwd)
    assert find_config(None, env, Path.cwd()) == Path("omniroute.yaml")
    assert find_config(None, {**env, "OMNIROUTE_CONFIG": "env.yaml"}, cwd) == Path("env.yaml")
    assert find_config("mine.yaml", {"OMNIROUTE_CONFIG": "env.yaml"}, cwd) == Path("mine.yaml")
    assert find_config(str(user), {}, cwd) == user / "omniroute.yaml"


@pytest.mark.parametrize(
    ("type_", "written", "value"),
    [(Duration, "5m", 300), (Size, "1KiB", 1024), (Count, "5k", 5000), (Secret, "a", Secret("a"))],
)
def test_dec_hook(type_: type, written: str, value: Any) -> None:
    assert dec_hook(type_, written) == value
    assert dec_hook(type_, dec_hook(type_, written)) == value


def test_what_is_shipped_is_fine() -> None:
    found = load(shipped() / "omniroute.yaml", env={}, registry=registries.load(plugins=False))
    assert [f for f in found.findings if f.severity != "note"] == []
    assert {"chat", "count_tokens"} <= set(found.settings.pipelines)


def test_yaml_of_another_author_never_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_OF_NOBODY", "x")
    assert findings("version: 1\ndefault: ${HOME_OF_NOBODY}\n")[0].startswith("OR1101")
    assert os.environ["HOME_OF_NOBODY"] == "x"
