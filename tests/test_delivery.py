"""The examples of delivery: that their files belong together, and that nginx does what its example says."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from omniroute.cli.main import main
from omniroute.config.load import load
from omniroute.reference.commands import verbs
from omniroute.registry import load as load_registry
from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import call, chat_stream
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples"
REGISTRY = load_registry(plugins=False)


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def document(path: Path) -> Any:
    (only,) = documents(path)
    return only


def containers(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pod and container of every gateway in a file of manifests."""
    for manifest in documents(path):
        pod = manifest["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if container["name"] == "omniroute":
                yield pod, container


# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────

PODS = [
    FOLDER / "kubernetes/deployment.yaml",
    FOLDER / "kubernetes-sidecar/pod.yaml",
    FOLDER / "gitops/base/deployment.yaml",
]
pods = pytest.mark.parametrize("file", PODS, ids=lambda path: path.parent.relative_to(FOLDER).as_posix())


@pods
def test_a_pod_can_write_nothing_and_is_bounded(file: Path) -> None:
    ((pod, container),) = containers(file)
    assert pod["securityContext"]["runAsNonRoot"] is True
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]
    assert container["livenessProbe"]


@pods
def test_a_pod_lets_streams_finish(file: Path) -> None:
    ((pod, container),) = containers(file)
    drain = load(file.parent / "omniroute.yaml", env={}, registry=REGISTRY).settings.server.drain
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1]
    assert pod["terminationGracePeriodSeconds"] > drain + float(sleep)


@pods
def test_a_pod_mounts_the_folder_of_the_configuration(file: Path) -> None:
    """With `subPath` the kubelet would never bring a new one."""
    ((pod, container),) = containers(file)
    (mount,) = container["volumeMounts"]
    assert "subPath" not in mount
    assert container["args"] == ["serve", "--config", f"{mount['mountPath']}/omniroute.yaml"]
    generated = document(file.parent / "kustomization.yaml")
    (config,) = generated["configMapGenerator"]
    assert (config["files"], generated["generatorOptions"]) == (
        ["omniroute.yaml"],
        {"disableNameSuffixHash": True},
    )
    (volume,) = pod["volumes"]
    assert volume == {"name": mount["name"], "configMap": {"name": config["name"]}}


@pods
def test_a_pod_sets_variables_that_the_configuration_has(file: Path) -> None:
    ((_, container),) = containers(file)
    text = (file.parent / "omniroute.yaml").read_text("utf-8")
    assert [e["name"] for e in container["env"] if f"${{{e['name']}" not in text] == []


def test_the_sidecar_is_there_before_the_application_and_for_it_alone() -> None:
    ((pod, sidecar),) = containers(FOLDER / "kubernetes-sidecar/pod.yaml")
    assert sidecar in pod["initContainers"] and sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["exec"]["command"] == ["omniroute", "health"]
    settings = load(FOLDER / "kubernetes-sidecar/omniroute.yaml", env={}, registry=REGISTRY).settings
    (listen,) = settings.server.listen
    assert listen.startswith("127.0.0.1:") and not settings.keys
    (app,) = pod["containers"]
    urls = [e["value"] for e in app["env"] if e["name"].endswith("_BASE_URL")]
    assert [url for url in urls if not url.startswith(f"http://{listen}")] == []


# ── GitOps ───────────────────────────────────────────────────────────────────────────────────────

OVERLAYS = sorted((FOLDER / "gitops/overlays").iterdir())
overlays = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)


@pytest.fixture
def mounted(overlay: Path, tmp_path: Path) -> Path:
    """What a pod sees: the files of the base and of an overlay in one folder."""
    generated = document(overlay / "kustomization.yaml")
    (config,) = generated["configMapGenerator"]
    assert (config["behavior"], generated["resources"]) == ("merge", ["../../base"])
    for file in config["files"]:
        shutil.copy(overlay / file, tmp_path)
    for file in (FOLDER / "gitops/base").glob("omniroute*.yaml"):
        shutil.copy(file, tmp_path)
    return tmp_path


