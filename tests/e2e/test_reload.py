"""Hot reload under load: nothing is lost, good edits serve, bad edits leave the last good configuration."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.engine.watch import Watcher
from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import call, chat_stream, error, responder
from tests.support.waiting import until

CONFIG = """version: 1
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
combos:
  main: [up/{model}]
"""


async def get(gw: Running, path: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(gw.url + path) as answer:
        return await answer.json()


async def post(gw: Running, path: str, body: Any = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
        return answer.status, await answer.json()


async def serving(gw: Running, what: str, seconds: float = 30.0) -> None:
    """Until the combo `main` leads to `what`."""
    assert await gw.gateway.runtime.until(lambda g: _target(gw) == what, seconds)


def _target(gw: Running) -> str:
    found = gw.gateway.runtime.generation.directory.find("main")
    assert found is not None
    return found.of.members[0].name  # type: ignore[union-attr]  # a combo, by the configuration above


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def replace(path: Path, text: str) -> None:
    """As editors and `git pull` do it: a new file is moved over the old one."""
    new = path.with_name(path.name + ".new")
    write(new, text)
    os.replace(new, path)


@pytest.mark.parametrize("edit", [write, replace], ids=["in-place", "replaced"])
async def test_an_edit_serves_by_itself(edit: Any) -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9", model="one"), watch=True) as gw:
        edit(gw.path, CONFIG.format(url="http://127.0.0.1:9", model="two"))
        await serving(gw, "up/two")
        result = gw.gateway.runtime.last_result
        assert result is not None
        assert result.changes == ["~ combo main: targets"]


async def test_a_configmap_swap_serves(tmp_path: Path) -> None:
    """Kubernetes: the file is a link into `..data`, which is a link that is replaced."""
    for name, model in (("v1", "one"), ("v2", "two")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "omniroute.yaml", CONFIG.format(url="http://127.0.0.1:9", model=model))
    (tmp_path / "..data").symlink_to("v1")
    home = tmp_path / "mounted"
    home.mkdir()
    async with gateway(CONFIG.format(url="http://127.0.0.1:9", model="zero"), folder=home) as gw:
        gw.path.unlink()
        gw.path.symlink_to(tmp_path / "..data" / "omniroute.yaml")
        await gw.gateway.runtime.reload()
        watcher = asyncio.create_task(Watcher(gw.gateway.runtime).run())  # noqa: TID251  # ended below
        (tmp_path / "..next").symlink_to("v2")
        os.replace(tmp_path / "..next", tmp_path / "..data")
        await serving(gw, "up/two")
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def test_included_and_secret_files_are_followed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    write(key, "first\n")
    config = """version: 1
