"""What was expected beside what happened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jmespath
import msgspec

from omniroute.config.cases import Expect
from omniroute.config.marks import Path
from omniroute.errors import MalformedStream
from omniroute.simulation.gateway import Answered
from omniroute.simulation.upstream import Sent
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.conversation import Text, TextDelta
from omniroute.wire.json_array import JsonArraySplitter

CENT = 1e-9
"""Dollars that two costs may differ by."""


@dataclass(frozen=True, slots=True)
class Happened:
    """All that a step came to. `sent` are the requests of this step; `last` the last one of each provider, ever."""

    answered: Answered
    sent: list[Sent]
    last: Mapping[str, Sent]
    seconds: float


@dataclass(frozen=True, slots=True)
class Miss:
    """An expectation that was not met. `path` leads to it, below `expect`."""

    path: Path
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"expected {shown(self.expected)}, got {shown(self.got)}"


def misses(expect: Expect, happened: Happened) -> Iterator[Miss]:
    """Everything that was expected and is not so."""
    for name, look in _LOOKS.items():
        expected = getattr(expect, name)
        if expected is not None and not same(expected, got := look(happened)):
            yield Miss((name,), _plain(expected), got)
    yield from _paths(("body",), expect.body, lambda: _document(happened.answered))
    yield from _paths(("events",), expect.events, lambda: events_of(happened.answered))
    yield from _named(("headers",), expect.headers, happened.answered.headers)
    yield from _named(("log",), expect.log, _log(happened))
    for provider, paths in expect.sent.items():
        sent = happened.last.get(provider)
        if sent is None:
            yield Miss(("sent", provider), "a request", "none")
        else:
            yield from _paths(("sent", provider), paths, partial(_sent_body, sent))
    for provider, headers in expect.sent_headers.items():
        sent = happened.last.get(provider)
        if sent is None:
            yield Miss(("sent_headers", provider), "a request", "none")
        else:
            lower = {name.lower(): value for name, value in headers.items()}
            yield from _named(("sent_headers", provider), lower, sent.headers)
    for provider, number in expect.requests.items():
        counted = sum(s.provider == provider for s in happened.sent)
        if counted != number:
            yield Miss(("requests", provider), number, counted)


def same(expected: Any, got: Any) -> bool:
    """Whether a value is what was expected; text between slashes is a pattern, and a list or map is so item by item."""
    if isinstance(expected, str) and len(expected) > 2 and expected[0] == expected[-1] == "/":
        return got is not None and re.search(expected[1:-1], str(got)) is not None
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return abs(expected - got) <= max(CENT, 1e-9 * abs(expected))
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and expected.keys() == got.keys()
            and all(same(v, got[k]) for k, v in expected.items())
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list | tuple)
            and len(expected) == len(got)
            and all(same(e, g) for e, g in zip(expected, got, strict=True))
        )
    return bool(expected == got)


def shown(value: Any) -> str:
    """A value for a line of a report."""
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 300 else text[:300] + "…"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _paths(at: Path, paths: Mapping[str, Any], document: Callable[[], Any]) -> Iterator[Miss]:
    if not paths:
        return
    found = document()
    for expression, expected in paths.items():
        got = jmespath.search(expression, found)
        if not same(expected, got):
            yield Miss((*at, expression), expected, got)


def _named(at: Path, expected: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[Miss]:
    for name, value in expected.items():
        found = got.get(name)
        wanted = str(value) if isinstance(value, int | float) and isinstance(found, str) else value
        if not same(wanted, found):
            yield Miss((*at, name), value, found)


# ── what happened ────────────────────────────────────────────────────────────────────────────────


def _document(answered: Answered) -> Any:
    """The body as JSON; one that is none, as text."""
    try:
        return msgspec.json.decode(answered.body)
    except msgspec.DecodeError:
        return answered.body.decode("utf-8", "replace")


def events_of(answered: Answered) -> list[Any]:
    """The payloads of a streamed answer; what is no JSON (`[DONE]`), as text."""
    if not answered.streamed:
        return []
    exchange = answered.exchange
    array = exchange is not None and exchange.array
    splitter = JsonArraySplitter() if array else SPLITTERS[answered.wire.framing]()
    return [_payload(event.data) for event in [*splitter.feed(answered.body), *splitter.end()]]


def _payload(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data.decode("utf-8", "replace")


def _sent_body(sent: Sent) -> Any:
    return sent.body


def _text(happened: Happened) -> str | None:
    """The text of the answer, as a client of its format puts it together."""
    answered = happened.answered
    if answered.streamed:
        return _streamed_text(answered)
    document = _document(answered)
    if answered.status >= 300 or not isinstance(document, dict):
        return None
    choices = answered.wire.read_answer(document).choices
    return "".join(part.text for choice in choices[:1] for part in choice.parts if isinstance(part, Text))


def _streamed_text(answered: Answered) -> str:
    splitter, reader = SPLITTERS[answered.wire.framing](), answered.wire.reader()
    said = ""
    try:
        for event in [*splitter.feed(answered.body), *splitter.end()]:
            said += "".join(d.text for d in reader.feed(event) if isinstance(d, TextDelta))
    except MalformedStream as error:
        return f"{said} (broken: {error})"
    return said


def _error(happened: Happened) -> str:
    record = happened.answered.record
    if record is not None and record.error is not None:
        return record.error
    return "none" if happened.answered.status < 300 else "unknown_path"


def _tried(happened: Happened) -> list[str]:
    exchange = happened.answered.exchange
    if exchange is None:
        return []
    tried = [t.target for t in exchange.tried]
    target = exchange.target.name if exchange.target is not None else None
    return [*tried, target] if target is not None and happened.answered.status < 300 else tried


def _log(happened: Happened) -> Mapping[str, Any]:
    record = happened.answered.record
    return msgspec.structs.asdict(record) if record is not None else {}


def _from_log(name: str) -> Callable[[Happened], Any]:
    return lambda happened: _log(happened).get(name)


_LOOKS: Mapping[str, Callable[[Happened], Any]] = {
    "status": lambda happened: happened.answered.status,
    "tried": _tried,
    "target": _from_log("target"),
    "account": _from_log("account"),
    "attempts": _from_log("attempts"),
    "error": _error,
    "text": _text,
    "cost": _from_log("cost"),
    "dropped": _from_log("dropped"),
    "took": lambda happened: round(happened.seconds, 6),
}
