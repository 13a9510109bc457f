"""The transforms that come with the gateway: each file does what it says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omniroute.config import reader
from omniroute.config.marks import plain
from omniroute.config.report import Report
from omniroute.config.settings import Transform
from omniroute.registry import Registry
from omniroute.transforms.compile import compile_transform

FOLDER = Path(__file__).parents[2] / "transforms"
SCHEMA_LINE = "# yaml-language-server: $schema=../schemas/transform.schema.json"

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def messages(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


def choice(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": "c", **message}}]}


def delta(**members: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members}]}


TEXTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
IMAGE = {"type": "image_url", "image_url": {"url": "u"}}

CASES: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    ("drop_unsupported", {**PLAIN, "logit_bias": {}, "store": True, "top_logprobs": 2}, PLAIN),
    ("drop_unsupported", PLAIN, None),
    ("drop_metadata", {**PLAIN, "metadata": {"user_id": "u"}, "user": "u"}, PLAIN),
    (
        "developer_to_system",
        messages(("developer", "d"), ("user", "u")),
        messages(("system", "d"), ("user", "u")),
    ),
    ("system_to_user", messages(("system", "s"), ("developer", "d")), messages(("user", "s"), ("user", "d"))),
    (
        "merge_consecutive_roles",
        messages(("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")),
        messages(("user", "a\n\nb"), ("assistant", "c"), ("user", "d")),
    ),
    ("merge_consecutive_roles", messages(("user", "a"), ("assistant", "b")), None),
    (
        "flat_text_content",
        messages(("user", TEXTS), ("user", "c")),
        messages(("user", "a\n\nb"), ("user", "c")),
    ),
    ("flat_text_content", messages(("user", [*TEXTS, IMAGE]), ("assistant", None)), None),
    (
        "clamp_max_tokens",
        {"max_tokens": 100000, "max_completion_tokens": 9000},
        {"max_tokens": 8192, "max_completion_tokens": 8192},
    ),
    ("clamp_max_tokens", {"max_tokens": 100}, None),
    ("max_completion_tokens_to_max_tokens", {"max_completion_tokens": 5}, {"max_tokens": 5}),
    ("max_tokens_to_max_completion_tokens", {"max_tokens": 5}, {"max_completion_tokens": 5}),
    (
        "max_tokens_to_max_completion_tokens",
        {"max_tokens": 5, "max_completion_tokens": 6},
        {"max_completion_tokens": 6},
    ),
    ("no_temperature", {**PLAIN, "temperature": 1, "top_p": 1}, {**PLAIN, "top_p": 1}),
    ("no_sampling", {**PLAIN, "temperature": 1, "top_p": 1, "seed": 1}, PLAIN),
    ("no_stream_options", {**PLAIN, "stream_options": {"include_usage": True}}, PLAIN),
    ("no_parallel_tools", {**PLAIN, "tools": [{}]}, {**PLAIN, "tools": [{}], "parallel_tool_calls": False}),
    ("no_parallel_tools", PLAIN, None),
    ("strip_reasoning", choice(reasoning_content="r", reasoning="r"), choice()),
    ("strip_reasoning_stream", delta(reasoning_content="r", content=None), delta(content=None)),
    ("strip_reasoning_stream", delta(content="c"), None),
    (
        "strip_reasoning_history",
        {"messages": [{"role": "assistant", "content": "c", "reasoning_content": "r"}]},
        messages(("assistant", "c")),
    ),
]


@pytest.mark.parametrize(("name", "document", "after"), CASES)
def test_shipped(
    registry: Registry, name: str, document: dict[str, Any], after: dict[str, Any] | None
) -> None:
    transform = compile_transform(name, read(name), registry)
    assert transform.apply(copy.deepcopy(document), {}) == after


def test_every_file_has_a_case_a_description_and_its_schema() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == {name for name, _, _ in CASES}
    for name in names:
        assert read(name).description, name
        assert (FOLDER / f"{name}.yaml").read_text().startswith(SCHEMA_LINE + "\n"), name


def read(name: str) -> Transform:
    report = Report()
    tree = reader.read((FOLDER / f"{name}.yaml").read_text(), name, report)
    return msgspec.convert(plain(tree), Transform)
