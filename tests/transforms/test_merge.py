"""`merge`: neighbours that belong together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Compile


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(call: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}


@pytest.mark.parametrize(
    ("messages", "after"),
    [
        ([user("a"), user("b"), user("c")], [user("a\n\nb\n\nc")]),
        ([user("a"), {"role": "assistant", "content": "x"}, user("b")], None),
        ([user("a"), user([text("b")])], [user([text("a"), text("b")])]),
        ([user([text("a")]), user("b")], [user([text("a"), text("b")])]),
        ([user(""), user("b")], [user("b")]),
        ([user(""), user([text("b")])], [user([text("b")])]),
        (
            [{"role": "assistant", "content": "x"}, CALL],
            [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}],
        ),
        ([CALL, {**CALL, "tool_calls": [{"id": "2"}]}], [{**CALL, "tool_calls": [{"id": "1"}, {"id": "2"}]}]),
        ([tool("1", "a"), tool("2", "b")], None),
        ([{**user("a"), "name": "x"}, user("b")], None),
        ([user({"odd": 1}), user("b")], None),
        (["odd", user("a"), user("b")], ["odd", user("a\n\nb")]),
        ([], None),
    ],
)
def test_merge(compiled: Compile, messages: list[Any], after: Any) -> None:
    transform = compiled({"merge": {"path": "messages", "join": ["content", "tool_calls"]}})
    returned = transform.apply({"messages": [dict(m) if isinstance(m, dict) else m for m in messages]}, {})
    assert (returned and returned["messages"]) == after


def test_what_is_no_list_stays(compiled: Compile) -> None:
    transform = compiled({"merge": {"path": "messages", "join": ["content"]}})
    assert transform.apply({"messages": "text"}, {}) is None
