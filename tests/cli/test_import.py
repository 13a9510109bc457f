"""`omniroute import`: what comes of configurations of other gateways, and that it does what they did."""

from __future__ import annotations

import json
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from omniroute.catalog.read import read_catalogue
from omniroute.cli.import_ import GATEWAYS
from omniroute.cli.main import main
from omniroute.config.load import load
from omniroute.importers import claude_code_router, cliproxy, litellm
from omniroute.importers.draft import Draft
from omniroute.registry import load as load_registry

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "import"
REGISTRY = load_registry(plugins=False)
CATALOGUE = read_catalogue()
INPUTS = {gateway: next((GOLDEN / gateway).glob("config.*")) for gateway in GATEWAYS}
LITERALS = {
    "litellm": ["sk-ant-literal-1", "sk-1234"],
    "claude-code-router": ["sk-literal", "secret-of-the-router"],
    "cliproxy": ["AIza-1", "sk-gw", "sk-or-2", "your-api-key-1", "u:p@"],
}
"""Secrets that stand in the inputs."""

each = pytest.mark.parametrize("gateway", sorted(GATEWAYS))
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "AZURE_API_KEY_EU",
        "ANTHROPIC_API_KEY",
        "OPENROUTER_API_KEY",
        "GEMINI_API_KEY",
        "REDIS_HOST",
    ):
        monkeypatch.delenv(name, raising=False)


@each
def test_what_comes_of_a_file(gateway: str, capsys: Captured, update_golden: bool) -> None:
    """`make golden` rewrites both: look at the diff."""
    assert main(["import", gateway, str(INPUTS[gateway])]) == 0
    captured = capsys.readouterr()
    for name, text in (("omniroute.yaml", captured.out), ("report.txt", captured.err)):
        file = GOLDEN / gateway / name
        if update_golden:
            file.write_text(text, "utf-8")
        assert text == file.read_text("utf-8")


@each
def test_it_does_what_the_other_did(gateway: str, capsys: Captured) -> None:
    """Our own tests of the imported configuration."""
    code = main(["test", str(GOLDEN / gateway)])
    assert code == 0, capsys.readouterr().out


@each
def test_no_secret_is_printed(gateway: str, capsys: Captured) -> None:
    main(["import", gateway, str(INPUTS[gateway])])
    captured = capsys.readouterr()
    assert [s for s in LITERALS[gateway] if s in captured.out or s in captured.err] == []


@each
def test_secrets_go_into_a_file_for_nobody_else(gateway: str, tmp_path: Path, capsys: Captured) -> None:
    """With it as the environment every account is there, and clients keep their keys."""
    given = ["--output", "omniroute.yaml", "--secrets", ".env"]
    assert main(["import", gateway, str(INPUTS[gateway]), *given]) == 0
    assert capsys.readouterr().out == ""
    secrets = tmp_path / ".env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    rows = (line.split("=", 1) for line in secrets.read_text("utf-8").splitlines())
    env = {name: json.loads(value) for name, value in rows}
    loaded = load(tmp_path / "omniroute.yaml", env=env, registry=REGISTRY)
    assert [f for f in loaded.findings if f.severity == "error"] == []
    accounts = [a for p in loaded.settings.providers.values() for a in p.accounts.values()]
    assert set(env.values()) & {a.key.reveal() for a in accounts if a.key} != set()


def test_files_are_not_replaced_unless_asked(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "omniroute.yaml").write_text("mine", "utf-8")
    command = ["import", "cliproxy", str(INPUTS["cliproxy"]), "-o", "omniroute.yaml"]
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "omniroute.yaml").read_text("utf-8") == "mine"
    assert main([*command, "--force"]) == 0
    assert (tmp_path / "omniroute.yaml").read_text("utf-8").startswith("# yaml-language-server")


@pytest.mark.parametrize(
    ("gateway", "text"),
    [("litellm", "a: [1"), ("litellm", "- a list"), ("claude-code-router", "{"), ("cliproxy", "just words")],
)
def test_what_cannot_be_read(gateway: str, text: str, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "in").write_text(text, "utf-8")
    assert main(["import", gateway, "in"]) == 2
    assert capsys.readouterr().err.startswith("in ")
    assert main(["import", gateway, "nowhere"]) == 2


@each
def test_an_empty_file_is_an_empty_configuration(gateway: str, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "in").write_text("{}", "utf-8")
    assert main(["import", gateway, "in", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is True and "version: 1" in document["config"]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('{"a": "http://x", // why\n "b": [1, 2,],}', {"a": "http://x", "b": [1, 2]}),
        ('{"a": "/* no comment */" /* one */}', {"a": "/* no comment */"}),
    ],
)
def test_json_with_comments(text: str, parsed: object) -> None:
    assert claude_code_router.parse(text) == parsed


# ── the tables ───────────────────────────────────────────────────────────────────────────────────


def test_providers_of_the_tables_are_in_the_catalogue() -> None:
    words = litellm.words()
    named = {known.id for known in words.providers.values() if known.id} | {words.bare}
    named |= {section.provider for section in cliproxy.words().sections.values()}
    assert named <= set(CATALOGUE)


def test_strategies_and_formats_of_the_tables_exist() -> None:
    strategies = {*litellm.words().strategies.values(), *cliproxy.words().strategies.values()}
    assert strategies <= set(REGISTRY.names("strategy"))
    router = claude_code_router.words()
    formats = {*router.formats.values(), *router.auth}
    formats |= {section.format for section in cliproxy.words().sections.values()}
    formats |= {known.format for known in litellm.words().providers.values() if known.format}
    assert formats <= set(REGISTRY.names("wire"))


# ── what people have in their files ──────────────────────────────────────────────────────────────

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    3.5,
    "",
    "text",
    "a/b",
    "a,b",
    "os.environ/X",
    "${X}",
    [],
    {},
    ["a"],
    {"a": 1},
    [[]],
    [{}],
]


def spoiled(value: Any, dice: random.Random) -> Any:
    """A document in which something stands that nobody expects there."""
    if isinstance(value, dict):
        return {key: spoiled(item, dice) for key, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, dice) for item in value]
    return value if dice.random() > 0.1 else dice.choice(ODD)


def uprooted(value: Any, dice: random.Random) -> Any:
    """The same, with whole branches replaced."""
    if dice.random() < 0.04:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: uprooted(item, dice) for key, item in value.items()}
    return [uprooted(item, dice) for item in value] if isinstance(value, list) else value


@each
@pytest.mark.parametrize("spoil", [spoiled, uprooted])
def test_odd_files_are_told_and_never_crash(gateway: str, spoil: Callable[[Any, random.Random], Any]) -> None:
    module = GATEWAYS[gateway]
    document = module.parse(INPUTS[gateway].read_text("utf-8"))
    for seed in range(60):
        dice = random.Random(seed)
        draft = Draft(CATALOGUE)
        module.convert({key: spoil(value, dice) for key, value in document.items()}, draft)
        assert yaml.safe_load(draft.text())["version"] == 1, seed
