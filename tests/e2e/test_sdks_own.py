"""What an official SDK gets from an upstream of each format: answers, streams, refusals and broken streams of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product

import pytest
import pytest_asyncio

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.fidelity import own_answers as own
from tests.fidelity.clients import CLIENTS, RESULT, Client, Heard, Offer
from tests.fidelity.meaning import Call, settle
from tests.fidelity.replay import BASE, CLIENT_WIRES, PROVIDER_OF, asked_model
from tests.fidelity.request_run import ANSWERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIRES = CLIENT_WIRES
UPSTREAMS = tuple(PROVIDER_OF)
each_client = pytest.mark.parametrize("client", WIRES)
each_upstream = pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda wire: f"from-{wire}")
SIGNING = [(c, u) for c, u in product(WIRES, UPSTREAMS) if c != u and u != "openai-chat"]
"""Client and upstream of two formats, where the upstream's has a place for a signature."""
plain_and_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@dataclass
class Sdks:
    """Each SDK by the format that it speaks, at one gateway in front of one upstream."""

    clients: dict[str, Client]
    upstream: FakeUpstream


def provider(upstream: str, client: str, purpose: str) -> str:
    """A provider for each case: an account that failed rests, and must not spoil another test."""
    return f"{PROVIDER_OF[upstream]}-{PROVIDER_OF[client]}-{purpose}"


def script(seen: Seen) -> Scripted:
    """The model's name says what is to happen: `answer.…`, `limited.…` or `cut.…`, then the upstream's format."""
    what, _, wire = asked_model(seen).partition(".")
    if what == "limited":
        return Scripted(status=429, json=own.LIMITED[wire], headers={"Retry-After": "17"})
    if what == "cut":
        return own.cut(wire)
    if RESULT.encode() in seen.body:
        return Scripted(json=ANSWERS[wire])
    return own.answer(wire, "stream" in seen.path or seen.json.get("stream") is True)


def configuration(url: str) -> str:
    lines = ["providers:"]
    for upstream, client, purpose in product(
        UPSTREAMS, WIRES, ("answer", "limited", "limited-stream", "cut")
    ):
        lines.append(
            f"  {provider(upstream, client, purpose)}: {{format: {upstream}, base_url: '{url}{BASE[upstream]}',"
            " retry: {attempts: 1}, accounts: {a: {key: k1}}}"
        )
    return "\n".join(lines) + "\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdks() -> AsyncIterator[Sdks]:
    async with FakeUpstream(script) as upstream, gateway(configuration(upstream.url)) as running:
        clients = {kind.wire: kind(running.url) for kind in CLIENTS}
        yield Sdks(clients, upstream)
        for client in clients.values():
            await client.close()


async def hear(sdks: Sdks, client: str, upstream: str, purpose: str, stream: bool) -> Heard:
    what = purpose.partition("-")[0]
    return await sdks.clients[client].hear(
        f"{provider(upstream, client, purpose)}/{what}.{upstream}",
        stream=stream,
        own=client == upstream,
        offers=[Offer(own.TOOL)],
    )


@each_client
@each_upstream
@plain_and_stream
async def test_thought_text_and_a_tool_call(sdks: Sdks, client: str, upstream: str, stream: bool) -> None:
    """Text, reasoning, the call with its arguments, the finish and the usage are what the upstream said."""
    heard = await hear(sdks, client, upstream, "answer", stream)
    assert (heard.crash, heard.shape) == ("", [])
    meaning = settle(heard.meaning)
    assert meaning.error is None
    choice = meaning.first
    assert "".join(choice.texts) == own.TEXT
    assert "".join(choice.reasoning) == own.THOUGHT
    assert choice.calls == [Call(own.TOOL, own.ARGUMENTS)]
    assert choice.finish == "tool"
    usage = meaning.usage
    assert usage is not None
    assert (usage.input, usage.cached) == (own.INPUT, own.CACHED)
    assert usage.output == own.OUTPUT
    assert (usage.reasoning or 0) == (0 if upstream in own.UNCOUNTED else own.REASONING)


@pytest.mark.parametrize(("client", "upstream"), SIGNING)
@plain_and_stream
async def test_what_was_signed_comes_back(sdks: Sdks, client: str, upstream: str, stream: bool) -> None:
    """The next turn brings the provider its own signature, whatever format the client keeps its history in."""
    heard = await hear(sdks, client, upstream, "answer", stream)
    model = f"{provider(upstream, client, 'answer')}/answer.{upstream}"
    await sdks.clients[client].go_on(model, heard.turn, [Offer(own.TOOL)])
    body = sdks.upstream.requests[-1].body
    assert RESULT.encode() in body
    assert f'"{own.SIGNED}"'.encode() in body


@each_client
@each_upstream
@plain_and_stream
async def test_a_rate_limit_comes_with_its_wait(sdks: Sdks, client: str, upstream: str, stream: bool) -> None:
    """The SDK raises its error for 429, with the words of the upstream and `Retry-After`."""
    heard = await hear(sdks, client, upstream, "limited-stream" if stream else "limited", stream)
    failure = heard.meaning.error
    assert failure is not None, heard.crash
    assert (failure.status, failure.kind) == (429, "rate_limit")
    assert "Slow down." in failure.message
    assert failure.retry_after == "17"


@each_client
@plain_and_stream
async def test_an_unknown_model_is_not_found(sdks: Sdks, client: str, stream: bool) -> None:
    """The gateway's own 404 is the SDK's error for a model that is not there, and names it."""
    heard = await sdks.clients[client].hear("nobody/m", stream=stream, own=False)
    failure = heard.meaning.error
    assert failure is not None, heard.crash
    assert (failure.status, failure.kind) == (404, "not_found")
    assert "nobody" in failure.message


@each_client
@each_upstream
async def test_a_stream_cut_in_the_middle_raises(sdks: Sdks, client: str, upstream: str) -> None:
    """A stream that broke after some text does not look like a complete answer: the SDK raises its error."""
    heard = await hear(sdks, client, upstream, "cut", stream=True)
    assert heard.crash == ""
    assert heard.meaning.error is not None
    assert heard.meaning.error.kind == "server"
