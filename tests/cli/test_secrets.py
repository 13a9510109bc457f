"""`omniroute secrets` and `keys rotate`: what they print, and what they do to files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from omniroute.cli.keys import hash_of
from omniroute.cli.main import main
from omniroute.config.sealed import open_sealed, seal

KEY, OTHER = "k" * 32, "o" * 32
FILE = """# mine
version: 1
keys:
  ci: {hash: "sha256:HASH"}   # of the runner
  env: {key: "${CI_KEY}"}
providers:
  anthropic:
    accounts:
      work: {key: sk-in-clear}   # to be sealed
""".replace("HASH", "0" * 64)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMNIROUTE_MASTER_KEY", KEY)
    monkeypatch.setenv("CI_KEY", "from-the-environment")
    path = tmp_path / "omniroute.yaml"
    path.write_text(FILE, "utf-8")
    return path


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_seal_and_open(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, "a secret\n")
    assert main(["secrets", "seal"]) == 0
    sealed = capsys.readouterr().out.strip()
    assert sealed.startswith("${sealed:v1:")
    assert main(["secrets", "open", sealed]) == 0
    assert capsys.readouterr().out == "a secret\n"
    given(monkeypatch, f'"{sealed}"\n')
    assert main(["secrets", "open", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"value": "a secret"}


def test_seal_in_place(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "seal", "providers.anthropic.accounts.work.key", "-c", str(file)]) == 0
    out = capsys.readouterr().out
    assert out == f"{file}:9:19: sealed providers.anthropic.accounts.work.key\n"
    before, _, rest = file.read_text("utf-8").partition('"${sealed:')
    assert before + "sk-in-clear" + rest.partition('}"')[2] == FILE
    assert open_sealed(rest.partition("}")[0], KEY) == "sk-in-clear"
    assert main(["validate", "-c", str(file)]) == 0


@pytest.mark.parametrize(
    ("args", "env", "code", "told"),
    [
        (["seal", "keys.env.key"], {}, 1, "it comes from env CI_KEY"),
        (["seal", "keys.nobody"], {}, 1, "there is no 'keys.nobody'"),
        (["seal", "keys.ci"], {}, 1, "is not a text"),
        (["seal", "keys", "-c", "gone.yaml"], {}, 2, "cannot read"),
        (["open", "v1:x:y"], {}, 1, "sealed with the master key 'x'"),
        (["open", "v1:x:y"], {"OMNIROUTE_MASTER_KEY": ""}, 1, "is not set"),
        (
            ["open", "v1:x:y"],
            {"OMNIROUTE_MASTER_KEY": "", "OMNIROUTE_MASTER_KEY_FILE": "gone"},
            1,
            "cannot read",
        ),
        (["rotate"], {}, 1, "OMNIROUTE_NEW_MASTER_KEY is not set"),
        (["rotate", "gone.yaml"], {"OMNIROUTE_NEW_MASTER_KEY": OTHER}, 2, "gone.yaml"),
    ],
)
def test_what_does_not_work(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    env: dict[str, str],
    code: int,
    told: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    config = [] if "-c" in args or args[0] == "open" else ["-c", str(file)]
    assert main(["secrets", *args, *config]) == code
    assert told in capsys.readouterr().err
    assert file.read_text("utf-8") == FILE


def test_rotate(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    part = file.parent / "part.yaml"
    part.write_text(f"# a part\ncombos: {{}}\nx-token: ${{sealed:{seal('one', KEY)}}}  # kept\n", "utf-8")
    file.write_text(FILE + f"include: part.yaml\nx-two: ${{sealed:{seal('two', KEY)}}}\n", "utf-8")
    monkeypatch.setenv("OMNIROUTE_NEW_MASTER_KEY", OTHER)
    assert main(["secrets", "rotate", "-c", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"resealed": {str(file): 1, str(part): 1}}
    sealed = part.read_text("utf-8").partition("${sealed:")[2].partition("}")[0]
    assert open_sealed(sealed, OTHER) == "one"
    texts = file.read_text("utf-8"), part.read_text("utf-8")
    assert main(["secrets", "rotate", "-c", str(file)]) == 1
    assert "line 11: it is sealed with the master key" in capsys.readouterr().err
    assert (file.read_text("utf-8"), part.read_text("utf-8")) == texts


def test_a_key_of_the_configuration_is_rotated(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "rotate", "ci", "-c", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["place"], shown["written"]) == (f"{file}:4:14", False)
    assert file.read_text("utf-8") == FILE
    assert main(["keys", "rotate", "ci", "--write", "-c", str(file), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["hash"] == hash_of(written["key"]) != shown["hash"]
    assert file.read_text("utf-8") == FILE.replace(f"sha256:{'0' * 64}", written["hash"])


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["nobody"], 1, "there is no key 'nobody'"),
        (["env", "--write"], 1, "its value comes from env CI_KEY"),
        (["ci", "-c", "gone.yaml"], 2, "cannot read"),
    ],
)
def test_a_key_that_cannot_be_rotated(
    file: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, told: str
) -> None:
    assert main(["keys", "rotate", *args, *([] if "-c" in args else ["-c", str(file)])]) == code
    assert told in capsys.readouterr().err
    assert file.read_text("utf-8") == FILE
