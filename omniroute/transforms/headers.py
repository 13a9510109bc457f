"""Headers of the request or response that a transform edits."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from fnmatch import translate
from typing import Annotated, Any

from omniroute.declare import option, transform_op
from omniroute.transforms.documents import kind_of
from omniroute.transforms.edit import Edit, EditFailed, Work
from omniroute.transforms.fields import Fields
from omniroute.transforms.sandbox import written
from omniroute.transforms.values import maker

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name: RFC 9110 section 5.1."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What a field value must not hold (RFC 9110 section 5.5): a line end would begin another header."""

FRAMING = frozenset(
    "connection content-length keep-alive te trailer transfer-encoding upgrade".split()  # codespell:ignore te
)
"""Headers of one connection (RFC 9110 section 7.6.1), which the gateway writes itself."""


@transform_op("headers", example='{headers: {set: {x-team: "{{ key }}"}, remove: ["x-stainless-*"]}}')
class Headers(Fields, frozen=True, kw_only=True):
    """Set and remove headers. A header that is set replaces all of its name; null takes it away."""

    set: Annotated[dict[str, Any], option("Headers and their values; templates may be used.")] = {}
    remove: Annotated[
        str | tuple[str, ...], option("A header to take away first, or a list; `*` stands for any text.")
    ] = ()

    @property
    def _removed(self) -> tuple[str, ...]:
        return (self.remove,) if isinstance(self.remove, str) else self.remove

    def check(self) -> None:
        if not self.set and not self.remove:
            raise ValueError("`set`, `remove` or both are needed")
        for name in (*self.set, *self._removed):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a header name")
            if name.lower() in FRAMING:
                raise ValueError(f"the header {name!r} belongs to the connection and cannot be edited")
        for name, value in self.set.items():
            if "*" in name or isinstance(value, dict | list):
                raise ValueError(f"a header has one name and one value, not {name!r} and {kind_of(value)}")

    def compile(self) -> Edit:
        removed = [re.compile(translate(name.lower())).match for name in self._removed]
        made = {name: maker(value) for name, value in self.set.items()}

        def edit(work: Work) -> bool:
            if work.headers is None:
                raise EditFailed("there are no headers here")
            for name in [name for name in work.headers if any(match(name.lower()) for match in removed)]:
                _drop(work.headers, name)
            for name, make in made.items():
                _put(work.headers, name, make(work.names))
            return False

        return edit


def _put(headers: MutableMapping[str, str], name: str, value: Any) -> None:
    text = written(value)
    if _CONTROL.search(text):
        raise EditFailed(f"the value for the header {name!r} holds a control character")
    for other in [other for other in headers if other.lower() == name.lower()]:
        _drop(headers, other)
    if value is not None:
        headers[name] = text


def _drop(headers: MutableMapping[str, str], name: str) -> None:
    if name.lower() not in FRAMING:
        headers.pop(name, None)
