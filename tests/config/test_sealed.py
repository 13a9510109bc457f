"""Sealed values: only the right key opens them, and what is wrong is told at the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniroute.config.sealed import key_id, new_master_key, open_sealed, resealed, seal
from omniroute.config.secrets import Secret
from omniroute.config.show import show
from tests.support.config import configure, findings

KEY, OTHER = "k" * 32, "o" * 32


@pytest.mark.parametrize("text", ["a secret", "a longer one with ünïcode", "line\nline", "$${literal}"])
def test_what_is_sealed_can_be_opened(text: str) -> None:
    first, second = seal(text, KEY), seal(text, KEY)
    assert first != second
    assert open_sealed(first, KEY) == open_sealed(second, KEY) == text
    assert text not in first


def _flipped(sealed: str) -> str:
    return sealed[:-2] + ("A" if sealed[-2] != "A" else "B") + sealed[-1]


@pytest.mark.parametrize(
    ("sealed", "key", "told"),
    [
        (seal("x", OTHER), KEY, f"sealed with the master key '{key_id(OTHER)}'"),
        (seal("x", KEY).replace(key_id(KEY), key_id(OTHER)), OTHER, "damaged"),
        (_flipped(seal("a text", KEY)), KEY, "damaged"),
        (seal("x", KEY)[:-8], KEY, "damaged"),
        (f"v1:{key_id(KEY)}:", KEY, "damaged"),
        (f"v1:{key_id(KEY)}:???", KEY, "damaged"),
        ("v9:x:y", KEY, "are known, not 'v9'"),
        ("", KEY, "are known"),
    ],
    ids=["key", "key-id", "flipped", "short", "empty", "not-base64", "later", "nothing"],
)
def test_what_cannot_be_opened(sealed: str, key: str, told: str) -> None:
    with pytest.raises(ValueError, match="sealed") as error:
        open_sealed(sealed, key)
    assert told in str(error.value)


def test_a_key_that_can_be_guessed_seals_nothing() -> None:
    with pytest.raises(ValueError, match="at least 32 characters"):
        seal("x", "password")
    assert len(new_master_key()) >= 32


def test_the_form_stays_readable() -> None:
    """Made by the first version; every later one has to open it."""
    sealed = "v1:8f140fcb:MDEyMzQ1Njc4OWFi5RArLPLfiZCqUsKMhUIf8vntPR1ge-Ojoeb4Hw"
    assert open_sealed(sealed, KEY) == "hidden-value"


@pytest.mark.parametrize("where", ["variable", "file"])
def test_in_a_configuration(tmp_path: Path, where: str) -> None:
    (tmp_path / "master").write_text(f"{KEY}\n", "utf-8")
    env = {"OMNIROUTE_MASTER_KEY": KEY}
    if where == "file":
        env = {"OMNIROUTE_MASTER_KEY_FILE": str(tmp_path / "master")}
    text = f"version: 1\nkeys: {{me: {{key: '${{sealed:{seal('hidden-value', KEY)}}}'}}}}\n"
    loaded = configure(text, env=env)
    assert loaded.settings.keys["me"].key == Secret("hidden-value")
    assert "hidden-value" not in "".join(
        show(loaded.draft, stage) for stage in ("source", "merged", "normalised")
    )
    (wrong,) = findings(text, env={"OMNIROUTE_MASTER_KEY": OTHER})
    assert wrong.startswith("OR1104 omniroute.yaml:2:18: keys.me.key: it is sealed with the master key")


def test_a_file_is_sealed_again_with_all_else_kept() -> None:
    one, two = seal("first", KEY), seal("second", KEY)
    text = f"# a comment\na: ${{sealed:{one}}}   # why\r\nb: ['${{sealed:{two}}}', \"${{sealed:…}}\"]\n"
    again, count = resealed(text, KEY, OTHER)
    assert count == 2
    head, _, rest = again.partition("${sealed:")
    assert head == "# a comment\na: "
    assert rest.partition("}")[2].startswith("   # why\r\nb: ['${sealed:v1:")
    opened = [part.partition("}")[0] for part in again.split("${sealed:")[1:3]]
    assert [open_sealed(sealed, OTHER) for sealed in opened] == ["first", "second"]
    with pytest.raises(ValueError, match="line 2: it is sealed with"):
        resealed(text, OTHER, KEY)
