"""The same answer again: by `Idempotency-Key`, by what a request says, and for the same body twice in a row."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import aiohttp
import pytest

from omniroute.registry import load
from omniroute.stages import cache as cache_stage
from omniroute.state.flights import AHEAD, MOST_OF_ONE
from omniroute.state.state import State
from omniroute.testing import FakeUpstream, Running, Scripted, Seen, gateway
from omniroute.wire.bridge import SPLITTERS, read_answer
from omniroute.wire.recast import Collected
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, error, responder, sse
from tests.support.waiting import until

UP = "{{format: openai-chat, base_url: '{url}/v1', retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}"
PIPELINE = "pipelines: {{chat: {{endpoints: [chat], stages: [auth, filter, {cache}, route, translate, retry, log]}}}}"
IDEMPOTENT = "cache"
EXACT = "{stage: cache, exact: {deterministic_only: false}}"
SINGLE = "{stage: cache, single_flight: {window: 5s}}"

plain_and_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
each_wire = pytest.mark.parametrize("wire", WIRES)


def config(url: str, cache: str = IDEMPOTENT, more: str = "", up: str = UP) -> str:
    return f"providers: {{up: {up.format(url=url)}}}\n{PIPELINE.format(cache=cache)}\n{more}\n"


class Clock:
    """Epoch seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A gateway in front of one upstream, and one client."""

    gw: Running
    up: FakeUpstream
    client: aiohttp.ClientSession
    clock: Clock

    @asynccontextmanager
    async def asking(
        self, wire: str = "openai-chat", *, stream: bool = False, text: str = "hi", model: str = "up/m",
        body: dict[str, Any] | None = None, **headers: str,
    ) -> AsyncIterator[aiohttp.ClientResponse]:  # fmt: skip
        path, document = call(wire, model, stream=stream, text=text)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        document = {**document, **(body or {})}
        async with self.client.post(self.gw.url + path, json=document, headers=named) as answer:
            yield answer

    async def ask(self, wire: str = "openai-chat", **more: Any) -> Answered:
        async with self.asking(wire, **more) as answer:
            return Answered(answer.status, await answer.read(), answer.headers.copy())

    async def called(self) -> None:
        """Until the upstream has been called."""
        await until(lambda: self.asked)

    async def under_way(self, count: int) -> None:
        """Until so many requests are in the gateway, and those before them wait for the upstream."""
        await self.called()
        await until(lambda: self.gw.gateway.runtime.generation.running == count)
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def asked(self) -> int:
        """How often the upstream was called."""
        return len(self.up.requests)

    def nothing_is_left(self) -> bool:
        flights = self.gw.gateway.state.cache.flights
        return (len(flights), flights.kept) == (0, 0)


@dataclass
class Answered:
    status: int
    body: bytes
    headers: Any

    @property
    def cache(self) -> str | None:
        found: str | None = self.headers.get("X-OmniRoute-Cache")
        return found

    @property
    def idempotent(self) -> bool:
        return self.headers.get("X-OmniRoute-Idempotent") == "true"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def world(script: Any, cache: str = IDEMPOTENT, more: str = "", up: str = UP) -> AsyncIterator[World]:
    clock = Clock()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        FakeUpstream(script) as upstream,
        gateway(config(upstream.url, cache, more, up), state=State(clock)) as gw,
        aiohttp.ClientSession(connector=connector) as client,
    ):
        yield World(gw, upstream, client, clock)


def slowly(*words: str, between: float = 0.05) -> Any:
    """A script that streams word by word, or answers plainly after as long."""

    def script(seen: Seen) -> Scripted:
        if seen.json.get("stream"):
            return Scripted(chunks=chat_stream(*words), between=between)
        return Scripted(json=chat("".join(words)), pause=between * len(words))

    return script


# ── the word alone ───────────────────────────────────────────────────────────────────────────────


async def test_a_bare_cache_leaves_ordinary_requests_alone() -> None:
    async with world(responder()) as w:
        answers = [await w.ask() for _ in range(2)]
    assert w.asked == 2
    assert [(a.status, a.cache, a.idempotent) for a in answers] == [(200, None, False)] * 2


async def test_the_shipped_pipeline_keeps_the_promise_of_the_header() -> None:
    async with FakeUpstream(responder()) as up, gateway(f"providers: {{up: {UP.format(url=up.url)}}}") as gw:
        path, body = call("openai-chat", "up/m")
        async with aiohttp.ClientSession(headers={"Idempotency-Key": "k1"}) as client:
            for _ in range(2):
                async with client.post(gw.url + path, json=body) as answer:
                    assert answer.status == 200
        assert len(up.requests) == 1


async def test_no_idempotency_where_the_stage_says_so() -> None:
    async with world(responder(), "{stage: cache, idempotency: null}") as w:
        answers = [await w.ask(Idempotency_Key="k1") for _ in range(2)]
    assert w.asked == 2
    assert not any(a.idempotent for a in answers)


# ── Idempotency-Key ──────────────────────────────────────────────────────────────────────────────


@each_wire
@plain_and_stream
async def test_the_same_key_gets_the_same_bytes(wire: str, stream: bool) -> None:
    async with world(responder()) as w:
        first = await w.ask(wire, stream=stream, Idempotency_Key="k1")
        second = await w.ask(wire, stream=stream, Idempotency_Key="k1")
        other = await w.ask(wire, stream=stream, Idempotency_Key="k2")
        assert w.asked == 2
        assert (first.idempotent, second.idempotent, other.idempotent) == (False, True, False)
        assert second.status == 200 and second.body == first.body
        assert second.headers["Content-Type"] == first.headers["Content-Type"]
        assert second.headers["X-OmniRoute-Target"] == "up/m"
        assert w.nothing_is_left()


@each_wire
async def test_the_same_key_for_another_request_is_refused_in_the_client_s_format(wire: str) -> None:
    async with world(responder()) as w:
        await w.ask(wire, Idempotency_Key="k1")
        refused = await w.ask(wire, text="something else", Idempotency_Key="k1")
    assert refused.status == 422
    assert "Idempotency-Key" in refused.json["error"]["message"]
    assert w.asked == 1


async def test_another_request_is_refused_also_while_the_first_is_under_way() -> None:
    goes_on = asyncio.Event()
    async with world([Scripted(json=chat(), gate=goes_on)]) as w:
        first = asyncio.ensure_future(w.ask(Idempotency_Key="k1"))
        await w.called()
        refused = await w.ask(text="something else", Idempotency_Key="k1")
        assert refused.status == 422
        goes_on.set()
        assert (await first).status == 200


async def test_plain_and_stream_are_two_requests() -> None:
    async with world(responder()) as w:
        await w.ask(stream=False, Idempotency_Key="k1")
        assert (await w.ask(stream=True, Idempotency_Key="k1")).status == 422


async def test_keys_of_callers_are_their_own() -> None:
    keys = "keys: {one: {key: key-of-one}, two: {key: key-of-two}}"
    async with world(responder(), more=keys) as w:
        answers = [
            await w.ask(Authorization=f"Bearer key-of-{who}", Idempotency_Key="k1")
            for who in ("one", "two", "one")
        ]
    assert [a.idempotent for a in answers] == [False, False, True]


async def test_an_answer_is_kept_for_its_time() -> None:
    async with world(responder(), "{stage: cache, idempotency: {ttl: 10m}}") as w:
        told = []
        for passed in (0, 599, 2):
            w.clock.now += passed
            told.append((await w.ask(Idempotency_Key="k1")).idempotent)
    assert told == [False, True, False]


@plain_and_stream
async def test_errors_are_not_kept(stream: bool) -> None:
    async with world([error(400), Scripted(json=chat())]) as w:
        first = await w.ask(stream=stream, Idempotency_Key="k1")
        second = await w.ask(stream=stream, Idempotency_Key="k1")
    assert (first.status, second.status) == (400, 200)
    assert not second.idempotent


async def test_cut_streams_are_not_kept() -> None:
    cut = Scripted(chunks=chat_stream("half")[:2], cut=True)
    async with world([cut, Scripted(chunks=chat_stream("whole"))]) as w:
        first = await w.ask(stream=True, Idempotency_Key="k1")
        w.clock.now += 60  # the account has rested
        second = await w.ask(stream=True, Idempotency_Key="k1")
        assert b"error" in first.body
        assert b"whole" in second.body and not second.idempotent
        await w.gw.recorded(2)
        assert w.gw.records[0].error is not None
        assert w.nothing_is_left()


async def test_explain_is_never_an_answer_to_keep() -> None:
    async with world(responder()) as w:
        plan = await w.ask(X_OmniRoute_Explain="1", Idempotency_Key="k1")
        answer = await w.ask(Idempotency_Key="k1")
    assert "steps" in plan.json or "targets" in plan.json
    assert "choices" in answer.json and not answer.idempotent


# ── joining what is under way ────────────────────────────────────────────────────────────────────


@each_wire
async def test_a_joiner_gets_the_events_so_far_and_then_the_live_ones(wire: str) -> None:
    words = ["one ", "two ", "three ", "four"]
    async with world(slowly(*words)) as w:
        async with w.asking(wire, stream=True, Idempotency_Key="k1") as first:
            begun = await first.content.readuntil(b"one ")
            async with w.asking(wire, stream=True, Idempotency_Key="k1") as second:
                early = await second.content.readuntil(b"one ")
                assert early == begun
                assert b"four" not in early
                rest = await asyncio.gather(first.content.read(), second.content.read())
        assert rest[0] == rest[1]
        assert b"four" in rest[0]
        assert second.headers["X-OmniRoute-Idempotent"] == "true"
        assert w.asked == 1
        assert w.nothing_is_left()


@plain_and_stream
async def test_the_first_may_leave(stream: bool) -> None:
    """Its answer goes on for who has joined, who also pays for it."""
    goes_on = asyncio.Event()
    whole = Scripted(chunks=chat_stream("one ", "two ", "three")) if stream else Scripted(json=chat("three"))
    async with world([replace(whole, gate=goes_on)]) as w:
        first = asyncio.ensure_future(w.ask(stream=stream, Idempotency_Key="k1"))
        await w.called()
        second = asyncio.ensure_future(w.ask(stream=stream, Idempotency_Key="k1"))
        await w.under_way(2)
        first.cancel()
        await w.gw.recorded(1)
        goes_on.set()
        answer = await second
        assert answer.status == 200 and b"three" in answer.body
        assert w.asked == 1
        assert not w.up.requests[0].left.is_set()
        await w.gw.recorded(2)
        gone, paid = w.gw.records
        assert (gone.error, gone.input_tokens) == ("client_gone", None)
        assert (paid.error, paid.target) == (None, "up/m")
        assert paid.cache == "idempotent"
        if not stream:
            assert paid.input_tokens == 3
        assert w.nothing_is_left()


@plain_and_stream
async def test_when_all_have_left_the_upstream_is_let_go(stream: bool) -> None:
    hangs = Scripted(chunks=chat_stream("one")[:2], hang=True) if stream else Scripted(json=chat(), pause=30)
    async with world([hangs]) as w:
        asking = [asyncio.ensure_future(w.ask(stream=stream, Idempotency_Key="k1")) for _ in range(3)]
        await w.under_way(3)
        for one in asking[:2]:
            one.cancel()
        await w.gw.recorded(2)
        assert not w.up.requests[0].left.is_set()
        asking[2].cancel()
        async with asyncio.timeout(20):
            await w.up.requests[0].left.wait()
        await w.gw.recorded(3)
        assert {r.error for r in w.gw.records} == {"client_gone"}
        assert w.asked == 1
        assert w.nothing_is_left()
        state = w.gw.gateway.state
        assert state.cooldowns.all() == {}, "that the clients left is no fault of the account"


async def test_joiners_share_an_error_and_the_next_tries_anew() -> None:
    goes_on = asyncio.Event()
    refused = Scripted(status=400, json={"error": {"message": "no"}}, gate=goes_on)
    async with world([refused, Scripted(json=chat())]) as w:
        asking = [asyncio.ensure_future(w.ask(Idempotency_Key="k1")) for _ in range(5)]
        await w.under_way(5)
        goes_on.set()
        answers = await asyncio.gather(*asking)
        assert {a.status for a in answers} == {400}
        assert w.asked == 1
        assert (await w.ask(Idempotency_Key="k1")).status == 200


async def test_a_joiner_that_does_not_read_slows_nobody_and_costs_no_memory() -> None:
    """20 MB: the sleeper keeps no more than the bound of one answer, and the first has all of it."""
    word = "x" * 200_000
    big = Scripted(chunks=sse(*[chat_chunk({"content": word})] * 100, chat_chunk({}, "stop"), done=True))
    async with world([big]) as w:
        async with w.asking(stream=True, Idempotency_Key="k1") as first:
            await first.content.readany()
            sleeper = aiohttp.ClientSession(read_bufsize=2**12)
            path, body = call("openai-chat", "up/m", stream=True)
            asleep = await sleeper.post(w.gw.url + path, json=body, headers={"Idempotency-Key": "k1"})
            size, most = 0, 0
            async for chunk in first.content.iter_any():
                size += len(chunk)
                most = max(most, w.gw.gateway.state.cache.flights.kept)
        assert size > 100 * len(word) - 2**20
        assert most <= MOST_OF_ONE + AHEAD + 2 * len(word)
        asleep.close()
        await sleeper.close()
        await w.gw.recorded(2)
        assert w.nothing_is_left()


@pytest.mark.parametrize(("cache", "headers"), [
    (IDEMPOTENT, {"Idempotency_Key": "k1"}), (EXACT, {}), (SINGLE, {}),
], ids=["idempotent", "exact", "single-flight"])  # fmt: skip
@plain_and_stream
async def test_a_hundred_at_once_are_one_call(cache: str, headers: dict[str, str], stream: bool) -> None:
    async with world(slowly("one ", "two"), cache) as w:
        answers = await asyncio.gather(*[w.ask(stream=stream, **headers) for _ in range(100)])
        assert w.asked == 1
        assert {(a.status, a.body) for a in answers} == {(200, answers[0].body)}
        again = [a.cache == "HIT" or a.idempotent for a in answers]
        assert sorted(again) == [False, *[True] * 99]
        assert w.nothing_is_left()


@plain_and_stream
async def test_an_answer_is_charged_once_whoever_is_left(stream: bool) -> None:
    """Three ask, two get the answer: the key's budget pays for one, also when the first has left."""
    priced = UP.replace("accounts:", "models: {{m: {{price: {{input: 1000, output: 1000}}}}}}, accounts:")
    usage = {**chat_chunk({}), "choices": [], "usage": chat()["usage"]}
    chunks = sse(*[chat_chunk({"content": w}) for w in "abcdef"], chat_chunk({}, "stop"), usage, done=True)

    goes_on = asyncio.Event()
    whole = Scripted(chunks=chunks) if stream else Scripted(json=chat())
    async with world(
        [replace(whole, gate=goes_on)], more="keys: {one: {key: k1, budget: {usd: 1, per: day}}}", up=priced
    ) as w:
        asking = []
        for _ in range(3):
            asking.append(
                asyncio.ensure_future(w.ask(stream=stream, Idempotency_Key="k", Authorization="Bearer k1"))
            )
            await w.called()
        await w.under_way(3)
        asking[0].cancel()
        await w.gw.recorded(1)
        goes_on.set()
        answers = await asyncio.gather(*asking[1:])
        assert {a.status for a in answers} == {200}
        await w.gw.recorded(3)
        assert w.asked == 1
        assert sorted(r.cost or 0.0 for r in w.gw.records) == [0.0, 0.0, pytest.approx(0.005)]
        (caller,) = w.gw.gateway.runtime.generation.keyring.callers
        assert caller.budget is not None
        spent = w.gw.gateway.state.ledger.standing(caller.budget, w.clock()).used
        assert spent == pytest.approx(0.005)


