"""Settings by a table: what is said is taken over, and comes back under the same names."""

from __future__ import annotations

import pytest

from omniroute.errors import Refused
from omniroute.wire.conversation import Conversation, Doc
from omniroute.wire.settings import Settings, read_settings, write_settings
from omniroute.wire.shapes import integer_at, rest_of, texts_at

TABLE: Settings = {"maxTokens": ("max_tokens", integer_at), "stopWords": ("stop", texts_at)}


@pytest.mark.parametrize(
    "given, kept",
    [
        ({"maxTokens": 5, "stopWords": ["a"]}, {"maxTokens": 5, "stopWords": ["a"]}),
        ({"maxTokens": 0}, {"maxTokens": 0}),  # zero is said
        ({"maxTokens": None, "stopWords": []}, {}),  # null is not, and neither is an empty list
        ({"other": 1}, {}),
    ],
)
def test_settings_come_back_as_they_were_said(given: Doc, kept: Doc) -> None:
    talk = Conversation()
    read_settings(given, TABLE, talk)
    assert write_settings(talk, TABLE) == kept


def test_a_wrong_setting_is_named_by_its_place() -> None:
    with pytest.raises(Refused) as caught:
        read_settings({"maxTokens": "five"}, TABLE, Conversation(), "options.")
    assert caught.value.problem.param == "options.maxTokens"


def test_the_rest_is_what_no_table_knows() -> None:
    assert rest_of({"maxTokens": 1, "seed": 2, "user": None}, TABLE) == {"seed": 2}
