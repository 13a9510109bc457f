"""`omniroute serve`: run the gateway."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from omniroute.config.load import find_config
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.server.gateway import Gateway
from omniroute.server.log import LogSink, set_up_logging
from omniroute.server.workers import WORKER, Workers

log = logging.getLogger("omniroute")

COLLECT_AFTER = (20_000, 20, 50)
"""Objects after which the collector looks for cycles. A request makes hundreds of objects and hardly a cycle: with
Python's own 700 it would look after every other request."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run the gateway (the default)",
        description="Run the gateway. It follows every change of its configuration.",
        epilog="example: omniroute serve --config omniroute.yaml --listen 127.0.0.1:8080",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        "-c",
        help="the file (else OMNIROUTE_CONFIG, ./omniroute.yaml, the user's, the shipped one)",
    )
    parser.add_argument(
        "--listen", action="append", help='address instead of the config\'s, "host:port"; may be repeated'
    )
    parser.add_argument("--no-watch", action="store_true", help="do not follow changes of the files")
    parser.add_argument("--lenient", action="store_true", help="unknown keys are warnings, not errors")


def run(args: argparse.Namespace) -> int:
    set_up_logging()
    path = find_config(args.config, os.environ, Path.cwd())
    workers = 1 if WORKER in os.environ else _workers(path, args)
    if workers is None:
        return 1
    try:
        if workers > 1:
            return Workers(workers, sys.argv[1:]).run()
        return _run_loop(_serve(path, args))
    except ConfigUnreadable as error:
        log.error("%s", error)
        return 2
    except ConfigError as error:
        _show(error)
        return 1
    except OSError as error:
        log.error("cannot listen: %s", error)
        return 1


def _workers(path: Path, args: argparse.Namespace) -> int | None:
    """How many workers the file asks for; None (and the findings on standard error) when it cannot be used."""
    from omniroute.config.load import load as load_config
    from omniroute.registry import load as load_registry

    if not _mentions_workers(path):
        return 1
    try:
        return load_config(
            path, env=os.environ, registry=load_registry(), lenient=args.lenient
        ).settings.server.workers
    except ConfigError as error:
        _show(error)
    except ConfigUnreadable as error:
        log.error("%s", error)
    return None


def _mentions_workers(path: Path) -> bool:
    """Most files do not: then the configuration is read once, by the one process that serves it."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "workers" in text or "include" in text


async def _serve(path: Path, args: argparse.Namespace) -> int:
    worker = os.environ.get(WORKER)
    gateway = Gateway(
        path,
        sink=LogSink(),
        listen=tuple(args.listen) if args.listen else None,
        watch=not args.no_watch,
        lenient=args.lenient,
        reuse_port=worker is not None,
    )
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reloads: set[asyncio.Task[Any]] = set()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, lambda: _reload(gateway, reloads))
    await gateway.start()
    # What is there now stays: the collector need not look through it again while requests wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    if worker in (None, "0"):
        _greet(gateway, path)
    await stop.wait()
    log.info("stopping: running requests may finish")
    await gateway.stop()
    return 0


def _reload(gateway: Gateway, running: set[asyncio.Task[Any]]) -> None:
    if not gateway.urls:
        return
    task = asyncio.get_running_loop().create_task(gateway.runtime.reload(), name="reload")
    running.add(task)
    task.add_done_callback(running.discard)


def _greet(gateway: Gateway, path: Path) -> None:
    url = gateway.urls[0]
    generation = gateway.runtime.generation
    usable = [n for n, p in generation.directory.providers.items() if p.usable]
    shown = Path(path).name if path.parent == Path.cwd() else str(path)
    for finding in generation.loaded.findings:
        if finding.severity == "warning":
            log.warning("%s", finding)
    print(
        f"""
  OmniRoute is on {url}   (config {shown}, {generation.tag})
  providers ready: {", ".join(usable) or "none"}

  Try it:
    curl {url}/v1/chat/completions -H 'content-type: application/json' \\
      -d '{{"model": "demo", "messages": [{{"role": "user", "content": "hello"}}]}}'

  OpenAI SDKs:      base_url = {url}/v1
  Anthropic SDKs:   base_url = {url}
  Google SDKs:      base_url = {url}
  Coding CLIs:      omniroute connect claude-code --print
""",
        file=sys.stderr,
        flush=True,
    )


def _show(error: ConfigError) -> None:
    print(error, file=sys.stderr)


def _run_loop(main: Any) -> int:
    try:
        import uvloop
    except ImportError:
        # uvloop does not exist for this platform: the standard loop serves, more slowly.
        return int(asyncio.run(main))
    return int(uvloop.run(main))
