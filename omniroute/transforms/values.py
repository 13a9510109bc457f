"""The values that ops write: literals of the configuration, with templates at any depth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from omniroute.config.secrets import Secret
from omniroute.transforms.documents import copied
from omniroute.transforms.edit import NAMES
from omniroute.transforms.sandbox import template

Maker = Callable[[Mapping[str, Any]], Any]
"""From names to a value of JSON that nothing else refers to."""

VALUE: dict[str, Any] = {
    "description": "Any value. A text with {{ … }} or {% … %} is a Jinja2 template; one that is a single "
    "{{ expression }} keeps the type of its value."
}
"""The JSON Schema of a literal."""


def maker(literal: Any, names: Collection[str] = NAMES) -> Maker:
    """What makes the value each time. Raises ValueError for a template that cannot be compiled.

    A `Secret` of the configuration (`${file:…}`) is written as its text, and is never read as a template.
    """
    if isinstance(literal, Secret):
        return lambda given: literal.reveal()
    if isinstance(literal, str) and is_template(literal):
        return template(literal, names)
    if isinstance(literal, dict) and _is_made(literal):
        members = {key: maker(value, names) for key, value in literal.items()}
        return lambda given: {key: make(given) for key, make in members.items()}
    if isinstance(literal, list | tuple) and _is_made(literal):
        elements = [maker(value, names) for value in literal]
        return lambda given: [make(given) for make in elements]
    constant = copied(literal)
    return lambda given: copied(constant)


def is_template(text: str) -> bool:
    """Whether a text of the configuration is a template."""
    return "{{" in text or "{%" in text


def _is_made(literal: Any) -> bool:
    """Whether a literal holds, at any depth, what is not written as it stands."""
    if isinstance(literal, dict):
        return any(_is_made(value) for value in literal.values())
    if isinstance(literal, list | tuple):
        return any(_is_made(value) for value in literal)
    return isinstance(literal, Secret) or (isinstance(literal, str) and is_template(literal))
