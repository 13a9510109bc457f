"""What a combo and its members can say: `when`, `weight`, `params`, `timeout`, `enabled`, `fallback_on`, `max_wait`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.world import Place, World, between

CONFIG = """
providers:
  a: {{format: openai-chat, base_url: "http://a/v1", accounts: {{k: {{key: ka}}}}, retry: {{attempts: 1}}, models: {{m: {{}}, n: {{}}}}}}
  b: {{format: openai-chat, base_url: "http://b/v1", accounts: {{k: {{key: kb}}}}, retry: {{attempts: 1}}, models: {{m: {{}}}}}}
combos:
  inner: [a/m]
  it: {it}
"""


def world(it: str, **places: Place) -> World:
    return World(CONFIG.format(it=it), dict(places))


@pytest.mark.parametrize(
    "it, asked, target",
    [
        ('[{model: a/m, when: "request.temperature > `1`"}, b/m]', {"temperature": 1.5}, "a/m"),
        ('[{model: a/m, when: "request.temperature > `1`"}, b/m]', {"temperature": 0.5}, "b/m"),
        ('[{model: a/m, when: "request.stream"}, b/m]', {"stream": True}, "a/m"),
        ("[{model: a/m, when: \"headers.team == 'red'\"}, b/m]", {"headers": {"Team": "red"}}, "a/m"),
        ("[{model: a/m, when: \"headers.team == 'red'\"}, b/m]", {"headers": {"Team": "blue"}}, "b/m"),
        ('[{model: inner, when: "request.tokens > `1000`"}, b/m]', {"text": "word " * 1000}, "a/m"),
        ('[{model: inner, when: "request.tokens > `1000`"}, b/m]', {}, "b/m"),
        ("[{model: a/m, enabled: false}, b/m]", {}, "b/m"),
        ("[{model: inner, enabled: false}, b/m]", {}, "b/m"),
        ('[{model: a/m, when: "headers.team"}, {model: a/m, params: {top_p: 0.1}}]', {}, "a/m"),
    ],
)
def test_who_is_in(it: str, asked: dict[str, Any], target: str) -> None:
    answered = world(it).run(lambda w: w.ask("it", **asked))
    assert (answered.status, answered.headers["X-OmniRoute-Target"]) == (200, target)


def test_params_are_those_of_the_member_that_serves() -> None:
    made = world(
        "[{model: a/m, params: {temperature: 0.1, stop: [x]}}, {model: b/m, params: {top_p: 0.2}}]",
        a=Place(fails=lambda sent: 503),
    )
    made.run(lambda w: w.ask("it", temperature=0.9))
    first, second = (sent.body for sent in made.sent)
    assert (first["temperature"], first["stop"]) == (0.1, ["x"])
    assert (second["temperature"], second["top_p"], "stop" in second) == (0.9, 0.2, False)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_the_timeout_of_a_member_counts_instead_of_the_providers(stream: bool) -> None:
    made = world("[{model: a/m, timeout: 3s}, b/m]", a=Place(latency=30.0), b=Place(latency=1.0))

    async def day(w: World) -> tuple[int, float]:
        answered = await w.ask("it", stream=stream)
        return answered.status, w.now

    assert made.run(day) == (200, pytest.approx(4.0, abs=0.1))


def test_weights_share_out() -> None:
    made = world("{strategy: weighted, targets: [{model: a/m, weight: 9}, {model: b/m, weight: 1}]}")
    made.run(lambda w: w.traffic("it", rate=10, seconds=100))
    assert made.shares()["a/m"] == pytest.approx(0.9, abs=0.04)


FILTERED = {"error": {"message": "flagged", "code": "content_filter", "type": "invalid_request_error"}}
MISTAKE = {"error": {"message": "bad parameter", "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    "fallback_on, filtered, mistaken",
    [("[]", 400, 400), ("[content_filter]", 200, 400), ("[content_filter, invalid_request]", 200, 200)],
)
def test_what_else_goes_on_to_the_next_target(fallback_on: str, filtered: int, mistaken: int) -> None:
    it = f"{{targets: [a/m, b/m], fallback_on: {fallback_on}}}"
    for body, status in ((FILTERED, filtered), (MISTAKE, mistaken)):
        made = world(it, a=Place(fails=lambda sent: 400, error=json.dumps(body)))
        assert made.run(lambda w: w.ask("it")).status == status


@pytest.mark.parametrize(
    "max_wait, status, at",
    [("0s", 429, 0.2), ("5s", 429, 0.2), ("10s", 200, 8.4), ("1m", 200, 8.4)],
)
def test_a_short_rest_may_be_waited_for(max_wait: str, status: int, at: float) -> None:
    """Both want to be left alone for 8 s when they are first asked."""
    limited = Place(fails=between(0, 1, 429), retry_after=8)
    made = world(f"{{targets: [a/m, b/m], max_wait: {max_wait}}}", a=limited, b=limited)

    async def day(w: World) -> tuple[int, float]:
        answered = await w.ask("it")
        return answered.status, w.now

    served = made.run(day)
    assert served[0] == status
    assert served[1] == pytest.approx(at + 0.2, abs=0.3)
    assert list(made.disturbed()) == []


def test_who_arrives_in_a_rest_waits_for_its_end_and_no_longer_than_allowed() -> None:
    made = world("{targets: [a/m], max_wait: 10s}", a=Place(fails=between(0, 100, 429), retry_after=8))

    async def day(w: World) -> tuple[int, float]:
        answered = await w.ask("it")
        return answered.status, w.now

    status, at = made.run(day)
    assert status == 429
    assert at < 11
    assert len(made.sent) == 2
