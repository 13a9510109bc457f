"""Small facts about content and thinking that several wires share."""

from __future__ import annotations

import pytest

from omniroute.wire.content import EFFORTS, level_for, text_of_source, titled
from omniroute.wire.conversation import Audio, Effort, Notes, Source
from omniroute.wire.losses import spoken


@pytest.mark.parametrize(
    "wanted, levels, granted",
    [
        ("medium", ("low", "medium", "high"), "medium"),
        ("minimal", ("high", "low"), "low"),  # as much as was asked, and no more than that takes
        ("max", ("low", "high"), "high"),  # what there is
        ("none", ("none", "low"), "none"),
        ("low", ("turbo", "high"), "high"),  # words of its own are no levels
        ("low", (), "low"),
        ("low", ("turbo",), "low"),
    ],
)
def test_the_level_for_an_effort(wanted: Effort, levels: tuple[str, ...], granted: Effort) -> None:
    assert level_for(wanted, levels) == granted


def test_a_model_that_knows_all_levels_does_as_asked() -> None:
    assert [level_for(effort, EFFORTS) for effort in EFFORTS] == list(EFFORTS)


@pytest.mark.parametrize(
    "source, text",
    [
        (Source(text="a"), "a"),
        (Source(data="YQ==", media_type="text/csv"), "a"),
        (Source(data="/w==", media_type="text/plain"), "\ufffd"),
        (Source(data="é", media_type="text/plain"), None),
        (Source(data="YQ==", media_type="application/pdf"), None),
        (Source(url="https://a/b.txt"), None),
    ],
)
def test_the_text_of_a_document(source: Source, text: str | None) -> None:
    assert text_of_source(source) == text


@pytest.mark.parametrize("name, told", [("a.txt", "a.txt:\nb"), (None, "b"), ("", "b")])
def test_a_document_in_the_prompt(name: str | None, told: str) -> None:
    assert titled(name, "b") == told


@pytest.mark.parametrize(
    "transcript, text, dropped, emulated", [("hi", "hi", [], ["audio"]), (None, "", ["input_audio"], [])]
)
def test_a_sound_in_words(transcript: str | None, text: str, dropped: list[str], emulated: list[str]) -> None:
    notes = Notes()
    assert spoken(Audio(source=Source(data="AA=="), transcript=transcript), notes, "input_audio") == text
    assert (notes.dropped, notes.emulated) == (dropped, emulated)
