"""`omniroute validate`: is the configuration right, and if not, what and where."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

import omniroute
from omniroute.cli.revisions import add_stand_ins
from omniroute.config.codes import EXPLAINED, Code
from omniroute.config.excerpt import text_report
from omniroute.config.load import Draft, draft, find_config, finish
from omniroute.config.marks import written
from omniroute.config.policies import judge
from omniroute.config.show import secret_texts
from omniroute.engine.probe import Probe, probe_accounts
from omniroute.errors import ConfigError, ConfigUnreadable, Finding
from omniroute.registry import load as load_registry
from omniroute.transforms.expressions import condition

SARIF_LEVELS = {"error": "error", "warning": "warning", "note": "note"}
GITHUB_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "validate",
        help="check the configuration without running it",
        description="Check the configuration: all problems at once. Exits 0 (fine), 1 (problems), 2 (could not read).",
        epilog="examples: omniroute validate --format github    omniroute validate --policy policy.yaml    "
        "omniroute validate --online",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--lenient", action="store_true", help="unknown keys are warnings, not errors")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="how to print (text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="as --format json")
    parser.add_argument(
        "--excerpt", action="store_true", help="show the source of each finding (the default on a terminal)"
    )
    parser.add_argument(
        "--policy",
        metavar="FILE",
        action="append",
        default=[],
        help="rules of your own to keep; may be repeated",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="also try every active account once, with a call that costs next to nothing",
    )
    add_stand_ins(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        found = draft(
            path,
            env=os.environ,
            registry=load_registry(),
            lenient=args.lenient,
            condition=condition,
            stand_ins=args.stand_ins,
        )
        for policy in args.policy:
            judge(found, Path(policy))
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    probes = _tried(found) if args.online else None
    excerpt = args.excerpt or (args.format == "text" and sys.stdout.isatty())
    print(FORMATS[args.format](Checked(found, path, excerpt, probes)))
    return 1 if found.report.failed else 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to. `probes` is None where accounts were not tried."""

    found: Draft
    path: Path
    excerpt: bool
    probes: list[Probe] | None

    @property
    def findings(self) -> list[Finding]:
        return self.found.report.sorted()


def _tried(found: Draft) -> list[Probe]:
    """What the providers say. Those that fail are findings; a configuration that is wrong is not tried."""
    if found.report.failed:
        return []
    try:
        probes = asyncio.run(probe_accounts(finish(found), load_registry()))
    except ConfigError as error:
        found.report.add(*error.findings)
        return []
    for probe in probes:
        if probe.verdict == "failed":
            path: tuple[str, ...] = ("providers", probe.provider, "accounts", probe.account)
            mark = found.mark(written(path))
            said = f"HTTP {probe.status}: {probe.said}" if probe.status else probe.said
            found.report.tell(Code.NO_ANSWER, f"{said} ({probe.call})" if probe.call else said, mark, path)
    return probes


def _text(checked: Checked) -> str:
    findings = checked.findings
    body = text_report(findings, excerpt=checked.excerpt, hidden=secret_texts(checked.found))
    table = _table(checked.probes) if checked.probes is not None else ""
    return "\n".join(part for part in (body, table, _summary(findings, checked.path)) if part)


def _table(probes: list[Probe]) -> str:
    rows = [
        (
            f"{p.provider}/{p.account}",
            p.verdict,
            str(p.status or ""),
            f"{p.milliseconds} ms" if p.status else "",
            " — ".join(part for part in (p.call, p.said) if part),
        )
        for p in probes
    ]
    if not rows:
        return "no account is active: nothing was tried"
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows
    )


def _summary(findings: list[Finding], path: Path) -> str:
    counts = {word: sum(f.severity == word for f in findings) for word in ("error", "warning", "note")}
    told = ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in counts.items() if n)
    if counts["error"]:
        return f"{path}: {told}"
    return f"{path} is fine" + (f" ({told})" if told else "")


def _json(checked: Checked) -> str:
    document: dict[str, Any] = {
        "file": str(checked.path),
        "ok": not checked.found.report.failed,
        "digest": checked.found.digest,
        "findings": [msgspec.to_builtins(f) for f in checked.findings],
    }
    if checked.probes is not None:
        document["online"] = [asdict(probe) for probe in checked.probes]
    return json.dumps(document, indent=2, ensure_ascii=False)


def _github(checked: Checked) -> str:
    """Workflow commands: annotations at the lines of a pull request."""
    return "\n".join(_command(f) for f in checked.findings) or f"{checked.path} is fine"


def _command(finding: Finding) -> str:
    place = {"file": finding.file, "line": finding.line, "col": finding.column, "title": finding.code}
    given = ",".join(f"{key}={_property(str(value))}" for key, value in place.items() if value)
    hint = f" ({finding.hint})" if finding.hint else ""
    text = ": ".join(part for part in (finding.path, finding.message + hint) if part)
    return f"::{GITHUB_LEVELS[finding.severity]} {given}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(checked: Checked) -> str:
    """SARIF 2.1.0, for code scanning."""
    findings = checked.findings
    codes = sorted({f.code for f in findings})
    driver = {
        "name": "omniroute",
        "semanticVersion": omniroute.__version__,
        "rules": [_rule(code) for code in codes],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(f, codes.index(f.code)) for f in findings],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    known = EXPLAINED.get(Code(code)) if code in set(Code) else None
    title, text = known or (code, code)
    return {"id": code, "shortDescription": {"text": title}, "fullDescription": {"text": text}}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    hint = f" ({finding.hint})" if finding.hint else ""
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        location["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": SARIF_LEVELS[finding.severity],
        "message": {"text": ": ".join(p for p in (finding.path, finding.message + hint) if p)},
    }
    if finding.file:
        result["locations"] = [{"physicalLocation": location}]
    return result


def _uri(file: str) -> str:
    """A path as a URI reference: relative where it is below the working folder, as code scanning wants it."""
    path = Path(file)
    if not path.is_absolute():
        return quote(path.as_posix())
    try:
        return quote(path.relative_to(Path.cwd()).as_posix())
    except ValueError:
        return path.as_uri()


FORMATS: Mapping[str, Callable[[Checked], str]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
