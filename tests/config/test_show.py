"""What people see of a configuration; no secret is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniroute.config.excerpt import concealed, text_report
from omniroute.config.load import Draft, draft
from omniroute.config.show import STAGES, blame, secret_texts, show
from omniroute.errors import Finding
from tests.support.config import CATALOGUE, findings, registry

SECRETS = {
    "ENV_KEY": "env-secret-0001",
    "PROXY_PASSWORD": "env-secret-0002",
}
WRITTEN = [
    "plain-secret-0003",
    "file-secret-0004",
    "plain-secret-0005",
    "plain-secret-0006",
    "plain-secret-0007",
]
TEXT = """\
version: 1
store: redis://:plain-secret-0003@localhost
keys: {me: {key: plain-secret-0005}, hers: {key: "${ENV_KEY}"}}
proxies: {p: "http://u:${PROXY_PASSWORD}@localhost:1"}
providers:
  acme:
    headers: {authorization: plain-secret-0006}
    accounts:
      a: {key: "${file:key.txt}", weight: 2}
      b: {key: "${ENV_KEY}"}
middleware: {again: {stage: retry, token: plain-secret-0007}}
"""


@pytest.fixture
def found(tmp_path: Path) -> Draft:
    (tmp_path / "key.txt").write_text("file-secret-0004\n", "utf-8")
    (tmp_path / "omniroute.yaml").write_text(TEXT, "utf-8")
    return draft(tmp_path / "omniroute.yaml", env=SECRETS, registry=registry(), catalogue=CATALOGUE)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_no_step_shows_a_secret(found: Draft, stage: str, as_json: bool) -> None:
    text = show(found, stage, as_json=as_json)
    assert not any(secret in text for secret in [*SECRETS.values(), *WRITTEN])
    assert "***" in text
    assert "weight: 2" in text or '"weight": 2' in text


def test_the_source_keeps_references(found: Draft) -> None:
    assert "${ENV_KEY}" in show(found, "source")


def test_all_secrets_are_known(found: Draft) -> None:
    texts = secret_texts(found)
    assert {*WRITTEN[1:], "env-secret-0001"} <= set(texts)
    assert "redis://:plain-secret-0003@localhost" in texts


def test_a_secret_under_a_misspelt_key_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "omniroute.yaml").write_text(
        "version: 1\nproviders: {acme: {acounts: {a: {key: plain-secret-0003}}, api_key: plain-secret-0005}}\n",
        "utf-8",
    )
    found = draft(tmp_path / "omniroute.yaml", env={}, registry=registry(), catalogue=CATALOGUE)
    shown = show(found, "source") + show(found, "merged") + text_report(found.report.sorted(), excerpt=True)
    assert "plain-secret" not in shown


def test_a_secret_in_the_wrong_place_is_not_in_the_message() -> None:
    text = "version: 1\nkeys: {me: {key: '${K}'}}\nlog: {level: '${K}'}\ndefault: ${K}\n"
    told = findings(text, env={"K": "s3cret-value"})
    assert [f.split()[0] for f in told] == ["OR1203", "OR1301"]
    assert not any("s3cret-value" in f for f in told)


def test_blame_lists_what_is_below(found: Draft) -> None:
    rows = dict(blame(found, "providers.acme.accounts"))
    file = found.folder / "omniroute.yaml"
    assert rows["providers.acme.accounts.a.key"] == f"{file}:9:16 (file {found.folder / 'key.txt'})"
    assert rows["providers.acme.accounts.b.key"] == f"{file}:10:16 (env ENV_KEY)"
    assert rows["providers.acme.accounts.a.weight"] == f"{file}:9:43"
    assert list(blame(found, "server.limits.body")) == [("server.limits.body", "default")]
    with pytest.raises(KeyError):
        list(blame(found, "server.limit.body"))


@pytest.mark.parametrize(
    "line",
    [
        "key: hidden-value",
        "  - api_key: hidden-value  # note",
        '{a: 1, key: "hidden-value", b: 2}',
        "{'token': 'hidden-value'}",
        "Authorization: Bearer hidden-value",
        "password:   hidden-value",
        "url: http://u:hidden-value@host",
        "note: the key is sk-hidden-value-000000000000",
        "X-Api-Key: hidden-value",
    ],
)
def test_excerpts_hide_what_looks_like_a_secret(line: str) -> None:
    shown = concealed(line)
    assert "hidden-value" not in shown
    assert len(shown) == len(line)


@pytest.mark.parametrize(
    "line", ["key: ${ACME_KEY}", "keys:", "monkey: tree", "max_tokens: 5", "models: [a, b]", "key: '${A}'"]
)
def test_excerpts_show_the_rest(line: str) -> None:
    assert concealed(line) == line


def test_an_excerpt_points_at_the_place(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("a: 1\n  b: oops\n", "utf-8")
    finding = Finding(
        code="OR1203", message="wrong", path="a.b", file=str(file), line=2, column=6, hint="did you mean 'x'?"
    )
    head, source, caret = text_report([finding], excerpt=True).splitlines()
    assert head == f"{file}:2:6: a.b: wrong (did you mean 'x'?) [OR1203]"
    assert source[caret.index("^") :] == "oops"
