"""Made-up conversations and answers through every format, and through every two: what was said is what arrives."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given

from omniroute.wire.bridge import CrossTap, encode, translate_request
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Answer, Conversation, Delta, Notes
from omniroute.wire.names import NameMap
from omniroute.wire.recast import Collected, as_answer, as_stream, deltas_of
from tests.support import streams
from tests.support.conversations import answers, conversations, meaning_of, meaning_of_answer
from tests.support.crossing import reference, wires
from tests.support.properties import examples

WIRES = wires()
PAIRS = [pytest.param(a, b, id=f"{a}-{b}") for a, b in itertools.permutations(WIRES, 2)]
PROPERTY = examples(25, HealthCheck.data_too_large)
FEWER = examples(5, HealthCheck.data_too_large)

CANNOT = {
    "openai-responses": {"stop": []},
    "ollama": {"choice": "auto"},
}
"""What a format has no word for, and is told by name: what comes back of it."""


def written(wire: Wire, talk: Conversation) -> tuple[dict[str, Any], Notes]:
    """As JSON, which knows no tuples and no structs."""
    notes = Notes()
    doc = wire.write_request(talk, Dialect(model="m", capabilities=ABLE), notes)
    return json.loads(msgspec.json.encode(doc)), notes


ABLE = frozenset({"tools", "vision", "thinking", "json_schema"})


def expected(talk: Conversation, *through: str) -> dict[str, Any]:
    meaning = meaning_of(talk)
    for wire in through:
        for name, value in CANNOT.get(wire, {}).items():
            meaning[name] = value
    return meaning


def lost(talk: Conversation, name: str) -> set[str]:
    """What of it that format has no word for."""
    meaning = meaning_of(talk)
    return {field for field, value in CANNOT.get(name, {}).items() if meaning[field] != value}


@pytest.mark.parametrize("name", WIRES)
@PROPERTY
@given(talk=conversations())
def test_a_request_comes_back(name: str, talk: Conversation) -> None:
    doc, notes = written(WIRES[name], talk)
    assert bool(notes.dropped) is bool(lost(talk, name))
    assert meaning_of(WIRES[name].read_request(doc)) == expected(talk, name)


@pytest.mark.parametrize("name", WIRES)
@PROPERTY
@given(talk=conversations())
def test_what_was_read_is_written_the_same(name: str, talk: Conversation) -> None:
    """After one trip a request is in its last form."""
    first, _ = written(WIRES[name], talk)
    again, _ = written(WIRES[name], WIRES[name].read_request(first))
    assert again == first


@pytest.mark.parametrize(("client", "target"), PAIRS)
@FEWER
@given(talk=conversations())
def test_a_request_survives_any_two_formats(client: str, target: str, talk: Conversation) -> None:
    """A client's words, read, written for a target, and read as the target would."""
    first, _ = written(WIRES[client], talk)
    asked = WIRES[client].read_request(first)
    notes = Notes()
    document, _ = translate_request(
        asked, WIRES[client], WIRES[target], Dialect(model="m", capabilities=ABLE), notes
    )
    arrived = WIRES[target].read_request(json.loads(msgspec.json.encode(document)))
    assert meaning_of(arrived) == expected(talk, client, target)
    assert bool(notes.dropped) is bool(lost(asked, target))


@pytest.mark.parametrize("name", WIRES)
@PROPERTY
@given(answer=answers())
def test_an_answer_comes_back(name: str, answer: Answer) -> None:
    doc = json.loads(encode(WIRES[name].write_answer(answer, reference(), Notes())))
    assert meaning_of_answer(WIRES[name].read_answer(doc)) == meaning_of_answer(answer)


def read(wire: Wire, raw: bytes) -> list[Delta]:
    return streams.deltas_of(wire, raw)


def collected(deltas: list[Delta]) -> Answer:
    collector = Collected()
    collector.add(deltas)
    return collector.answer()


@PROPERTY
@given(answer=answers())
def test_pieces_make_the_whole_again(answer: Answer) -> None:
    again = collected(list(deltas_of(answer)))
    assert again == answer


@pytest.mark.parametrize("name", WIRES)
@PROPERTY
@given(answer=answers())
def test_a_stream_comes_back(name: str, answer: Answer) -> None:
    wire = WIRES[name]
    writer = wire.writer(reference(), Notes())
    raw = b"".join(map(writer.feed, deltas_of(answer))) + writer.close()
    assert meaning_of_answer(collected(read(wire, raw))) == meaning_of_answer(answer)


@pytest.mark.parametrize(("source", "client"), PAIRS)
@FEWER
@given(answer=answers())
def test_a_stream_survives_any_two_formats(source: str, client: str, answer: Answer) -> None:
    upstream = WIRES[source].writer(reference(), Notes())
    raw = b"".join(map(upstream.feed, deltas_of(answer))) + upstream.close()
    tap = CrossTap(WIRES[source], WIRES[client].writer(reference(), Notes()), NameMap({}, None, None))
    pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]
    out = b"".join(map(tap.feed, pieces)) + tap.end(None)[0]
    assert meaning_of_answer(collected(read(WIRES[client], out))) == meaning_of_answer(answer)


@pytest.mark.parametrize("name", WIRES)
@PROPERTY
@given(answer=answers())
def test_an_answer_may_take_either_shape(name: str, answer: Answer) -> None:
    """Whole → stream → whole, in the same format."""
    wire, ids = WIRES[name], itertools.count(1)
    whole = encode(wire.write_answer(answer, reference(), Notes()))
    asked = {"model": "m", "stream_options": {"include_usage": True}}
    stream = as_stream(whole, wire, asked, lambda prefix: f"{prefix}{next(ids)}")
    again = as_answer(stream, wire, asked, lambda prefix: f"{prefix}{next(ids)}")
    found = wire.read_answer(json.loads(again))
    assert meaning_of_answer(found) == meaning_of_answer(answer)
