"""JSON Schema for editors: fresh, valid, and of one mind with the check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from omniroute import registry as registries
from omniroute.cli.schema import as_text
from omniroute.config.load import draft
from omniroute.config.marks import plain
from omniroute.config.schema import source_schemas, strict_schema, written_quantity
from omniroute.config.units import Count, Duration, Money, Size
from tests.support.config import CATALOGUE, registry

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "config"
FORM = {"OR1201", "OR1202", "OR1203", "OR1204", "OR1205", "OR1206", "OR1209", "OR1210", "OR1306"}
"""Codes of what a schema can see."""


@pytest.fixture(scope="module")
def shipped() -> dict[str, dict[str, Any]]:
    return source_schemas(registries.load(plugins=False))


def test_the_committed_schemas_are_fresh(shipped: dict[str, dict[str, Any]]) -> None:
    stale = [n for n, s in shipped.items() if (ROOT / "schemas" / n).read_text("utf-8") != as_text(s)]
    assert stale == [], "run `omniroute schema --built-in --write schemas`"


def test_they_are_schemas(shipped: dict[str, dict[str, Any]]) -> None:
    for schema in shipped.values():
        jsonschema.Draft202012Validator.check_schema(schema)


class Core(yaml.SafeLoader):
    """`on` is a word, as in YAML 1.2."""


Core.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":bool", ":timestamp"))]
    for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), ["t", "f"])


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("omniroute", "omniroute.yaml"),
        ("pipeline", "pipelines/*.yaml"),
        ("transform", "transforms/*.yaml"),
        ("provider", "omniroute/catalog/providers/*.yaml"),
        ("test", "examples/**/*.test.yaml"),
    ],
)
def test_what_is_shipped_fits(shipped: dict[str, dict[str, Any]], schema: str, pattern: str) -> None:
    validator = jsonschema.Draft202012Validator(shipped[f"{schema}.schema.json"])
    for path in ROOT.glob(pattern):
        document = json.loads(json.dumps(yaml.load(path.read_text("utf-8"), Core)))  # a safe loader
        assert [f"{path.name}: {e.message}" for e in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1, "combos": {"a": ["x/y", {"model": "z", "weight": "${W}"}]}},
        {"version": "${V}", "server": {"workers": "${N:-2}", "drain": 5, "x-note": {}}, "x-any": 1},
        {
            "version": 1,
            "combos": {
                "a": {"strategy": {"type": "round-robin", "limit": 2}, "targets": "x", "override": True}
            },
        },
        {
            "version": 1,
            "pipelines": {
                "p": ["auth", "mine", {"stage": "retry", "attempts": 3}, {"retry": {"wait": "5s"}}]
            },
        },
        {"version": 1, "middleware": {"m": {"stage": "mine", "anything": 1}}, "keys": None},
        {
            "version": 1,
            "providers": {"p": {"models": ["a"], "auth": "none", "quota": {"limit": {"usd": "$5"}}}},
        },
    ],
)
def test_the_source_dialect_takes_what_people_write(document: Any) -> None:
    validator = jsonschema.Draft202012Validator(source_schemas(registry())["omniroute.schema.json"])
    assert [e.message for e in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 2},
        {"version": 1, "sever": {}},
        {"version": 1, "server": {"workers": 0}},
        {"version": 1, "server": {"drain": "5 parsecs"}},
        {"version": 1, "combos": {"a": {"tragets": []}}},
        {"version": 1, "pipelines": {"p": [{"stage": "retry", "attempts": 99}]}},
        {"version": 1, "log": {"level": "loud"}},
    ],
)
def test_the_source_dialect_refuses_mistakes(document: Any) -> None:
    validator = jsonschema.Draft202012Validator(source_schemas(registry())["omniroute.schema.json"])
    assert list(validator.iter_errors(document)) != []


UNREAD = re.compile(r"\[OR1[01]\d\d\]")
"""Findings of a file that was not read to the end: there is nothing that a schema could see."""
READ = sorted(
    path.parent.name
    for path in GOLDEN.glob("*/omniroute.yaml")
    if not UNREAD.search(path.with_name("findings.txt").read_text("utf-8"))
)


@pytest.mark.parametrize("case", READ)
def test_the_strict_dialect_and_the_check_agree(case: str) -> None:
    found = draft(
        GOLDEN / case / "omniroute.yaml", env={"ACME_KEY": "abc"}, registry=registry(), catalogue=CATALOGUE
    )
    codes = {f.code for f in found.report.sorted() if f.severity == "error"}
    validator = jsonschema.Draft202012Validator(strict_schema(registry()))
    wrong = [e.message for e in validator.iter_errors(plain(found.stages.normalised))]
    if wrong:
        assert codes & (FORM | {"OR1207", "OR1406", "OR1512"}), wrong[:3]
    if codes & FORM:
        assert wrong or codes & {"OR1206", "OR1209"}  # what only the registry or a sibling key tells


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        (Duration(30), "30s"),
        (Duration(90), "90s"),
        (Duration(600), "10m"),
        (Duration(0.25), "250ms"),
        (Duration(604800), "7d"),
        (Duration(0), 0),
        (Size(32 * 2**20), "32MiB"),
        (Size(1000), 1000),
        (Count(200_000), "200k"),
        (Count(1500), 1500),
        (Money(0.5), 0.5),
    ],
)
def test_defaults_are_written_as_people_write_them(quantity: Any, written: Any) -> None:
    assert written_quantity(quantity) == written


def test_every_key_says_what_it_is_and_how_it_reloads(shipped: dict[str, dict[str, Any]]) -> None:
    root = shipped["omniroute.schema.json"]["$defs"]
    missing = [
        f"{name}.{key}"
        for name, definition in root.items()
        if name[0].isupper() and name != "Settings"
        for key, schema in definition.get("properties", {}).items()
        if key != "override" and schema.get("x-reload") not in ("live", "restart")
    ]
    assert missing == []
    assert root["Server"]["properties"]["workers"]["x-reload"] == "restart"


def described(schema: Any, name: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every property of a schema, with its path."""
    found = []
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        here = f"{name}/{key}"
        if key == "properties" and not name.endswith("/properties"):
            found += [(f"{here}/{n}", p) for n, p in value.items()]
        if isinstance(value, dict | list):
            found += described(value, here)
    return found