# ── exact ────────────────────────────────────────────────────────────────────────────────────────

SHAPES = list(product(WIRES, (False, True)))
CODECS = {d.name: d.cls() for d in load(plugins=False).all("wire")}


def said(wire: str, stream: bool, body: bytes) -> tuple[str, str]:
    """Text and finish of an answer, read by the gateway's own codecs and not by those who wrote it."""
    codec = CODECS[wire]
    if not stream:
        answer = read_answer(body, codec)
    else:
        splitter, reader, collected = SPLITTERS[codec.framing](), codec.reader(), Collected()
        for event in [*splitter.feed(body), *splitter.end()]:
            collected.add(reader.feed(event))
        collected.add(reader.end())
        answer = collected.answer()
    (choice,) = answer.choices
    assert choice.finish is not None
    return "".join(part.text for part in choice.parts if hasattr(part, "text")), choice.finish.reason


LIMITS: dict[str, dict[str, Any]] = {
    "anthropic-messages": {"max_tokens": 100},
    "gemini": {"generationConfig": {"maxOutputTokens": 100}},
    "openai-chat": {"max_tokens": 100},
    "openai-responses": {"max_output_tokens": 100},
}
"""One limit in the words of each format, so that the same is asked in all of them."""


@pytest.mark.parametrize("kept", SHAPES, ids=str)
async def test_an_answer_serves_every_format_and_shape(kept: tuple[str, bool]) -> None:
    async with world(responder("ciao bella"), EXACT) as w:
        first = await w.ask(kept[0], stream=kept[1], body=LIMITS[kept[0]])
        assert first.cache == "MISS"
        for wire, stream in SHAPES:
            hit = await w.ask(wire, stream=stream, body=LIMITS[wire])
            assert hit.cache == "HIT", (wire, stream)
            assert said(wire, stream, hit.body) == ("ciao bella", "stop")
            kind = "text/event-stream" if stream else "application/json"
            assert hit.headers["Content-Type"].startswith(kind)
            assert (wire, stream) != kept or hit.body == first.body
            assert (hit.headers["X-OmniRoute-Target"], hit.headers["Age"]) == ("up/m", "0")
        assert w.asked == 1


