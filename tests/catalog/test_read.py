"""Reading provider files: inheritance, and what the user is told of a file that is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from omniroute.catalog.read import read_catalogue, read_quirks
from omniroute.errors import ConfigError

PARENT = """
    description: Parent
    formats:
      openai-chat: {base_url: https://a.example/v1, headers: {x-a: "1"}}
      gemini: {base_url: https://a.example/v1beta}
    prefix: [aa, a]
    tier: cheap
    models:
      one: {context: 8k, price: {input: 1, output: 2}}
      two: {}
"""


@pytest.fixture
def folder(tmp_path: Path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(dedent(text))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("child", "key", "expected"),
    [
        # what the child does not say comes from the parent
        ("like: parent", "tier", "cheap"),
        # scalars and lists of the child win
        ("{like: parent, tier: free}", "tier", "free"),
        ("{like: parent, prefix: [b]}", "prefix", ["b"]),
        # maps merge key by key
        (
            "{like: parent, models: {one: {context: 1M}, three: {}}}",
            "models",
            {"one": {"context": "1M", "price": {"input": 1, "output": 2}}, "two": {}, "three": {}},
        ),
        # null takes away
        ("{like: parent, models: {one: null}}", "models", {"two": {}}),
        ("{like: parent, models: {one: {price: null}, two: null}}", "models", {"one": {"context": "8k"}}),
        # a list or a scalar in the place of a map replaces it, and the other way round
        ("{like: parent, models: []}", "models", []),
        ("{like: parent, tier: {a: 1}}", "tier", {"a": 1}),
    ],
)
def test_like(folder, child: str, key: str, expected: object) -> None:
    catalogue = read_catalogue(folder(parent=PARENT, child=child))
    assert catalogue["child"][key] == expected
    assert "like" not in catalogue["child"]


def test_null_removes_a_key_that_the_parent_has(folder) -> None:
    assert "tier" not in read_catalogue(folder(parent=PARENT, child="{like: parent, tier: null}"))["child"]


def test_formats_keep_their_order_of_preference(folder) -> None:
    child = (
        "{like: parent, formats: {gemini: {base_url: x}, openai-chat: {base_url: y}, ollama: {base_url: z}}}"
    )
    formats = read_catalogue(folder(parent=PARENT, child=child))["child"]["formats"]
    assert list(formats) == ["openai-chat", "gemini", "ollama"]
    assert formats["openai-chat"] == {"base_url": "y", "headers": {"x-a": "1"}}


def test_the_parent_stays_as_it_is(folder) -> None:
    catalogue = read_catalogue(folder(a_child="{like: parent, models: {one: {context: 1M}}}", parent=PARENT))
    assert catalogue["parent"]["models"]["one"]["context"] == "8k"


def test_ids_are_file_names_in_order(folder) -> None:
    assert list(read_catalogue(folder(zeta="{}", alpha="{}", mid="{}"))) == ["alpha", "mid", "zeta"]


def test_an_empty_folder_is_an_empty_catalogue(tmp_path: Path) -> None:
    assert read_catalogue(tmp_path) == {}


@pytest.mark.parametrize(
    ("files", "code", "says"),
    [
        ({"a": "tier: free: no"}, "OR1002", "a.yaml:1:11: not YAML"),
        ({"a": "tier: \x00free"}, "OR1002", "a.yaml: not YAML"),
        ({"a": "- free"}, "OR1004", "a.yaml: the file is not a map"),
        ({"a": ""}, "OR1004", "a.yaml: the file is not a map"),
        ({"a": "like: nobody"}, "OR1305", "a.yaml: like: there is no provider 'nobody'"),
        ({"a": "like: openia", "openai": "{}"}, "OR1305", "did you mean 'openai'?"),
        ({"a": "like: [b]", "b": "{}"}, "OR1305", "there is no provider ['b']"),
        ({"a": "like: b", "b": "like: c", "c": "{}"}, "OR1305", "a.yaml: like: 'b' is itself like another"),
        ({"a": "like: a"}, "OR1305", "one step only"),
    ],
)
def test_a_wrong_file_is_named(folder, files: dict[str, str], code: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_catalogue(folder(**files))
    assert [finding.code for finding in raised.value.findings] == [code]
    assert says in str(raised.value)


def test_all_wrong_files_are_told_at_once(folder) -> None:
    with pytest.raises(ConfigError) as raised:
        read_catalogue(folder(a="- x", b="like: nobody", c="{}", d="{"))
    assert len(raised.value.findings) == 3


def test_a_file_that_cannot_be_read(folder, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_catalogue(tmp_path)


def test_quirk_words_have_a_sentence_each() -> None:
    assert all(text.endswith(".") for text in read_quirks().values())


def test_a_wrong_quirks_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "quirks.yaml").write_text("- word")
    with pytest.raises(ConfigError, match=r"quirks\.yaml: the file is not a map"):
        read_quirks(tmp_path / "quirks.yaml")


def test_what_is_shipped_is_read_once_and_stays_whole() -> None:
    first = read_catalogue()
    first.clear()
    again = read_catalogue()
    assert again
    assert all(again[id] is doc for id, doc in read_catalogue().items())
