"""Shapes are made once, and a half-made one is never found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec
import pytest

from omniroute.config.settings import Settings
from omniroute.config.shape import Record, Shapes


def test_what_could_not_be_made_fails_again() -> None:
    def fails() -> int:
        raise ValueError("no default today")

    class Odd(msgspec.Struct):
        number: int = msgspec.field(default_factory=fails)

    shapes = Shapes()
    for _ in range(2):
        with pytest.raises(ValueError, match="today"):
            shapes.of(Odd)


def test_threads_get_whole_shapes() -> None:
    shapes, ready = Shapes(), Barrier(4)
    keys = list(Shapes().of(Settings).entries)

    def asked(_: int) -> Record:
        ready.wait(20)
        record = shapes.of(Settings)
        assert list(record.entries) == keys
        return record

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(asked, range(4)))
    assert all(record is found[0] for record in found)