@pytest.mark.parametrize("asked", SHAPES, ids=str)
async def test_an_answer_that_is_under_way_as_one_json_array_serves_every_format(
    asked: tuple[str, bool],
) -> None:
    """Gemini without `alt=sse`; it is not kept, for its shape is that of few clients."""
    wire, stream = asked
    goes_on = asyncio.Event()
    async with world([Scripted(chunks=chat_stream("ciao ", "bella"), gate=goes_on)], EXACT) as w:
        path, body = call("gemini", "up/m")
        path = path.replace("generateContent", "streamGenerateContent")
        array = asyncio.ensure_future(w.client.post(w.gw.url + path, json={**body, **LIMITS["gemini"]}))
        await w.called()
        joining = asyncio.ensure_future(w.ask(wire, stream=stream, body=LIMITS[wire]))
        await w.under_way(2)
        goes_on.set()
        answer = await joining
        assert answer.cache == "HIT"
        assert said(wire, stream, answer.body) == ("ciao bella", "stop")
        elements = await (await array).json()
        assert [type(e) for e in elements] == [dict] * len(elements)
        assert w.asked == 1


async def test_a_hit_costs_nothing_and_says_so() -> None:
    priced = UP.replace("accounts:", "models: {{m: {{price: {{input: 1000, output: 1000}}}}}}, accounts:")
    async with world(responder(), EXACT, up=priced) as w:
        await w.ask()
        w.clock.now += 90
        hit = await w.ask()
        assert hit.headers["Age"] == "90"
        await w.gw.recorded(2)
        miss, again = w.gw.records
        assert miss.cache == "miss" and miss.cost == pytest.approx(0.005) and miss.input_tokens == 3
        assert (again.cache, again.cost, again.input_tokens, again.target) == ("hit", 0.0, None, None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, ["BYPASS", "BYPASS"]),
        ({"temperature": 1}, ["BYPASS", "BYPASS"]),
        ({"temperature": 0}, ["MISS", "HIT"]),
        ({"temperature": 0.0, "user": "somebody"}, ["MISS", "HIT"]),
    ],
)
async def test_only_deterministic_requests_by_default(body: dict[str, Any], told: list[str]) -> None:
    async with world(responder(), "{stage: cache, exact: {}}") as w:
        assert [(await w.ask(body=body)).cache for _ in range(2)] == told


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X_OmniRoute_No_Cache": "1"}, "BYPASS"),
        ({"X_OmniRoute_No_Cache": "0"}, "HIT"),
        ({"Cache_Control": "max-age=0, no-store"}, "BYPASS"),
        ({"Cache_Control": "no-transform"}, "HIT"),
    ],
)
async def test_a_client_may_ask_anew(headers: dict[str, str], told: str) -> None:
    async with world(responder(), EXACT) as w:
        await w.ask()
        assert (await w.ask(**headers)).cache == told
        assert w.asked == (2 if told == "BYPASS" else 1)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "ho"}]},
        {"temperature": 0.5},
        {"max_tokens": 5},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        {"response_format": {"type": "json_object"}},
        {"seed": 3},
        {"stop": ["x"]},
        {"a_setting_that_nobody_knows": 1},
    ],
    ids=lambda body: next(iter(body)),
)
async def test_what_changes_the_answer_is_part_of_the_key(other: dict[str, Any]) -> None:
    async with world(responder(), EXACT) as w:
        told = [(await w.ask(body=body)).cache for body in ({}, other, {}, other)]
    assert told == ["MISS", "MISS", "HIT", "HIT"]


