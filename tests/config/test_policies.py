"""Rules of the user's own: what they see, where findings point, and what is wrong with a rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniroute.config.load import draft
from omniroute.config.policies import judge
from omniroute.errors import ConfigUnreadable
from tests.support.config import CATALOGUE, registry

TEXT = """\
version: 1
keys:
  ci: {key: "${CI}", budget: {usd: 5}}
  boss: {hash: "sha256:HASH", models: ["*"]}
providers:
  acme: {accounts: {a: {key: in-clear}, b: {key: "${file:secret}"}}}
  duo: {tier: free, accounts: {c: {key: "${NOT_SET:-}"}}}
combos:
  paid: [duo/x, acme/fast]
  free: {targets: [paid, duo/y], description: all}
routes: [{match: {path: /x}, pipeline: chat}]
""".replace("HASH", "0" * 64)


def told(tmp_path: Path, policies: str, text: str = TEXT) -> list[str]:
    """Findings of a policy, without those of the configuration itself."""
    main, file = tmp_path / "omniroute.yaml", tmp_path / "policy.yaml"
    main.write_text(text, "utf-8")
    (tmp_path / "secret").write_text("from-a-file", "utf-8")
    file.write_text(f"version: 1\npolicies:\n{policies}", "utf-8")
    found = draft(main, env={"CI": "from-env"}, registry=registry(), catalogue=CATALOGUE)
    before = set(found.report.sorted())
    judge(found, file)
    return [str(f).replace(f"{tmp_path}/", "") for f in found.report.sorted() if f not in before]


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        ("each: combos.*, expression: leads_to[-1].tier == 'free'", ["9:3: combos.paid"]),
        ("each: combos.*, expression: leads_to[-1].free", ["9:3: combos.paid"]),
        ("each: combos.*, expression: length(leads_to) == `3`", ["9:3: combos.paid"]),
        ("each: combos.*, expression: leads_to[0].active", ["9:3: combos.paid", "10:3: combos.free"]),
        ("each: combos.*, when: description, expression: name == 'paid'", ["10:3: combos.free"]),
        ("each: combos.*.targets.*, expression: contains(model, '/')", ["10:20: combos.free.targets[0]"]),
        (
            "each: secrets, expression: from != 'inline'",
            ["6:30: providers.acme.accounts.a.key"],
        ),
        (
            "each: secrets, when: from == 'file', expression: contains(path, '.a.')",
            ["6:50: providers.acme.accounts.b.key"],
        ),
        ("each: keys.*, expression: budget", ["4:3: keys.boss"]),
        ("each: keys.*.budget, expression: usd < `10`", []),
        ("each: providers.*, when: active, expression: tier == 'free'", ["6:3: providers.acme"]),
        (
            "each: providers.*.accounts.*, when: name == 'c', expression: weight",
            ["7:32: providers.duo.accounts.c"],
        ),
        ("each: nothing.*, expression: never", []),
        ("expression: length(keys(combos)) == `2`", []),
        ("expression: \"combos.*.leads_to[-1].tier | [0] == 'free'\"", ["1:1"]),
        ("expression: length(secrets) == `1`", ["1:1"]),
    ],
)
def test_what_rules_see_and_where_findings_point(tmp_path: Path, rule: str, places: list[str]) -> None:
    rule = rule.replace(", expression: ", "\n    expression: ").replace(", when: ", "\n    when: ")
    found = told(tmp_path, f"  - name: mine\n    message: no\n    {rule}\n")
    assert found == [f"omniroute.yaml:{place}: mine: no" for place in places]


def test_severity_and_the_words_of_a_rule_without_message(tmp_path: Path) -> None:
    found = told(tmp_path, "  - {name: soft, expression: nothing, severity: note}\n")
    assert found == ["omniroute.yaml:1:1: soft: not kept: nothing"]


@pytest.mark.parametrize(
    ("policies", "finding"),
    [
        (
            "  - {name: a, expression: 'a ||'}\n",
            "policy.yaml:3:27: policies[0].expression: 'a ||' is not a JMESPath",
        ),
        ("  - {name: a}\n", "policy.yaml:3:5: policies[0]: `expression` is missing"),
        (
            "  - {name: a, expresion: a}\n",
            "policy.yaml:3:15: policies[0]: unknown key 'expresion' (did you mean",
        ),
        (
            "  - {name: a, expression: nope(@)}\n",
            "policy.yaml:3:27: policies[0].expression: a: cannot be decided",
        ),
        (
            "  - {name: a, each: combos.*, expression: length(x) > `1`}\n",
            "policy.yaml:3:43: policies[0].expression: a: cannot be decided for combos.paid",
        ),
        (
            "  - {name: a, expression: a, severity: bad}\n",
            "policy.yaml:3:40: policies[0].severity: 'bad' is not",
        ),
        ("  [", "policy.yaml:4:1: not YAML"),
    ],
)
def test_what_is_wrong_with_a_rule(tmp_path: Path, policies: str, finding: str) -> None:
    found = told(tmp_path, policies)
    assert any(f.startswith(finding) for f in found), found


def test_a_configuration_of_the_wrong_form_is_not_judged(tmp_path: Path) -> None:
    assert told(tmp_path, "  - {name: a, expression: never}\n", TEXT + "oops: 1\n") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    main = tmp_path / "omniroute.yaml"
    main.write_text("version: 1\n", "utf-8")
    found = draft(main, env={}, registry=registry(), catalogue=CATALOGUE)
    with pytest.raises(ConfigUnreadable, match="no such file"):
        judge(found, tmp_path / "gone.yaml")
