"""What an official SDK makes of an answer from the cache: kept as a stream or whole, given as a stream or whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.fidelity import own_answers as own
from tests.fidelity.clients import CLIENTS, Client, Heard, Offer
from tests.fidelity.meaning import Call, settle
from tests.fidelity.replay import BASE

STAGES = "[auth, filter, {stage: cache, exact: {deterministic_only: false}}, route, translate, retry, log]"
WIRES = tuple(kind.wire for kind in CLIENTS)


def config(wire: str, url: str) -> str:
    return (
        f"providers: {{up: {{format: {wire}, base_url: '{url}{BASE[wire]}', accounts: {{a: {{key: k1}}}}}}}}\n"
        f"pipelines: {{chat: {{endpoints: [chat], stages: {STAGES}}}}}\n"
    )


def script(wire: str) -> Callable[[Seen], Scripted]:
    def answer(seen: Seen) -> Scripted:
        return own.answer(wire, "stream" in seen.path or seen.json.get("stream") is True)

    return answer


@pytest.mark.parametrize("kind", CLIENTS, ids=WIRES)
@pytest.mark.parametrize("upstream", WIRES, ids=lambda wire: f"from-{wire}")
async def test_the_sdk_hears_the_same(kind: type[Client], upstream: str) -> None:
    """Whole or as a stream, whichever way it was kept: one model for each pair of the two."""
    own_words = kind.wire == upstream
    async with FakeUpstream(script(upstream)) as up, gateway(config(upstream, up.url)) as gw:
        client = kind(gw.url)
        for number, (kept, asked) in enumerate(product((False, True), repeat=2), start=1):
            offers = [Offer(own.TOOL)]
            check(await client.hear(f"up/m{number}", stream=kept, own=own_words, offers=offers))
            untouched = own_words and kept == asked
            check(await client.hear(f"up/m{number}", stream=asked, own=untouched, offers=offers))
            assert len(up.requests) == number
        await client.close()
        await gw.recorded(8)
        assert [record.cache for record in gw.records] == ["miss", "hit"] * 4


def check(heard: Heard) -> None:
    assert (heard.crash, heard.shape) == ("", [])
    meaning = settle(heard.meaning)
    assert meaning.error is None
    choice = meaning.first
    assert "".join(choice.texts) == own.TEXT
    assert "".join(choice.reasoning) == own.THOUGHT
    assert choice.calls == [Call(own.TOOL, own.ARGUMENTS)]
    assert choice.finish == "tool"
    assert meaning.usage is not None
    assert (meaning.usage.input, meaning.usage.output) == (own.INPUT, own.OUTPUT)