async def test_headers_that_change_the_answer_are_part_of_the_key() -> None:
    async with world(responder(), EXACT) as w:
        told = [(await w.ask(**h)).cache for h in ({}, {"anthropic_beta": "new"}, {"x_other": "1"})]
    assert told == ["MISS", "MISS", "HIT"]


LOOKING = {
    "a condition": """
combos:
  best: {targets: [{model: up/a, when: 'headers."x-team" == ''blue'''}, up/b]}
""",
    "a template": """
transforms:
  signed: {on: request, ops: [{set: {user: "{{ headers['x-team'] }}"}}]}
models: {best: up/b}
""",
    "a route": """
models: {best: up/b}
routes: [{match: {header: {x-team: blue}}, pipeline: other}]
""",
}


@pytest.mark.parametrize("more", LOOKING.values(), ids=LOOKING)
async def test_headers_that_the_file_looks_at_are_part_of_the_key(more: str) -> None:
    pipelines = PIPELINE.format(cache=EXACT)
    other = pipelines.removesuffix("}").replace("pipelines: {chat: {endpoints: [chat], ", "other: {")
    up = UP.replace("accounts:", "transforms: [signed], accounts:") if "signed" in more else UP
    async with FakeUpstream(responder()) as upstream:
        config = f"providers: {{up: {up.format(url=upstream.url)}}}\n{pipelines.removesuffix('}')}, {other}}}\n{more}"
        async with gateway(config) as gw, aiohttp.ClientSession() as client:
            w = World(gw, upstream, client, Clock())
            teams = ("blue", "red", "blue", "red")
            told = [(await w.ask(model="best", x_team=team)).cache for team in teams]
    assert told == ["MISS", "MISS", "HIT", "HIT"]


