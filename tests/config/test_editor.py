"""Editors understand the schemas: tried with the server that VS Code, Neovim, Helix and others run for YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.language_server import LanguageServer, language_server

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "*.yaml",
    "pipelines/*.yaml",
    "transforms/*.yaml",
    "examples/**/*.yaml",
    "omniroute/catalog/providers/*.yaml",
)
SHIPPED = sorted(
    path
    for pattern in PATTERNS
    for path in ROOT.glob(pattern)
    if not re.search(
        r"^(- id|apiVersion|services|on|jobs|repos|resources):", path.read_text("utf-8"), re.MULTILINE
    )
)
"""Ours, and not those of Kubernetes, Docker, pre-commit and GitHub."""
MODELINE = "# yaml-language-server: $schema="
HEAD = f"{MODELINE}{(ROOT / 'schemas/omniroute.schema.json').as_uri()}\n"

WRONG = [
    ("log: {level: loud}\n", "level: ", "loud"),
    ("sever: {}\n", "", "sever"),
    ("server: {drain: often}\n", "drain: ", "often"),
    ("combos: {a: {targets: [x], stratgy: weighted}}\n", "[x], ", "stratgy"),
    ("pipelines: {a: {stages: [{stage: retry, nope: 1}]}}\n", "retry, ", "nope"),
    ("keys: {ci: {budget: {usd: 5, per: year}}}\n", "per: ", "year"),
]
"""A line, what stands in it before the mistake, and the mistake."""

COMPLETED = [
    ("ser", {"server"}),
    ("server:\n  ", {"listen", "drain", "workers"}),
    ("log:\n  level: ", {"debug", "warning"}),
    ("combos:\n  a:\n    strategy: ", {"weighted", "round-robin"}),
    ("pipelines:\n  a:\n    stages:\n      - ", {"system_prompt", "retry"}),
    ("keys:\n  ci:\n    budget:\n      per: ", {"day", "week"}),
]
"""What was typed, and some of what is offered at its end."""

HOVERED = [
    ("server: {drain: 5s}\n", "drain", "How long a stop waits for running requests."),
    ("log: {level: info}\n", "level", "The least that is logged."),
    ("providers: {openai: {tier: cheap}}\n", "tier", "What it costs, roughly"),
    ("keys: {ci: {budget: {usd: 5}}}\n", "usd", "US dollars that may be spent."),
]
"""A line, the word under the pointer, and what is said about it."""


def place(text: str, after: str, word: str) -> dict[str, int]:
    """Where a word of the last line begins, as LSP counts."""
    lines = text.rstrip("\n").split("\n")
    line = lines[-1]
    start = line.index(after) + len(after) if after else 0
    return {"line": len(lines) - 1, "character": line.index(word, start)}


def kinds_of_schema() -> set[str]:
    return {path.name for path in (ROOT / "schemas").glob("*.schema.json")}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_shipped_file_names_its_schema(path: Path) -> None:
    first = path.read_text("utf-8").split("\n", 1)[0]
    assert first.startswith(MODELINE)
    schema = (path.parent / first.removeprefix(MODELINE)).resolve()
    assert schema.parent == ROOT / "schemas"
    assert schema.name in kinds_of_schema()


@pytest.mark.timeout(300)  # it may have to be fetched first
async def test_in_a_real_language_server(tmp_path: Path) -> None:
    """One server for all: starting it is what takes time."""
    async with language_server(tmp_path) as server:
        await wrong_values_are_marked_where_they_stand(server, tmp_path)
        await keys_and_words_are_offered(server, tmp_path)
        await keys_are_explained(server, tmp_path)
        await what_is_shipped_is_right(server)


async def wrong_values_are_marked_where_they_stand(server: LanguageServer, folder: Path) -> None:
    opened = []
    for number, (line, after, word) in enumerate(WRONG):
        text = f"{HEAD}version: 1\n{line}"
        opened.append((server.open(folder / f"wrong-{number}.yaml", text), text, line, after, word))
    for uri, text, line, after, word in opened:
        told = await server.diagnostics(uri)
        assert place(text, after, word) in [d["range"]["start"] for d in told], (line, told)


async def keys_and_words_are_offered(server: LanguageServer, folder: Path) -> None:
    for number, (typed, offered) in enumerate(COMPLETED):
        text = f"{HEAD}version: 1\n{typed}"
        uri = server.open(folder / f"typed-{number}.yaml", text)
        lines = text.split("\n")
        position = {"line": len(lines) - 1, "character": len(lines[-1])}
        found: Any = await server.request(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": position}
        )
        labels = {item["label"] for item in found["items"]}
        assert offered <= labels, (typed, labels)


async def keys_are_explained(server: LanguageServer, folder: Path) -> None:
    for number, (line, word, said) in enumerate(HOVERED):
        text = f"{HEAD}version: 1\n{line}"
        uri = server.open(folder / f"hovered-{number}.yaml", text)
        found: Any = await server.request(
            "textDocument/hover", {"textDocument": {"uri": uri}, "position": place(text, "", word)}
        )
        assert said in found["contents"]["value"], (line, found)


async def what_is_shipped_is_right(server: LanguageServer) -> None:
    texts = {path: path.read_text("utf-8") for path in SHIPPED}
    uris = {path: server.open(path, text) for path, text in texts.items() if text.startswith(MODELINE)}
    for path, uri in uris.items():
        assert await server.diagnostics(uri) == [], path
