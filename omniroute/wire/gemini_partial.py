"""Function calls that Gemini streams in fragments: `partialArgs`, each a value at a JSON path.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling (streamFunctionCallArguments)
"""

from __future__ import annotations

import re
from typing import Any

from omniroute.wire.conversation import Doc
from omniroute.wire.gemini_doc import as_list
from omniroute.wire.shapes import doc_of, text_of

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")
_LONGEST_LIST = 100_000

Step = str | int


class PartialArguments:
    """The arguments of one call, put together from fragments."""

    def __init__(self) -> None:
        self.value: Doc = {}
        self._growing: str | None = None

    def add(self, fragments: Any) -> None:
        for fragment in (doc_of(entry) for entry in as_list(fragments)):
            path = text_of(fragment.get("jsonPath"))
            steps = _steps(path)
            if steps:
                self._set(steps, _value(fragment), more=self._growing == path)
            self._growing = path if fragment.get("willContinue") is True else None

    def _set(self, steps: list[Step], value: Any, *, more: bool) -> None:
        node: Any = self.value
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if following is None:
                old = _get(node, step)
                joined = old + value if more and isinstance(old, str) and isinstance(value, str) else value
                _put(node, step, joined)
                return
            inner = _get(node, step)
            if not isinstance(inner, list if isinstance(following, int) else dict):
                inner = [] if isinstance(following, int) else {}
                _put(node, step, inner)
            node = inner


def _steps(path: str) -> list[Step]:
    return [
        int(index) if index else name or single or double
        for name, index, single, double in _STEP.findall(path)
    ]


def _value(fragment: Doc) -> Any:
    for key in ("stringValue", "numberValue", "boolValue"):
        if key in fragment:
            return fragment[key]
    return None


def _get(node: Any, step: Step) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    return node[step] if isinstance(node, list) and isinstance(step, int) and step < len(node) else None


def _put(node: Any, step: Step, value: Any) -> None:
    if isinstance(node, dict):
        node[str(step)] = value
    elif isinstance(node, list) and isinstance(step, int) and step < _LONGEST_LIST:
        node.extend([None] * (step + 1 - len(node)))
        node[step] = value
