"""`${…}` in values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniroute.config.marks import Mark, Unresolved
from omniroute.config.reader import read, typed
from omniroute.config.report import Report
from omniroute.config.secrets import Secret
from omniroute.config.substitution import Sources, substitute
from tests.support.config import configure, findings

ENV = {"A": "one", "N": "20128", "T": "true", "EMPTY": "", "INNER": "${A}", "YAML": "x: [1, 2]"}


def value(written: str, folder: Path = Path()) -> Any:
    tree = read(f"v: {written}", "f.yaml", Report())
    return substitute(tree, Sources(ENV), folder, Mark("f.yaml"))[0]["v"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${A}", "one"),
        ("${env:A}", "one"),
        ("x-${A}-${N}", "x-one-20128"),
        ("${MISSING:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${A:-two}", "one"),
        ("${A:?needed}", "one"),
        ("${EMPTY}", ""),
        ("${MISSING:-}", ""),
        ("${MISSING:-${A}}/b", "one/b"),
        ("${MISSING:-${ALSO:-deep}}", "deep"),
        ("'${MISSING:-a:-b}'", "a:-b"),
        ("$${A}", "${A}"),
        ("a$${A}-${A}", "a${A}-one"),
        ("$A and $", "$A and $"),
        ("${INNER}", "${A}"),
        ("${YAML}", "x: [1, 2]"),
    ],
)
def test_forms(written: str, expected: str) -> None:
    assert value(written) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${MISSING}", "the variable MISSING is not set"),
        ("${MISSING:?ask Bob}", "ask Bob"),
        ("${EMPTY:?ask Bob}", "ask Bob"),
        ("${}", "holds no name of a variable"),
        ("${1A}", "holds no name of a variable"),
        ("${A:+x}", "holds no name of a variable"),
        ("'${A'", "without `}`"),
        ("${file:gone}", "cannot read"),
        ("${sealed:v1:AAAA}", "OMNIROUTE_MASTER_KEY"),
    ],
)
def test_what_fails_stays_at_its_place(written: str, message: str) -> None:
    found = value(written)
    assert isinstance(found, Unresolved)
    assert message in found.findings[0].message


@pytest.mark.parametrize(
    ("written", "workers"), [("${N}", 20128), ("${MISSING:-3}", 3), ("${MISSING:-${N}}", 20128)]
)
def test_one_unquoted_substitution_is_typed_by_its_value(written: str, workers: int) -> None:
    text = f"version: 1\nserver:\n  limits:\n    connections: {written}\n"
    assert configure(text, env=ENV).settings.server.limits.connections == workers


def test_text_fields_keep_the_text() -> None:
    text = "version: 1\nkeys:\n  me:\n    key: ${K}\nproviders:\n  acme:\n    description: ${D}\n"
    settings = configure(text, env={"K": "00123", "D": "1.50"}).settings
    assert settings.keys["me"].key == Secret("00123")
    assert settings.providers["acme"].description == "1.50"


def test_no_value_can_change_the_structure() -> None:
    text = "version: 1\nmodels:\n  a: ${NAME}\ndefault: acme/fast\nproviders: {acme: {}}\n"
    assert findings(text, env={"NAME": "acme/fast\n  b: acme/slow"})[0].startswith("OR1301")


def test_keys_are_never_substituted() -> None:
    assert "BAD_NAME" not in (found := findings("version: 1\nkeys: {'${A}': {key: b}}", env=ENV))
    assert found[0].startswith("OR1207")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret-s3cret\n\n", "utf-8")
    text = (
        'version: 1\nproviders: {acme: {accounts: {a: {key: "${file:key}"}}, description: "a ${file:key}"}}\n'
    )
    loaded = configure(text, folder=tmp_path)
    provider = loaded.settings.providers["acme"]
    assert provider.accounts["a"].key == Secret("s3cret-s3cret\n")
    assert provider.description == "a s3cret-s3cret\n"
    assert tmp_path / "key" in loaded.files
    assert isinstance(loaded.stages.normalised["providers"]["acme"]["description"], Secret)


def test_a_file_may_hold_a_number(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("7\n", "utf-8")
    text = "version: 1\nserver:\n  workers: ${file:n}\n"
    assert configure(text, folder=tmp_path).settings.server.workers == 7


def test_what_is_not_used_may_be_unset() -> None:
    text = "version: 1\nx-a: ${NEVER}\nserver:\n  x-b: ${NEVER}\n"
    assert findings(text) == []


def test_a_header_may_begin_with_x() -> None:
    text = "version: 1\nproviders: {acme: {headers: {x-team: '${TEAM}'}}}\n"
    assert findings(text)[0].startswith("OR1101")
    assert configure(text, env={"TEAM": "blue"}).settings.providers["acme"].headers == {"x-team": "blue"}


@pytest.mark.parametrize("text", ["", "~", "x", "0x", "-", ".", "+1", "1e", "1" * 400])
def test_typed_never_fails(text: str) -> None:
    typed(text)
