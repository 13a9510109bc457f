"""The documentation says what the code does: every name has a page, every example is valid, every link leads somewhere."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path

import aiohttp
import msgspec
import pytest
import yaml

from omniroute.cli.main import main
from omniroute.config.codes import EXPLAINED, Code
from omniroute.config.load import load_text
from omniroute.config.not_yet import NOT_YET
from omniroute.config.settings import Settings
from omniroute.config.shape import Record, Shapes, options_shape
from omniroute.declare import KINDS, Declaration
from omniroute.pipeline.record import Record as LogRecord
from omniroute.reference.build import reference
from omniroute.reference.commands import verbs
from omniroute.reference.components import CHAPTERS
from omniroute.reference.endpoints import ADMIN, HEADERS_IN, HEADERS_OUT
from omniroute.reference.language import meaning, sections_of
from omniroute.reference.markdown import anchor, code, prose, table
from omniroute.registry import load as load_registry
from omniroute.testing import gateway

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
REGISTRY = load_registry(plugins=False)
PAGES = reference(REGISTRY)
README = (ROOT / "README.md").read_text("utf-8")

WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if REFERENCE not in path.parents),
    *sorted((ROOT / "examples").rglob("*.md")),
]
"""What is written by hand."""
EVERY = [*WRITTEN, *sorted(REFERENCE.rglob("*.md"))]

COMPONENTS = [declaration for kind in KINDS for declaration in REGISTRY.all(kind)]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in one of these languages, then, for shell, the indented ones."""
    text = path.read_text("utf-8")
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language in languages:
            yield body
    if "sh" in languages:
        yield from re.findall(r"(?:^ {4}\S.*\n)+", text, re.MULTILINE)


# ── the reference ────────────────────────────────────────────────────────────────────────────────


def test_the_committed_reference_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["docs", "--check", str(REFERENCE)])
    assert code == 0, capsys.readouterr().err


def test_the_same_registry_gives_the_same_pages() -> None:
    assert reference(load_registry(plugins=False)) == PAGES


@pytest.mark.parametrize("declaration", COMPONENTS, ids=lambda d: f"{d.kind}-{d.name}")
def test_every_component_has_a_page_that_says_what_it_does(declaration: Declaration) -> None:
    chapter = CHAPTERS[declaration.kind]
    text = PAGES[f"{chapter.folder}/{declaration.name}.md"]
    assert declaration.summary and declaration.summary in text
    assert declaration.name in PAGES[f"{chapter.folder}/index.md"]
    assert f"({chapter.folder}/{declaration.name}.md)" in PAGES["index.md"]


@pytest.mark.parametrize(
    "declaration",
    [d for d in COMPONENTS if d.kind not in ("wire", "transform_op")],
    ids=lambda d: f"{d.kind}-{d.name}",
)
def test_every_option_of_a_component_has_a_description(declaration: Declaration) -> None:
    assert undescribed(options_shape(Shapes(), declaration.cls)) == []


def undescribed(record: Record) -> list[str]:
    below = [e.shape for e in record.entries.values() if isinstance(e.shape, Record)]
    return [e.key for e in record.entries.values() if not e.description] + [
        key for one in below for key in undescribed(one)
    ]


@pytest.mark.parametrize("declaration", REGISTRY.all("transform_op"), ids=lambda d: d.name)
def test_every_key_of_an_op_has_a_description(declaration: Declaration) -> None:
    schema = declaration.cls.schema()  # type: ignore[attr-defined]  # ops describe their own value
    assert all(about.get("description") for about in schema.get("properties", {}).values())


@pytest.mark.parametrize(
    "declaration", [d for d in COMPONENTS if d.example], ids=lambda d: f"{d.kind}-{d.name}"
)
def test_every_example_is_yaml(declaration: Declaration) -> None:
    text = CHAPTERS[declaration.kind].example.format(declaration.example)
    assert isinstance(yaml.safe_load(text), dict)


def test_every_key_of_the_language_has_a_meaning() -> None:
    sections = sections_of(Shapes().of(Settings))
    silent = [
        f"{section.title}: {entry.key}"
        for section in sections.values()
        for entry in section.record.entries.values()
        if not meaning(entry, section, sections)
    ]
    assert silent == []


def test_what_is_not_enforced_is_marked() -> None:
    """Each path of the list is a row with the remark; `enabled` of tracing stands for the section."""
    marked = PAGES["config.md"].count("**Accepted, not enforced in this version.**")
    shared = 2  # accounts share the sections of their provider: a row there stands for both
    assert marked >= len(NOT_YET) - shared


def test_every_code_is_explained() -> None:
    assert set(EXPLAINED) == set(Code)
    assert [str(c) for c in Code if f"`{c}`" not in PAGES["errors.md"]] == []


def test_every_call_of_the_admin_plane_is_documented() -> None:
    """The table of the server is made with its methods, so its keys are read from the source."""
    source = (ROOT / "omniroute/server/admin.py").read_text("utf-8")
    assert set(re.findall(r'\("(GET|POST|DELETE|PUT)", "(/-/[^"]+)"\):', source)) == set(ADMIN)


