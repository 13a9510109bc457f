"""`*.eval.yaml`: questions to models, and what a good answer holds. Read like a configuration: all problems at once."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Annotated, Any, cast

from omniroute.config.check import Checking, check_form, jmespath_syntax
from omniroute.config.codes import Code
from omniroute.config.convert import to_settings
from omniroute.config.marks import Map, Mark, Path, lookup
from omniroute.config.normalise import Names, normalise
from omniroute.config.reader import read
from omniroute.config.report import Report
from omniroute.config.substitution import reason
from omniroute.config.values import matching
from omniroute.declare import Options, option
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import Registry


class Wanted(Options, frozen=True, kw_only=True):
    """What a good answer holds: all that is given must be so."""

    contains: Annotated[tuple[str, ...], option("Texts that stand in the answer, in any case.")] = ()
    lacks: Annotated[tuple[str, ...], option("Texts that do not, in any case.")] = ()
    equals: Annotated[str | None, option("The whole answer, but for white space around it.")] = None
    matches: Annotated[str | None, option("A regular expression that is found in it.")] = None
    json: Annotated[bool, option("The answer is JSON.")] = False


class Question(Options, frozen=True, kw_only=True):
    """One question to every model."""

    name: Annotated[str, option("What it is about.")]
    prompt: Annotated[str, option("What the user says.")]
    system: Annotated[str | None, option("The system text.")] = None
    params: Annotated[dict[str, Any], option("More settings of the Chat Completions request.")] = {}
    expect: Wanted = Wanted()


class EvalFile(Options, frozen=True, kw_only=True):
    """Questions, and the models that they go to."""

    models: Annotated[
        tuple[str, ...], option("Models, aliases or combos to ask; `--model` names others.")
    ] = ()
    evals: Annotated[tuple[Question, ...], option("The questions.")]


def read_evals(path: FilePath, registry: Registry) -> EvalFile:
    """The questions of a file. Raises `ConfigError` with every finding, `ConfigUnreadable`."""
    try:
        written = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigUnreadable(f"cannot read {str(path)!r}: {reason(error)}") from None
    report, names, top = Report(str(path)), Names(registry), Mark(str(path), 1, 1)
    shape = names.shapes.of(EvalFile)
    tree = normalise(read(written, str(path), report), shape, names, top)
    if not report.failed:
        check_form(tree, shape, Checking(names, report, False, jmespath_syntax), top)
    if not report.failed:
        for at, value in matching(tree, ("evals", "*", "expect", "matches")):
            _check_expression(str(value), at, tree, report)
    if report.failed:
        raise ConfigError(report.sorted())
    return cast("EvalFile", to_settings(tree, shape, names))


def _check_expression(written: str, path: Path, tree: Map, report: Report) -> None:
    try:
        re.compile(written)
    except re.error as error:
        message = f"{written!r} is no regular expression: {error}"
        report.tell(Code.BAD_TEXT, message, lookup(tree, path)[1], path)
