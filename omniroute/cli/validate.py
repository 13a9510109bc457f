"""`omniroute validate`: is the configuration right, and if not, what and where."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import omniroute
from omniroute.cli.revisions import add_stand_ins
from omniroute.config.codes import EXPLAINED, Code
from omniroute.config.excerpt import text_report
from omniroute.config.load import Draft, draft, find_config
from omniroute.config.show import secret_texts
from omniroute.errors import ConfigUnreadable, Finding
from omniroute.registry import load as load_registry
from omniroute.transforms.expressions import condition

SARIF_LEVELS = {"error": "error", "warning": "warning", "note": "note"}
GITHUB_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "validate",
        help="check the configuration without running it",
        description="Check the configuration: all problems at once. Exits 0 (fine), 1 (problems), 2 (could not read).",
        epilog="example: omniroute validate --config omniroute.yaml --format github",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--lenient", action="store_true", help="unknown keys are warnings, not errors")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="how to print (text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="as --format json")
    parser.add_argument(
        "--excerpt", action="store_true", help="show the source of each finding (the default on a terminal)"
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
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    excerpt = args.excerpt or (args.format == "text" and sys.stdout.isatty())
    print(FORMATS[args.format](found, path, excerpt))
    return 1 if found.report.failed else 0


def _text(found: Draft, path: Path, excerpt: bool) -> str:
    findings = found.report.sorted()
    body = text_report(findings, excerpt=excerpt, hidden=secret_texts(found))
    return "\n".join(part for part in (body, _summary(findings, path)) if part)


def _summary(findings: list[Finding], path: Path) -> str:
    counts = {word: sum(f.severity == word for f in findings) for word in ("error", "warning", "note")}
    told = ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in counts.items() if n)
    if counts["error"]:
        return f"{path}: {told}"
    return f"{path} is fine" + (f" ({told})" if told else "")


def _json(found: Draft, path: Path, excerpt: bool) -> str:
    findings = found.report.sorted()
    document = {
        "file": str(path),
        "ok": not found.report.failed,
        "digest": found.digest,
        "findings": [msgspec.to_builtins(f) for f in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _github(found: Draft, path: Path, excerpt: bool) -> str:
    """Workflow commands: annotations at the lines of a pull request."""
    return "\n".join(_command(f) for f in found.report.sorted()) or f"{path} is fine"


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


def _sarif(found: Draft, path: Path, excerpt: bool) -> str:
    """SARIF 2.1.0, for code scanning."""
    findings = found.report.sorted()
    rules = [_rule(code) for code in sorted({f.code for f in findings})]
    driver = {"name": "omniroute", "version": omniroute.__version__, "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(f) for f in findings]}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    known = EXPLAINED.get(Code(code)) if code in set(Code) else None
    title, text = known or (code, "")
    return {"id": code, "shortDescription": {"text": title}, "fullDescription": {"text": text}}


def _result(finding: Finding) -> dict[str, Any]:
    hint = f" ({finding.hint})" if finding.hint else ""
    location: dict[str, Any] = {"artifactLocation": {"uri": finding.file}}
    if finding.line:
        location["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return {
        "ruleId": finding.code,
        "level": SARIF_LEVELS[finding.severity],
        "message": {"text": ": ".join(p for p in (finding.path, finding.message + hint) if p)},
        "locations": [{"physicalLocation": location}],
    }


FORMATS: Mapping[str, Callable[[Draft, Path, bool], str]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