def test_every_key_has_a_description(shipped: dict[str, dict[str, Any]]) -> None:
    """What only points at a definition is described there."""
    properties = described(shipped["omniroute.schema.json"]["$defs"])
    assert len(properties) > 300
    assert [p for p, s in properties if not {"description", "$ref", "anyOf"} & s.keys()] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Server/drain", {"default": "30s", "x-reload": "live"}),
        ("Server/listen", {"x-reload": "restart"}),
        ("Settings/store", {"default": "memory", "x-reload": "restart"}),
        ("stage.retry.options/tries", {"deprecated": True, "examples": [3], "x-reload": "live"}),
    ],
)
def test_what_editors_show_of_a_key(path: str, expected: dict[str, Any]) -> None:
    struct, _, key = path.partition("/")
    schema = source_schemas(registry())["omniroute.schema.json"]["$defs"][struct]["properties"][key]
    assert {name: schema.get(name) for name in expected} == expected
    assert schema["description"]


def test_secrets_are_marked(shipped: dict[str, dict[str, Any]]) -> None:
    defs = shipped["omniroute.schema.json"]["$defs"]
    for struct, key in (("Account", "key"), ("Key", "key"), ("Proxy", "url"), ("Settings", "store")):
        assert "x-secret" in json.dumps(defs[struct]["properties"][key]), (struct, key)
    assert "x-secret" not in json.dumps(defs["Key"]["properties"]["hash"])


def test_tests_know_no_substitution(shipped: dict[str, dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(shipped["test.schema.json"])
    case = {"name": "a", "request": {}, "expect": {"status": 200}}
    assert list(validator.iter_errors({"tests": [case]})) == []
    assert list(validator.iter_errors({"tests": [{**case, "expect": {"status": "${STATUS}"}}]})) != []
