"""Ports for servers that have to be told one before they listen.

They lie below those that the system gives out, and each process of a run has some of its own, so that nobody takes one
between the moment it is found and the moment it is used.
"""

from __future__ import annotations

import itertools
import os
import re
import socket

FIRST, OF_ONE = 20_000, 1_000
"""The first port, and how many a process of a run has."""

_process = int("".join(re.findall(r"\d", os.environ.get("PYTEST_XDIST_WORKER", ""))) or "11") % 12
_numbers = itertools.count(os.getpid())


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    for number in itertools.islice(_numbers, OF_ONE):
        port = FIRST + _process * OF_ONE + number % OF_ONE
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
