"""A whole body from a template."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from omniroute.declare import Options, option, transform_op
from omniroute.transforms.documents import kind_of
from omniroute.transforms.edit import Doc, Edit, EditFailed, Work
from omniroute.transforms.values import is_template, maker


@transform_op(
    "template",
    example='{template: {model: "{{ request.model }}", prompt: "{{ request.messages[-1].content }}"}}',
)
class Template(Options, frozen=True, kw_only=True):
    """Put a new body in place of the document: an object with templates in it, or a template that writes JSON."""

    body: Annotated[Any, option("The new body.")]

    @classmethod
    def parse(cls, value: Any) -> Self:
        if isinstance(value, dict) or (isinstance(value, str) and is_template(value)):
            return cls(body=value)
        raise ValueError("an object, or a text that is a template and writes one, is expected here")

    @classmethod
    def schema(cls) -> Doc:
        return {"description": cls.__doc__ or "", "type": ["object", "string"]}

    def compile(self) -> Edit:
        make = maker(self.body)

        def edit(work: Work) -> bool:
            work.replace(_body(make(work.names)))
            return True

        return edit


def _body(made: Any) -> Doc:
    if isinstance(made, str):
        try:
            made = json.loads(made)
        except ValueError as error:
            raise EditFailed(f"the text that was written is not JSON: {error}") from None
    if not isinstance(made, dict):
        raise EditFailed(f"a body must be an object, not {kind_of(made)}")
    return made
