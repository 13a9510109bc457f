"""Values in place of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec

from omniroute.declare import option, transform_op
from omniroute.transforms.documents import copied
from omniroute.transforms.edit import NAMES, Edit, Work
from omniroute.transforms.fields import Fields
from omniroute.transforms.paths import Path, value_at
from omniroute.transforms.sandbox import template, to_json
from omniroute.transforms.values import maker

_NAMES = (*NAMES, "value")


@transform_op("map", example="{map: {path: \"messages[?role=='developer'].role\", value: system}}")
class Map(Fields, frozen=True, kw_only=True):
    """Replace each value at a path: by one value, by a table, or by a template that knows it as `value`."""

    path: Annotated[str, option("The values to replace, as a JMESPath expression.")]
    value: Annotated[Any, option("The new value; a template may use `value`, the old one.")] = msgspec.UNSET
    values: Annotated[
        dict[str, Any] | None,
        option(
            "Old values and their new ones. What is not listed stays. `true`, `1` and `null` match by their text."
        ),
    ] = None
    template: Annotated[str | None, option("A Jinja2 template in which `value` is the old value.")] = None

    def check(self) -> None:
        given = [self.value is not msgspec.UNSET, self.values is not None, self.template is not None]
        if sum(given) != 1:
            raise ValueError("one of `value`, `values` and `template` is needed, and only one")

    def compile(self) -> Edit:
        path = Path(self.path)
        change = self._change()

        def edit(work: Work) -> bool:
            changed = False
            for container, key in path.find(work.document):
                old = value_at((container, key))
                new = change(work.names, old)
                if new is not old:
                    container[key] = new
                    changed = True
            return changed

        return edit

    def _change(self) -> Callable[[Mapping[str, Any], Any], Any]:
        if self.values is not None:
            return _table(self.values)
        make = maker(self.value, _NAMES) if self.template is None else template(self.template, _NAMES)
        return lambda names, old: make({**names, "value": old})


def _table(values: dict[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
    makers = {old: maker(new, _NAMES) for old, new in values.items()}

    def change(names: Mapping[str, Any], old: Any) -> Any:
        if isinstance(old, dict | list):
            return old
        make = makers.get(old if isinstance(old, str) else to_json(old))
        return old if make is None else make({**names, "value": copied(old)})

    return change