include: [parts/*.yaml]
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: "${{file:{key}}}"}}}}}}
"""
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "a.yaml", "combos: {main: [up/one]}\n")
    async with FakeUpstream(responder()) as up:
        text = config.format(url=up.url, key=key)
        async with gateway(text, folder=tmp_path, watch=True) as gw:
            await post(gw, *call("openai-chat", "main"))
            write(tmp_path / "parts" / "a.yaml", "combos: {main: [up/two]}\n")
            await serving(gw, "up/two")
            write(tmp_path / "parts" / "b.yaml", "combos: {other: [up/three]}\n")
            assert await gw.gateway.runtime.until(lambda g: g.directory.find("other") is not None, 30)
            generation = gw.gateway.runtime.generation.number
            write(key, "second\n")
            assert await gw.gateway.runtime.until(lambda g: g.number > generation, 30)
            await post(gw, *call("openai-chat", "main"))
            assert [s.headers["authorization"] for s in up.requests] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    "broken",
    [
        "version: 1\nproviders: [",
        "version: 1\nproviderz: {}",
        "version: 1\ncombos: {main: [nobody/x]}",
        "- a list",
    ],
    ids=["syntax", "unknown-key", "unknown-provider", "not-a-map"],
)
async def test_a_bad_file_changes_nothing(broken: str) -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url, model="one")) as gw:
        before = (await get(gw, "/-/health"))["config"]
        write(gw.path, broken)
        status, result = await post(gw, "/-/reload")
        assert (status, result["ok"], result["generation"]) == (422, False, before)
        assert result["findings"][0]["message"]
        assert (await post(gw, *call("openai-chat", "main")))[0] == 200
        assert (await get(gw, "/-/config"))["last_reload"]["ok"] is False
        write(gw.path, CONFIG.format(url=up.url, model="two"))
        status, result = await post(gw, "/-/reload")
        assert (status, result["ok"], result["changed"]) == (200, True, True)
        assert result["generation"].startswith("2-")


async def test_the_same_content_is_no_reload() -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9", model="one")) as gw:
        os.utime(gw.path)
        status, result = await post(gw, "/-/reload")
        assert (status, result["ok"], result["changed"], result["generation"][:2]) == (200, True, False, "1-")


async def test_state_survives_a_reload_until_what_it_is_about_changes() -> None:
    async with FakeUpstream([error(429, retry_after="60")]) as up:
        async with gateway(CONFIG.format(url=up.url, model="one")) as gw:
            await post(gw, *call("openai-chat", "main"))
            assert list((await get(gw, "/-/state"))["cooldowns"]) == ["up/a"]
            write(gw.path, CONFIG.format(url=up.url, model="two"))
            await gw.gateway.runtime.reload()
            assert (await post(gw, *call("openai-chat", "main")))[0] == 429
            assert len(up.requests) == 1
            write(gw.path, CONFIG.format(url=up.url, model="two").replace("key: k", "key: another"))
            await gw.gateway.runtime.reload()
            await post(gw, *call("openai-chat", "main"))
            assert len(up.requests) == 2


async def test_a_request_ends_on_the_generation_that_it_began_with() -> None:
    goes_on = asyncio.Event()
    slow = Scripted(chunks=chat_stream("a", "b", "c"), gate=goes_on)
    async with FakeUpstream([slow]) as up, gateway(CONFIG.format(url=up.url, model="one")) as gw:
        path, body = call("openai-chat", "main", stream=True)
        async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
            write(gw.path, CONFIG.format(url=up.url, model="two"))
            await gw.gateway.runtime.reload()
            assert answer.headers["X-OmniRoute-Config"].startswith("1-")
            assert [d["running"] for d in (await get(gw, "/-/state"))["draining"]] == [1]
            goes_on.set()
            assert "[DONE]" in await answer.text()
        await until(lambda: not gw.gateway.runtime.draining)


async def test_wait_blocks_until_a_configuration_serves() -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9", model="one")) as gw:
        assert (await get(gw, "/-/wait?hash=beef&timeout=0.1"))["serves"] is False
        write(gw.path, CONFIG.format(url="http://127.0.0.1:9", model="two"))
        tag = (await gw.gateway.runtime.reload()).generation
        assert (await get(gw, f"/-/wait?hash={tag.partition('-')[2]}&timeout=30"))["serves"] is True


async def test_twenty_streams_while_the_file_is_rewritten_fifty_times() -> None:
    """The house's promise: not one request lost."""
    streams = Scripted(chunks=chat_stream(*[f"w{i} " for i in range(20)]), between=0.01)
    tags: set[str] = set()
    answers: list[tuple[int, str]] = []
    async with FakeUpstream([streams]) as up:
        async with gateway(CONFIG.format(url=up.url, model="m0"), watch=True) as gw:
            done = asyncio.Event()

            async def client(session: aiohttp.ClientSession) -> None:
                while not done.is_set():
                    path, body = call("anthropic-messages", "main", stream=True)
                    async with session.post(gw.url + path, json=body) as answer:
                        tags.add(answer.headers["X-OmniRoute-Config"])
                        answers.append((answer.status, await answer.text()))

            async def editor() -> None:
                for number in range(50):
                    good = CONFIG.format(url=up.url, model=f"m{number}")
                    edit = (write, replace)[number % 2]
                    edit(gw.path, good if number % 3 else "version: 1\ncombos: {broken: [nobody/x]}\n")
                    if number % 5 == 4:
                        await gw.gateway.runtime.reload()
                    await asyncio.sleep(0.03)
                replace(gw.path, CONFIG.format(url=up.url, model="last"))
                await serving(gw, "up/last")
                done.set()

            async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
                for _ in range(20):
                    tasks.create_task(client(session))
                tasks.create_task(editor())
    expected = "".join(f"w{i} " for i in range(20))
    assert len(answers) >= 20
    assert len(tags) > 3
    assert {status for status, _ in answers} == {200}
    for _, text in answers:
        assert _text(text) == expected
        assert text.rstrip().endswith('{"type":"message_stop"}')


def _text(stream: str) -> str:
    import json

    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    return "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
