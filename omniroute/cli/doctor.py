"""`omniroute doctor`: find out what is wrong, from the Python that runs it to the providers."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

import omniroute
from omniroute.cli.health import ask
from omniroute.config.load import Draft, draft, find_config, finish
from omniroute.engine.probe import probe_accounts
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import load as load_registry
from omniroute.transforms.expressions import condition

Verdict = Literal["ok", "note", "wrong"]
DESCRIPTORS = 1024
"""Open files below which a few hundred clients use up what a process may have: each takes two."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    verdict: Verdict
    about: str
    text: str


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="find out what is wrong",
        description="Look at versions, limits of the system, the configuration, its accounts and the ports. Exits 0 when "
        "nothing is wrong, else 1.",
        epilog="examples: omniroute doctor    omniroute doctor --online",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--online", action="store_true", help="also try every active account once")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    checks = [*_program(), *_system()]
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        found = draft(path, env=os.environ, registry=load_registry(), condition=condition)
    except ConfigUnreadable as error:
        checks.append(Check("wrong", "configuration", str(error)))
    else:
        checks += _configuration(path, found)
        if not found.report.failed:
            checks += [*_accounts(found), *_ports(found)]
            checks += _online(found) if args.online else []
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.about) for check in checks)
        for check in checks:
            print(f"{check.verdict:<5}  {check.about:<{width}}  {check.text}")
    return 1 if any(check.verdict == "wrong" for check in checks) else 0


def _program() -> Iterator[Check]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Check(
        "ok",
        "version",
        f"omniroute {omniroute.__version__}, {python}, {platform.system()} {platform.machine()}",
    )
    try:
        yield Check("ok", "event loop", f"uvloop {importlib.metadata.version('uvloop')}")
    except importlib.metadata.PackageNotFoundError:
        yield Check("note", "event loop", "uvloop is not installed: the standard loop serves, more slowly")
    if not yaml.__with_libyaml__:
        yield Check("note", "YAML", "PyYAML was built without libyaml: files are read ten times more slowly")


def _system() -> Iterator[Check]:
    try:
        import resource
    except ImportError:  # not there on Windows
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict: Verdict = "ok" if soft > DESCRIPTORS or soft == resource.RLIM_INFINITY else "note"
    yield Check(
        verdict,
        "open files",
        f"{soft} at most (`ulimit -n`)" + (": few for many clients" if verdict == "note" else ""),
    )


def _configuration(path: Path, found: Draft) -> Iterator[Check]:
    errors = [f for f in found.report.sorted() if f.severity == "error"]
    warnings = [f for f in found.report.sorted() if f.severity == "warning"]
    files = len({source.file for source in found.stages.source if source.own})
    if not errors:
        yield Check("ok", "configuration", f"{path}, {files} file{'s' if files != 1 else ''}, {found.digest}")
    for error in errors:
        yield Check("wrong", "configuration", f"{error} [{error.code}]")
    for warning in warnings:
        yield Check("note", "configuration", f"{warning} [{warning.code}]")


def _accounts(found: Draft) -> Iterator[Check]:
    settings = finish(found).settings
    for name, provider in settings.providers.items():
        if not provider.enabled:
            yield Check("note", f"provider {name}", "disabled")
            continue
        usable = [a for a, about in provider.accounts.items() if about.enabled and about.key]
        if provider.auth.type == "none" or usable:
            yield Check(
                "ok", f"provider {name}", f"accounts {', '.join(usable)}" if usable else "needs no key"
            )
        else:
            places = [
                found.blame(f"providers.{name}.accounts.{account}.key") for account in provider.accounts
            ]
            yield Check(
                "note", f"provider {name}", f"no active account: {'; '.join(places) or 'none is declared'}"
            )


def _ports(found: Draft) -> Iterator[Check]:
    server = finish(found).settings.server
    for address in (*server.listen, *(() if server.admin == "same" else (server.admin,))):
        if address.startswith("unix:"):
            folder = Path(address.removeprefix("unix:")).parent
            fine = os.access(folder, os.W_OK)
            yield Check(
                "ok" if fine else "wrong",
                f"listen {address}",
                "" if fine else f"{folder} cannot be written to",
            )
        else:
            yield _port(address)


def _port(address: str) -> Check:
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
    except OSError as error:
        return _taken(address, host, port, error)
    return Check("ok", f"listen {address}", "free")


def _taken(address: str, host: str, port: str, error: OSError) -> Check:
    """Somebody has the port: this gateway already, or another program."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
    try:
        health = ask(url, 2.0)
    except (OSError, ValueError):
        return Check(
            "wrong",
            f"listen {address}",
            f"{(error.strerror or str(error)).lower()}, and it is no gateway that listens there",
        )
    return Check(
        "note",
        f"listen {address}",
        f"a gateway of version {health.get('version')} serves {health.get('config')} there",
    )


def _online(found: Draft) -> Iterator[Check]:
    try:
        probes = asyncio.run(probe_accounts(finish(found), load_registry()))
    except ConfigError as error:
        yield Check("wrong", "online", str(error))
        return
    words: dict[str, Verdict] = {"ok": "ok", "limited": "note", "skipped": "note", "failed": "wrong"}
    for probe in probes:
        status = f"HTTP {probe.status}" if probe.status else ""
        text = ", ".join(part for part in (status, probe.call, probe.said) if part)
        yield Check(words[probe.verdict], f"online {probe.provider}/{probe.account}", text)
    if not probes:
        yield Check("note", "online", "no account is active: nothing was tried")
