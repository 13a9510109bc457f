"""`omniroute validate`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from omniroute.cli.main import main
from omniroute.testing import FakeUpstream, Scripted, Seen

GOOD = "version: 1\nproviders: {lab: {format: openai-chat, base_url: 'http://lab.example', auth: none}}\n"
BAD = (
    GOOD
    + "log: {level: loud}\ncombos: {a: [lab/x], b: [labb/y]}\nkeys: {me: {key: plain-secret, scope: [use]}}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        (GOOD, 0, "omniroute.yaml is fine"),
        (BAD, 1, "omniroute.yaml: 3 errors"),
        (GOOD + "tracing: {enabled: true}\n", 0, "omniroute.yaml is fine (1 warning)"),
        ("", 1, "omniroute.yaml: 1 error"),
    ],
)
def test_exit_codes(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, last: str
) -> None:
    (folder / "omniroute.yaml").write_text(text, "utf-8")
    assert main(["validate"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_what_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--config", "gone.yaml"]) == 2
    assert capsys.readouterr().err == "cannot read 'gone.yaml': no such file or directory\n"


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--excerpt"])
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [
        "omniroute.yaml:3:14: log.level: 'loud' is not one of debug, info, warning, error [OR1203]",
        "    3 | log: {level: loud}",
        "                     ^",
    ]
    assert "keys: {me: {key: ************, scope: [use]}}" in out[-3]


def test_lenient(folder: Path) -> None:
    (folder / "omniroute.yaml").write_text(GOOD + "future: 1\n", "utf-8")
    assert (main(["validate"]), main(["validate", "--lenient"])) == (1, 0)


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    assert main(["validate", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["file"], len(told["digest"])) == (False, "omniroute.yaml", 12)
    assert {f["code"] for f in told["findings"]} == {"OR1203", "OR1301", "OR1201"}


def test_github(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--format", "github"])
    assert capsys.readouterr().out.splitlines()[0] == (
        "::error file=omniroute.yaml,line=3,col=14,title=OR1203::"
        "log.level: 'loud' is not one of debug, info, warning, error"
    )


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--format", "sarif"])
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 14,
    }
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} == {r["ruleId"] for r in run["results"]}


def test_sarif_keeps_the_rules_of_its_schema(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sub dir").mkdir()
    (folder / "sub dir" / "part.yaml").write_text("log: {level: loud}\n", "utf-8")
    (folder / "policy.yaml").write_text("version: 1\npolicies: [{name: a, expression: nothing}]\n", "utf-8")
    for text in (BAD + "include: ./sub dir/part.yaml\n", GOOD, "", ":", GOOD + "tracing: {enabled: true}\n"):
        (folder / "omniroute.yaml").write_text(text, "utf-8")
        main(["validate", "--format", "sarif", "--policy", "policy.yaml"])
        document = json.loads(capsys.readouterr().out)
        jsonschema.validate(document, SARIF)
        (run,) = document["runs"]
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert len(rules) == len(set(rules))
        assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    main(["validate", "--format", "sarif", "-c", str(folder / "omniroute.yaml")])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "omniroute.yaml"


def test_policies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(GOOD + "combos: {a: [lab/x]}\n", "utf-8")
    (folder / "hard.yaml").write_text(
        "version: 1\npolicies: [{name: p, each: combos.*, expression: strategy, message: say how}]\n", "utf-8"
    )
    (folder / "soft.yaml").write_text(
        "version: 1\npolicies: [{name: q, expression: keys, severity: warning}]\n", "utf-8"
    )
    assert main(["validate", "--policy", "soft.yaml"]) == 0
    assert (
        capsys.readouterr().out.splitlines()[0] == "warning: omniroute.yaml:1:1: q: not kept: keys [OR1811]"
    )
    assert main(["validate", "--policy", "soft.yaml", "--policy", "hard.yaml"]) == 1
    assert "omniroute.yaml:3:10: combos.a: p: say how [OR1811]" in capsys.readouterr().out
    assert main(["validate", "--policy", "gone.yaml"]) == 2


def _provider(seen: Seen) -> Scripted:
    """Lists models to who has the right key; the path says what else it does."""
    _, name, *rest = seen.path.split("/")
    listing = rest == ["models"]
    sent = seen.headers.get("authorization", "")
    authorized = sent == "Bearer right-key" or sent.startswith("AWS4-HMAC-SHA256 Credential=ID/")
    if name == "public" and listing:
        return Scripted(json={"data": []})
    if name == "listless" and listing:
        return Scripted(status=404, json={"error": {"message": "no such path"}})
    if name == "busy":
        return Scripted(status=429, json={"error": {"message": "slow down"}})
    if not authorized:
        sent = seen.headers.get("authorization", "nobody")
        return Scripted(status=401, json={"error": {"message": f"who is {sent}?"}})
    return Scripted(json={"choices": []})


ONLINE = """\
version: 1
auth: {required: false}
providers:
  fine: {format: openai-chat, base_url: URL/fine, accounts: {a: {key: right-key}, b: {key: wrong-key}, c: {key: ""}}}
  public: {format: openai-chat, base_url: URL/public, models: {m: {}}, accounts: {a: {key: right-key}, b: {key: wrong-key}}}
  listless: {format: openai-chat, base_url: URL/listless, models: {m: {}}, accounts: {a: {key: right-key}}}
  unlisted: {format: openai-chat, base_url: URL/listless, accounts: {a: {key: right-key}}}
  busy: {format: openai-chat, base_url: URL/busy, accounts: {a: {key: right-key}}}
  gone: {format: openai-chat, base_url: "http://127.0.0.1:1/v1", auth: none}
  aws:
    format: bedrock-converse
    base_url: URL/aws
    auth: {type: sigv4, service: bedrock, region: us-east-1}
    models: {m: {}}
    accounts: {a: {access_key_id: ID, key: right-key}}
  off: {format: openai-chat, base_url: URL/fine, enabled: false, accounts: {a: {key: wrong-key}}}
