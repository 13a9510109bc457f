"""Configurations that are wrong, and what is said about them: `golden/config/CASE/{omniroute.yaml, findings.txt}`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniroute.config.codes import Code
from omniroute.config.excerpt import headline
from omniroute.config.load import load
from omniroute.errors import ConfigError
from tests.support.config import CATALOGUE, registry

GOLDEN = Path(__file__).parent.parent / "golden" / "config"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/omniroute.yaml"))
ENV = {"ACME_KEY": "the-secret-of-acme"}
ELSEWHERE = {
    Code.CANNOT_BUILD,
    Code.NOT_BUILT_IN,
    Code.UNKNOWN_TO_TEST,
    Code.POLICY,
    Code.POLICY_UNDECIDED,
    Code.NO_ANSWER,
}


def told(case: str) -> str:
    try:
        found = list(
            load(GOLDEN / case / "omniroute.yaml", env=ENV, registry=registry(), catalogue=CATALOGUE).findings
        )
    except ConfigError as error:
        found = error.findings
    text = "".join(f"{headline(finding)}\n" for finding in found)
    return text.replace(f"{GOLDEN / case}{os.sep}", "")


@pytest.mark.parametrize("case", CASES)
def test_findings(case: str) -> None:
    expected = GOLDEN / case / "findings.txt"
    found = told(case)
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")
    assert ENV["ACME_KEY"] not in found


def test_every_code_has_a_case() -> None:
    seen = "".join((GOLDEN / case / "findings.txt").read_text("utf-8") for case in CASES)
    assert {code for code in Code if f"[{code}]" not in seen} <= ELSEWHERE