def test_every_header_of_the_gateway_is_documented() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "omniroute").rglob("*.py"))
    known = {name.split(":")[0].lower() for name in (*HEADERS_IN, *HEADERS_OUT)}
    assert {name.lower() for name in re.findall(r"X-OmniRoute-[\w-]+", sources, re.IGNORECASE)} <= known


# ── what is written by hand ──────────────────────────────────────────────────────────────────────


class AnyVariable(dict[str, str]):
    """An environment in which every variable is set."""

    def __missing__(self, name: str) -> str:
        return f"value-of-{name.lower()}"

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]  # nothing is ever missing
        return self[name]


CONFIGS = [
    pytest.param(path, body, id=f"{shown(path)}-{number}")
    for path in WRITTEN
    for number, body in enumerate(
        b for b in blocks(path, "yaml") if re.search(r"^version: 1$", b, re.MULTILINE)
    )
]


@pytest.mark.parametrize("path, body", CONFIGS)
def test_configurations_are_valid(path: Path, body: str, tmp_path: Path) -> None:
    loaded = load_text(body, env=AnyVariable(), registry=REGISTRY, folder=tmp_path)
    assert [str(f) for f in loaded.findings if f.severity == "warning"] == []


@pytest.mark.parametrize("path", WRITTEN, ids=shown)
def test_other_yaml_is_at_least_yaml(path: Path) -> None:
    for body in blocks(path, "yaml"):
        assert yaml.safe_load(body) is not None


known_verbs = cache(verbs)


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_commands_exist(path: Path) -> None:
    """Every `omniroute VERB` of a shell block is a verb, and every option of it is known."""
    known = known_verbs()
    for command in commands(path):
        words = shlex.split(command, comments=True)
        words = (
            words[: words.index("--")] if "--" in words else words
        )  # behind it is a command of somebody else's
        verb = next(
            (v for v in (" ".join(words[1:3]), words[1] if len(words) > 1 else "serve") if v in known), None
        )
        if len(words) == 1 or words[1] in ("--version", "--help"):
            continue
        assert verb is not None, command
        options = {option for action in known[verb]._actions for option in action.option_strings}
        given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert given <= options, f"{command}: {given - options}"


def commands(path: Path) -> Iterator[str]:
    """Calls of `omniroute` in shell blocks, in transcripts and in running text."""
    text = path.read_text("utf-8")
    lines = [line for body in blocks(path, "sh", "") for line in body.splitlines()]
    for line in lines:
        line = line.strip().removeprefix("$ ")
        line = re.sub(r"^kubectl exec \S+ -- ", "", line)
        if re.match(r"(\.venv/bin/)?omniroute( [a-z-]|$)", line):
            yield line
    for spoken in re.findall(r"`omniroute ([a-z][a-z-]*(?: [a-z-]+)?)[^`]*`", text):
        yield f"omniroute {spoken.split()[0]}"


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for to in re.findall(r"\]\(([^)\s]+)\)", text):
        if to.startswith(("http://", "https://")):
            continue
        file, _, fragment = to.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), to
        if fragment:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, to


def test_every_field_of_the_log_is_explained() -> None:
    guide = (ROOT / "docs/guide/operations.md").read_text("utf-8")
    assert [f.name for f in msgspec.structs.fields(LogRecord) if f"`{f.name}`" not in guide] == []


def test_every_decision_and_guide_is_listed() -> None:
    decisions = (ROOT / "docs/decisions/README.md").read_text("utf-8")
    assert [p.name for p in (ROOT / "docs/decisions").glob("0*.md") if f"({p.name})" not in decisions] == []
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [
        p.name for p in (ROOT / "docs/guide").glob("*.md") if f"(docs/guide/{p.name})" not in readme
    ] == []


def test_every_how_to_page_is_listed() -> None:
    listed = (ROOT / "docs/how-to/README.md").read_text("utf-8")
    assert [p.name for p in (ROOT / "docs/how-to").glob("*.md") if f"({p.name})" not in listed] == [
        "README.md"
    ]


def test_the_codes_of_troubleshooting_are_those_of_the_gateway() -> None:
    """In the table of what clients get, every code is one that the source gives, in its right place."""
    text = (ROOT / "docs/guide/troubleshooting.md").read_text("utf-8")
    section = text.partition("## Clients get errors")[2].partition("\n## ")[0]
    told = {
        code
        for row in section.splitlines()
        for code in re.findall(r"`([a-z_]+)`", row.split("|")[1] if "|" in row else "")
    }
    source = "".join(path.read_text("utf-8") for path in (ROOT / "omniroute").rglob("*.py"))
    assert len(told) > 25
    assert [code for code in sorted(told - {"code"}) if f'"{code}"' not in source] == []
    assert [code for code in re.findall(r"`(OR\d+)`", text) if code not in set(Code)] == []


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    assert len(README.splitlines()) < 260
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("run", "test"):
        assert f"make {target} " in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_changes_are_named_after_an_issue_and_a_kind() -> None:
    for path in (ROOT / "changes").iterdir():
        assert re.fullmatch(r"\d+\.(added|changed|fixed|removed)\.md", path.name), path.name