"""


async def test_online(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream(_provider) as upstream:
        (folder / "omniroute.yaml").write_text(ONLINE.replace("URL", upstream.url), "utf-8")
        code = await asyncio.to_thread(main, ["validate", "--online"])
        out = capsys.readouterr().out
        assert code == 1
        rows = {
            row.split()[0]: row.split()[1:] for row in out.splitlines() if " ms " in row or "skipped" in row
        }
        assert {name: row[:2] for name, row in rows.items()} == {
            "fine/a": ["ok", "200"],
            "fine/b": ["failed", "401"],
            "public/a": ["ok", "200"],
            "public/b": ["failed", "401"],
            "listless/a": ["ok", "200"],
            "unlisted/a": ["skipped", "no"],
            "busy/a": ["limited", "429"],
            "aws/a": ["ok", "200"],
        }
        assert "one token of m" in out
        assert "gone/default  failed" in out
        assert "providers.fine.accounts.b: HTTP 401: who is Bearer ***? (list of models)" in out
        assert "omniroute.yaml: 3 errors" in out
        assert ("right-key" in out, "wrong-key" in out) == (False, False)
        assert not any(r.path.startswith("/off") for r in upstream.requests)
        asked = [r.json for r in upstream.requests if r.method == "POST" and "/aws/" not in r.path]
        assert {(a["model"], a.get("max_tokens") or a.get("max_completion_tokens")) for a in asked} == {
            ("m", 1)
        }
        assert await asyncio.to_thread(main, ["validate", "--online", "--json"]) == 1
        online = json.loads(capsys.readouterr().out)["online"]
        assert online[0] == {
            "provider": "fine",
            "account": "a",
            "verdict": "ok",
            "call": "list of models",
            "status": 200,
            "milliseconds": online[0]["milliseconds"],
            "said": "",
        }


SIGNING = """
version: 1
providers:
  aws:
    format: bedrock-converse
    base_url: URL
    auth: {type: sigv4, service: bedrock, region: eu-west-1}
    models: {m: {}}
    accounts: {a: {access_key_id: AKIDEXAMPLE, key: k}}
"""


async def test_online_signs_what_has_to_be_signed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream([Scripted(json={})]) as upstream:
        (folder / "omniroute.yaml").write_text(SIGNING.replace("URL", upstream.url), "utf-8")
        assert await asyncio.to_thread(main, ["validate", "--online"]) == 0
        assert "one token of m" in capsys.readouterr().out
        (asked,) = upstream.requests
        assert (asked.path, asked.json["inferenceConfig"]) == ("/model/m/converse", {"maxTokens": 1})
        assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


def test_online_tries_nothing_of_a_wrong_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    assert main(["validate", "--online", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["online"] == []


TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "version", "runs"],
    "properties": {
        "$schema": {"const": "https://json.schemastore.org/sarif-2.1.0.json"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "semanticVersion": {
                                        "type": "string",
                                        "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+",
                                    },
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["message"],
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": TEXT,
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "additionalProperties": False,
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "type": "object",
                                                        "properties": {
                                                            "uri": {
                                                                "type": "string",
                                                                "pattern": r"^([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+$",
                                                            }
                                                        },
                                                        "required": ["uri"],
                                                    },
                                                    "region": {
                                                        "type": "object",
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        },
                                                        "required": ["startLine"],
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 (OASIS, section 3) says of the properties that we write."""
