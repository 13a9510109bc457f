"""What `omniroute connect` shows is what the tools take."""

from __future__ import annotations

import json
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from omniroute.cli.connect import connection
from omniroute.cli.main import main

TOOLS = [
    "aider",
    "claude-code",
    "cline",
    "codex",
    "continue",
    "cursor",
    "gemini-cli",
    "kilo",
    "opencode",
    "pi",
    "qwen",
]
URL = "http://127.0.0.1:20128"


def connect(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert main(["connect", *args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIROUTE_URL", raising=False)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_told_where_what_and_with_which_key(
    capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    assert main(["connect", tool, "--print", "--key", "ork_1", "--model", "smart", "--url", URL]) == 0
    shown = capsys.readouterr()
    for needed in (URL, "ork_1", "smart"):
        assert needed in shown.out
    assert "{{" not in shown.out
    assert shown.err == ""


def test_without_a_tool_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(connect(capsys)) == TOOLS
    assert main(["connect"]) == 0
    assert "claude-code" in capsys.readouterr().out


def test_an_unknown_tool_is_an_error_that_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["connect", "notepad"])
    assert ended.value.code == 2
    assert "claude-code" in capsys.readouterr().err


def test_without_print_it_says_that_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "aider"]) == 0
    shown = capsys.readouterr()
    assert "writes no file" in shown.err
    assert f"OPENAI_API_BASE={URL}/v1" in shown.out


@pytest.mark.parametrize("url", [URL, URL + "/", URL + "/v1", URL + "/v1/"])
def test_the_address_may_be_given_in_any_way(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert connect(capsys, "claude-code", "--url", url)["env"]["ANTHROPIC_BASE_URL"] == URL
    assert connect(capsys, "qwen", "--url", url)["env"]["OPENAI_BASE_URL"] == f"{URL}/v1"


def test_the_address_comes_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIROUTE_URL", "https://gateway.example.com/v1")
    found = connect(capsys, "gemini-cli")
    assert found["env"]["GOOGLE_GEMINI_BASE_URL"] == "https://gateway.example.com"


ODD = {"url": URL, "key": "a'b $c", "model": 'm"x\\'}
"""A key and a model with everything that a format could stumble over."""


def test_variables_survive_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "qwen", "--print", "--key", ODD["key"], "--model", ODD["model"]]) == 0
    exports = [line for line in capsys.readouterr().out.splitlines() if line.startswith("export ")]
    found = dict(shlex.split(line)[1].split("=", 1) for line in exports)
    assert (found["OPENAI_API_KEY"], found["OPENAI_MODEL"]) == (ODD["key"], ODD["model"])


def test_codex_gets_toml() -> None:
    (file,) = connection("codex", **ODD).files
    document = tomllib.loads(file.content)
    assert file.path == "~/.codex/config.toml"
    assert document["model"] == ODD["model"]
    provider = document["model_providers"][document["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == (f"{URL}/v1", "responses")
    assert provider["env_key"] in connection("codex", **ODD).env


@pytest.mark.parametrize("tool", ["opencode", "kilo"])
def test_opencode_and_kilo_get_json(tool: str) -> None:
    (file,) = connection(tool, **ODD).files
    document = json.loads(file.content)
    provider, _, model = document["model"].partition("/")
    assert model == ODD["model"]
    assert model in document["provider"][provider]["models"]
    assert document["provider"][provider]["options"] == {"baseURL": f"{URL}/v1", "apiKey": ODD["key"]}


def test_pi_gets_json_with_numbers() -> None:
    (file,) = connection("pi", **ODD).files
    (model,) = json.loads(file.content)["providers"]["omniroute"]["models"]
    assert (model["id"], model["contextWindow"], model["reasoning"]) == (ODD["model"], 128000, False)


def test_continue_gets_yaml() -> None:
    (file,) = connection("continue", **ODD).files
    (model,) = yaml.safe_load(file.content)["models"]
    assert (model["apiBase"], model["apiKey"], model["model"]) == (f"{URL}/v1", ODD["key"], ODD["model"])


def test_gemini_cli_gets_the_way_to_sign_in() -> None:
    (file,) = connection("gemini-cli", **ODD).files
    assert json.loads(file.content)["security"]["auth"]["selectedType"] == "gemini-api-key"
