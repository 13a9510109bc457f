"""AWS Signature Version 4, against the published test cases and, where it is installed, the provider's own signer."""

from __future__ import annotations

import threading
from calendar import timegm
from collections.abc import Mapping
from time import strptime
from urllib.parse import urlsplit

import pytest

from omniroute.config.secrets import Secret
from omniroute.config.settings import Account
from omniroute.testing import FakeUpstream, Scripted, gateway
from omniroute.upstream.credentials.sigv4 import Signer, SigV4
from omniroute.upstream.signing import LARGE_BODY, signed
from omniroute.upstream.transport import Outbound
from tests.support.answers import call
from tests.support.http import post

KEY_ID, KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AUG_30_2015 = 1440938160.0
"""2015-08-30T12:36:00Z, when all test cases were signed."""
HOST = "https://example.amazonaws.com"


def signer(token: str | None = None, region: str | None = "us-east-1", service: str = "service") -> Signer:
    secret = Secret(token) if token else None
    return Signer(key_id=KEY_ID, key=Secret(KEY), token=secret, service=service, region=region)


def signature_of(
    method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"", **who: str
) -> str:
    return signer(**who).sign(method, url, headers or {}, body, AUG_30_2015)["Authorization"]


@pytest.mark.parametrize(
    "method, path, headers, body, signature",
    [
        ("GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST",
            "/",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "post-x-www-form-urlencoded"],
)
def test_published_cases(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    assert signature_of(method, HOST + path, headers, body).rpartition("Signature=")[2] == signature


@pytest.mark.parametrize("path", ["/./", "/example/..", "//"], ids=["slash-dot-slash", "relative", "slashes"])
def test_published_cases_of_paths_that_lead_to_the_root(path: str) -> None:
    assert signature_of("GET", HOST + path) == signature_of("GET", HOST + "/")


def test_what_a_signature_says_of_itself() -> None:
    headers = {
        "content-type": "application/json",
        "User-Agent": "x",
        "x-amzn-trace": "t",
        "X-Amz-Target": " a   b ",
    }
    authorization = signature_of("POST", HOST + "/", headers, b"{}", token="TOKEN")
    assert authorization.startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
    )
    assert authorization != signature_of("POST", HOST + "/", headers, b"{}", token="OTHER")


@pytest.mark.parametrize(
    "change",
    [
        {"url": HOST + "/b"},
        {"url": "https://other.amazonaws.com/a"},
        {"body": b"{ }"},
        {"now": AUG_30_2015 + 1},
        {"headers": {"Content-Type": "text/plain"}},
        {"method": "PUT"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_of_a_request_is_signed(change: dict[str, object]) -> None:
    request = {
        "method": "POST",
        "url": HOST + "/a",
        "headers": {"Content-Type": "application/json"},
        "body": b"{}",
        "now": AUG_30_2015,
    }
    same = signer().sign(**request)["Authorization"]  # type: ignore[arg-type]  # a table of arguments
    other = signer().sign(**(request | change))["Authorization"]  # type: ignore[arg-type]  # likewise
    assert same.rpartition("=")[2] != other.rpartition("=")[2]


@pytest.mark.parametrize(
    "region, host, used",
    [
        (None, "bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        (None, "bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        (None, "vpce-0a1-b2.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
        (None, "bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (None, "127.0.0.1:8080", "us-east-1"),
        ("eu-west-1", "bedrock-runtime.us-east-1.amazonaws.com", "eu-west-1"),
    ],
)
def test_the_region_is_the_hosts_unless_it_is_given(region: str | None, host: str, used: str) -> None:
    authorization = signer(region=region).sign("POST", f"https://{host}/", {}, b"", AUG_30_2015)[
        "Authorization"
    ]
    assert authorization.split("/")[2] == used


@pytest.mark.parametrize(
    "account, missing",
    [
        (Account(key=Secret("s"), access_key_id="AK"), None),
        (Account(key=Secret(""), access_key_id="AK"), "its key is empty"),
        (Account(key=Secret("s")), "its access_key_id is empty"),
        (Account(key=Secret("s"), access_key_id=""), "its access_key_id is empty"),
    ],
)
def test_what_an_account_needs(account: Account, missing: str | None) -> None:
    assert SigV4(service="bedrock").authorize(account).missing == missing


def test_a_key_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        SigV4(service="bedrock").authorize(Account(key=Secret("a\nb"), access_key_id="AK"))


AWS = "https://bedrock-runtime.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "url, token, signature",
    [
        (
            AWS + "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            None,
            "c85893785671e4290080b92d6fc72bde22a46c111e5bb739a5cc73952f369d29",
        ),
        (
            AWS + "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            "THE//TOKEN==",
            "6bc51220c1b500cea9481bf1a55e02063abe1b2689e53adf6d4ae0fafe271f29",
        ),
        (
            AWS + "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/converse-stream",
            None,
            "1af1391e46b2bfa876852ef5587b49c1679895d7eb5fd027c02cfe4cdfbf4e20",
        ),
        (
            AWS + "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/converse-stream",
            "THE//TOKEN==",
            "c85a0477b179ce71c9f9f478e47f11d0cb48ef27bd2170cf515f1e448937177a",
        ),
        (
            "https://localhost:8443/a%20b/c?x=%20y&a=1&a=0&empty=",
            None,
            "4afd18b081a145ade14d03db4c2e95541f56a633b56d4724f81c7b7966282e1c",
        ),
        (
            "https://localhost:8443/a%20b/c?x=%20y&a=1&a=0&empty=",
            "THE//TOKEN==",
            "e6224251dce9c6e2556f390daf09b42ff94dcb400a1bd3c8c82b7f2888a8ca5a",
        ),
    ],
)
def test_the_providers_own_signer_agrees(url: str, token: str | None, signature: str) -> None:
    """Figures of botocore 1.44 for these requests."""
    headers = {"Content-Type": "application/json"}
    ours = signer(token, service="bedrock").sign("POST", url, headers, b'{"a":1}', AUG_30_2015)
    assert ours["Authorization"].rpartition("=")[2] == signature


CONFIG = """
providers:
  aws:
    format: bedrock-converse
    base_url: "{url}"
    auth: {{type: sigv4, service: bedrock, region: eu-west-1}}
    retry: {{attempts: 1}}
    accounts: {{a: {{access_key_id: AKIDEXAMPLE, key: {key}, session_token: TEMPORARY-TOKEN}}}}
"""
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "ciao"}]}},
    "stopReason": "end_turn",
}


async def test_the_upstream_can_check_the_signature_of_what_it_gets() -> None:
    async with FakeUpstream([Scripted(json=ANSWER)]) as up, gateway(CONFIG.format(url=up.url, key=KEY)) as gw:
        status, text, _ = await post(gw, *call("openai-chat", "aws/eu.some.model-v1:0"))
        assert status == 200, text
        (seen,) = up.requests
        url = f"http://{seen.headers['host']}{seen.raw_path}"
        moment = seen.headers["x-amz-date"]
        again = Signer(
            key_id=KEY_ID,
            key=Secret(KEY),
            token=Secret("TEMPORARY-TOKEN"),
            service="bedrock",
            region="eu-west-1",
        ).sign("POST", url, {"Content-Type": seen.headers["content-type"]}, seen.body, _epoch(moment))
        assert urlsplit(url).path == "/model/eu.some.model-v1%3A0/converse"
        assert seen.headers["x-amz-security-token"] == "TEMPORARY-TOKEN"
        assert seen.headers["authorization"] == again["Authorization"]


async def test_a_large_body_is_signed_beside_the_loop() -> None:
    """The loop goes on while its hash is made."""
    big = Outbound(url=HOST + "/", headers={}, body=b"x" * (LARGE_BODY + 1))
    threads: list[str] = []

    def sign(method: str, url: str, headers: Mapping[str, str], body: bytes, now: float) -> Mapping[str, str]:
        threads.append(threading.current_thread().name)
        return {"X-Signed": f"{method} {len(body)} {now:g}"}

    assert (await signed(big, sign, 7.0)).headers == {"X-Signed": f"POST {LARGE_BODY + 1} 7"}
    small = Outbound(url=HOST + "/", headers={"a": "b"}, body=b"x")
    assert (await signed(small, sign, 7.0)).headers == {"a": "b", "X-Signed": "POST 1 7"}
    assert threads[0] != threads[1] == threading.current_thread().name


async def test_what_the_upstream_repeats_of_secrets_is_not_shown() -> None:
    repeated = Scripted(status=403, json={"message": f"no access for {KEY} with TEMPORARY-TOKEN"})
    async with FakeUpstream([repeated]) as up, gateway(CONFIG.format(url=up.url, key=KEY)) as gw:
        _, text, _ = await post(gw, *call("openai-chat", "aws/m"))
        assert KEY not in text
        assert "TEMPORARY-TOKEN" not in text


def _epoch(moment: str) -> float:
    return float(timegm(strptime(moment, "%Y%m%dT%H%M%SZ")))
