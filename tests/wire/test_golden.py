"""Golden cases of every wire format: `tests/golden/<wire>/<case>/`, in whatever files a case has.

    request.json   is read as conversation.json,      which is written as request.out.json or request.json
    answer.json    is read as answer.canonical.json,  which is written as answer.out.json or answer.json
    stream.sse     is read as deltas.jsonl,           which are written as stream.out.sse or stream.sse
    stream.ndjson  likewise, where the wire's streams are lines
    stream.aws     likewise, where they are Amazon's binary ones: a line for each event, `{name: payload}`
    error.json     {status, headers, body} is read as problem.json, which is written as error.out.json or its body

`dialect.json` holds what the target of the request accepts. `UPDATE_GOLDEN=1` writes the expected files anew: then
look at the diff.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omniroute import registry
from omniroute.errors import Problem
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Dialect, Event, Reference, Wire
from omniroute.wire.conversation import Answer, Conversation, Delta, Notes
from tests.support import aws_events, streams

ROOT = Path(__file__).resolve().parents[1] / "golden"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


@cache
def wires() -> dict[str, Wire]:
    return {d.name: d.cls() for d in registry.load(plugins=False).all("wire")}


def cases(file: str) -> list[str]:
    """`wire/case` of every case that has this file."""
    return sorted({str(path.parent.relative_to(ROOT)) for path in ROOT.glob(f"*/*/{file}")}) or ["none/none"]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Path:
    folder = ROOT / request.param
    if not folder.is_dir():
        pytest.skip("no such golden case")
    if folder.parent.name not in wires():
        pytest.skip(f"there is no wire {folder.parent.name}")
    return folder


def each(file: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases(file), indirect=True, ids=str)


def wire_of(case: Path) -> Wire:
    return wires()[case.parent.name]


def load(path: Path, otherwise: Any = None) -> Any:
    return json.loads(path.read_text()) if path.is_file() else otherwise


def reference(case: Path) -> Reference:
    return streams.reference(load(case / "request.json", {}))


def dialect(case: Path) -> Dialect:
    return msgspec.convert(load(case / "dialect.json", {}), Dialect)


def expect(path: Path, found: Any) -> None:
    """`found` is what the file says; or from now on it does."""
    if UPDATE:
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert found == load(path)


def expect_out(out: Path, given: Any, found: Any) -> None:
    """`found` is what `out` says or, where that file is not needed, what was `given`."""
    if UPDATE:
        out.unlink(missing_ok=True)
        if found != given:
            out.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert found == load(out, given)


# ── each wire with itself ────────────────────────────────────────────────────────────────────────


@each("request.json")
def test_request_is_read(case: Path) -> None:
    given = load(case / "request.json")
    talk = wire_of(case).read_request(given)
    assert given == load(case / "request.json"), "reading must not change what it reads"
    expect(case / "conversation.json", builtins(talk))


@each("request.json")
def test_request_is_written(case: Path) -> None:
    talk = msgspec.convert(load(case / "conversation.json"), Conversation)
    before = builtins(talk)
    out = wire_of(case).write_request(talk, dialect(case), Notes())
    assert builtins(talk) == before, "writing must not change what it writes"
    expect_out(case / "request.out.json", load(case / "request.json"), out)


@each("answer.json")
def test_answer_is_read(case: Path) -> None:
    answer = wire_of(case).read_answer(load(case / "answer.json"))
    expect(case / "answer.canonical.json", builtins(answer))


@each("answer.json")
def test_answer_is_written(case: Path) -> None:
    answer = msgspec.convert(load(case / "answer.canonical.json"), Answer)
    out = wire_of(case).write_answer(answer, reference(case), Notes())
    expect_out(case / "answer.out.json", load(case / "answer.json"), out)


@each("stream.*")
def test_stream_is_read(case: Path) -> None:
    found = [builtins(delta) for delta in read(wire_of(case), bytes_of(stream_of(case)))]
    path = case / "deltas.jsonl"
    if UPDATE:
        path.write_text("".join(json.dumps(delta, ensure_ascii=False) + "\n" for delta in found))
    assert found == [json.loads(line) for line in path.read_text().splitlines()]


@each("stream.*")
def test_stream_is_written(case: Path) -> None:
    wire, given = wire_of(case), stream_of(case)
    raw = write(wire, deltas(case), reference(case))
    out = given.with_name(f"stream.out{given.suffix}")
    if UPDATE:
        out.unlink(missing_ok=True)
        if events(wire, raw) != events(wire, bytes_of(given)):
            out.write_bytes(aws_events.lines(raw) if given.suffix == ".aws" else raw)
    assert events(wire, raw) == events(wire, bytes_of(out if out.is_file() else given))


@each("error.json")
def test_error_is_read(case: Path) -> None:
    given = load(case / "error.json")
    body = given["body"] if isinstance(given["body"], str) else json.dumps(given["body"])
    problem = wire_of(case).read_error(given["status"], given.get("headers", {}), body.encode())
    expect(case / "problem.json", builtins(problem))


@each("error.json")
def test_error_is_written(case: Path) -> None:
    problem = msgspec.convert(load(case / "problem.json"), Problem)
    out = wire_of(case).write_error(problem, "req_1")
    expect_out(case / "error.out.json", load(case / "error.json")["body"], out)


# ── every wire with every case ───────────────────────────────────────────────────────────────────


@each("conversation.json")
def test_every_wire_writes_every_request(case: Path) -> None:
    for wire in wires().values():
        talk = msgspec.convert(load(case / "conversation.json"), Conversation)
        out = wire.write_request(talk, Dialect(model="m"), Notes())
        assert json.loads(msgspec.json.encode(out)), f"{wire.name} wrote no JSON object"


@each("answer.canonical.json")
def test_every_wire_writes_every_answer(case: Path) -> None:
    given = msgspec.convert(load(case / "answer.canonical.json"), Answer)
    for wire in wires().values():
        out = json.loads(msgspec.json.encode(wire.write_answer(given, reference(case), Notes())))
        assert meaning_of_answer(wire.read_answer(out)) == meaning_of_answer(given), wire.name


@each("deltas.jsonl")
def test_every_wire_writes_every_stream(case: Path) -> None:
    given = deltas(case)
    if given[-1]["type"] != "end":
        pytest.skip("a stream that failed has no whole meaning")
    for wire in wires().values():
        if wire.framing not in SPLITTERS:
            continue
        raw = write(wire, given, Reference(**{**vars_of(reference(case)), "request": {"stream": True}}))
        assert meaning_of_stream(read(wire, raw)) == meaning_of_stream(convert(given)), wire.name


def vars_of(value: Reference) -> dict[str, Any]:
    return {field: getattr(value, field) for field in value.__struct_fields__}


def meaning_of_answer(answer: Answer) -> Any:
    """What no translation may lose: the text (a refusal may be one elsewhere) and the calls of the first choice."""
    parts = [builtins(part) for part in answer.choices[0].parts] if answer.choices else []
    text = "".join(part["text"] for part in parts if part["type"] in ("text", "refusal"))
    calls = [(p["name"], arguments(p.get("arguments", "{}"))) for p in parts if p["type"] == "tool_call"]
    return text, calls


def meaning_of_stream(given: list[Delta]) -> Any:
    found = [builtins(delta) for delta in given]
    found = [delta for delta in found if not delta.get("choice")]
    text = "".join(delta["text"] for delta in found if delta["type"] in ("text", "refusal"))
    calls = [
        (
            call["name"],
            arguments(
                "".join(
                    d["arguments"] for d in found if d["type"] == "arguments" and d["part"] == call["part"]
                )
            ),
        )
        for call in found
        if call["type"] == "call"
    ]
    return text, calls


def arguments(text: str) -> Any:
    """Arguments as a value. Free text may travel as the one argument `input`: that is the same."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value["input"] if isinstance(value, dict) and value.keys() == {"input"} else value


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


