"""Every golden stream of every upstream format, written for every client, through the accumulators of the official
SDKs: they raise, or miss a field of their own types, where the order of events is not legal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from omniroute.wire.conversation import CallDelta, CallStart, Delta, Failure, RefusalDelta, TextDelta
from tests.fidelity.clients import CLIENTS, Client, Offer
from tests.fidelity.meaning import settle, squeezed
from tests.fidelity.replay import restless
from tests.support import aws_events
from tests.support.crossing import wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = Path(__file__).parents[1] / "golden"
TYPES = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "aws": "application/vnd.amazon.eventstream",
}
CASES = sorted(
    str(path.relative_to(GOLDEN)) for path in GOLDEN.glob("*/*/stream.*") if ".out" not in path.name
)
"""`wire/case/stream.*` of each stream."""


def wire_of(case: str) -> str:
    return case.split("/")[0]


def model_of(case: str) -> str:
    """The model's name asks for the case."""
    return f"{wire_of(case)}/{case.split('/')[1]}"


def configuration(url: str) -> str:
    """One provider a format. No breaker may open: the streams that fail are none of the others' business."""
    lines = [
        f"  {wire}: {{format: {wire}, base_url: '{url}/{wire}', retry: {{attempts: 1}}, auth: bearer,"
        " breaker: {failures: 9999, least: 9999}, accounts: {a: {key: k1}}}\n"
        for wire in sorted({wire_of(case) for case in CASES})
    ]
    return "providers:\n" + "".join(lines)


def asked_case(seen: Seen) -> str:
    wire = seen.path.split("/")[1]
    name = str(seen.json.get("model") or seen.path)
    found = [c for c in CASES if wire_of(c) == wire and c.split("/")[1] in (name, *name.split("/"))]
    found = found or [c for c in CASES if wire_of(c) == wire and f"/{c.split('/')[1]}" in seen.path]
    return max(found, key=len)


def answer(seen: Seen) -> Scripted:
    case = asked_case(seen)
    framing = wires()[wire_of(case)].framing
    raw = (GOLDEN / case).read_bytes()
    # The golden files of a binary framing are text.
    return Scripted(
        body=aws_events.recorded(raw.decode()) if framing == "aws" else raw, content_type=TYPES[framing]
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdks() -> AsyncIterator[dict[str, Client]]:
    async with FakeUpstream(answer) as up, gateway(configuration(up.url), state=restless()) as running:
        clients = {kind.wire: kind(running.url) for kind in CLIENTS}
        yield clients
        for client in clients.values():
            await client.close()


def deltas_of(case: str) -> list[Delta]:
    lines = (GOLDEN / case).with_name("deltas.jsonl").read_text(encoding="utf-8").splitlines()
    return [msgspec.json.decode(line, type=Delta) for line in lines]  # type: ignore[arg-type]  # a union is a type here


def calls_of(deltas: list[Delta]) -> dict[int, CallStart]:
    return {d.part: d for d in deltas if isinstance(d, CallStart) and d.choice == 0}


@pytest.mark.parametrize("client", [kind.wire for kind in CLIENTS])
@pytest.mark.parametrize("case", CASES)
async def test_the_accumulators_take_it(sdks: dict[str, Client], case: str, client: str) -> None:
    deltas = deltas_of(case)
    calls = calls_of(deltas)
    offers = [Offer(c.name, c.kind == "custom") for c in {c.name: c for c in calls.values()}.values()]
    heard = await sdks[client].hear(model_of(case), stream=True, own=client == wire_of(case), offers=offers)
    # Codes that OpenAI sends and its SDK's type leaves out are kept: clients act on them.
    shape = [words for words in heard.shape if not words.startswith("response.error.code")]
    assert (heard.crash, shape) == ("", [])
    if any(isinstance(d, Failure) for d in deltas):
        assert heard.meaning.error is not None
        return
    assert heard.meaning.error is None
    first = settle(heard.meaning).first
    text = "".join(d.text for d in deltas if isinstance(d, TextDelta) and d.choice == 0)
    refusal = "".join(d.text for d in deltas if isinstance(d, RefusalDelta) and d.choice == 0)
    # A refusal stands in the text where a format has no other place for it.
    assert squeezed(first.texts) in (squeezed([text]), squeezed([text, refusal]))
    arguments = {
        part: "".join(d.arguments for d in deltas if isinstance(d, CallDelta) and d.part == part)
        for part in calls
    }
    assert [c.name for c in first.calls] == [c.name for c in calls.values()]
    for found, part in zip(first.calls, calls, strict=True):
        if calls[part].kind == "function":
            assert found.arguments == json.loads(arguments[part] or "{}")
