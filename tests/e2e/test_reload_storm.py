"""The reload storm: many clients with long streams while files change under the gateway in every way that files change.
No request fails or is changed, state goes on, and memory stays flat.

`OMNIROUTE_STORM=1000 pytest tests/e2e/test_reload_storm.py` is the whole storm; the suite has a short one."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, Seen, gateway
from tests.support.answers import call, chat, chat_stream
from tests.support.git import commit, git

RELOADS = int(os.environ.get("OMNIROUTE_STORM", "40"))
CLIENTS = 60
WORDS = [f"word{n} " for n in range(20)]
WIRES = ("openai-chat", "anthropic-messages", "gemini")

MAIN = """version: 1
include: [written/*.yaml, moved/*.yaml, mounted/*.yaml, repository/*.yaml]
providers:
  one:
    format: openai-chat
    base_url: ONE/v1
    accounts: {a: {key: k1}}
    quota: {limit: {requests: 1M}, window: total}
  two: {format: openai-chat, base_url: TWO/v1, accounts: {a: {key: k2}}}
  tired: {from: demo, faults: [{status: 429, headers: {retry-after: "7200"}}]}
  broken:
    from: demo
    faults: [{connect: refused}]
    retry: {attempts: 1}
    breaker: {failures: 1, open: 2h, max_open: 2h}
combos:
  main: {strategy: {type: round-robin, sticky: {by: "header:x-session-id", ttl: 1d}}, targets: [one/m, two/m]}
"""


def alias(way: str, number: int) -> str:
    return f"models: {{{way}-{number}: main}}\n"


# ── the ways in which files change ───────────────────────────────────────────────────────────────


def written(folder: Path, number: int) -> None:
    """As `echo >` and a bind-mounted file do it."""
    (folder / "written" / "a.yaml").write_text(alias("written", number), "utf-8")


def moved(folder: Path, number: int) -> None:
    """As editors do it."""
    new = folder / "moved" / ".a.yaml.new"
    new.write_text(alias("moved", number), "utf-8")
    new.replace(folder / "moved" / "a.yaml")


def mounted(folder: Path, number: int) -> None:
    """As Kubernetes does it with a ConfigMap: a new folder, and a link that is swapped."""
    home = folder / "mounted"
    version = home / f"..{number}"
    version.mkdir()
    (version / "a.yaml").write_text(alias("mounted", number), "utf-8")
    before = (home / "..data").readlink() if (home / "..data").is_symlink() else None
    (home / "..data.new").symlink_to(version.name)
    (home / "..data.new").replace(home / "..data")
    if before is None:
        (home / "a.yaml").symlink_to("..data/a.yaml")
    else:
        (home / before / "a.yaml").unlink()
        (home / before).rmdir()


def repository(folder: Path, number: int) -> None:
    """As `git pull` does it: another commit is checked out."""
    home = folder / "repository"
    if not (home / ".git").exists():
        for one in range(2):
            commit(home, {"a.yaml": alias("repository", one)})
            git(home, "tag", f"v{one}")
    git(home, "checkout", "--quiet", f"v{number % 2}")


WAYS: dict[str, Callable[[Path, int], None]] = {
    "written": written,
    "moved": moved,
    "mounted": mounted,
    "repository": repository,
}


def broken(folder: Path, number: int) -> None:
    """Somebody saves half a file, or a wrong one."""
    text = ["models: {half: ", "models: {wrong: nowhere/at-all}\n", "modls: {}\n", ""][number % 4]
    (folder / "written" / "a.yaml").write_text(text, "utf-8")


# ── clients ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Client:
    """Asks for one long stream after the other in a session of its own, and looks at every answer."""

    number: int
    wire: str
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def run(self, session: aiohttp.ClientSession, gw: Running, over: asyncio.Event) -> None:
        path, body = call(self.wire, "main", stream=True)
        headers = {"x-session-id": f"s{self.number}"}
        while not over.is_set():
            try:
                async with session.post(gw.url + path, json=body, headers=headers) as answer:
                    text = await answer.text()
                    self._look(answer.status, answer.headers.get("X-OmniRoute-Target", ""), text)
            except aiohttp.ClientError as error:
                self.wrong.append(repr(error))

    def _look(self, status: int, target: str, text: str) -> None:
        said = "".join(spoken(text))
        expected = f"{target.partition('/')[0]}: {''.join(WORDS)}"
        if status != 200 or said != expected:
            self.wrong.append(f"{self.wire} {status} {target}: {said or text[:200]!r}")
        self.answers[target] += 1


def spoken(stream: str) -> Iterator[str]:
    """The text in the events of any of the formats."""
    for line in stream.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices", ()):
            yield choice["delta"].get("content") or ""
        for candidate in event.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                yield part.get("text", "")
        if event.get("type") == "content_block_delta":
            yield event["delta"].get("text", "")


def provider(name: str, asked: Counter[str]) -> Callable[[Seen], Scripted]:
    def script(seen: Seen) -> Scripted:
        asked[name] += 1
        if seen.json.get("stream"):
            return Scripted(chunks=chat_stream(f"{name}: ", *WORDS), between=0.05)
        return Scripted(json=chat(name))

    return script


async def ask(session: aiohttp.ClientSession, gw: Running, model: str) -> int:
    path, body = call("openai-chat", model)
    async with session.post(gw.url + path, json=body) as answer:
        return answer.status


def memory(gw: Running) -> dict[str, Any]:
    """Who rests and which breakers are open, to the second."""
    state = gw.gateway.state
    rests = {
        f"rest {name}": copy.copy(rest)
        for name, rest in state.cooldowns.all().items()
        if rest.until - rest.since > 3600
    }
    return rests | {f"breaker {name}": copy.copy(one) for name, one in state.breakers.all().items()}


# ── the storm ────────────────────────────────────────────────────────────────────────────────────


async def storm(
    gw: Running, folder: Path, count: int, failures: list[str], upstreams: Sequence[FakeUpstream]
) -> list[int]:
    """Change files and reload, `count` times; how many objects there were on the way."""
    objects: list[int] = []
    runtime = gw.gateway.runtime
    ways = cycle(WAYS.items())
    for number in range(count):
        if number % 7 == 3:
            broken(folder, number)
            result = await runtime.reload()
            if result.ok:
                failures.append(f"{number}: a broken file was taken")
            written(folder, number)
            await runtime.reload()
        name, change = next(ways)
        change(folder, number)
        result = await runtime.reload()
        if not result.ok:
            failures.append(f"{number} {name}: {result.findings or result.error}")
        served = number % 2 if name == "repository" else number
        if runtime.generation.directory.aliases.get(f"{name}-{served}") != "main":
            failures.append(f"{number} {name}: not served")
        gw.records.clear()
        for upstream in upstreams:
            upstream.requests.clear()
        await asyncio.sleep(0)
        if number % max(1, count // 20) == 0:
            gc.collect()
            objects.append(len(gc.get_objects()))
    return objects


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nobody keeps the lines of the log: they would look like a leak."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(60 + RELOADS)
@pytest.mark.usefixtures("quiet")
async def test_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    for name in WAYS:
        (tmp_path / name).mkdir()
    asked: Counter[str] = Counter()
    async with FakeUpstream(provider("one", asked)) as one, FakeUpstream(provider("two", asked)) as two:
        config = MAIN.replace("ONE", one.url).replace("TWO", two.url)
        async with (
            gateway(config, folder=tmp_path, watch=True) as gw,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            for model in ("tired/demo", "broken/demo"):
                assert await ask(session, gw, model) >= 400
            before = memory(gw)
            clients = [Client(n, WIRES[n % len(WIRES)]) for n in range(CLIENTS)]
            over, failures = asyncio.Event(), list[str]()
            async with asyncio.TaskGroup() as tasks:
                for client in clients:
                    tasks.create_task(client.run(session, gw, over))
                await asyncio.sleep(0.5)
                objects = await storm(gw, tmp_path, RELOADS, failures, (one, two))
                over.set()
            after = memory(gw)
            assert len(gw.gateway.runtime.draining) <= 1

    answers = sum((c.answers for c in clients), Counter[str]())
    print(f"{RELOADS} reloads, {sum(answers.values())} streams, {objects[0]} → {objects[-1]} objects")
    assert failures == []
    assert [wrong for client in clients for wrong in client.wrong] == []
    assert sum(answers.values()) == asked.total() >= CLIENTS
    assert [dict(c.answers) for c in clients if len(c.answers) != 1] == [], "a session moved"
    assert answers["one/m"] and answers["two/m"]
    assert after == before
    assert set(before) == {"breaker broken", "rest tired/main"}
    settled = objects[len(objects) // 4 :]
    # The latest requests are kept, and some heads of requests; a configuration that stayed would be thousands at once.
    assert max(settled) - min(settled) < 15_000, objects


async def test_every_way_is_seen_without_being_told(tmp_path: Path) -> None:
    for name, change in WAYS.items():
        (tmp_path / name).mkdir()
        change(tmp_path, 0)
    config = MAIN.replace("ONE", "http://127.0.0.1:1").replace("TWO", "http://127.0.0.1:1")
    async with gateway(config, folder=tmp_path, watch=True) as gw:
        for way, change in WAYS.items():
            change(tmp_path, 1)
            assert await gw.gateway.runtime.until(lambda g, way=way: f"{way}-1" in g.directory.aliases, 40)
