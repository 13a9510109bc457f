"""`omniroute test`: does the configuration do what its tests say, without network and without waiting."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

from omniroute.config.excerpt import text_report
from omniroute.config.includes import TESTS
from omniroute.config.load import find_config
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import load as load_registry
from omniroute.simulation.play import Player, Verdict


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "test",
        help="test the configuration against scripted upstreams",
        description=(
            "Run the tests beside the configuration (*.test.yaml): the same planner, stages and codecs as in service, "
            "scripted upstreams, no network, a clock that needs no waiting. Secrets are made up. "
            "Exits 0 (all hold), 1 (some do not, or a file is wrong), 2 (could not read)."
        ),
        epilog="example: omniroute test --coverage",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="test files, or folders of them")
    parser.add_argument("--config", "-c", help="the configuration to test, instead of the one the file names")
    parser.add_argument("--only", metavar="TEXT", default="", help="tests whose name holds this text")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="how to print (text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="as --format json")
    parser.add_argument("--output", metavar="FILE", help="write the report there, and text to the terminal")
    parser.add_argument("--coverage", action="store_true", help="name what no test went through")
    parser.add_argument(
        "--fail-under",
        type=float,
        metavar="PERCENT",
        help="with --coverage: exit 1 when less was gone through",
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All verdicts of a run, and what no test went through."""

    verdicts: list[Verdict]
    missed: list[tuple[str, str]]
    total: int
    seconds: float

    @property
    def ok(self) -> bool:
        return all(v.ok for v in self.verdicts)

    @property
    def covered(self) -> float:
        """Percent of what there is to go through."""
        return 100.0 if not self.total else 100.0 * (self.total - len(self.missed)) / self.total


def run(args: argparse.Namespace) -> int:
    began = perf_counter()
    player = Player(load_registry())
    config = Path(args.config) if args.config else None
    verdicts: list[Verdict] = []
    try:
        files = list(_files(args.files, args.config))
        for file in files:
            verdicts += player.play(player.load(file, config), args.only)
    except ConfigError as error:
        print(text_report(error.findings, excerpt=sys.stderr.isatty()), file=sys.stderr)
        return 1
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    if not verdicts:
        print("there is no test" + (f" whose name holds {args.only!r}" if args.only else ""), file=sys.stderr)
        return 2
    seen = list(player.seen.values()) if args.coverage else []
    outcome = Outcome(
        verdicts,
        [missed for one in seen for missed in one.missed()],
        sum(one.total() for one in seen),
        perf_counter() - began,
    )
    _print(outcome, args)
    enough = args.fail_under is None or outcome.covered >= args.fail_under
    return 0 if outcome.ok and enough else 1


def _files(given: Iterable[str], config: str | None) -> Iterator[Path]:
    """The test files: those given, those of folders given, or those beside the configuration. Raises
    `ConfigUnreadable` when there are none."""
    places = [Path(g) for g in given] or [find_config(config, os.environ, Path.cwd()).parent]
    for place in places:
        found = sorted(place.glob(f"*{TESTS}")) if place.is_dir() else [place]
        if not found:
            raise ConfigUnreadable(f"there is no *{TESTS} in {str(place)!r}")
        yield from found


def _print(outcome: Outcome, args: argparse.Namespace) -> None:
    report = FORMATS[args.format](outcome, args.coverage)
    if args.output:
        Path(args.output).write_text(report + "\n", "utf-8")
        report = _text(outcome, args.coverage)
    print(report)


# ── the forms of a report ────────────────────────────────────────────────────────────────────────


def _text(outcome: Outcome, coverage: bool) -> str:
    lines: list[str] = []
    for verdict in outcome.verdicts:
        if not verdict.ok:
            lines += [f"FAIL {verdict.name}", *(f"  {failure}" for failure in verdict.failures)]
    if coverage:
        lines += [f"{place}: no test goes through {what}" for place, what in outcome.missed]
        lines.append(f"{outcome.covered:.0f} % of targets, combos, aliases, keys, routes and pipelines")
    failed = sum(not v.ok for v in outcome.verdicts)
    held = f"{len(outcome.verdicts)} tests" if len(outcome.verdicts) != 1 else "1 test"
    lines.append(f"{held}, {f'{failed} failed' if failed else 'all hold'} ({outcome.seconds:.2f} s)")
    return "\n".join(lines)


def _tap(outcome: Outcome, coverage: bool) -> str:
    """Test Anything Protocol, version 14."""
    lines = ["TAP version 14", f"1..{len(outcome.verdicts)}"]
    for number, verdict in enumerate(outcome.verdicts, 1):
        name = verdict.name.replace("\\", "\\\\").replace("#", "\\#")
        lines.append(f"{'ok' if verdict.ok else 'not ok'} {number} - {name}")
        if not verdict.ok:
            lines.append("  ---")
            lines += [f"  - {json.dumps(str(failure), ensure_ascii=False)}" for failure in verdict.failures]
            lines.append("  ...")
    if coverage:
        lines += [f"# {place}: no test goes through {what}" for place, what in outcome.missed]
    return "\n".join(lines)


def _junit(outcome: Outcome, coverage: bool) -> str:
    """The XML that CI systems read."""
    suites = ElementTree.Element("testsuites", time=f"{outcome.seconds:.3f}")
    for file in dict.fromkeys(v.file for v in outcome.verdicts):
        verdicts = [v for v in outcome.verdicts if v.file == file]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=file,
            tests=str(len(verdicts)),
            failures=str(sum(not v.ok for v in verdicts)),
            errors="0",
            time=f"{sum(v.seconds for v in verdicts):.3f}",
        )
        for verdict in verdicts:
            _junit_case(suite, verdict)
        if coverage:
            out = ElementTree.SubElement(suite, "system-out")
            out.text = "\n".join(f"{place}: no test goes through {what}" for place, what in outcome.missed)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, "unicode")


def _junit_case(suite: ElementTree.Element, verdict: Verdict) -> None:
    place = verdict.place.removeprefix(verdict.file).lstrip(":").partition(":")[0]
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=verdict.name,
        classname=Path(verdict.file).name.removesuffix(TESTS),
        file=verdict.file,
        line=place,
        time=f"{verdict.seconds:.3f}",
    )
    if not verdict.ok:
        failure = ElementTree.SubElement(case, "failure", message=str(verdict.failures[0]))
        failure.text = "\n".join(str(f) for f in verdict.failures)


def _json(outcome: Outcome, coverage: bool) -> str:
    document: dict[str, Any] = {
        "ok": outcome.ok,
        "seconds": round(outcome.seconds, 3),
        "tests": [
            {
                "file": v.file,
                "name": v.name,
                "place": v.place,
                "ok": v.ok,
                "failures": [{"place": f.place, "path": f.path, "message": f.message} for f in v.failures],
            }
            for v in outcome.verdicts
        ],
    }
    if coverage:
        missed = [{"place": place, "what": what} for place, what in outcome.missed]
        document["coverage"] = {"percent": round(outcome.covered, 1), "missed": missed}
    return json.dumps(document, indent=2, ensure_ascii=False)


FORMATS: Mapping[str, Callable[[Outcome, bool], str]] = {
    "text": _text,
    "tap": _tap,
    "junit": _junit,
    "json": _json,
}
