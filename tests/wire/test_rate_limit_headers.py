"""What an upstream says of its rate limits: every spelling read, and written in a client's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.rate_limit_headers import RateLimits, Share, read, write
from tests.support import recordings

NOW = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""

OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-tokens": "1999051",
    "x-ratelimit-reset-tokens": "6m0s",
}
OPENAI_READ = RateLimits(
    requests_limit=5000,
    requests_remaining=4999,
    requests_reset=0.012,
    tokens_limit=2000000,
    tokens_remaining=1999051,
    tokens_reset=360.0,
)
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:21Z",
    "anthropic-ratelimit-input-tokens-limit": "100",
    "anthropic-ratelimit-input-tokens-remaining": "90",
    "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:14:20Z",
    "anthropic-ratelimit-output-tokens-limit": "100",
    "anthropic-ratelimit-output-tokens-remaining": "10",
    "anthropic-ratelimit-output-tokens-reset": "2023-11-14T22:15:20Z",
}
ANTHROPIC_READ = RateLimits(
    requests_limit=50,
    requests_remaining=49,
    requests_reset=1.0,
    input_tokens_limit=100,
    input_tokens_remaining=90,
    input_tokens_reset=60.0,
    output_tokens_limit=100,
    output_tokens_remaining=10,
    output_tokens_reset=120.0,
)


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        pytest.param(OPENAI, OPENAI_READ, id="openai"),
        pytest.param({k.title(): v for k, v in OPENAI.items()}, OPENAI_READ, id="capital letters"),
        pytest.param(ANTHROPIC, ANTHROPIC_READ, id="anthropic"),
        pytest.param(
            {"anthropic-ratelimit-tokens-limit": "9", "anthropic-ratelimit-tokens-remaining": "8"},
            RateLimits(tokens_limit=9, tokens_remaining=8),
            id="anthropic, all tokens",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-req-minute": "360",
                "x-ratelimit-remaining-req-minute": "357",
                "x-ratelimit-limit-req-10-second": "60",
                "x-ratelimit-remaining-req-10-second": "50",
                "x-ratelimit-limit-tokens-month": "9000",
                "x-ratelimit-remaining-tokens-month": "0",
                "x-ratelimit-limit-tokens-minute": "100",
                "x-ratelimit-remaining-tokens-minute": "98",
                "x-ratelimit-tokens-query-cost": "271",
            },
            RateLimits(
                requests_limit=60,
                requests_remaining=50,
                requests_window=10.0,
                tokens_limit=9000,
                tokens_remaining=0,
                tokens_window=2592000.0,
            ),
            id="several windows (mistral)",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests-day": "14400",
                "x-ratelimit-remaining-requests-day": "14399",
                "x-ratelimit-reset-requests-day": "33011.38",
            },
            RateLimits(
                requests_limit=14400,
                requests_remaining=14399,
                requests_reset=33011.38,
                requests_window=86400.0,
            ),
            id="a day (cerebras)",
        ),
        pytest.param(
            {
                "x-ratelimit-limit": "2",
                "x-ratelimit-remaining": "1",
                "x-ratelimit-reset": "2",
                "x-tokenlimit-limit": "100",
                "x-tokenlimit-remaining": "99",
            },
            RateLimits(
                requests_limit=2,
                requests_remaining=1,
                requests_reset=2.0,
                tokens_limit=100,
                tokens_remaining=99,
            ),
            id="no unit (together)",
        ),
        pytest.param({"x-ratelimit-reset": "1700000060000"}, RateLimits(requests_reset=60.0), id="epoch ms"),
        pytest.param({"x-ratelimit-reset": "1700000060"}, RateLimits(requests_reset=60.0), id="epoch s"),
        pytest.param({"x-ratelimit-reset": "1h2m3s"}, RateLimits(requests_reset=3723.0), id="duration"),
        pytest.param({"x-ratelimit-reset": "1699999999"}, RateLimits(requests_reset=0.0), id="past"),
        pytest.param(
            {"date": "Tue, 14 Nov 2023 22:13:10 GMT", "x-ratelimit-reset": "1700000000"},
            RateLimits(requests_reset=10.0),
            id="by the server's clock",
        ),
        pytest.param(
            {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
            RateLimits(requests_limit=100, requests_remaining=50, requests_reset=30.0),
            id="structured",
        ),
        pytest.param(
            {"RateLimit": "limit=100, remaining=50, reset=5"},
            RateLimits(requests_limit=100, requests_remaining=50, requests_reset=5.0),
            id="structured, older",
        ),
        pytest.param(
            {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "7", "ratelimit-reset": "9"},
            RateLimits(requests_limit=100, requests_remaining=7, requests_reset=9.0),
            id="three headers of the draft",
        ),
        pytest.param(
            {
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": "1700000060",
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-5h-utilization": "1.02",
                "anthropic-ratelimit-unified-5h-reset": "1700000060",
                "anthropic-ratelimit-unified-7d-status": "allowed",
                "anthropic-ratelimit-unified-7d-utilization": "0.4",
                "anthropic-ratelimit-unified-overage-status": "rejected",
            },
            RateLimits(
                shares=(
                    Share(window="", reset=60.0, rejected=True),
                    Share(window="5h", used=1.02, reset=60.0, rejected=True),
                    Share(window="7d", used=0.4),
                )
            ),
            id="a subscription",
        ),
        pytest.param({"x-ratelimit-limit-requests": "unlimited"}, None, id="no figure"),
        pytest.param({"x-ratelimit-key": "gpt", "ratelimitbysize-limit": "5"}, None, id="something else"),
        pytest.param({"content-type": "application/json", "retry-after": "3"}, None, id="nothing"),
    ],
)
def test_every_spelling_is_read(headers: dict[str, str], limits: RateLimits | None) -> None:
    lower = (
        headers
        if any(k != k.lower() for k in headers) is False
        else {k.lower(): v for k, v in headers.items()}
    )
    assert read(lower, NOW) == limits


@pytest.mark.parametrize(
    ("limits", "family", "headers"),
    [
        pytest.param(OPENAI_READ, "openai", OPENAI, id="openai in its own words"),
        pytest.param(ANTHROPIC_READ, "anthropic", ANTHROPIC, id="anthropic in its own words"),
        pytest.param(
            OPENAI_READ,
            "anthropic",
            {
                "anthropic-ratelimit-requests-limit": "5000",
                "anthropic-ratelimit-requests-remaining": "4999",
                "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:21Z",
                "anthropic-ratelimit-tokens-limit": "2000000",
                "anthropic-ratelimit-tokens-remaining": "1999051",
                "anthropic-ratelimit-tokens-reset": "2023-11-14T22:19:20Z",
            },
            id="openai for an anthropic client",
        ),
        pytest.param(
            ANTHROPIC_READ,
            "openai",
            {
                "x-ratelimit-limit-requests": "50",
                "x-ratelimit-remaining-requests": "49",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-limit-tokens": "100",
                "x-ratelimit-remaining-tokens": "10",
                "x-ratelimit-reset-tokens": "2m0s",
            },
            id="anthropic for an openai client: the tighter side",
        ),
        pytest.param(
            RateLimits(requests_reset=1.25), "openai", {"x-ratelimit-reset-requests": "1.3s"}, id="s"
        ),
        pytest.param(
            RateLimits(requests_reset=3723.0), "openai", {"x-ratelimit-reset-requests": "1h2m3s"}, id="h"
        ),
        pytest.param(RateLimits(), "openai", {}, id="nothing"),
    ],
)
def test_limits_are_written_in_a_clients_words(
    limits: RateLimits, family: Any, headers: dict[str, str]
) -> None:
    assert write(limits, family, NOW) == headers


NAMES = st.lists(
    st.sampled_from(
        "x anthropic ratelimit limit remaining reset tokens requests input minute 10 day odd".split()
    ),
    max_size=7,
).map("-".join)


@given(st.dictionaries(NAMES, st.text(max_size=20)), st.sampled_from(["openai", "anthropic"]))
def test_strange_headers_never_raise(headers: dict[str, str], family: Any) -> None:
    limits = read(headers, NOW)
    if limits is not None:
        assert all(isinstance(v, str) for v in write(limits, family, NOW).values())


@pytest.mark.parametrize("family", ["openai", "anthropic"])
def test_what_is_written_is_read_again(family: Any) -> None:
    limits = OPENAI_READ if family == "openai" else ANTHROPIC_READ
    assert read(write(limits, family, NOW), NOW) == limits


TOKENS = ("ratelimit-limit-tokens", "ratelimit-tokens-limit", "limit-tokens-minute")


def test_the_limits_of_every_recording_are_read() -> None:
    """Whatever a provider was seen to send about requests and tokens has a figure."""
    root = recordings.require("recordings")
    seen = 0
    for entry in recordings.index():
        headers = json.loads((root / entry["file"]).read_text())["response"]["headers"]
        headers = {name.lower(): str(value) for name, value in headers.items()}
        # Some recorders put a word in the place of the figure.
        told = [name for name, value in headers.items() if name.endswith(TOKENS) and value.isdecimal()]
        if told:
            limits = read(headers, NOW)
            assert limits is not None and (limits.tokens_limit or limits.input_tokens_limit), entry["file"]
            seen += 1
    assert seen > 100
