"""The Responses API's memory at a target that has none: the official SDK goes on from a response by its id."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from omniroute.state.responses import ResponseStore
from omniroute.testing import FakeUpstream, Running, gateway
from tests.support.answers import responder

CONFIG = """
keys: {{me: {{key: sk-me}}, other: {{key: sk-other}}}}
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
"""


def client(gw: Running, key: str = "sk-me") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=f"{gw.url}/v1", max_retries=0)


async def ask(sdk: openai.AsyncOpenAI, text: Any, *, stream: bool, **settings: Any) -> Any:
    if not stream:
        return await sdk.responses.create(model="up/m", input=text, **settings)
    events = await sdk.responses.create(model="up/m", input=text, stream=True, **settings)
    return [event async for event in events][-1].response


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_conversation_goes_on_by_id(stream: bool) -> None:
    async with (
        FakeUpstream(responder("ciao")) as up,
        gateway(CONFIG.format(url=up.url)) as gw,
        client(gw) as sdk,
    ):
        first = await ask(sdk, "one", stream=stream)
        second = await ask(sdk, "two", stream=stream, previous_response_id=first.id)
        await ask(sdk, "three", stream=stream, previous_response_id=second.id)
        said = [(m["role"], m["content"]) for m in up.requests[-1].json["messages"]]
        assert said == [
            ("user", "one"),
            ("assistant", "ciao"),
            ("user", "two"),
            ("assistant", "ciao"),
            ("user", "three"),
        ]


async def test_kept_responses_can_be_read_and_deleted_by_their_owner_only() -> None:
    async with FakeUpstream(responder("ciao")) as up, gateway(CONFIG.format(url=up.url)) as gw:
        async with client(gw) as sdk, client(gw, "sk-other") as stranger:
            made = await ask(sdk, "one", stream=False)
            assert (await sdk.responses.retrieve(made.id)).output_text == "ciao"
            items = await sdk.responses.input_items.list(made.id)
            assert items.data[0].role == "user"  # type: ignore[union-attr]  # a message
            with pytest.raises(openai.NotFoundError):
                await stranger.responses.retrieve(made.id)
            with pytest.raises(openai.BadRequestError, match="not found"):
                await ask(stranger, "two", stream=False, previous_response_id=made.id)
            await sdk.responses.delete(made.id)
            with pytest.raises(openai.NotFoundError):
                await sdk.responses.retrieve(made.id)


async def test_what_is_not_to_be_stored_is_not() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw, client(gw) as sdk:
        made = await ask(sdk, "one", stream=False, store=False)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(made.id)


async def test_an_item_is_referred_to() -> None:
    async with (
        FakeUpstream(responder("ciao")) as up,
        gateway(CONFIG.format(url=up.url)) as gw,
        client(gw) as sdk,
    ):
        made = await ask(sdk, "one", stream=False)
        reference = {"type": "item_reference", "id": made.output[0].id}
        await ask(sdk, [reference, {"role": "user", "content": "and?"}], stream=False)
        assert [m["content"] for m in up.requests[-1].json["messages"]] == ["ciao", "and?"]


async def test_the_store_is_bounded() -> None:
    now = 0.0
    store = ResponseStore(lambda: now, most=3, most_bytes=10_000)
    for number in range(5):
        store.keep("me", {"id": f"r{number}", "output": []}, [])
    there = [await store.response("me", f"r{n}") is not None for n in range(5)]
    assert there == [False, False, True, True, True]
    store.keep("me", {"id": "big", "output": ["x" * 9_950]}, [])
    assert await store.response("me", "r4") is None
    store.keep("me", {"id": "huge", "output": ["x" * 20_000]}, [])
    assert await store.response("me", "huge") is None
    now = 7 * 3600.0
    assert await store.response("me", "big") is None