# ── transcripts and programs: what the pages show is what happens ─────────────────────────────────

BROKEN = """\
version: 1

server: {listen: 0.0.0.0:20128}

providers:
  anthropic: {accounts: {work: {key: "${ANTHROPIC_API_KEY:-}"}}}
  glm:
    accounts: {main: {key: "${GLM_API_KEY}"}}
    timeouts: {idle: 2 minutes}

combos:
  always-on:
    stategy: round-robin
    targets: [anthropic/claude-opus-5, glm/glm-5.2]
"""
"""The file behind the transcript of `validate` in the README."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith("_KEY") or name.startswith("OMNIROUTE_")]:
        monkeypatch.delenv(name)
    return tmp_path


def test_the_readme_shows_what_validate_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BROKEN, "utf-8")
    assert main(["validate"]) == 1
    assert capsys.readouterr().out in README


def test_the_readme_shows_what_explain_says(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLM_API_KEY", "a-key")
    (folder / "omniroute.yaml").write_text(next(blocks(ROOT / "README.md", "yaml")), "utf-8")
    assert main(["explain", "always-on"]) == 0
    assert capsys.readouterr().out.replace(f"{ROOT}/", "…/") in README


def test_the_tutorial_shows_what_validate_and_explain_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tutorial = ROOT / "docs/tutorial.md"
    (folder / "omniroute.yaml").write_text(next(blocks(tutorial, "yaml")), "utf-8")
    assert main(["validate"]) == 0
    assert main(["explain", "main"]) == 0
    assert capsys.readouterr().out.replace(f"{ROOT}/", "…/") in tutorial.read_text("utf-8")


@pytest.mark.parametrize(
    "program", list(blocks(ROOT / "README.md", "python")), ids=["openai", "anthropic", "google"]
)
async def test_the_programs_of_the_readme_run(program: str) -> None:
    async with gateway("providers: {demo: {}}\ndefault: demo/demo-fast") as running:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program.replace("http://127.0.0.1:20128", running.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert b"Hello from OmniRoute" in out


def test_the_tests_of_the_testing_guide_hold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, tests = islice(blocks(ROOT / "docs/guide/testing.md", "yaml"), 2)
    (folder / "omniroute.yaml").write_text(config, "utf-8")
    (folder / "omniroute.test.yaml").write_text(tests, "utf-8")
    assert main(["test"]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.startswith("3 tests, all hold")


async def test_the_tutorial_works(folder: Path) -> None:
    """Its file, its transform, and then its change of the file, while the gateway runs."""
    config, transform, change = blocks(ROOT / "docs/tutorial.md", "yaml")
    question = {"messages": [{"role": "user", "content": "hello"}]}
    async with gateway(config, folder=folder) as running, aiohttp.ClientSession() as client:
        call = partial(client.post, f"{running.url}/v1/chat/completions")
        async with call(json={**question, "model": "main"}) as first:
            assert first.headers["X-OmniRoute-Target"] == "demo/demo"
        (folder / "transforms").mkdir()
        (folder / "transforms/team_note.yaml").write_text(transform, "utf-8")
        running.path.write_text(config.replace("  demo: {}\n", change), "utf-8")
        result = await running.gateway.runtime.reload()
        assert result.changes == ["~ provider demo: transforms", "+ transform team_note"]
        async with call(json={**question, "model": "demo"}, headers={"x-team": "blue"}) as second:
            text = (await second.json())["choices"][0]["message"]["content"]
    assert 'You said: "hello (asked by team blue)".' in text


# ── the forms of Markdown ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, written",
    [("plain", "`plain`"), ("a`b", "`` a`b ``")],
)
def test_code_spans(text: str, written: str) -> None:
    assert code(text) == written


def test_cells_of_tables_hold_neither_bars_nor_line_ends() -> None:
    assert table(("a",), [("x|y\nz",)]) == "| a |\n| --- |\n| x\\|y z |"


def test_no_rows_are_no_table() -> None:
    assert table(("a",), []) == ""


def test_docstrings_keep_their_paragraphs_and_lists() -> None:
    assert (
        prose("One\n    line.\n\n    - first\n      item\n    - second")
        == "One line.\n\n- first item\n- second"
    )


def test_stale_and_left_over_pages_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--write", str(tmp_path)]) == 0
    assert main(["docs", "--check", str(tmp_path)]) == 0
    (tmp_path / "quirks.md").write_text("old", "utf-8")
    (tmp_path / "gone.md").write_text(PAGES["http.md"], "utf-8")
    (tmp_path / "mine.md").write_text("# Written by hand", "utf-8")
    capsys.readouterr()
    assert main(["docs", "--check", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "quirks.md is stale" in told and "gone.md is stale" in told and "mine.md" not in told
    assert main(["docs", "--write", str(tmp_path)]) == 0
    assert not (tmp_path / "gone.md").exists() and (tmp_path / "mine.md").exists()