async def test_the_key_that_the_file_looks_at_is_part_of_the_key() -> None:
    """Also where callers share their answers."""
    scope = "{stage: cache, exact: {deterministic_only: false, scope: global}}"
    more = KEYS + "combos: {best: {targets: [{model: up/a, when: \"key == 'one'\"}, up/b]}}"
    async with world(responder(), scope, more) as w:
        told = [
            (await w.ask(model="best", Authorization=f"Bearer key-of-{who}")).cache
            for who in ("one", "two", "one", "two")
        ]
    assert told == ["MISS", "MISS", "HIT", "HIT"]


KEYS = """
keys:
  one: {key: key-of-one}
  two: {key: key-of-two}
  barred: {key: key-of-barred, providers: [none-*]}
"""


@pytest.mark.parametrize(
    ("scope", "told"),
    [("key", ["MISS", "MISS", "HIT", None]), ("global", ["MISS", "HIT", "HIT", None])],
)
async def test_the_scope(scope: str, told: list[str | None]) -> None:
    """And whoever may not use the model gets nothing from the cache, whatever the scope."""
    async with world(
        responder(), f"{{stage: cache, exact: {{deterministic_only: false, scope: {scope}}}}}", KEYS
    ) as w:
        answers = [
            await w.ask(Authorization=f"Bearer key-of-{who}") for who in ("one", "two", "one", "barred")
        ]
    assert [a.cache if a.status == 200 else None for a in answers] == told
    assert answers[3].status == 403


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ("ttl: 1m", ["MISS"] * 3 + ["HIT"] * 3),
        ("entries: 2", ["MISS"] * 6),
        ("entries: 3", ["MISS"] * 3 + ["HIT"] * 3),
        ("bytes: 100", ["MISS"] * 6),
    ],
)
async def test_bounds(bounds: str, told: list[str]) -> None:
    async with world(responder(), f"{{stage: cache, exact: {{deterministic_only: false, {bounds}}}}}") as w:
        answers = [await w.ask(text=text) for text in ("a", "b", "c", "a", "b", "c")]
        assert [a.cache for a in answers] == told
        w.clock.now += 3600
        assert (await w.ask(text="a")).cache == "MISS"


