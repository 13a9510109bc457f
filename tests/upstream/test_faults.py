"""Faults around the demo model: what each of them does to an answer, and that a seed repeats a day."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from omniroute import virtual_time
from omniroute.config.convert import dec_hook
from omniroute.config.faults import Fault, Faults
from omniroute.errors import UpstreamError
from omniroute.registry import load
from omniroute.testing import gateway
from omniroute.upstream.faults import Faulty
from omniroute.upstream.transport import Outbound, Transport
from omniroute.wire.codec import Wire

REGISTRY = load(plugins=False)


def wire(name: str) -> Wire:
    found = REGISTRY.find("wire", name)
    assert found is not None
    return found.cls()  # type: ignore[no-any-return]


def demo() -> Transport:
    found = REGISTRY.find("transport", "demo")
    assert found is not None
    return found.cls().build()  # type: ignore[no-any-return]


def fault(**written: Any) -> Fault:
    return msgspec.convert(written, Fault, dec_hook=dec_hook)


def outbound(*, stream: bool, format: str = "openai-chat") -> Outbound:
    body = {
        "model": "demo-fast",
        "stream": stream,
        "messages": [{"role": "user", "content": "größer 🙂 " * 3}],
    }
    if format == "anthropic-messages":
        body["max_tokens"] = 100
    chosen = wire(format)
    return Outbound(
        url=f"demo:{chosen.path('demo-fast', stream, 'chat')}",
        headers={"Accept": "text/event-stream" if stream else "application/json"},
        body=msgspec.json.encode(body),
        wire=chosen,
    )


async def received(transport: Transport, request: Outbound) -> tuple[list[bytes], str]:
    """The pieces of the answer and how it ended: "" or the code of the problem."""
    pieces: list[bytes] = []
    try:
        inbound = await transport.send(request)
        async for chunk in inbound.chunks():
            pieces.append(chunk)  # noqa: PERF401  # what came before the break counts
        await inbound.close()
    except UpstreamError as error:
        return pieces, error.problem.code or ""
    return pieces, ""


def run(
    written: dict[str, Any], *, stream: bool, format: str = "openai-chat"
) -> tuple[list[bytes], str, float]:
    """Pieces, ending and the seconds that it took, in virtual time."""

    async def main() -> tuple[list[bytes], str, float]:
        transport = Faulty(demo(), Faults(script=(fault(**written),)))
        pieces, ending = await received(transport, outbound(stream=stream, format=format))
        return pieces, ending, virtual_time.clock()

    return virtual_time.run(main())


WHOLE = {stream: run({}, stream=stream)[0] for stream in (False, True)}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("written", "ending", "seconds"),
    [
        ({"connect": "refused"}, "connect_error", 0),
        ({"connect": "timeout"}, "connect_timeout", 5),
        ({"disconnect": True}, "disconnected", 0),
        ({"disconnect": True, "stall": "3s"}, "disconnected", 3),
        ({"cut_after": "0 events"}, "cut", 0),
        ({"cut_after": "0 bytes"}, "cut", 0),
        ({"empty": True}, "", 0),
    ],
)
def test_no_answer_at_all(written: dict[str, Any], ending: str, seconds: float, stream: bool) -> None:
    pieces, ended, took = run(written, stream=stream)
    assert (b"".join(pieces), ended, took) == (b"", ending, seconds)


@pytest.mark.parametrize(
    ("written", "pieces"),
    [
        ({"cut_after": "1 event"}, 1),
        ({"cut_after": "3 events"}, 3),
        ({"cut_after": "3 events", "stall": "9s", "after": "2 events"}, 3),
    ],
)
def test_a_stream_is_cut_behind_events(written: dict[str, Any], pieces: int) -> None:
    got, ended, _ = run(written, stream=True)
    assert b"".join(got) == b"".join(WHOLE[True][:pieces])
    assert ended == "cut"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bytes_", [1, 7, 100])
def test_an_answer_is_cut_behind_bytes(stream: bool, bytes_: int) -> None:
    got, ended, _ = run({"cut_after": f"{bytes_} bytes"}, stream=stream)
    assert b"".join(got) == b"".join(WHOLE[stream])[:bytes_]
    assert ended == "cut"


def test_the_end_counts_as_a_place_and_beyond_it_nothing_happens() -> None:
    events, size = len(WHOLE[True]), len(b"".join(WHOLE[True]))
    for place, ending in (
        (f"{events} events", "cut"),
        (f"{events + 1} events", ""),
        (f"{size} bytes", "cut"),
        (f"{size + 1} bytes", ""),
    ):
        got, ended, _ = run({"cut_after": place}, stream=True)
        assert b"".join(got) == b"".join(WHOLE[True])
        assert ended == ending, place


def test_a_whole_is_cut_in_its_middle() -> None:
    got, ended, _ = run({"cut_after": "3 events"}, stream=False)
    whole = b"".join(WHOLE[False])
    assert b"".join(got) == whole[: len(whole) // 2]
    assert ended == "cut"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ({"stall": "5s"}, 5),
        ({"stall": "5s", "after": "0 events"}, 5),
        ({"stall": "5s", "after": "3 events"}, 5),
        ({"stall": "5s", "after": "10 bytes"}, 5),
        ({"drip": "100ms"}, 0.1 * len(WHOLE[True])),
    ],
)
def test_silence_changes_no_byte(written: dict[str, Any], seconds: float) -> None:
    got, ended, took = run(written, stream=True)
    assert (b"".join(got), ended) == (b"".join(WHOLE[True]), "")
    assert took == pytest.approx(seconds)


@pytest.mark.parametrize("stream", [False, True])
def test_pieces_go_through_characters(stream: bool) -> None:
    got, _, took = run({"split": "1 B", "drip": "1ms"}, stream=stream)
    whole = b"".join(WHOLE[stream])
    assert got == [whole[i : i + 1] for i in range(len(whole))]
    assert took == pytest.approx(0.001 * len(whole))


def test_one_event_is_malformed_and_the_others_are_not() -> None:
    got, ended, _ = run({"malformed": True, "after": "2 events"}, stream=True)
    assert ended == ""
    assert [g == w for g, w in zip(got, WHOLE[True], strict=True)].count(False) == 1
    assert got[2].endswith(b"\n\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(got[2].removeprefix(b"data: "))


def test_a_whole_is_malformed() -> None:
    got, ended, _ = run({"malformed": True}, stream=False)
    assert ended == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(got))


@pytest.mark.parametrize("format", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize(("written", "events"), [({}, 0), ({"after": "2 events"}, 2)])
def test_an_error_inside_of_a_200_is_in_the_providers_words(
    written: dict[str, Any], events: int, format: str
) -> None:
    got, ended, _ = run({"error": "worn out", **written}, stream=True, format=format)
    assert ended == ""
    assert len(got) == events + 1
    assert b"worn out" in got[-1]
    plain, _, _ = run({"error": "worn out"}, stream=False, format=format)
    assert json.loads(b"".join(plain))["error"]["message"] == "worn out"


@pytest.mark.parametrize("stream", [False, True])
def test_usage_can_be_missing(stream: bool) -> None:
    assert b'"usage"' in b"".join(WHOLE[False])
    for format in ("openai-chat", "anthropic-messages"):
        got, ended, _ = run({"without_usage": True}, stream=stream, format=format)
        assert ended == ""
        assert b'usage"' not in b"".join(got)
        assert len(got) > 3 if stream else json.loads(b"".join(got))


@pytest.mark.parametrize(
    ("written", "status", "type", "body"),
    [
        ({"status": 429, "headers": {"Retry-After": "3"}}, 429, "application/json", b"429"),
        ({"status": 503, "body": {"detail": "no"}}, 503, "application/json", b'{"detail":"no"}'),
        ({"status": 502, "html": True}, 502, "text/html; charset=utf-8", b"<html>"),
        ({"html": True}, 200, "text/html; charset=utf-8", b"<html>"),
        ({"body": "ciao"}, 200, "application/json", b"ciao"),
    ],
)
async def test_an_answer_instead(written: dict[str, Any], status: int, type: str, body: bytes) -> None:
    transport = Faulty(demo(), Faults(script=(fault(**written),)))
    inbound = await transport.send(outbound(stream=False))
    assert (inbound.status, inbound.headers["content-type"]) == (status, type)
    assert body in await inbound.read()
    assert inbound.headers.get("retry-after") == written.get("headers", {}).get("Retry-After")


async def endings(faults: Faults, requests: int) -> AsyncIterator[str]:
    transport = Faulty(demo(), faults)
    for _ in range(requests):
        yield (await received(transport, outbound(stream=False)))[1]


async def test_a_script_goes_round() -> None:
    faults = Faults(script=(fault(connect="refused"), fault(), fault(disconnect=True)))
    assert [e async for e in endings(faults, 7)] == ["connect_error", "", "disconnected"] * 2 + [
        "connect_error"
    ]


async def test_a_seed_repeats_a_day() -> None:
    script = (fault(connect="refused"), fault(disconnect=True))
    days = [
        [e async for e in endings(Faults(script=script, rate=0.25, seed=seed), 400)] for seed in (7, 7, 8)
    ]
    assert days[0] == days[1] != days[2]
    for day in days:
        assert 70 <= 400 - day.count("") <= 130
        assert {"", "connect_error", "disconnected"} == set(day)


async def test_a_reload_that_leaves_the_faults_alone_does_not_start_the_script_again() -> None:
    config = """
    providers:
      fault: {faults: [{}, {}, {status: 418}], retry: {attempts: 1}}
    models: {m: fault/demo-fast}
    """
    async with gateway(config) as running, aiohttp.ClientSession() as http:

        async def status() -> int:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            async with http.post(f"{running.url}/v1/chat/completions", json=body) as answer:
                return answer.status

        assert [await status(), await status()] == [200, 200]
        running.path.write_text(running.path.read_text().replace("models: {m:", "models: {n: m, m:"))
        assert (await running.gateway.runtime.reload()).changed
        assert [await status(), await status()] == [418, 200]
