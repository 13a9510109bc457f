"""`omniroute health`: does the gateway answer? Imports little, for it runs every few seconds as a health check."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

DEFAULT_URL = "http://127.0.0.1:20128"


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "health",
        help="ask a running gateway whether it is well",
        description="Ask a running gateway whether it is well. Exits 0 when it is, else 1.",
        epilog="example: omniroute health --url http://127.0.0.1:20128",
    )
    add_url(parser)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for the answer (5)")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    parser.set_defaults(run=run)


def add_url(parser: argparse.ArgumentParser) -> None:
    """The option that says where the gateway is."""
    parser.add_argument("--url", help=f"where the gateway is (else OMNIROUTE_URL, else {DEFAULT_URL})")


def run(args: argparse.Namespace) -> int:
    url = base_url(args.url)
    try:
        health = ask(url, args.timeout)
    except (OSError, ValueError) as error:
        print(f"{url} is not well: {error}", file=sys.stderr)
        return 1
    well = health.get("status") == "ok"
    if args.json:
        print(json.dumps(health))
    else:
        print(
            f"{url}: {health.get('status')}, version {health.get('version')}, config {health.get('config')}"
        )
    return 0 if well else 1


def base_url(given: str | None) -> str:
    """The gateway's address without a slash or `/v1` at its end, whichever way it is given."""
    url = given or os.environ.get("OMNIROUTE_URL") or DEFAULT_URL
    return url.rstrip("/").removesuffix("/v1")


def ask(url: str, timeout: float, path: str = "/-/health", key: str | None = None) -> dict[str, Any]:
    """What a page of the admin plane says. Raises `OSError` when nothing answers, `ValueError` when it is no gateway
    that does."""
    # Nobody means the proxy of their environment to lead back to their own machine.
    local = urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if local else None))
    try:
        request = urllib.request.Request(f"{url}{path}")
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        with opener.open(request, timeout=timeout) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"HTTP {error.code}") from error
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")
    return found