@overlays
def test_an_overlay_is_valid_on_its_base(mounted: Path, overlay: Path) -> None:
    loaded = load(mounted / "omniroute.yaml", env={}, registry=REGISTRY)
    assert [f for f in loaded.findings if f.severity != "note"] == []
    targets = {"staging": 1, "production": 3}
    assert len(loaded.settings.combos["main"].targets) == targets[overlay.name]


@overlays
def test_the_tests_of_the_base_hold_in_every_environment(
    mounted: Path, overlay: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (mounted / "omniroute.test.yaml").read_text("utf-8")
    if overlay.name == "staging":
        # There the built-in model answers, in words of its own.
        text = text.replace("expect: {status: 200, text: hello}", "expect: {status: 200, target: demo/demo}")
        (mounted / "omniroute.test.yaml").write_text(text, "utf-8")
    code = main(["test", str(mounted)])
    assert code == 0, capsys.readouterr().out


def test_argo_and_flux_apply_every_overlay() -> None:
    expected = {f"examples/gitops/overlays/{overlay.name}" for overlay in OVERLAYS}
    argo = document(FOLDER / "gitops/argocd.yaml")
    (generator,) = argo["spec"]["generators"]
    path = argo["spec"]["template"]["spec"]["source"]["path"]
    elements = generator["list"]["elements"]
    assert {path.replace("{{environment}}", e["environment"]) for e in elements} == expected
    flux = [d for d in documents(FOLDER / "gitops/flux.yaml") if d["kind"] == "Kustomization"]
    assert {d["spec"]["path"].removeprefix("./") for d in flux} == expected


# ── Docker Compose ───────────────────────────────────────────────────────────────────────────────


def test_the_profiles_of_compose() -> None:
    compose = document(FOLDER / "docker-compose/compose.yaml")
    services = compose["services"]
    assert {n for n, s in services.items() if "redis" in s.get("profiles", [])} == {"one", "two", "redis"}
    for name in ("omniroute", "one", "two"):
        service = services[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert (FOLDER / "docker-compose" / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
        text = (FOLDER / "docker-compose/omniroute.yaml").read_text("utf-8")
        assert [v for v in service["environment"] if f"${{{v}" not in text] == []
    env = {k: str(v) for k, v in services["one"]["environment"].items()}
    loaded = load(FOLDER / "docker-compose/omniroute.yaml", env=env, registry=REGISTRY)
    assert loaded.settings.store.reveal() == "redis://redis:6379/0"
    drain = loaded.settings.server.drain
    assert int(services["one"]["stop_grace_period"].removesuffix("s")) > drain


def test_the_key_of_the_readme_opens_the_example() -> None:
    readme = (FOLDER / "docker-compose/README.md").read_text("utf-8")
    key = re.search(r"Bearer (ork_[\w-]+)", readme)
    assert key is not None
    settings = load(FOLDER / "docker-compose/omniroute.yaml", env={}, registry=REGISTRY).settings
    assert settings.keys["team"].hash == f"sha256:{hashlib.sha256(key[1].encode()).hexdigest()}"


# ── pre-commit and GitHub Actions ────────────────────────────────────────────────────────────────


def known(command: str) -> bool:
    """Whether `omniroute …` is a verb with these options."""
    words = command.split()
    parser = verbs().get(words[1])
    if words[0] != "omniroute" or parser is None:
        return False
    options = {option for action in parser._actions for option in action.option_strings}
    own = words[2 : words.index("--")] if "--" in words else words[2:]
    return {word for word in own if word.startswith("-")} <= options


def test_the_hooks_are_commands_of_ours_and_the_example_uses_them_all() -> None:
    hooks = document(ROOT / ".pre-commit-hooks.yaml")
    assert [h["entry"] for h in hooks if not known(h["entry"])] == []
    (repo,) = document(FOLDER / "pre-commit/.pre-commit-config.yaml")["repos"]
    assert [h["id"] for h in repo["hooks"]] == [h["id"] for h in hooks]


def test_the_hooks_pass_on_their_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(FOLDER / "pre-commit")
    for hook in document(ROOT / ".pre-commit-hooks.yaml"):
        args = hook["entry"].split()[1:]
        args += ["--check"] if args[0] == "fmt" else []
        assert main(args) == 0, (hook["id"], capsys.readouterr())


def test_the_workflow_calls_commands_of_ours() -> None:
    workflow = document(FOLDER / "github-actions/.github/workflows/gateway.yml")
    called = [
        re.split(r" > | \|\| | \| ", line)[0].replace("${{ github.base_ref }}", "main")
        for job in workflow["jobs"].values()
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
        if line.strip().startswith("omniroute ")
    ]
    assert len(called) >= 4
    assert [line for line in called if not known(line)] == []


# ── nginx ────────────────────────────────────────────────────────────────────────────────────────


def nginx() -> str:
    """The path of nginx, or a skip (a failure in CI)."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is not None:
        return found
    message = "nginx is not installed: its example is not tried"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@asynccontextmanager
async def behind_nginx(url: str, folder: Path) -> AsyncIterator[str]:
    """The server block of the example on a free port, without TLS, before a gateway."""
    port = free_port()
    block = (FOLDER / "nginx/nginx.conf").read_text("utf-8")
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("http2 on;", "")
    block = re.sub(r"^\s*ssl_.*$", "", block, flags=re.MULTILINE)
    block = block.replace("127.0.0.1:20128", url.removeprefix("http://"))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off;\n{temporary}{block} }}\n",
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        nginx(), "-p", str(folder), "-e", "stderr", "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def configuration(url: str) -> str:
    """That of the example, with its provider on loopback and the client where the test is."""
    text = (FOLDER / "nginx/omniroute.yaml").read_text("utf-8")
    provider = (
        f"openai: {{from: none, format: openai-chat, base_url: '{url}/v1', accounts: {{main: {{key: k}}}}}}"
    )
    return re.sub(r"openai: \{accounts:.*\}\}\}", provider, text)


KEY = {"Authorization": "Bearer ork_nginx-example"}


async def test_events_pass_nginx_one_by_one_and_the_admin_plane_does_not(tmp_path: Path) -> None:
    slow = Scripted(chunks=chat_stream("one", "two", "three"), between=0.2)
    async with FakeUpstream([slow]) as up:
        config = configuration(up.url).replace("203.0.113.0/24", "127.0.0.1/32")
        async with gateway(config) as gw, behind_nginx(gw.url, tmp_path) as url:
            path, body = call("openai-chat", "openai/gpt-5.4", stream=True)
            async with aiohttp.ClientSession(headers=KEY) as client:
                async with client.post(url + path, json=body) as answer:
                    assert answer.status == 200
                    begun = await answer.content.readuntil(b"one")
                    assert b"three" not in begun
                    assert b"three" in await answer.content.read()
                async with client.get(f"{url}/-/health") as hidden:
                    assert hidden.status == 404


@pytest.mark.parametrize(
    ("told", "status"),
    [(None, 403), ("203.0.113.7", 403)],
)
async def test_the_address_that_nginx_saw_counts_whatever_clients_say(
    told: str | None, status: int, tmp_path: Path
) -> None:
    """The test calls from loopback, which is not in the office: what it says of itself changes nothing."""
    async with FakeUpstream([Scripted(json={})]) as up, gateway(configuration(up.url)) as gw:
        async with behind_nginx(gw.url, tmp_path) as url, aiohttp.ClientSession(headers=KEY) as client:
            path, body = call("openai-chat", "openai/gpt-5.4")
            headers = {"X-Forwarded-For": told} if told is not None else {}
            async with client.post(url + path, json=body, headers=headers) as answer:
                assert answer.status == status


async def test_the_address_that_a_trusted_proxy_tells_is_the_clients() -> None:
    """Without nginx between: what it would say of a client in the office, and of one elsewhere."""
    script = [Scripted(chunks=chat_stream("hello"))]
    async with FakeUpstream(script) as up, gateway(configuration(up.url)) as gw:
        path, body = call("openai-chat", "openai/gpt-5.4", stream=True)
        async with aiohttp.ClientSession(headers=KEY) as client:
            for address, status in (("203.0.113.7", 200), ("198.51.100.1", 403)):
                async with client.post(
                    gw.url + path, json=body, headers={"X-Forwarded-For": address}
                ) as answer:
                    assert answer.status == status
