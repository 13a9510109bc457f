"""Reads `*.test.yaml`: all problems at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any, cast

from omniroute.config.cases import Case, TestFile
from omniroute.config.check import Checking, check_form, jmespath_syntax
from omniroute.config.codes import Code
from omniroute.config.convert import to_settings
from omniroute.config.marks import Map, Mark, Path, lookup
from omniroute.config.normalise import Names, normalise
from omniroute.config.reader import read
from omniroute.config.report import Report, did_you_mean
from omniroute.config.settings import Settings
from omniroute.config.substitution import reason
from omniroute.config.values import matching, moment
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import Registry

PATHS: tuple[Path, ...] = (("body",), ("events",), ("sent", "*"))
"""Below `expect`: maps whose keys are JMESPath."""


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of one file. `place` gives `file:line:column` of a path in it."""

    path: FilePath
    file: TestFile
    tree: Map
    report: Report
    config: FilePath

    def mark(self, path: Path) -> Mark:
        return lookup(self.tree, path)[1]


def read_tests(path: FilePath, registry: Registry, config: FilePath | None = None) -> Tests:
    """The tests of a file, of the configuration that it names or of another. Raises `ConfigError` with every finding, `ConfigUnreadable`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigUnreadable(f"cannot read {str(path)!r}: {reason(error)}") from None
    report = Report(str(path))
    names = Names(registry)
    root = names.shapes.of(TestFile)
    tree = normalise(read(text, str(path), report), root, names, Mark(str(path), 1, 1))
    if not report.failed:
        check_form(tree, root, Checking(names, report, False, jmespath_syntax), Mark(str(path), 1, 1))
    if not report.failed:
        _check_meaning(tree, report)
    if report.failed:
        raise ConfigError(report.sorted())
    file = cast("TestFile", to_settings(tree, root, names))
    return Tests(path, file, tree, report, config or path.parent / file.config)


def begins(case: Case) -> float:
    """Epoch seconds at which a test begins."""
    when = datetime.fromisoformat(case.clock)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def check_names(tests: Tests, settings: Settings) -> None:
    """That tests name what the configuration has. Raises `ConfigError`."""
    report = tests.report
    providers, keys = {*settings.providers, "*"}, settings.keys
    for path, tree in _maps(tests.tree, ("upstreams",), ("sent",), ("sent_headers",), ("requests",)):
        for name in tree if isinstance(tree, Map) else ():
            if name not in providers:
                hint = did_you_mean(name, settings.providers)
                report.tell(
                    Code.UNKNOWN_TO_TEST,
                    f"the configuration has no provider {name!r}",
                    tree.key_mark(name),
                    (*path, name),
                    hint=hint,
                )
    for path, key in _maps(tests.tree, ("request", "key")):
        if key is not None and key not in keys:
            report.tell(
                Code.UNKNOWN_TO_TEST,
                f"the configuration has no key {key!r}",
                tests.mark(path),
                path,
                hint=did_you_mean(str(key), keys),
            )
    if report.failed:
        raise ConfigError(report.sorted())


def _check_meaning(tree: Map, report: Report) -> None:
    names: dict[str, Mark] = {}
    for path, name in matching(tree, ("tests", "*", "name")):
        if name in names:
            report.tell(
                Code.DEFINED_TWICE,
                f"the test {name!r} stands already in line {names[name].line}",
                lookup(tree, path)[1],
                path,
            )
        names.setdefault(name, lookup(tree, path)[1])
    for path, written in matching(tree, ("tests", "*", "clock")):
        wrong = moment(str(written))
        if wrong:
            report.tell(Code.BAD_DATE, f"{written!r} {wrong}", lookup(tree, path)[1], path)
    for path, case in matching(tree, ("tests", "*")):
        if ("request" in case) == ("requests" in case):
            message = "a test has a `request`, or a list of `requests`"
            report.tell(Code.MISSING_KEY, message, case.mark, path)
        elif "requests" in case and "expect" in case:
            message = "of several `requests`, each has its own `expect`"
            report.tell(Code.UNKNOWN_KEY, message, case.key_mark("expect"), (*path, "expect"))
    _check_expressions(tree, report)


def _check_expressions(tree: Map, report: Report) -> None:
    for path, below in _maps(tree, *(("expect", *pattern) for pattern in PATHS)):
        for expression in below if isinstance(below, Map) else ():
            try:
                jmespath_syntax(expression)
            except ValueError as error:
                report.tell(Code.BAD_JMESPATH, str(error), below.key_mark(expression), (*path, expression))


def _maps(tree: Map, *patterns: Path) -> Iterator[tuple[Path, Any]]:
    """What stands at these paths of the file, its tests and their requests."""
    for pattern in patterns:
        yield from matching(tree, pattern)
        yield from matching(tree, ("tests", "*", *pattern))
        yield from matching(tree, ("tests", "*", "requests", "*", *pattern))
        if pattern[0] in ("sent", "sent_headers", "requests"):
            yield from matching(tree, ("tests", "*", "expect", *pattern))
            yield from matching(tree, ("tests", "*", "requests", "*", "expect", *pattern))
