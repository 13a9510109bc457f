"""What an official SDK gets from an upstream of each format: answers, streams, refusals and broken streams of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from omniroute.testing import FakeUpstream, Running, Script, Scripted, gateway
from tests.fidelity import own_answers as own
from tests.fidelity.clients import CLIENTS, Client, Offer
from tests.fidelity.meaning import Call, settle
from tests.fidelity.replay import PROVIDER_OF, configuration

# A broken stream leaves the SDK's own connection unclosed until the garbage collector comes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

each_client = pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: str(kind.wire))
each_upstream = pytest.mark.parametrize("upstream", PROVIDER_OF, ids=lambda wire: f"from-{wire}")
plain_and_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
OFFERS = (Offer(own.TOOL),)

Serve = Callable[[Script], AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[Running]:
    async with FakeUpstream(script) as upstream, gateway(configuration(upstream.url)) as running:
        yield running


@asynccontextmanager
async def sdk(kind: type[Client], running: Running) -> AsyncIterator[Client]:
    client = kind(running.url)
    try:
        yield client
    finally:
        await client.close()


@each_client
@each_upstream
@plain_and_stream
async def test_thought_text_and_a_tool_call(kind: type[Client], upstream: str, stream: bool) -> None:
    """Text, reasoning, the call with its arguments, the finish and the usage are what the upstream said."""
    async with serve([own.answer(upstream, stream)]) as running, sdk(kind, running) as client:
        heard = await client.hear(
            f"{PROVIDER_OF[upstream]}/m", stream=stream, own=kind.wire == upstream, offers=OFFERS
        )
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
    assert (usage.output, usage.reasoning) == (own.OUTPUT, own.REASONING)


@each_client
@each_upstream
@plain_and_stream
async def test_a_rate_limit_comes_with_its_wait(kind: type[Client], upstream: str, stream: bool) -> None:
    """The SDK raises its error for 429, with the words of the upstream and `Retry-After`."""
    limited = Scripted(status=429, json=own.LIMITED[upstream], headers={"Retry-After": "17"})
    async with serve([limited]) as running, sdk(kind, running) as client:
        heard = await client.hear(
            f"{PROVIDER_OF[upstream]}/m", stream=stream, own=kind.wire == upstream, offers=OFFERS
        )
    failure = heard.meaning.error
    assert failure is not None, heard.crash
    assert (failure.status, failure.kind) == (429, "rate_limit")
    assert "Slow down." in failure.message
    assert failure.retry_after == "17"


@each_client
@plain_and_stream
async def test_an_unknown_model_is_not_found(kind: type[Client], stream: bool) -> None:
    """The gateway's own 404 is the SDK's error for a model that is not there, and names it."""
    async with serve([Scripted()]) as running, sdk(kind, running) as client:
        heard = await client.hear("nobody/m", stream=stream, own=False)
    failure = heard.meaning.error
    assert failure is not None, heard.crash
    assert (failure.status, failure.kind) == (404, "not_found")
    assert "nobody" in failure.message


@each_client
@each_upstream
async def test_a_stream_cut_in_the_middle_raises(kind: type[Client], upstream: str) -> None:
    """A stream that broke after some text does not look like a complete answer: the SDK raises its error."""
    async with serve([own.cut(upstream)]) as running, sdk(kind, running) as client:
        heard = await client.hear(
            f"{PROVIDER_OF[upstream]}/m", stream=True, own=kind.wire == upstream, offers=OFFERS
        )
    assert heard.crash == ""
    assert heard.meaning.error is not None
    assert heard.meaning.error.kind == "server"
