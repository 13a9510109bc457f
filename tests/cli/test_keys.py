"""Keys that `omniroute keys` makes are the keys that a configuration knows."""

from __future__ import annotations

import hashlib
import io
import json
import re

import pytest
import yaml

from omniroute.cli.keys import hash_of, new_key
from omniroute.cli.main import main
from omniroute.config.settings import Key
from omniroute.pipeline.keys import Keyring


def test_a_new_key_is_known_to_a_gateway_with_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "alice"]) == 0
    key, hashed, *rest = capsys.readouterr().out.splitlines()
    keys = yaml.safe_load("\n".join(rest[rest.index("keys:") :]))["keys"]
    assert keys == {"alice": {"hash": hashed}}
    caller = Keyring({"alice": Key(hash=hashed)}, None).find(key)
    assert caller is not None
    assert caller.name == "alice"


def test_a_key_is_256_random_bits_in_letters_and_digits() -> None:
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch(r"ork_[0-9A-Za-z]{43}", key) for key in keys)
    assert 62**43 > 2**256 > 62**42


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["name"] == "client"
    assert made["hash"] == hash_of(made["key"])


@pytest.mark.parametrize("typed", ["secret", "secret\n", "  secret\r\n"])
def test_the_hash_of_a_key_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["keys", "hash"]) == 0
    assert capsys.readouterr().out == f"sha256:{hashlib.sha256(b'secret').hexdigest()}\n"


def test_no_key_has_no_hash(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main(["keys", "hash"]) == 1
    assert "no key" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["new", "Not A Name"], ["new", "-"], [], ["burn"]])
def test_nonsense_is_refused(args: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["keys", *args])
    assert ended.value.code == 2
