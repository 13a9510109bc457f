"""Start a real coding CLI without a terminal against a gateway, and see what it did.

What connects the CLI is what `omniroute connect` says: its variables, its files, its command. The table below adds
only what a run without a person needs: a prompt on the command line, leave to run tools, and no traffic but ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from omniroute.cli.connect import Tool, connection

FOLDER = "OMNIROUTE_CLIENTS"
"""The variable that names the folder of the programs; without it they are looked for on the PATH."""

KEY = "a-key-of-ours"
LIMIT = 120.0
"""Seconds that a CLI may take for one prompt."""

_GRACE = 2.0
"""Seconds between asking a CLI to end and ending it."""


@dataclass(frozen=True)
class Cli:
    """A coding CLI: its name for `omniroute connect`, the wire format that it speaks, and how it runs unattended.

    `ask` are the arguments after the command of `connect`, `{prompt}` in place of the prompt; `may_run` those that let
    it run commands. `env` and `files` (in the folder that it works in) only keep it quiet. `shell` is its tool for commands, `command` and `arguments` what that tool takes.
    """

    name: str
    wire: str
    ask: tuple[str, ...]
    shell: str
    command: str = "command"
    arguments: Mapping[str, object] = field(default_factory=dict)
    may_run: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def call(self, command: str) -> dict[str, object]:
        """The arguments with which its shell tool runs a command."""
        return {self.command: command, **self.arguments}

    @property
    def program(self) -> str:
        """The command that starts it, without arguments."""
        return shlex.split(connection(self.name, url="", key="", model="m").run or "")[0]


_QUIET = """{
  "privacy": {"usageStatisticsEnabled": false},
  "telemetry": {"enabled": false},
  "general": {"disableAutoUpdate": true, "enableAutoUpdate": false}
}
"""
"""Settings of the folder that Gemini CLI or its offspring works in: no word to anyone but the gateway."""

CLIS = (
    Cli(
        "claude-code",
        "anthropic-messages",
        ask=("-p", "{prompt}"),
        may_run=("--allowedTools", "Bash"),
        shell="Bash",
        arguments={"description": "Say a word"},
        env={"CLAUDE_CODE_MAX_RETRIES": "3"},
    ),
    Cli(
        "codex",
        "openai-responses",
        ask=(
            *("exec", "--skip-git-repo-check", "-c", "check_for_update_on_startup=false"),
            *("-c", "analytics.enabled=false", "{prompt}"),
        ),
        may_run=("--dangerously-bypass-approvals-and-sandbox",),
        shell="exec_command",
        command="cmd",
    ),
    Cli(
        "gemini-cli",
        "gemini",
        ask=("-p", "{prompt}"),
        may_run=("-y",),
        shell="run_shell_command",
        env={"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_CLI_NO_RELAUNCH": "true"},
        files={".gemini/settings.json": _QUIET},
    ),
    Cli(
        "qwen",
        "openai-chat",
        ask=("-p", "{prompt}"),
        may_run=("-y",),
        shell="run_shell_command",
        arguments={"is_background": False},
        env={"QWEN_CODE_NO_RELAUNCH": "true"},
        files={".qwen/settings.json": _QUIET},
    ),
    Cli(
        "opencode",
        "openai-chat",
        ask=("run", "{prompt}"),
        shell="bash",
        arguments={"description": "Say a word"},
        env={
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        },
    ),
)


@dataclass(frozen=True)
class Run:
    """What a CLI did: `code` is None when it did not end within its time."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        """All that a person would have seen."""
        return f"{self.out}\n{self.err}"


def found(name: str) -> str | None:
    """Where a program is: in the folder that `OMNIROUTE_CLIENTS` names, else on the PATH."""
    return shutil.which(name, path=os.environ.get(FOLDER) or None)


async def run(
    cli: Cli, url: str, prompt: str, *, home: Path, model: str, tools: bool = True, limit: float = LIMIT
) -> Run:
    """One prompt to a CLI that is connected to the gateway at `url`, with `home` as its home and nothing else of ours.

    Raises `FileNotFoundError` when the program is not installed.
    """
    tool = connection(cli.name, url=url, key=KEY, model=model)
    command, *given = shlex.split(tool.run or "")
    path = found(command)
    if path is None:
        raise FileNotFoundError(f"{command} is neither in {FOLDER} nor on the PATH")
    work = home / "work"
    _write({file.path.replace("~", str(home), 1): file.content for file in tool.files})
    _write({str(work / path): text for path, text in cli.files.items()})
    asked = [part.replace("{prompt}", prompt) for part in cli.ask]
    work.mkdir(exist_ok=True)
    arguments = [path, *given, *asked, *(cli.may_run if tools else ())]
    return await _watched(arguments, _environment(tool, cli, home, path), work, limit)


def _write(texts: Mapping[str, str]) -> None:
    for path, text in texts.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def _environment(tool: Tool, cli: Cli, home: Path, path: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(path).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        **tool.env,
        **cli.env,
    }


async def _watched(arguments: list[str], env: dict[str, str], work: Path, limit: float) -> Run:
    """The program run to its end; after `limit` seconds it and all that it started are ended."""
    started = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=env,
        cwd=work,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    talking = asyncio.ensure_future(process.communicate())
    try:
        done, _ = await asyncio.wait([talking], timeout=limit)
    finally:
        # What a CLI left running (a shell, a server of its own) goes with it.
        await _end(process, talking)
    out, err = await talking
    code = process.returncode if done else None
    return Run(code, _readable(out), _readable(err), perf_counter() - started)


async def _end(process: asyncio.subprocess.Process, talking: asyncio.Future[tuple[bytes, bytes]]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        done, _ = await asyncio.wait([talking], timeout=_GRACE)
        if done:
            return


def _readable(raw: bytes) -> str:
    return raw.decode(errors="replace")
