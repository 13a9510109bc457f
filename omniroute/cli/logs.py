"""`omniroute logs`: the latest requests of a running gateway, one line each."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import msgspec

from omniroute.cli.health import add_url, ask, base_url
from omniroute.pipeline.record import Record
from omniroute.server.log import console_line

EVERY = 0.5
"""Seconds between two looks, with `-f`."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "logs",
        help="the latest requests of a running gateway",
        description="Ask a running gateway for its latest requests. Where keys are needed, this takes one with the scope "
        "admin. Exits 1 when the gateway does not answer.",
        epilog="example: omniroute logs -f --failed",
    )
    add_url(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    parser.add_argument("-n", "--lines", type=int, default=20, help="how many of the latest (20)")
    parser.add_argument("--failed", action="store_true", help="only those that failed")
    parser.add_argument("--key", help="a key with the scope admin (else OMNIROUTE_KEY)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for an answer (5)")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    url, key = base_url(args.url), args.key or os.environ.get("OMNIROUTE_KEY")
    after, most = -1, max(0, args.lines)
    try:
        while True:
            found = ask(url, args.timeout, f"/-/requests?after={after}&limit={most}", key)
            if after >= 0 and found["missed"]:
                print(f"({found['missed']} more were not seen in time)", file=sys.stderr)
            for request in found["requests"]:
                _print(request, args)
            if not args.follow:
                return 0
            after, most = found["next"], 1_000
            time.sleep(EVERY)
    except (OSError, ValueError) as error:
        print(f"{url} does not tell: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _print(request: dict[str, Any], args: argparse.Namespace) -> None:
    if args.failed and request["status"] < 400 and not request.get("error"):
        return
    line = json.dumps(request) if args.json else console_line(msgspec.convert(request, Record)).rstrip("\n")
    print(line, flush=args.follow)
