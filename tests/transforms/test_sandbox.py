"""What templates can say, and what they cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.transforms import sandbox
from omniroute.transforms.edit import NAMES, EditFailed
from omniroute.transforms.sandbox import template

SEEN: dict[str, Any] = dict.fromkeys(NAMES) | {
    "request": {
        "model": "gpt",
        "max_tokens": 10,
        "temperature": 0.5,
        "stream": True,
        "tools": [{"name": "f", "items": [1, 2], "keys": "k"}],
        "infinite": "inf",
        "args": '{"a": [1]}',
    },
    "model": "gpt",
    "headers": {"x-team": "research"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ request.max_tokens }}", 10),
        ("{{ request.max_tokens }}\n", 10),
        (" {{ request.max_tokens }}", " 10"),
        ("{{ request.max_tokens * 2 + 1 }}", 21),
        ("{{ request.temperature }}", 0.5),
        ("{{ request.stream }}", True),
        ("{{ response }}", None),
        ("{{ '10' }}", "10"),  # a text that looks like a number is a text
        ("{{ request.max_tokens|string }}", "10"),
        ("{{ request.tools[0]['items'] }}", [1, 2]),
        ("{{ request.tools[0].items }}", [1, 2]),  # the member, not the method of a dict
        ("{{ request.tools[0].keys }}", "k"),
        ("{{ request.get('none', 7) }}", 7),
        ("{{ request.tools | map(attribute='name') }}", ["f"]),
        ("{{ headers['x-team'] }}", "research"),
        ("{{ request.top_p | default(1) }}", 1),
        ("{{ request.top_p is defined }}", False),
        ("{{ {'a': [model, (1, 2)]} }}", {"a": ["gpt", [1, 2]]}),
        ("{{ request.args | fromjson }}", {"a": [1]}),
        ("{{ request.tools[0] | tojson }}", '{"name": "f", "items": [1, 2], "keys": "k"}'),
        ("{{ '<b>' | tojson }}", '"<b>"'),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ 2 ** 10 }}", 1024),
        ("{{ 7 % 4 }}", 3),
        ("{{ model }}-{{ request.max_tokens }}", "gpt-10"),
        ("{{ response }}/{{ request.stream }}/{{ request.tools[0]['items'] }}", "null/true/[1, 2]"),
        ("{% if request.stream %}s{% else %}p{% endif %}", "s"),
        ("{% for t in request.tools %}{{ t.name }};{% endfor %}", "f;"),
        (
            "{% set n = namespace(s='') %}{% for i in range(3) %}{% set n.s = n.s ~ i %}{% endfor %}{{ n.s }}",
            "012",
        ),
        ("<{{ model }}> & co", "<gpt> & co"),
        ("two\nlines {{ model }}\n", "two\nlines gpt\n"),
    ],
)
def test_template(source: str, value: Any) -> None:
    written = template(source, NAMES)(SEEN)
    assert (written, type(written)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ request.", "is not a template"),
        ("{% if %}", "is not a template"),
        ("{{ requestt.model }}", "(did you mean 'request'?)"),
        ("{{ messages[0] }}", "'messages' is not one of request"),
        ("{{ model | shout }}", "No filter named 'shout'"),
        ("{% include '/etc/passwd' %}", "reads no other files"),
        ("{% import 'x' as x %}", "reads no other files"),
        ("{% from 'x' import y %}", "reads no other files"),
        ("{% extends 'x' %}", "reads no other files"),
        ("{{ cycler('a') }}", "'cycler' is not one of"),
        ("{{ lipsum() }}", "'lipsum' is not one of"),
        ("{{ model | attr('x') }}", "No filter named 'attr'"),
        ("{{ 'a' | center(99) }}", "No filter named 'center'"),
    ],
)
def test_what_does_not_compile(source: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        template(source, NAMES)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ request['__class__'] }}",
        "{{ request.__init__.__globals__ }}",
        "{{ (request | map(attribute='__class__') | list) }}",
        "{{ range.__self__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ dict.mro() }}",
        "{{ '{0.__class__}'.format(model) }}",
        "{{ '%s' % model }}",
        "{{ 'x'.format }}",
        "{{ 'x'['format_map'] }}",
        "{{ ['x'] | map(attribute='center') | list }}",
        "{{ request.update({'model': 'other'}) }}",
        "{{ request.pop('model') }}",
        "{{ request.tools.append(1) }}",
        "{{ request.tools.clear() }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a'.zfill(1000000000) }}",
        "{{ 9 ** 999999999 }}",
        "{{ range(999999999) | list }}",
        "{{ ['a'] | map('center', 99) | list }}",
        "{{ self._TemplateReference__context }}",
        "{{ request.update }}",
        "{{ namespace }}",
        "{{ model.encode() }}",
    ],
)
def test_no_way_out(source: str) -> None:
    seen = {**SEEN, "request": dict(SEEN["request"])}
    with pytest.raises(ValueError):
        template(source, NAMES)(seen)
    assert seen == SEEN


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ request.top_p }}", "has no attribute 'top_p'"),
        ("{{ response.id }}", "'None' has no attribute 'id'"),
        ("{{ [request.top_p] }}", "has no attribute 'top_p'"),
        ("a {{ request.top_p }}", "has no attribute 'top_p'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 'nan' | float }}", "NameError"),
        ("{{ request.infinite | float }}", "cannot be written as JSON"),
        ("{{ model + 1 }}", "TypeError"),
        ("{{ model | fromjson }}", "a template failed"),
        ("{{ {1: 2} }}", "the names in an object must be texts"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    ],
)
def test_a_template_that_fails(source: str, words: str) -> None:
    with pytest.raises(EditFailed) as error:
        template(source, NAMES)(SEEN)
    assert words in str(error.value)


def test_a_text_has_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LARGEST_TEXT", 100)
    with pytest.raises(EditFailed, match="wrote more than 100 characters"):
        template("{% for i in range(99999) %}0123456789{% endfor %}", NAMES)(SEEN)


def test_a_failure_does_not_tell_values() -> None:
    with pytest.raises(EditFailed) as error:
        template("{{ account | fromjson }}", NAMES)({**SEEN, "account": "hidden"})
    assert "hidden" not in str(error.value)


def test_a_value_is_no_part_of_what_was_read() -> None:
    made = template("{{ request.tools }}", NAMES)(SEEN)
    made[0]["name"] = "other"
    assert SEEN["request"]["tools"][0]["name"] == "f"
