"""The Dockerfile, linted as far as a file can be without an engine."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = [
    line
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line and line[0] != "#"
]


def instructions(name: str) -> list[str]:
    return [line.split(" ", 1)[1].strip() for line in LINES if line.startswith(name + " ")]


def test_two_stages_and_no_root() -> None:
    assert len(instructions("FROM")) == 2
    assert instructions("FROM")[0].endswith(" AS build")
    assert instructions("USER") == ["10001"]
    assert LINES.index("USER 10001") > max(i for i, line in enumerate(LINES) if line.startswith("RUN"))


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copy in instructions("COPY"):
        if copy.startswith("--from"):
            continue
        for source in copy.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in allowed, source


def test_the_health_check_and_the_start_are_verbs_of_the_command_line() -> None:
    health = re.search(r'CMD \["omniroute", "(\w+)"\]', instructions("HEALTHCHECK")[0])
    assert health is not None
    for verb in (health[1], "serve"):
        assert (ROOT / "omniroute" / "cli" / f"{verb}.py").exists()
    assert instructions("EXPOSE") == ["20128"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_large_bodies_get_huge_pages() -> None:
    assert any("GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in line for line in instructions("ENV"))
