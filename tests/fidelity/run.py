"""The whole run: each recording, each client, one verdict a pair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fidelity.clients import CLIENTS, Client, Heard
from tests.fidelity.compare import Difference, Verdict, compare, verdict
from tests.fidelity.law import ARTEFACTS
from tests.fidelity.meaning import settle
from tests.fidelity.replay import Tape, replaying


@dataclass(frozen=True)
class Outcome:
    """One recording, heard by one client."""

    id: str
    upstream: str
    client: str
    streaming: bool
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        return verdict(list(self.differences))


def judge(recorded: Tape, client: str, heard: Heard) -> Outcome:
    if heard.crash:
        differences = [Difference("crash", f"the SDK raised {heard.crash:.200}", _excused(recorded, client))]
    else:
        differences = compare(recorded.meaning, settle(heard.meaning), client)
        differences += [Difference("shape", words[:200]) for words in heard.shape]
    return Outcome(
        recorded.recording.id, recorded.wire, client, recorded.recording.streaming, tuple(differences)
    )


def _excused(recorded: Tape, client: str) -> str | None:
    """Why no SDK could have read it."""
    if client == recorded.wire and recorded.int_enums:
        return "the recorded client had asked for enumerations as numbers, and the bytes pass untouched"
    return ARTEFACTS.get(recorded.recording.id)


async def hear(client: Client, recorded: Tape, *, recast: bool = False) -> Outcome:
    """`recast`: the client asks for a stream where the recording is plain, and the reverse."""
    own = client.wire == recorded.wire
    stream = recorded.recording.streaming is not recast
    heard = await client.hear(recorded.model, stream=stream, own=own, offers=recorded.offers)
    return judge(recorded, client.wire, heard)


async def run(
    tapes: Sequence[Tape],
    clients: Sequence[str] = (),
    *,
    jobs: int = 8,
    recast: bool = False,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Every one of these recordings × clients (wire names; none: all four)."""
    gate = asyncio.Semaphore(jobs)
    outcomes: list[Outcome] = []

    async def one(client: Client, recorded: Tape) -> None:
        async with gate:
            outcome = await hear(client, recorded, recast=recast)
        outcomes.append(outcome)
        told(outcome)

    async with replaying({t.recording.id: t for t in tapes}) as gateway:
        sdks = [kind(gateway.url) for kind in CLIENTS if not clients or kind.wire in clients]
        async with asyncio.TaskGroup() as tasks:
            for recorded in tapes:
                for client in sdks:
                    tasks.create_task(one(client, recorded))
        for client in sdks:
            await client.close()
    return sorted(outcomes, key=lambda o: (o.upstream, o.id, o.client))
