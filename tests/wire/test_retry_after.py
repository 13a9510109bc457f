"""When an upstream wants to be asked again: all notations of `Retry-After` and of rate limits."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from omniroute.wire.retry_after import retry_after

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"
EPOCH = 1792567680


def wait(headers: dict[str, str], status: int = 429, told: float | None = None) -> float | None:
    return retry_after(status, {name.replace("_", "-"): value for name, value in headers.items()}, told)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "17"}, 17),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after_ms": "0", "retry_after": "1"}, 1),
        ({"retry_after_ms": "0"}, 0),
        ({"retry_after_ms": "soon", "retry_after": "3"}, 3),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": NOW}, 30),
        ({"retry_after": "2026-10-21T07:28:30Z", "date": NOW}, 30),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": ""}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(headers, 503) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2),
        ("33011.382867", 33011.382867),
        ("1s", 1),
        ("7.66s", 7.66),
        ("6ms", 0.006),
        ("6m0s", 360),
        ("1h2m3s", 3723),
        ("1d", 86400),
        ("2m59.5s", 179.5),
        (f"{EPOCH + 40}", 40),
        (f"{EPOCH + 40}000", 40),
        ("2026-10-21T07:28:40Z", 40),
        ("2026-10-21T09:28:40.5+02:00", 40.5),
        ("2026-10-21T07:28:40", 40),
        # It has reset already, or says nothing.
        (f"{EPOCH - 40}", None),
        ("2026-10-21T07:27:00Z", None),
        ("0s", None),
        ("tomorrow", None),
        ("1x", None),
        ("", None),
    ],
)
@pytest.mark.parametrize(
    "name", ["x_ratelimit_reset_requests", "x_ratelimit_reset", "ratelimit_reset", "x_rate_limit_reset"]
)
def test_resets_of_a_429(name: str, value: str, seconds: float | None) -> None:
    found = wait({"date": NOW, name: value})
    assert found == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # Nothing says which limit it was: the first that resets.
        ({"x_ratelimit_reset_requests": "6s", "x_ratelimit_reset_tokens": "2m"}, 6),
        # The used-up one, of several the last.
        (
            {
                "x_ratelimit_reset_requests": "6s",
                "x_ratelimit_remaining_requests": "90",
                "x_ratelimit_reset_tokens": "2m",
                "x_ratelimit_remaining_tokens": "0",
            },
            120,
        ),
        (
            {
                "anthropic_ratelimit_requests_reset": "2026-10-21T07:28:10Z",
                "anthropic_ratelimit_requests_remaining": "0",
                "anthropic_ratelimit_input_tokens_reset": "2026-10-21T07:28:20Z",
                "anthropic_ratelimit_input_tokens_remaining": "0",
                "anthropic_ratelimit_output_tokens_reset": "2026-10-21T07:28:50Z",
                "anthropic_ratelimit_output_tokens_remaining": "100",
            },
            20,
        ),
        (
            {
                "anthropic_ratelimit_unified_5h_reset": f"{EPOCH + 900}",
                "anthropic_ratelimit_unified_5h_status": "rejected",
                "anthropic_ratelimit_unified_7d_reset": f"{EPOCH + 100}",
                "anthropic_ratelimit_unified_7d_status": "allowed",
            },
            900,
        ),
        # `Retry-After` knows better.
        ({"x_ratelimit_reset_requests": "6s", "retry_after": "3"}, 3),
        # One behind a gateway.
        ({"llm_provider_x_ratelimit_reset_requests": "6s"}, 6),
        # No reset of a rate limit.
        ({"x_password_reset": "6s", "x_ratelimit_limit_requests": "6"}, None),
    ],
)
def test_which_limit(headers: dict[str, str], seconds: float | None) -> None:
    assert wait({"date": NOW, **headers}) == seconds


@pytest.mark.parametrize("status", [200, 400, 500, 503, 529])
def test_limits_say_nothing_of_other_failures(status: int) -> None:
    assert wait({"x_ratelimit_reset_requests": "6s"}, status) is None


@pytest.mark.parametrize(
    ("headers", "told", "seconds"),
    [
        ({"retry_after": "3"}, 20.0, 3),
        ({"retry_after": "0"}, 20.0, 20),
        ({"x_ratelimit_reset_requests": "6s"}, 20.0, 20),
        ({"x_ratelimit_reset_requests": "6s"}, 0.0, 6),
        ({}, 0.0, 0),
        ({}, 20.0, 20),
    ],
)
def test_what_the_body_told(headers: dict[str, str], told: float, seconds: float) -> None:
    assert wait(headers, told=told) == seconds


def test_without_the_servers_clock_ours_counts() -> None:
    assert 55 < (wait({"retry_after": formatdate(time.time() + 60, usegmt=True)}) or 0) <= 60
