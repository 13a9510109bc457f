"""Cassettes: what was asked once is answered from the file, byte for byte, and what was not is told with the nearest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from omniroute import virtual_time
from omniroute.config.cassettes import Cassette
from omniroute.errors import Refused, UpstreamError
from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from omniroute.upstream.cassette import Tape, Taped, scrubbed
from omniroute.upstream.matching import differences, essence
from omniroute.upstream.tape import Asked, Call, Given, append, piece, read_tape
from omniroute.upstream.transport import Inbound, Outbound
from tests.support.answers import call, chat, chat_stream, responder
from tests.support.http import post

KEY = "sk-very-secret-0123456789"


def config(url: str, tape: Path, mode: str, more: str = "") -> str:
    return f"""
providers:
  lab:
    format: openai-chat
    base_url: {url}/v1
    accounts: {{a: {{key: {KEY}}}}}
    retry: {{attempts: 1}}
    cassette: {{file: {tape}, mode: {mode}{more}}}
"""


async def said(gw: Running, text: str, *, stream: bool = False) -> tuple[int, Any]:
    status, body, _ = await post(gw, *call("openai-chat", "lab/m", stream=stream, text=text))
    return status, body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_recording_answers_without_the_provider(tmp_path: Path, stream: bool) -> None:
    tape = tmp_path / "deep" / "tape.yaml"
    async with FakeUpstream(responder("größe 🙂: yes")) as up:
        async with gateway(config(up.url, tape, "auto")) as gw:
            recorded = await said(gw, "hi", stream=stream)
            again = await said(gw, "hi", stream=stream)
        assert len(up.requests) == 1
        async with gateway(config("http://127.0.0.1:1", tape, "replay")) as gw:
            played = await said(gw, "hi", stream=stream)
    assert recorded == again == played
    assert recorded[0] == 200 and "gr" in str(recorded[1])


async def test_a_miss_tells_the_nearest_call_and_asks_nobody(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    async with FakeUpstream(responder()) as up:
        async with gateway(config(up.url, tape, "auto")) as gw:
            await said(gw, "what is new?")
        async with gateway(config(up.url, tape, "replay")) as gw:
            status, body = await said(gw, "what is old?")
        assert len(up.requests) == 1
    assert status == 400
    assert body["error"]["code"] == "cassette_miss"
    assert (
        "the nearest is call 1: body.messages[0].content is 'what is old?', not 'what is new?'"
        in (body["error"]["message"])
    )


async def test_modes(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    async with FakeUpstream(responder("one")) as up:
        async with gateway(config(up.url, tape, "off")) as gw:
            await said(gw, "hi")
        assert not tape.exists()
        async with gateway(config(up.url, tape, "record")) as gw:
            for _ in range(3):
                await said(gw, "hi")
        assert len(up.requests) == 4
        assert len(read_tape(tape)) == 3
        async with gateway(config(up.url, tape, "record")) as gw:
            await said(gw, "anew")
        (only,) = read_tape(tape)
    assert only.request.body["messages"][0]["content"] == "anew"


async def test_calls_that_look_alike_are_played_in_their_order(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    answers = [Scripted(json=chat(word)) for word in ("one", "two", "three")]
    async with FakeUpstream(answers) as up:
        async with gateway(config(up.url, tape, "record")) as gw:
            for _ in answers:
                await said(gw, "next")
    async with gateway(config("http://127.0.0.1:1", tape, "replay")) as gw:
        played = [(await said(gw, "next"))[1]["choices"][0]["message"]["content"] for _ in range(4)]
    assert played == ["one", "two", "three", "three"]


async def test_failures_and_cuts_are_recorded_too(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    limited = Scripted(status=429, json={"error": {"message": "slow down"}}, headers={"retry-after": "7"})
    cut = Scripted(chunks=chat_stream("one", "two")[:2], cut=True)
    async with FakeUpstream([limited, cut]) as up:
        async with gateway(config(up.url, tape, "record")) as gw:
            first = await said(gw, "a")
            gw.gateway.state.cooldowns.reset()
            second = await said(gw, "b", stream=True)
    async with gateway(config("http://127.0.0.1:1", tape, "replay")) as gw:
        assert (await said(gw, "a"))[0] == first[0] == 429
        gw.gateway.state.cooldowns.reset()
        played = await said(gw, "b", stream=True)
    assert "one" in second[1] and '"error"' in second[1]
    assert played[0] == second[0]
    assert played[1].partition("request_id")[0] == second[1].partition("request_id")[0]


async def test_a_connection_that_failed_fails_again(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    for mode in ("record", "replay"):
        async with gateway(config("http://127.0.0.1:1", tape, mode)) as gw:
            assert (await said(gw, "a"))[0] == 502
    (only,) = read_tape(tape)
    assert only.answer.broken is not None and only.answer.broken.code == "connect_error"


async def test_no_secret_is_on_the_tape(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    echo = Scripted(
        json=chat(f"your key is {KEY}, hers is sk-ant-{'x' * 30}"),
        headers={"set-cookie": "session=abc", "x-ratelimit-remaining-requests": "9"},
    )
    async with FakeUpstream([echo]) as up, gateway(config(up.url, tape, "record")) as gw:
        await said(gw, f"my key is {KEY}")
    text = tape.read_text("utf-8")
    assert (
        KEY not in text and "sk-ant" not in text and "session=abc" not in text and "uthorization" not in text
    )
    assert "your key is ***, hers is ***" in text
    assert read_tape(tape)[0].answer.headers["x-ratelimit-remaining-requests"] == "9"
    async with gateway(config("http://127.0.0.1:1", tape, "replay")) as gw:
        assert (await said(gw, f"my key is {KEY}"))[0] == 200


async def test_a_tape_is_readable_yaml(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    async with FakeUpstream(responder("ciao")) as up, gateway(config(up.url, tape, "record")) as gw:
        await said(gw, "line one\nline two", stream=True)
    text = tape.read_text("utf-8")
    assert "            line one\n            line two" in text
    assert '          data: {"id": "chatcmpl-1"' in text
    (only,) = yaml.safe_load(text)["calls"]
    assert [p["text"][:6] for p in only["answer"]["body"]] == ["data: "] * 4


async def test_an_edit_by_hand_is_played(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    async with FakeUpstream(responder("what was said")) as up, gateway(config(up.url, tape, "auto")) as gw:
        await said(gw, "hi")
        tape.write_text(tape.read_text("utf-8").replace("what was said", "what should be said"), "utf-8")
        _, body = await said(gw, "hi")
        assert len(up.requests) == 1
    assert body["choices"][0]["message"]["content"] == "what should be said"


async def test_a_damaged_tape_is_told(tmp_path: Path) -> None:
    tape = tmp_path / "tape.yaml"
    tape.write_text("calls: [{provider: lab", "utf-8")
    async with gateway(config("http://127.0.0.1:1", tape, "replay")) as gw:
        status, body = await said(gw, "a")
    assert (status, body["error"]["code"]) == (500, "cassette_damaged")
    assert "tape.yaml:2:" in body["error"]["message"]


class Slow:
    """An answer in three pieces, with pauses of 1, 2 and 3 s before the head and between them."""

    status = 200
    headers = {"content-type": "text/event-stream"}

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for number, pause in enumerate((0, 2, 3)):
            await asyncio.sleep(pause)
            yield b"data: %d\n\n" % number

    async def close(self) -> None:
        """Nothing is open."""


class Below:
    """A provider that takes its time."""

    async def send(self, outbound: Outbound) -> Inbound:
        await asyncio.sleep(1)
        return Slow()

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("speed", "pauses"), [(1, [1, 2, 3]), (2, [0.5, 1, 1.5]), (0, [0, 0, 0])])
def test_timing_is_kept(tmp_path: Path, speed: float, pauses: list[float]) -> None:
    outbound = Outbound(url="http://x/v1/y", headers={}, body=b"{}")

    async def main() -> list[float]:
        tape = tmp_path / "tape.yaml"
        recorder = Taped("p", Below(), Cassette(file="", mode="record"), Tape(tape))
        recorded = await (await recorder.send(outbound)).read()
        player = Taped("p", Below(), Cassette(file="", mode="replay", speed=speed), Tape(tape))
        moments, data = [virtual_time.clock()], b""
        inbound = await player.send(outbound)
        async for chunk in inbound.chunks():
            moments.append(virtual_time.clock())
            data += chunk
        assert data == recorded
        return [round(after - before, 3) for before, after in pairwise(moments)]

    assert virtual_time.run(main()) == pauses


ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("it is 2026-01-02T03:04:05Z", "it is 2027-11-12T13:14:15+01:00", True),
        ("today is Tue Jan 6 2026", "today is Mon Nov 23 2026", True),
        ("call_abc123DEF", "call_zzz999YYY", True),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id 00000000-0000-0000-0000-000000000000", True),
        ("at 1767225600 s", "at 1798761600 s", True),
        ("at 1767225600123 ms", "at 1798761600456 ms", True),
        ("I am 41", "I am 42", False),
        ("2026 was good", "2027 was good", False),
        ("a call", "another call", False),
    ],
)
def test_ids_and_dates_do_not_count(one: str, other: str, same: bool) -> None:
    essences = [
        essence(Asked("POST", "/v1/chat", {**ASKED, "messages": [{"role": "user", "content": text}]}), ())
        for text in (one, other)
    ]
    assert (essences[0] == essences[1]) is same


def test_what_is_ignored_does_not_count() -> None:
    one, other = (Asked("POST", "/p", {**ASKED, "user": user}) for user in ("a", "b"))
    assert essence(one, ("user",)) == essence(other, ("user",))
    assert essence(one, ()) != essence(other, ())
    assert list(differences(essence(one, ()), essence(other, ()))) == ["body.user is 'b', not 'a'"]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": 1}, {"a": 2}, ["a is 2, not 1"]),
        ({"a": 1}, {}, ["a is missing"]),
        ({}, {"a": [1]}, ["a is new: [1]"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["a has 3 entries, not 2, and [1] differs"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, ["a[0].b is True, not 1"]),
        ({"a": None}, {"a": None}, []),
    ],
)
def test_differences_are_told_in_words(one: Any, other: Any, told: list[str]) -> None:
    assert list(differences(one, other)) == told


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=12,
)


@example(bodies=["\x85", "a\u2028b", "\n\x0b", "\t", {"\x85": "\r\n"}], parts=["\u2029\n".encode()])
@given(
    bodies=st.lists(JSON, max_size=3),
    parts=st.lists(st.binary(max_size=40) | st.text().map(str.encode), max_size=4),
)
def test_whatever_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[Any], parts: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("tape") / "t.yaml"
    calls = [
        Call("p", Asked("POST", "/v1/x", body), Given(200, 0.5, {"a": "b"}, [piece(1.0, p) for p in parts]))
        for body in bodies
    ]
    for number, one in enumerate(calls):
        append(path, [one], anew=number == 0)
    again = read_tape(path)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(calls)
    assert [[p.data for p in one.answer.body] for one in again] == [parts for _ in calls]


def test_a_tape_that_cannot_be_written_fails_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")

    async def main() -> bytes:
        tape = Tape(tmp_path / "file" / "tape.yaml")
        taped = Taped("p", Below(), Cassette(file="", mode="auto"), tape)
        outbound = Outbound(url="http://x/v1/y", headers={}, body=b"{}")
        await (await taped.send(outbound)).read()
        return await (await taped.send(outbound)).read()

    assert virtual_time.run(main()).startswith(b"data: 0")


def test_scrubbing_knows_the_usual_keys() -> None:
    jwt = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmnop"
    for secret in (b"sk-proj-" + b"a1" * 12, b"ork_" + b"b2" * 12, b"AIza" + b"c3" * 16, jwt):
        assert secret not in scrubbed(b"my key: " + secret + b" is secret", [])
    assert scrubbed(b"risk-free task-force", []) == b"risk-free task-force"


async def test_what_a_replay_refuses_is_no_fault_of_the_provider(tmp_path: Path) -> None:
    taped = Taped("p", Below(), Cassette(file="", mode="replay"), Tape(tmp_path / "none.yaml"))
    with pytest.raises(Refused) as raised:
        await taped.send(Outbound(url="http://x/v1/y?key=secret&alt=sse", headers={}, body=b"{}"))
    message = raised.value.problem.message
    assert "has not recorded this POST /v1/y?alt=sse of p: it has no call of p" in message
    assert not isinstance(raised.value, UpstreamError)
