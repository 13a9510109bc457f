"""One scalar is replaced, and nothing else of the file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniroute.config.edit import replaced, text_of, write
from omniroute.config.marks import Mark


@pytest.mark.parametrize(
    ("text", "line", "column", "after"),
    [
        ("a: b\n", 1, 4, 'a: "X"\n'),
        ("a: 'b'  # why\n", 1, 4, 'a: "X"  # why\n'),
        ('k: {a: "b", c: d}\n', 1, 8, 'k: {a: "X", c: d}\n'),
        ("# é\r\nü: [ä, b]\r\n", 2, 8, '# é\r\nü: [ä, "X"]\r\n'),
        ("a:\n  - b # c\n", 2, 5, 'a:\n  - "X" # c\n'),
    ],
)
def test_replaced(text: str, line: int, column: int, after: str) -> None:
    assert replaced(text, Mark("f", line, column), "X") == after


@pytest.mark.parametrize(("text", "line"), [("a: |\n  b\n", 1), ("a: {}\n", 1), ("a: b\n", 9)])
def test_what_is_no_scalar_of_one_line_is_left_alone(text: str, line: int) -> None:
    with pytest.raises(ValueError, match="no value of one line"):
        replaced(text, Mark("f", line, 4), "X")


def test_what_is_written_is_quoted() -> None:
    assert replaced("a: b\n", Mark("f", 1, 4), '\\ "') == 'a: "\\\\ \\""\n'


def test_a_file_keeps_its_mode_its_line_ends_and_the_link_to_it(tmp_path: Path) -> None:
    file, link = tmp_path / "a.yaml", tmp_path / "link.yaml"
    file.write_bytes(b"a: 1\r\n")
    file.chmod(0o640)
    link.symlink_to(file)
    write(link, text_of(link) + "b: 2\r\n")
    assert file.read_bytes() == b"a: 1\r\nb: 2\r\n"
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a.yaml", "link.yaml"]
