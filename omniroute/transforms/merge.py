"""Neighbours in a list that belong together become one."""

from __future__ import annotations

from typing import Annotated, Any

from omniroute.declare import option, transform_op
from omniroute.transforms.edit import Doc, Edit, Work
from omniroute.transforms.fields import Fields
from omniroute.transforms.paths import Path, value_at


@transform_op("merge", example="{merge: {path: messages, join: [content, tool_calls]}}")
class Merge(Fields, frozen=True, kw_only=True):
    """Join neighbours of a list that are equal but for the members named in `join`.

    Texts are joined with `separator` between them, lists one after the other; where one is a text and the other a
    list, the text becomes an element `{type: text, text: …}`. Neighbours with another difference
    (the results of two tools, say) stay apart.
    """

    path: Annotated[str, option("The list, as a JMESPath expression.")]
    join: Annotated[tuple[str, ...], option("The members that are joined.", min_length=1)]
    separator: Annotated[str, option("What is put between two texts.")] = "\n\n"

    def compile(self) -> Edit:
        path = Path(self.path)

        def edit(work: Work) -> bool:
            changed = False
            for place in path.find(work.document):
                elements = value_at(place)
                if isinstance(elements, list):
                    changed = self._merge(elements) or changed
            return changed

        return edit

    def _merge(self, elements: list[Any]) -> bool:
        merged: list[Any] = []
        for element in elements:
            if not (merged and self._absorb(merged[-1], element)):
                merged.append(element)
        changed = len(merged) < len(elements)
        elements[:] = merged
        return changed

    def _absorb(self, first: Any, second: Any) -> bool:
        """Put the second into the first, if they belong together."""
        if not (
            isinstance(first, dict) and isinstance(second, dict) and self._rest(first) == self._rest(second)
        ):
            return False
        pairs = {name: (first.get(name), second.get(name)) for name in self.join}
        if not all(isinstance(one, str | list | None) for pair in pairs.values() for one in pair):
            return False
        for name, (one, other) in pairs.items():
            if other is not None:
                first[name] = other if one is None else self._joined(one, other)
        return True

    def _rest(self, element: Doc) -> Doc:
        return {name: value for name, value in element.items() if name not in self.join}

    def _joined(self, one: str | list[Any], other: str | list[Any]) -> str | list[Any]:
        if isinstance(one, str) and isinstance(other, str):
            return self.separator.join(text for text in (one, other) if text)
        return _parts(one) + _parts(other)


def _parts(content: str | list[Any]) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
