"""`omniroute wait`: block until a configuration serves, for delivery pipelines."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from omniroute.cli.health import add_url, ask, base_url
from omniroute.config.units import Duration

PAUSE = 0.2
"""Seconds between two questions."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "wait",
        help="block until a running gateway serves a configuration",
        description="Block until a running gateway serves the configuration with this hash. "
        "Exits 0 when it does, 1 when the time is over.",
        epilog="example: omniroute wait --hash 4f2a9c01d7be --timeout 1m",
    )
    parser.add_argument(
        "--hash", required=True, type=_hash, help="the hash, as in X-OmniRoute-Config; or its beginning"
    )
    add_url(parser)
    parser.add_argument(
        "--timeout", type=_duration, default="30s", help="how long to wait, such as 500ms or 2m (30s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    url, end = base_url(args.url), time.monotonic() + args.timeout
    while True:
        left = end - time.monotonic()
        served, trouble = _served(url, max(left, PAUSE))
        if serves(served, args.hash):
            print(f"{url} serves {served}")
            return 0
        if end - time.monotonic() <= 0:
            last = trouble or f"it serves {served or 'nothing that says its configuration'}"
            print(f"{url} does not serve {args.hash} after {args.timeout:g} s: {last}", file=sys.stderr)
            return 1
        time.sleep(min(PAUSE, max(end - time.monotonic(), 0)))


def serves(tag: str, wanted: str) -> bool:
    """Whether `<generation>-<hash>` is of the configuration `wanted`: the whole tag, the hash, or its beginning."""
    digest = tag.partition("-")[2]
    return bool(digest) and (tag == wanted or digest.startswith(wanted) or wanted.startswith(digest))


def _served(url: str, timeout: float) -> tuple[str, str]:
    """The tag that is served, or "" and why that is not known."""
    try:
        return str(ask(url, timeout).get("config") or ""), ""
    except (OSError, ValueError) as error:
        return "", str(error)


def _hash(written: str) -> str:
    wanted = written.strip().removeprefix("sha256:")
    if not wanted:
        raise argparse.ArgumentTypeError("the hash is empty")
    return wanted


def _duration(written: str) -> float:
    try:
        return Duration.parse(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