async def test_a_changed_plan_is_another_question() -> None:
    """After a reload an alias means another model: what the first one said is not its answer. A limit changes nothing."""
    more = "models: {best: up/m}"
    async with world(responder(), EXACT, more) as w:
        told = [(await w.ask(model="best")).cache for _ in range(2)]
        text = w.gw.path.read_text("utf-8")
        for old, new in (
            ("providers:", "# a line more\nlog: {level: warning}\nproviders:"),
            ("retry: {attempts: 1}", "retry: {attempts: 2}"),
            ("best: up/m}", "best: up/other}"),
            ("format: openai-chat", "format: openai-chat, headers: {x-mode: strict}"),
        ):
            text = text.replace(old, new)
            w.gw.path.write_text(text, "utf-8")
            assert (await w.gw.gateway.runtime.reload()).changed
            told.append((await w.ask(model="best")).cache)
    assert told == ["MISS", "HIT", "HIT", "HIT", "MISS", "MISS"]


async def test_an_operator_may_forget_all_answers() -> None:
    async with world(responder(), EXACT) as w:
        for _ in range(2):
            await w.ask()
        async with w.client.get(f"{w.gw.url}/-/state") as state:
            kept = (await state.json())["cache"]["kept"]["exact"]
        assert kept["answers"] == 1 and kept["bytes"] > 100
        async with w.client.post(f"{w.gw.url}/-/state/reset?kind=cache&name=exact") as reset:
            assert await reset.json() == {"reset": 1}
        assert (await w.ask()).cache == "MISS"


