"""Numbers between two bounds."""

from __future__ import annotations

from typing import Annotated

from omniroute.declare import option, transform_op
from omniroute.transforms.edit import Edit, Work
from omniroute.transforms.fields import Fields
from omniroute.transforms.paths import Path, value_at


@transform_op("clamp", example="{clamp: {path: max_tokens, max: 8192}}")
class Clamp(Fields, frozen=True, kw_only=True):
    """Bring each number at a path within bounds. What is not a number stays as it is."""

    path: Annotated[str, option("The numbers, as a JMESPath expression.")]
    min: Annotated[int | float | None, option("The least value.")] = None
    max: Annotated[int | float | None, option("The greatest value.")] = None

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("`min`, `max` or both are needed")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` ({self.min}) is greater than `max` ({self.max})")

    def compile(self) -> Edit:
        path = Path(self.path)

        def edit(work: Work) -> bool:
            changed = False
            for container, key in path.find(work.document):
                number = value_at((container, key))
                if isinstance(number, bool) or not isinstance(number, int | float):
                    continue
                within = self._within(number)
                if within is not number:
                    container[key] = within
                    changed = True
            return changed

        return edit

    def _within(self, number: int | float) -> int | float:
        if self.min is not None and number < self.min:
            return self.min
        if self.max is not None and number > self.max:
            return self.max
        return number
