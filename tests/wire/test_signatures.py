"""Signatures travel through foreign formats and come back whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.conversation import Signature
from omniroute.wire.signatures import unwrap_signature, wrap_signature
from tests.support.properties import examples

# A busy machine is slow; that is no finding.
PROPERTY = examples(100)


def test_its_own_signature_stays_as_it_is() -> None:
    signature = Signature(value="EqQBCkgI", wire="anthropic-messages")
    assert wrap_signature(signature, "anthropic-messages") == "EqQBCkgI"
    assert unwrap_signature("EqQBCkgI", "anthropic-messages") == signature


@PROPERTY
@given(value=st.text(), id=st.none() | st.text())
def test_a_foreign_signature_comes_back(value: str, id: str | None) -> None:
    signature = Signature(value=value, wire="openai-responses", id=id)
    wrapped = wrap_signature(signature, "anthropic-messages")
    assert re.fullmatch(r"[A-Za-z0-9._-]+", wrapped)
    assert wrapped.startswith("or1.openai-responses.")
    assert unwrap_signature(wrapped, "anthropic-messages") == signature


@pytest.mark.parametrize(
    "value",
    [
        "",
        "or1.",
        "or1.gemini",
        "or1.gemini.",
        "or1.gemini.!!!",
        "or1.gemini.e30",
        "or1.gemini.äöü",
        "or1.gemini.bm90IGpzb24",
        "or1.gemini.eyJ2YWx1ZSI6ICJ4IiwgIndpcmUiOiAib3RoZXIifQ",
    ],
)
def test_what_was_not_wrapped_whole_is_a_value_of_the_wire_itself(value: str) -> None:
    assert unwrap_signature(value, "gemini") == Signature(value=value, wire="gemini")


@PROPERTY
@given(st.text())
def test_no_text_makes_it_raise(value: str) -> None:
    unwrap_signature(value, "gemini")
    unwrap_signature("or1." + value, "gemini")