async def test_errors_and_cut_streams_are_not_kept_either() -> None:
    script = [
        error(400),
        Scripted(chunks=chat_stream("half")[:2], cut=True),
        Scripted(chunks=chat_stream("all")),
    ]
    async with world(script, EXACT) as w:
        told = []
        for _ in range(4):
            answer = await w.ask(stream=True)
            told.append((answer.status, answer.cache))
            w.clock.now += 60
    assert told == [(400, "MISS"), (200, "MISS"), (200, "MISS"), (200, "HIT")]


@pytest.mark.parametrize(("size", "told"), [(100, ["MISS", "HIT"]), (1_000, ["BYPASS", "BYPASS"])])
async def test_very_large_requests_are_not_kept_but_have_their_keys(
    size: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_stage, "LARGE", 1_000)
    async with world(responder(), EXACT) as w:
        assert [(await w.ask(text="x" * size)).cache for _ in range(2)] == told
        answers = [await w.ask(text="x" * size, Idempotency_Key="k1") for _ in range(2)]
        assert [a.idempotent for a in answers] == [False, True]


async def test_a_request_that_a_codec_does_not_know_passes_by() -> None:
    async with world(responder(), EXACT) as w:
        strange = {"messages": [{"role": "user", "content": [{"type": "hologram", "of": "a cat"}]}]}
        assert [(await w.ask(body=strange)).cache for _ in range(2)] == ["BYPASS", "BYPASS"]


async def test_a_conversation_goes_on_from_a_hit() -> None:
    """The Responses API: another caller got the answer from the cache, and refers to it."""
    scope = "{stage: cache, exact: {deterministic_only: false, scope: global}}"
    async with world(responder("ciao"), scope, KEYS) as w:
        for who in ("one", "two"):
            answer = await w.ask("openai-responses", Authorization=f"Bearer key-of-{who}")
        assert answer.cache == "HIT"
        onward = await w.ask(
            "openai-responses",
            text="and?",
            body={"previous_response_id": answer.json["id"]},
            Authorization="Bearer key-of-two",
        )
        assert (onward.status, onward.cache) == (200, "BYPASS")
        assert [m["content"] for m in w.up.requests[-1].json["messages"]] == ["hi", "ciao", "and?"]


async def test_a_key_and_an_exact_answer_together() -> None:
    async with world(responder(), EXACT) as w:
        first = await w.ask(Idempotency_Key="k1")
        by_key = await w.ask(Idempotency_Key="k1")
        by_words = await w.ask(Idempotency_Key="k2")
        assert w.asked == 1
    assert (first.cache, first.idempotent) == ("MISS", False)
    assert (by_key.cache, by_key.idempotent) == (None, True)
    assert (by_words.cache, by_words.idempotent) == ("HIT", False)
    assert first.body == by_key.body == by_words.body


