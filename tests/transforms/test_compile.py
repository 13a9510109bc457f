"""A whole transform: conditions, names, order, and what happens when something is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from omniroute.config.settings import Transform
from omniroute.declare import Options, transform_op
from omniroute.errors import Refused, TransformFailed
from omniroute.registry import Registry
from omniroute.transforms.compile import compile_transform
from tests.support.properties import examples
from tests.transforms.conftest import Compile


def test_ops_run_in_order(compiled: Compile) -> None:
    transform = compiled({"set": {"a": 1}}, {"rename": {"a": "b"}}, {"default": {"a": 2}})
    assert transform.apply({}, {}) == {"b": 1, "a": 2}


@pytest.mark.parametrize(
    ("when", "names", "after"),
    [
        (None, {}, {"n": 1, "set": True}),
        ("model == 'm'", {"model": "m"}, {"n": 1, "set": True}),
        ("model == 'm'", {"model": "other"}, None),
        ("model == 'm'", {}, None),
        ("request.n > `0`", {}, {"n": 1, "set": True}),
        ("request.n > `1`", {"request": {"n": 5}}, None),  # `request` is always what is edited
        ("response.id", {"response": {"id": "r"}}, {"n": 1, "set": True}),
        ("headers.\"x-team\" == 'a'", {}, {"n": 1, "set": True}),
        ("headers.\"x-team\" == 'a'", {"headers": {"x-team": "b"}}, None),
    ],
)
def test_when(compiled: Compile, when: str | None, names: dict[str, Any], after: Any) -> None:
    transform = compiled({"set": {"set": True}}, when=when)
    assert transform.apply({"n": 1}, names, {"x-team": "a"}) == after


def test_when_of_one_op_sees_what_the_ops_before_did(compiled: Compile) -> None:
    transform = compiled(
        {"when": "request.n > `1`", "set": {"many": True}},
        {"set": {"n": 2}},
        {"when": "request.n > `1`", "set": {"now": True}},
    )
    assert transform.apply({"n": 1}, {}) == {"n": 2, "now": True}


@pytest.mark.parametrize("on", ["request", "response", "event"])
def test_the_document_has_the_name_of_what_is_edited(compiled: Compile, on: str) -> None:
    transform = compiled({"set": {"seen": f"{{{{ {on}.id }}}}"}}, on=on)
    assert transform.apply({"id": "x"}, {}) == {"id": "x", "seen": "x"}
    assert (transform.name, transform.on, transform.side) == ("tidy", on, "upstream")


def test_a_transform_keeps_nothing(compiled: Compile) -> None:
    transform = compiled({"set": {"list": [{"a": 1}]}}, {"append": {"list": 2}}, {"set": {"list[0].a": 3}})
    for _ in range(2):
        assert transform.apply({}, {}) == {"list": [{"a": 3}, 2]}


def test_names_are_only_read(compiled: Compile) -> None:
    names = {"key": "k", "request": {"n": 9}}
    compiled({"template": {"n": 1}}, {"set": {"n": 2}}).apply({"n": 0}, names)
    assert names == {"key": "k", "request": {"n": 9}}


def test_a_failure_names_the_transform_and_the_op(compiled: Compile) -> None:
    transform = compiled({"set": {"a": 1}}, {"set": {"b": "{{ request.none }}"}})
    with pytest.raises(Refused) as error:
        transform.apply({}, {})
    problem = error.value.problem
    assert (problem.kind, problem.code, problem.http_status) == ("server", "transform_failed", 500)
    assert problem.message == (
        "The transform 'tidy' failed: ops[1].set: a template failed: 'dict object' has no attribute 'none'"
    )
    assert isinstance(error.value, TransformFailed)
    assert error.value.name == "tidy"


def test_a_condition_that_fails(compiled: Compile) -> None:
    transform = compiled({"set": {"a": 1}}, when="length(request.n) > `1`")
    with pytest.raises(TransformFailed, match="'tidy' failed: when: length"):
        transform.apply({"n": 1}, {})


def test_an_op_of_a_plugin_that_breaks() -> None:
    @transform_op("shout", example="{shout: 1}")
    class Shout(Options, frozen=True, kw_only=True):
        @classmethod
        def parse(cls, value: Any) -> Shout:
            return cls()

        def compile(self) -> Any:
            return lambda work: work.document["none"]

    registry = Registry([Shout.__dict__["__declaration__"]])
    transform = compile_transform("loud", Transform(ops=({"shout": 1},)), registry)
    with pytest.raises(TransformFailed, match=r"'loud' failed: ops\[0\]\.shout: KeyError$"):
        transform.apply({}, {})


def test_all_that_is_wrong_at_once(registry: Registry) -> None:
    spec = Transform(
        when="modex == 'x'",
        ops=(
            {"set": {"a": 1}},
            {"sett": {"a": 1}},
            {"set": {"a": 1}, "remove": "b"},
            {},
            {"remove": "a[", "when": "request ="},
            {"set": {"a": 1}, "when": True},
            {"set": {"a": 1}, "x-note": "kept out"},
        ),
    )
    with pytest.raises(ValueError) as error:
        compile_transform("tidy", spec, registry)
    found = [line.split(": ", 1) for line in str(error.value).splitlines()]
    assert [place for place, _ in found] == [
        "when",
        "ops[1].sett",
        "ops[2]",
        "ops[3]",
        "ops[4].when",
        "ops[4].remove",
        "ops[5].when",
    ]
    words = dict(found)
    assert "(did you mean 'model'?)" in words["when"]
    assert "there is no op `sett` (did you mean `set`?); there are append, clamp," in words["ops[1].sett"]
    assert words["ops[2]"] == "one op is expected here, not 2 (set, remove)"
    assert words["ops[3]"] == "one op is expected here, not none"


def test_the_examples_compile_and_fit_their_schema(registry: Registry) -> None:
    for declaration in registry.all("transform_op"):
        document = yaml.safe_load(declaration.example)
        assert compile_transform(declaration.name, Transform(ops=(document,)), registry)
        assert list(document) == [declaration.name]
        jsonschema.validate(document[declaration.name], declaration.cls.schema())  # type: ignore[attr-defined]
        assert declaration.cls.schema()["description"].startswith(declaration.summary)  # type: ignore[attr-defined]


def test_the_schemas_refuse_what_the_ops_refuse(registry: Registry) -> None:
    wrong = {
        "set": {},
        "remove": [],
        "rename": {"a": 1},
        "map": {"pth": "a"},
        "clamp": {},
        "headers": {"sett": 1},
        "template": 1,
    }
    for name, value in wrong.items():
        declaration = registry.find("transform_op", name)
        assert declaration is not None
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, declaration.cls.schema())  # type: ignore[attr-defined]
        with pytest.raises(ValueError):
            compile_transform(name, Transform(ops=({name: value},)), registry)


# ── whatever the document and the ops ────────────────────────────────────────────────────────────

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-9, 9, width=16)
    | st.sampled_from(["", "a", "x\n"])
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
_documents = st.dictionaries(st.sampled_from("abc"), _json, max_size=3)
_paths = st.sampled_from(
    "a b a.b a.b.c a[0] a[-1].b a[*] a[*].b a[] a[].c a.* * a[?b] a[?b=='a'].c a[1:] a[?length(@)>`1`] *.a[*] "
    "a|[0] a[*].b|[0].c @.a b[?@>`0`]".split()
)
_values = _json | st.sampled_from(
    [
        "{{ request }}",
        "{{ request.a }}",
        "{{ request.a.b + 1 }}",
        "{{ key }}-{{ request.b }}",
        "{{ request.a[0] }}",
        "{{ 1 / request.b }}",
    ]
)


def _pairs(op: str, right: Any) -> Any:
    return st.builds(lambda pairs: {op: pairs}, st.dictionaries(_paths, right, min_size=1, max_size=2))


def _options(op: str, **options: Any) -> Any:
    return st.builds(lambda given: {op: given}, st.fixed_dictionaries(options))


_ops = st.one_of(
    [_pairs(op, _values) for op in ("set", "default", "append", "prepend")]
    + [_pairs(op, _paths) for op in ("move", "copy")]
    + [_pairs("rename", st.sampled_from("abc"))]
    + [
        st.builds(
            lambda op, paths: {op: paths},
            st.sampled_from(["remove", "keep"]),
            st.lists(_paths, min_size=1, max_size=2),
        )
    ]
    + [
        _options("map", path=_paths, value=_values),
        _options("map", path=_paths, values=st.just({"a": 1, "true": "b"})),
    ]
    + [_options("clamp", path=_paths, min=st.just(0), max=st.just(1))]
    + [_options("merge", path=_paths, join=st.lists(st.sampled_from("abc"), min_size=1, max_size=2))]
    + [
        _options("template", a=_values),
        _options("headers", set=st.fixed_dictionaries({"x-a": st.just("{{ request.b }}")})),
    ]
)


@examples(200, HealthCheck.function_scoped_fixture)
@given(_documents, st.lists(_ops, max_size=4))
def test_a_transform_gives_json_or_says_that_it_failed(
    registry: Registry, document: dict[str, Any], ops: Iterable[dict[str, Any]]
) -> None:
    try:
        transform = compile_transform("any", Transform(ops=tuple(ops)), registry)
    except ValueError:
        return
    before = copy.deepcopy(document)
    try:
        after = transform.apply(document, {"key": "k"}, {})
    except TransformFailed as error:
        last = str(error).rsplit(": ", 1)[-1]
        assert not last.endswith("Error"), "an op broke instead of saying what is wrong"
        return
    json.dumps(document if after is None else after, allow_nan=False)  # no circles, nothing foreign
    if after is None:
        assert document == before
