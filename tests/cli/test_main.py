"""The front door."""

from __future__ import annotations

import pkgutil

import pytest

import omniroute
from omniroute import cli
from omniroute.cli.main import main

VERBS = ["validate", "config", "schema"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"omniroute {omniroute.__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "example" in capsys.readouterr().out


def test_the_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)
    assert {*VERBS, "main"} <= {m.name for m in pkgutil.iter_modules(cli.__path__)}


def test_an_unknown_verb_is_a_wrong_usage() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["nonsense"])
    assert stop.value.code == 2
