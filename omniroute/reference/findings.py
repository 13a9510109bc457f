"""The page of the codes that `omniroute validate` and a reload speak in."""

from __future__ import annotations

from omniroute.config.codes import EXPLAINED, Code
from omniroute.errors import STATUS_OF
from omniroute.reference.markdown import code, page, table

GROUPS = {
    "OR10": "Reading",
    "OR11": "Substitution",
    "OR12": "Form",
    "OR13": "References",
    "OR14": "Stages and expressions",
    "OR15": "Meaning and safety",
    "OR16": "Warnings",
    "OR17": "Notes",
    "OR18": "Tests, policies and trials",
    "OR19": "Building",
}

ABOUT = """\
All problems of a load are reported at once, each as `file:line:column: path: what is wrong`, with a code that never
changes its meaning. Errors stop a load; warnings and notes do not. Exit codes of `omniroute validate`: 0 fine, 1
problems, 2 could not read. `--format json`, `github` and `sarif` are for programs.
"""

CLIENT = """\
## What clients are told

An error that the gateway itself makes is in the wire format of the endpoint called, with one of these meanings. The
body carries a stable `code`, and the `X-Request-Id` header leads to the log line. An upstream's error is told with its
meaning: a 429 stays a 429, with `Retry-After`.
"""


def findings_page() -> str:
    """`errors.md`."""
    blocks = [_group(prefix, title) for prefix, title in GROUPS.items()]
    rows = ((code(kind), str(status)) for kind, status in STATUS_OF.items())
    return page("Errors", ABOUT, *blocks, CLIENT, table(("meaning", "status"), rows))


def _group(prefix: str, title: str) -> str:
    rows = (
        (code(str(known)), EXPLAINED[known][0], EXPLAINED[known][1])
        for known in Code
        if known.startswith(prefix)
    )
    return f"## {title}\n\n" + table(("code", "called", "what to know"), rows)
