"""Globs, networks, and whose address counts."""

from __future__ import annotations

import pytest

from omniroute.pipeline.patterns import any_of, client_address, networks


@pytest.mark.parametrize(
    "globs, name, fits",
    [
        (["glm/*"], "glm/glm-4.7", True),
        (["glm/*"], "openai/glm", False),
        (["a", "b-*"], "b-1", True),
        (["gpt-?"], "gpt-5", True),
        (["gpt-?"], "gpt-5.1", False),
        ([], "x", False),
        (["A"], "a", False),
    ],
)
def test_globs(globs: list[str], name: str, fits: bool) -> None:
    assert any_of(globs)(name) is fits


@pytest.mark.parametrize(
    "cidrs, address, inside",
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.1/8"], "10.200.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["::1/128"], "::1", True),
        (["10.0.0.0/8"], "no address", False),
        ([], "10.0.0.1", False),
    ],
)
def test_networks(cidrs: list[str], address: str, inside: bool) -> None:
    assert networks(cidrs)(address) is inside


@pytest.mark.parametrize(
    "peer, forwarded, client",
    [
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("9.9.9.9", "1.2.3.4", "9.9.9.9"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str | None, client: str) -> None:
    assert client_address(peer, forwarded, networks(["10.0.0.0/8"])) == client
