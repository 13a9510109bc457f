"""Jinja2 templates that can read names and write text or a value, and nothing else.

On top of Jinja2's own sandbox (no private attributes, no changing of what is read): no files, a fixed list
of filters, no way to make a short template write a huge text by padding or repetition, and a bound on the
text as it is written. `a.b` reads the member `b` of a JSON object before it reads a method of that name, so that a
schema's `items` is its items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from omniroute.transforms.documents import copied
from omniroute.transforms.edit import EditFailed
from omniroute.transforms.expressions import unknown

LARGEST_TEXT = 32 * 2**20
"""Most characters that one template may write: as many as the largest body that is accepted by default."""

LARGEST_POWER = 4096
"""Most bits of the result of `**`."""

FILTERS = frozenset(
    "abs capitalize count d default dictsort first float groupby int items join last length list lower map max min "
    "reject rejectattr replace reverse round select selectattr sort string striptags sum title trim truncate "
    "unique upper urlencode wordcount".split()
)

PADDING = frozenset({"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"})

_READS_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)

_FAILURES = (ArithmeticError, AttributeError, LookupError, NameError, RecursionError, TypeError, ValueError)
"""What the code of a template may raise. NameError: Jinja2 folds `1e999` into the Python name `inf`."""

Render = Callable[[Mapping[str, Any]], Any]


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of every template."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, finalize=written, keep_trailing_newline=True)
        self.filters = {name: self.filters[name] for name in FILTERS} | {
            "tojson": to_json,
            "fromjson": json.loads,
        }
        self.globals = {"range": self.globals["range"], "dict": dict, "namespace": Namespace}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if _pads(obj, attribute):
            return self.unsafe_undefined(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if _pads(obj, argument):
            return self.unsafe_undefined(obj, argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"{operator} takes numbers only")
        if operator == "**" and not _is_small_power(left, right):
            raise SecurityError("the result of ** is too large")
        return super().call_binop(context, operator, left, right)


def template(source: str, names: Collection[str]) -> Render:
    """A function from names to what the template writes.

    A template that is one single `{{ expression }}` (blanks around it count, the newline at the end of a YAML
    block does not) gives a copy of the expression's value, with its type; any other gives text. Raises ValueError for a
    syntax error and for a name that is not one of `names`; the function raises EditFailed.
    """
    sandbox = Sandbox()
    try:
        tree = sandbox.parse(source.removesuffix("\n"))
        _check(tree, sandbox, names)
        expression = _single(tree)
        if expression is not None:
            return _guarded(_native(sandbox, expression))
        return _guarded(_text(sandbox.from_string(source)))
    except TemplateSyntaxError as error:
        raise ValueError(f"{source!r} is not a template: {error.message}") from None
    except RecursionError:
        raise ValueError("a template is nested too deeply") from None


def to_json(value: Any) -> str:
    """A value as JSON text: the filter `tojson`, without the escapes that HTML would need."""
    return json.dumps(copied(value), ensure_ascii=False)


def written(value: Any) -> Any:
    """A value inside of a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str | Undefined) else to_json(value)


def _pads(obj: Any, attribute: Any) -> bool:
    return isinstance(obj, str) and isinstance(attribute, str) and attribute in PADDING


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_small_power(base: Any, exponent: Any) -> bool:
    if isinstance(base, float) or isinstance(exponent, float):
        return True
    return int(base).bit_length() * abs(int(exponent)) <= LARGEST_POWER


# ── compiling ────────────────────────────────────────────────────────────────────────────────────


def _check(tree: nodes.Template, sandbox: Sandbox, names: Collection[str]) -> None:
    for node in tree.find_all(_READS_FILES):
        raise TemplateSyntaxError("a template reads no other files", node.lineno)
    for name in sorted(find_undeclared_variables(tree) - sandbox.globals.keys()):
        if name not in names:
            raise TemplateSyntaxError(unknown(name, names), 1)


def _single(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is nothing but `{{ expression }}`."""
    match tree.body:
        case [nodes.Output(nodes=[nodes.TemplateData()])]:
            return None
        case [nodes.Output(nodes=[expression])]:
            return expression
    return None


def _native(sandbox: Sandbox, expression: nodes.Expr) -> Render:
    assigned = nodes.Assign(nodes.Name("result", "store", lineno=1), expression, lineno=1)
    compiled = sandbox.from_string(nodes.Template([assigned], lineno=1))
    evaluate = TemplateExpression(compiled, undefined_to_none=False)
    return lambda names: copied(evaluate(names))


def _text(compiled: Template) -> Render:
    def render(names: Mapping[str, Any]) -> str:
        parts: list[str] = []
        size = 0
        for part in compiled.generate(names):
            size += len(part)
            if size > LARGEST_TEXT:
                raise EditFailed(f"a template wrote more than {LARGEST_TEXT} characters")
            parts.append(part)
        return "".join(parts)

    return render


def _guarded(render: Render) -> Render:
    """Whatever goes wrong in a template, as EditFailed, without the values that it was about."""

    def guarded(names: Mapping[str, Any]) -> Any:
        try:
            return render(names)
        except EditFailed:
            raise
        except TemplateError as error:
            raise EditFailed(f"a template failed: {error.message}") from None
        except _FAILURES as error:
            raise EditFailed(f"a template failed ({type(error).__name__})") from None

    return guarded