# ── single flight ────────────────────────────────────────────────────────────────────────────────


@plain_and_stream
async def test_the_same_body_within_the_window(stream: bool) -> None:
    async with world(responder(), SINGLE) as w:
        told = []
        for passed in (0, 4, 2):
            w.clock.now += passed
            told.append((await w.ask(stream=stream)).idempotent)
    assert told == [False, True, False]


async def test_an_answer_that_began_before_the_window_is_not_joined() -> None:
    goes_on = asyncio.Event()
    async with world([Scripted(json=chat(), gate=goes_on)], SINGLE) as w:
        first = asyncio.ensure_future(w.ask())
        await w.called()
        w.clock.now += 6
        second = asyncio.ensure_future(w.ask())
        await until(lambda: w.asked == 2)
        goes_on.set()
        assert not (await second).idempotent and not (await first).idempotent
    assert w.asked == 2


# ── what must not happen ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cache", [IDEMPOTENT, EXACT, SINGLE])
async def test_issue_27_bodies_are_not_rewritten(cache: str) -> None:
    """A provider's prompt cache lives from equal bytes: those of the client arrive as without this stage."""
    raw = (
        b'{"model":"up/m","temperature":0,"messages":[{"role":"user","content":[{"text":"caf\\u00e9 \\/ 1.0",'
        b'"type":"text","cache_control":{"type":"ephemeral"}}]}],"n":1,"unknown":{"b":1,"a":[1.50]}}'
    )
    arrived = []
    for stages in (cache, "{stage: filter}"):
        async with world(responder(), stages) as w:
            path, _ = call("openai-chat", "up/m")
            async with w.client.post(w.gw.url + path, data=raw, headers={"Idempotency-Key": "k1"}) as answer:
                assert answer.status == 200
            arrived.append(w.up.requests[0].body)
    assert arrived[0] == arrived[1] == raw.replace(b"up/m", b"m")


async def test_a_joined_error_shows_no_secret_of_the_account() -> None:
    goes_on = asyncio.Event()
    told = Scripted(status=400, json={"error": {"message": "the key k-secret-1 is odd"}}, gate=goes_on)
    async with world([told], up=UP.replace("key: k", "key: k-secret-1")) as w:
        asking = [asyncio.ensure_future(w.ask(Idempotency_Key="k1")) for _ in range(2)]
        await w.under_way(2)
        goes_on.set()
        answers = await asyncio.gather(*asking)
    assert {a.status for a in answers} == {400}
    assert not any(b"k-secret-1" in a.body for a in answers)


@pytest.mark.parametrize("seed", range(3))
async def test_a_crowd_that_comes_and_goes(seed: int) -> None:
    """Three hundred clients with a dozen keys, a third of whom hang up at some moment: who stays gets all of it, and
    when they are gone nothing is left of them."""
    dice = random.Random(seed)
    words = [f"word{n} " for n in range(6)]

    async def client(w: World, number: int) -> Answered | None:
        key, stream = dice.randrange(12), dice.random() < 0.7
        await asyncio.sleep(dice.uniform(0, 0.6))
        try:
            async with asyncio.timeout(dice.uniform(0, 0.3) if dice.random() < 0.33 else 20):
                return await w.ask(stream=stream, text=f"{key}{stream}", Idempotency_Key=f"{key}{stream}")
        except TimeoutError:
            return None

    async with world(slowly(*words, between=0.02), EXACT) as w:
        answers = await asyncio.gather(*[client(w, n) for n in range(300)])
        stayed = [a for a in answers if a is not None]
        assert len(stayed) >= 150, "two thirds mean to; a busy machine makes some of the others late"
        for answer in stayed:
            assert answer.status == 200
            text = said(
                "openai-chat", answer.headers["Content-Type"].startswith("text/event-stream"), answer.body
            )
            assert text == ("".join(words), "stop")
        assert w.asked <= 24 + (300 - len(stayed))
        await w.gw.recorded(len(stayed))
        await until(w.nothing_is_left)  # the gateway notices a hang-up by itself
        assert [t.get_name() for t in asyncio.all_tasks() if t.get_name() == "flight"] == []
