"""What breaks the rules of YAML, in words for the person who typed it, and at the place where it is to be mended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

CONFLICT = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)
KEYED = re.compile(r"\s*(?:- +)*(?:[^\s#'\"{\[]|'[^']*'|\"[^\"]*\")[^#]*?:(?= |$)")


@dataclass(frozen=True, slots=True)
class Told:
    """Line and column count from 0, as YAML parsers do."""

    line: int
    column: int
    message: str
    hint: str | None = None


def told(error: yaml.MarkedYAMLError, text: str) -> Told:
    """What is wrong, where, and what to do. What nobody thought of is told in the parser's words."""
    lines = text.splitlines()
    conflict = CONFLICT.search(text)
    if conflict is not None:
        line = text.count("\n", 0, conflict.start())
        return Told(line, 0, "a conflict of git that nobody has resolved")
    for words, explain in EXPLAINED:
        if words in f"{error.problem}, {error.context}":
            found = explain(error, lines)
            if found is not None:
                return found
    at = error.problem_mark or error.context_mark
    return (
        Told(at.line, at.column, _words(error), _flow_hint(lines, at.line))
        if at
        else Told(-1, -1, _words(error))
    )


def _words(error: yaml.MarkedYAMLError) -> str:
    problem, context = error.problem or "", error.context or ""
    if problem.startswith("but "):
        return f"{context}, {problem}"
    return ", ".join(part for part in (problem, context) if part)


def _flow_hint(lines: list[str], line: int) -> str | None:
    """Inside of `{ }` and `[ ]`, a `${…}` without quotes is not YAML."""
    near = lines[: max(line + 1, 1)][-2:]
    flow = any(re.search(r"[{\[,:]\s*\$\{", one) and re.search(r"[\[{]\s*[^$]", one) for one in near)
    return "inside of `{ }` and `[ ]`, `${…}` needs quotes" if flow else None


def _line(lines: list[str], number: int) -> str:
    return lines[number] if 0 <= number < len(lines) else ""


def _character(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.problem_mark
    character = _line(lines, at.line)[at.column : at.column + 1] if at else ""
    if at is None or not character:
        return None
    if character == "\t":
        return Told(at.line, at.column, "a tab", "YAML indents with spaces")
    return Told(at.line, at.column, f"nothing begins with {character!r}", "put the value in quotes")


def _open_quote(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.context_mark
    return Told(at.line, at.column, "a quote is opened here and never closed") if at else None


def _second_colon(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    """`a: b: c`, a line below one without colon, or a line that is indented below a value."""
    at = error.problem_mark
    if at is None:
        return None
    line = _line(lines, at.line)
    key = KEYED.match(line)
    if key is not None and key.end() <= at.column:
        start = key.end() + len(line[key.end() :]) - len(line[key.end() :].lstrip())
        return Told(at.line, start, "a value with `: ` in it", "put the value in quotes")
    above = next(
        (n for n in range(at.line - 1, -1, -1) if lines[n].strip() and not lines[n].strip().startswith("#")),
        None,
    )
    if above is None:
        return None
    start = len(lines[above]) - len(lines[above].lstrip())
    if KEYED.match(lines[above]):
        return Told(
            at.line,
            len(line) - len(line.lstrip()),
            "indented deeper than the line above, which has a value already",
        )
    hint = "a space is missing after the colon" if ":" in lines[above] else "a colon is missing"
    return Told(above, start, "this is no `key: value`", hint)


def _no_colon(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.context_mark
    return Told(at.line, at.column, "this is no `key: value`", "a colon is missing") if at else None


def _indentation(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.problem_mark
    if at is None or "block mapping" not in (error.context or ""):
        return None
    return Told(at.line, at.column, "indented neither like the lines above nor deeper", "two spaces a level")


def _no_dash(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.problem_mark
    return Told(at.line, at.column, "a line of a list that begins with no `- `") if at else None


def _open_bracket(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at, begin = error.problem_mark, error.context_mark
    if at is None or begin is None:
        return None
    bracket = _line(lines, begin.line)[begin.column : begin.column + 1]
    wanted = "`,` or `]`" if bracket == "[" else "`,` or `}`"
    hint = _flow_hint(lines, at.line)
    place = f"the `{bracket}` in line {begin.line + 1}, column {begin.column + 1}"
    return Told(at.line, at.column, f"{wanted} is missing: {place} is still open", hint)


def _alias(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.context_mark or error.problem_mark
    if at is None:
        return None
    name = re.match(r"\*?([^\s,\]}]*)", _line(lines, at.line)[at.column :])
    word = f" {name[1]!r}" if name and name[1] else ""
    return Told(at.line, at.column, f"there is no anchor{word}", "a value that begins with `*` needs quotes")


def _escape(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.problem_mark
    if at is None:
        return None
    message = "in double quotes a backslash begins an escape, and this is none"
    return Told(at.line, max(at.column - 1, 0), message, "in single quotes it stands for itself")


def _two_documents(error: yaml.MarkedYAMLError, lines: list[str]) -> Told | None:
    at = error.problem_mark
    return (
        Told(at.line, at.column, "a second document begins here", "one file holds one: take out the `---`")
        if at
        else None
    )


Explain = Callable[[yaml.MarkedYAMLError, list[str]], Told | None]

EXPLAINED: tuple[tuple[str, Explain], ...] = (
    ("cannot start any token", _character),
    ("while scanning a quoted scalar", _open_quote),
    ("mapping values are not allowed", _second_colon),
    ("could not find expected ':'", _no_colon),
    ("did not find expected key", _indentation),
    ("did not find expected '-' indicator", _no_dash),
    ("did not find expected ',' or", _open_bracket),
    ("undefined alias", _alias),
    ("while scanning an alias", _alias),
    ("unknown escape character", _escape),
    ("but found another document", _two_documents),
)
"""Words of the parser, and what they mean. The first that fits and has something to say is told."""