def builtins(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def deltas(case: Path) -> list[Any]:
    return [json.loads(line) for line in (case / "deltas.jsonl").read_text().splitlines()]


def convert(given: list[Any]) -> list[Delta]:
    return [msgspec.convert(delta, Delta) for delta in given]  # type: ignore[arg-type]  # a union is a type here


def stream_of(case: Path) -> Path:
    """The stream of a case, in whatever framing its wire has."""
    (path,) = (path for path in case.glob("stream.*") if ".out" not in path.name)
    return path


def bytes_of(path: Path) -> bytes:
    """The stream that a file stands for."""
    return aws_events.recorded(path.read_text()) if path.suffix == ".aws" else path.read_bytes()


def read(wire: Wire, raw: bytes) -> list[Delta]:
    return streams.deltas_of(wire, raw)


def write(wire: Wire, given: list[Any], to: Reference) -> bytes:
    return streams.bytes_of(wire, convert(given), to=to)


def events(wire: Wire, raw: bytes) -> list[tuple[str, Any]]:
    splitter = SPLITTERS[wire.framing]()
    return [(event.name, payload(event)) for event in splitter.feed(raw) + splitter.end()]


def payload(event: Event) -> Any:
    try:
        return json.loads(event.data)
    except ValueError:
        return event.data.decode()
