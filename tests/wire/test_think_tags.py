"""Reasoning between tags at the start of the content is told from the answer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.think_tags import ThinkTags, split_think
from tests.support.crossing import plain_doc, sent
from tests.support.properties import examples

PROPERTY = examples(100)


def told(text: str, *cuts: int) -> tuple[str, str]:
    tags = ThinkTags()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [p for a, b in itertools.pairwise(places) for p in tags.feed(text[a:b])]
    pieces += tags.end()
    thinking = "".join(p.text for p in pieces if p.kind == "thinking")
    return thinking, "".join(p.text for p in pieces if p.kind == "text")


CASES = [
    ("plain", "", "plain"),
    ("", "", ""),
    ("<think>hm</think>yes", "hm", "yes"),
    ("\n<think>\nhm\n</think>\n\nyes\n", "hm\n", "yes\n"),
    ("<think></think>yes", "", "yes"),
    ("<think>never closed", "never closed", ""),
    ("<think>a </thin b</think>c", "a </thin b", "c"),
    ("<think>a<</think>b", "a<", "b"),
    ("say <think>no</think>", "", "say <think>no</think>"),  # only at the start is it a tag
    ("<thinking>x", "", "<thinking>x"),
    ("<th", "", "<th"),
    ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
]


@pytest.mark.parametrize(("content", "thinking", "text"), CASES)
def test_tags_are_found_at_any_cut(content: str, thinking: str, text: str) -> None:
    assert told(content) == (thinking, text)
    assert told(content, *range(len(content))) == (thinking, text), "character by character"
    for cut in range(len(content)):
        assert told(content, cut) == (thinking, text), f"cut at {cut}"


@PROPERTY
@given(st.text(alphabet="<>/think a\n", max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_a_cut_changes_nothing(content: str, cuts: list[int]) -> None:
    assert told(content, *cuts) == told(content)


def test_plain_text_is_not_held() -> None:
    tags = ThinkTags()
    assert [p.text for p in tags.feed("He")] == ["He"]
    assert tags.settled


def test_a_whole_content() -> None:
    assert [tuple(p) for p in split_think("<think>a</think>b")] == [("thinking", "a"), ("text", "b")]


def test_tags_go_back_to_a_server_that_keeps_them_in_the_content() -> None:
    """What was taken out of an answer for a client of another format stands there again in the next request."""
    answer = {
        "choices": [
            {"index": 0, "message": {"content": "<think>hm</think>\n\nso"}, "finish_reason": "stop"},
        ]
    }
    message = plain_doc("openai-chat", answer, "anthropic-messages")
    asked = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": "go on"},
        ],
    }
    found, _ = sent("anthropic-messages", asked, "openai-chat", quirks=frozenset({"think_tags"}))
    assert found["messages"][1]["content"] == "<think>hm</think>\nso"
