"""The examples are what users copy: each is valid as it stands, can be explained, and answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import aiohttp
import pytest
import yaml

from omniroute.cli.main import main
from omniroute.config.load import load
from omniroute.registry import load as load_registry
from omniroute.testing import gateway

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(path.parent for path in FOLDER.rglob("omniroute.yaml"))
REGISTRY = load_registry(plugins=False)


def top(example: Path) -> Path:
    """The folder below `examples/` that an example is in."""
    return FOLDER / example.relative_to(FOLDER).parts[0]


QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}

examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.relative_to(FOLDER).as_posix())


@examples
def test_is_valid_without_any_environment(example: Path) -> None:
    loaded = load(example / "omniroute.yaml", env={}, registry=REGISTRY)
    assert [f for f in loaded.findings if f.severity != "note"] == []


@examples
def test_every_combo_can_be_explained(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_file = example / "omniroute.yaml"
    for combo in load(main_file, env={}, registry=REGISTRY).settings.combos:
        assert main(["explain", combo, "--config", str(main_file)]) == 0
        told = capsys.readouterr().out
        assert f"{combo} is a combo" in told
        assert "  1. " in told


@examples
def test_its_own_tests_hold(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["test", str(example)])
    assert code == 0, capsys.readouterr().out


@examples
async def test_answers(example: Path, tmp_path: Path) -> None:
    """A copy, for `gateway` writes its file; on loopback the model `demo` needs no key."""
    folder = shutil.copytree(example, tmp_path / example.name)
    config = (folder / "omniroute.yaml").read_text("utf-8")
    async with gateway(config, folder=folder) as running, aiohttp.ClientSession() as client:
        async with client.post(f"{running.url}/v1/chat/completions", json=QUESTION) as response:
            answer = await response.json()
    assert response.status == 200
    assert "hello" in answer["choices"][0]["message"]["content"]


@examples
def test_has_a_short_readme_and_a_schema_line(example: Path) -> None:
    assert len((top(example) / "README.md").read_text("utf-8").splitlines()) <= 16
    for file in [*example.glob("omniroute*.yaml"), *example.glob("transforms/*.yaml")]:
        assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=")


def test_every_example_is_listed() -> None:
    listed = (FOLDER / "README.md").read_text("utf-8")
    assert [e for e in EXAMPLES if f"({top(e).name}/)" not in listed] == []


@pytest.mark.parametrize(
    "key, call, status",
    [
        ("ork_example-alice", ("POST", "/v1/chat/completions"), 200),
        ("ork_example-ci", ("POST", "/v1/chat/completions"), 403),  # `best` is not in its models
        ("ork_example-ci", ("POST", "/v1/messages"), 403),
        ("ork_example-ops", ("POST", "/v1/chat/completions"), 403),
        ("ork_example-ops", ("GET", "/-/state"), 200),
        ("ork_example-alice", ("GET", "/-/state"), 403),
        ("ork_unknown", ("POST", "/v1/chat/completions"), 401),
    ],
)
async def test_team_keys_open_what_the_readme_says(key: str, call: tuple[str, str], status: int) -> None:
    config = (FOLDER / "team-keys/omniroute.yaml").read_text("utf-8")
    method, path = call
    question = {**QUESTION, "model": "best", "max_tokens": 100}
    async with gateway(config) as running, aiohttp.ClientSession() as client:
        async with client.request(
            method, running.url + path, json=question, headers={"Authorization": f"Bearer {key}"}
        ) as response:
            assert response.status == status


async def test_the_transforms_example_changes_request_and_answer(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER / "transforms", tmp_path / "transforms")
    config = (folder / "omniroute.yaml").read_text("utf-8")
    async with gateway(config, folder=folder) as running, aiohttp.ClientSession() as client:
        async with client.post(f"{running.url}/v1/chat/completions", json=QUESTION) as response:
            text = (await response.json())["choices"][0]["message"]["content"]
    assert "with a system prompt" in text
    assert text.endswith("(answered by demo)")


def test_the_kubernetes_manifests_belong_together() -> None:
    folder = FOLDER / "kubernetes"
    kustomization, deployment, service = (
        yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8"))
        for name in ("kustomization", "deployment", "service")
    )
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    generated = kustomization["configMapGenerator"][0]
    assert generated["files"] == ["omniroute.yaml"]
    assert pod["volumes"] == [{"name": "config", "configMap": {"name": generated["name"]}}]
    assert container["args"][-1] == f"{container['volumeMounts'][0]['mountPath']}/omniroute.yaml"
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    drain = load(folder / "omniroute.yaml", env={}, registry=REGISTRY).settings.server.drain
    assert pod["terminationGracePeriodSeconds"] > drain


def test_policies_are_kept(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FOLDER / "policies"
    assert (folder / "policy.yaml").read_text("utf-8").startswith("# yaml-language-server: $schema=")
    args = ["validate", "-c", str(folder / "omniroute.yaml"), "--policy", str(folder / "policy.yaml")]
    for name in ("ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(args) == 0
    assert "OR18" not in capsys.readouterr().out
