"""The commands of the documentation run as they are written: each shell block of a page, in order, in a folder that holds
what the page shows, beside a gateway that serves the page's configuration."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omniroute.testing import gateway
from tests.support.git import commit, git

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
IMPORTED = ROOT / "tests" / "golden" / "import"
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if REFERENCE not in path.parents),
    *sorted((ROOT / "examples").glob("*/README.md")),
]

OTHERS = ("make", "docker", "pip", "git", "kubectl", "pre-commit", "cp", ".venv/bin/python", "source")
"""Tools that need what a test has not: a daemon, a cluster, a network, the checkout itself. What they name is looked at."""

SERVING = re.compile(r"^(?:\.venv/bin/)?omniroute(?: serve)?(?: -c (\S+)| --config (\S+))?$")
"""Commands that run until they are stopped: the gateway of the page stands for them."""


def shell(page: Path) -> Iterator[str]:
    """The lines of commands of a page: those of shell blocks, and those of indented blocks that hold nothing else."""
    text = page.read_text("utf-8")
    for body in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from joined(body)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.findall(r"(?:^ {4}\S.*\n)+", outside, re.MULTILINE):
        lines = list(joined(re.sub(r"^ {4}", "", block, flags=re.MULTILINE)))
        if all(
            re.match(r"[a-z./-]+ ", line) and line.split()[0] in ("omniroute", "curl", *OTHERS)
            for line in lines
        ):
            yield from lines


def joined(body: str) -> Iterator[str]:
    """Commands, each in one line."""
    for line in re.sub(r"\\\n\s*", " ", body).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def tool(line: str) -> str:
    """The program that a line runs."""
    words = re.sub(r"^\(.*?; ", "", line).split()
    return next(word for word in words if "=" not in word)


def yaml_blocks(page: Path, begin: str) -> list[str]:
    text = page.read_text("utf-8")
    found = re.findall(r"^```(?:yaml|json)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [body for body in found if re.search(begin, body, re.MULTILINE)]


COMMANDS = [page for page in PAGES if any(tool(line) not in OTHERS for line in shell(page))]


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.relative_to(ROOT).as_posix())
@pytest.mark.timeout(240)
async def test_commands_run(page: Path, tmp_path: Path) -> None:
    config = prepared(page, tmp_path)
    env = {name: f"value-of-{name.lower()}" for name in re.findall(r"\$\{(\w+)\}", config)}
    async with gateway(config, folder=tmp_path / "serving", env=env) as running:
        script = "\n".join(runnable(page, running.url, running.gateway.runtime.generation.digest))
        code, told = await bash(script, tmp_path, {**env, "OMNIROUTE_URL": running.url})
    assert code == 0, f"{script}\n──\n{told}"


def runnable(page: Path, url: str, digest: str) -> Iterator[str]:
    """The commands, pointed at the gateway of the test. A call has to succeed."""
    for line in shell(page):
        if tool(line) in OTHERS or SERVING.match(line.partition("  #")[0].strip()):
            continue
        line = line.replace("http://127.0.0.1:20128", url).replace("localhost:20128", url)
        line = line.replace("4f2a9c01d7be", digest).replace("ork_…", "ork_some-key")
        line = line.replace("cliproxy config.yaml", "cliproxy cliproxy.yaml")
        line = re.sub(r"^omniroute init\b.*", r"(mkdir -p fresh && cd fresh && \g<0>)", line)
        yield re.sub(r"\bcurl ", "curl --silent --show-error --fail ", line)


def prepared(page: Path, folder: Path) -> str:
    """Put what a page shows into a folder; the configuration that its gateway serves."""
    (folder / "serving").mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples")
    name = page.relative_to(ROOT).as_posix()
    if name.startswith("examples/") and (page.parent / "omniroute.yaml").is_file():
        shutil.copytree(page.parent, folder / "serving", dirs_exist_ok=True)
        config = (page.parent / "omniroute.yaml").read_text("utf-8")
    else:
        config = CONFIGS.get(name) or next(iter(yaml_blocks(page, r"^version: 1$")), DEMO)
    (folder / "omniroute.yaml").write_text(config, "utf-8")
    for begin, file in (
        (r"^tests:", "omniroute.test.yaml"),
        (r"^policies:", "policy.yaml"),
        (r'^\{"path"', "requests.jsonl"),
    ):
        for body in yaml_blocks(page, begin):
            body = f"version: 1\n{body}" if file == "policy.yaml" else body
            (folder / file).write_text(body, "utf-8")
    commit(folder, {})
    PREPARE.get(name, lambda _: None)(folder)
    return config


def _importing(folder: Path) -> None:
    """What other gateways are configured with."""
    (folder / "omniroute.yaml").unlink()
    (folder / ".claude-code-router").mkdir()
    shutil.copy(IMPORTED / "litellm" / "config.yaml", folder / "config.yaml")
    shutil.copy(IMPORTED / "cliproxy" / "config.yaml", folder / "cliproxy.yaml")
    shutil.copy(
        IMPORTED / "claude-code-router" / "config.json", folder / ".claude-code-router" / "config.json"
    )


def _security(folder: Path) -> None:
    (folder / "glm.txt").write_text("a-secret-key", "utf-8")


def _gitops(folder: Path) -> None:
    """A test beside the configuration, and a branch that somebody else pushed."""
    test = "tests:\n  - name: it answers\n    request: {model: demo}\n    expect: {status: 200}\n"
    (folder / "omniroute.test.yaml").write_text(test, "utf-8")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")


def _testing(folder: Path) -> None:
    for name in ("llm", "agents"):
        (folder / "tests" / name).mkdir(parents=True)
        (folder / "tests" / name / "test_nothing.py").write_text(
            "def test_nothing():\n    assert True\n", "utf-8"
        )
    (folder / "evaluate.py").write_text("print('fine')\n", "utf-8")


DEMO = "version: 1\nproviders:\n  demo: {}\n"
CONFIGS = {
    "docs/guide/limits.md": DEMO,  # with keys, the calls of the page would need one of an administrator
    "docs/guide/security.md": DEMO + "  glm: {accounts: {main: {key: a-key-in-clear}}}\n",
}
"""Where the first configuration of a page is not the one that its commands are about."""

PREPARE: dict[str, Callable[[Path], None]] = {
    "docs/guide/gitops.md": _gitops,
    "docs/guide/migrating.md": _importing,
    "docs/guide/security.md": _security,
    "docs/guide/testing.md": _testing,
    "docs/how-to/agents-in-ci.md": _testing,
}
"""What else a page takes for granted."""


async def bash(script: str, folder: Path, more: dict[str, str]) -> tuple[int, str]:
    """The exit code of a script whose first failure ends it, and all that was printed."""
    bin = folder / ".bin"
    bin.mkdir()
    shim = bin / "omniroute"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omniroute "$@"\n', "utf-8")
    shim.chmod(0o755)
    path = os.pathsep.join([str(bin), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **more}
    process = await asyncio.create_subprocess_exec(
        "bash", "-e", "-u", "-o", "pipefail", "-c", script,
        cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode("utf-8", "replace")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_is_run_or_names_what_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in shell(page):
        program = tool(line)
        assert program in ("omniroute", "curl", "mkdir", "export", *OTHERS), line
        if program == "make":
            assert re.search(rf"^(?:\S+ )*{line.split()[1]}\b.*:", makefile, re.MULTILINE), line
        if program in OTHERS:
            for named in re.findall(r"\b(examples/[\w./-]+)", line):
                assert (ROOT / named).exists(), line
