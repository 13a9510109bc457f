"""Real coding CLIs through the gateway, connected as `omniroute connect` says. `make clients` runs these.

Each CLI runs without a terminal in a home of its own; upstreams are scripted on loopback, or the demo provider.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from omniroute.pipeline.record import Record
from omniroute.testing import FakeUpstream, Running, Scripted, Seen, gateway
from tests.clients.models import SPEECHES, Speech
from tests.clients.runner import CLIS, LIMIT, Cli, Run, found, run
from tests.support.answers import anthropic, chat

pytestmark = [pytest.mark.clients, pytest.mark.timeout(LIMIT + 30)]

DEMO = "providers: {demo: {}}"
UPSTREAM = """
providers:
  up:
    format: %s
    base_url: "%s%s"
    accounts: {a: {key: k}}
    retry: {attempts: 1}
models: {agent: up/agent}
"""
BASES = {
    "openai-chat": "/v1",
    "anthropic-messages": "/v1",
    "openai-responses": "/v1",
    "gemini": "/v1beta",
}
COMMAND = "seq -s- 41 44"
PRINTED = "41-42-43-44"
"""What the command prints: text that stands in no prompt, so that only a shell can have made it."""

ASK = "Please count from forty-one to forty-four."

LOST = {"qwen", "opencode"}
"""Who does not send the signature of the model's thought back: of an answer they keep the words, the thoughts in words
(`reasoning_content`) and the calls. OpenCode keeps `extra_content` of calls for a provider called `google` alone."""

GIVES_UP = {("claude-code", "a call"), ("qwen", "a text"), ("qwen", "a call")}
"""Who does not ask again after an error in mid-answer, but says what it was. Claude Code does as long as no block of
the answer was complete; before the call there was a thought."""

CUT = "The upstream closed the connection in mid-answer."

HALF_A_CALL = {"openai-chat": 3, "anthropic-messages": 7}
"""How many chunks of a streamed call come before the second half of its arguments."""

each_cli = pytest.mark.parametrize("cli", CLIS, ids=lambda cli: cli.name)
each_wire = pytest.mark.parametrize("wire", SPEECHES)


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    cli: Cli = request.getfixturevalue("cli")
    if found(cli.program) is None:
        pytest.skip(f"{cli.program} is not installed: `make clients` installs it")


@pytest.fixture
def cli() -> Cli:
    """The one of a test that is about one CLI alone; all others have it from `each_cli`."""
    return next(cli for cli in CLIS if cli.name == "claude-code")


def up(wire: str, url: str) -> str:
    return UPSTREAM % (wire, url, BASES[wire])


def agent(cli: Cli, wire: str) -> Callable[[Seen], Scripted]:
    """A model that asks for one command, then says what it printed. What offers no tools wants a title."""
    speech = SPEECHES[wire]

    def answer(seen: Seen) -> Scripted:
        results = speech.results(seen.json)
        if results:
            told = PRINTED if PRINTED in results[-1] else "nothing of use"
            return Scripted(chunks=speech.say(f"The command printed {told}."))
        if cli.shell in speech.tools(seen.json):
            return Scripted(chunks=speech.call(cli.shell, cli.call(COMMAND)))
        return Scripted(chunks=speech.say("A title"))

    return answer


def other(cli: Cli) -> str:
    """A wire format that is not the CLI's own."""
    return "anthropic-messages" if cli.wire == "openai-chat" else "openai-chat"


def said(wire: str, seen: Seen, text: str) -> Scripted:
    """The text, streamed or whole as it is asked: Claude Code wants it whole when a stream has failed."""
    if seen.json.get("stream"):
        return Scripted(chunks=SPEECHES[wire].say(text))
    return Scripted(json={"openai-chat": chat, "anthropic-messages": anthropic}[wire](text))


def turns(upstream: FakeUpstream, cli: Cli, speech: Speech) -> list[Seen]:
    """The requests of the agent itself, without those for a title."""
    return [seen for seen in upstream.requests if cli.shell in speech.tools(seen.json)]


def told(ran: Run, gw: Running) -> str:
    """What to read when a test fails."""
    return f"exit {ran.code} after {ran.seconds:.0f} s\n{ran.out}\n{ran.err}\n{gw.records}"


def finishes(records: list[Record]) -> list[str | None]:
    return [record.finish for record in records]


@each_cli
async def test_a_plain_turn_with_the_demo_model(cli: Cli, tmp_path: Path) -> None:
    async with gateway(DEMO) as gw:
        ran = await run(cli, gw.url, "Good morning to you.", home=tmp_path, model="demo")
        assert ran.code == 0, told(ran, gw)
        assert "Hello from OmniRoute" in ran.out, told(ran, gw)
        assert 'You said: "' in ran.out and "Good morning to you." in ran.out
        assert {record.status for record in gw.records} == {200}
        assert {record.target for record in gw.records} == {"demo/demo"}
        assert all(record.stream for record in gw.records)


@each_cli
async def test_the_demo_model_has_a_command_run_and_reads_what_it_printed(cli: Cli, tmp_path: Path) -> None:
    async with gateway(DEMO) as gw:
        ran = await run(cli, gw.url, "Please run a command.", home=tmp_path, model="demo")
        assert ran.code == 0, told(ran, gw)
        assert f"The tool `{cli.shell}` answered" in ran.out, told(ran, gw)
        assert "hello from omniroute" in ran.out
        ends = finishes(gw.records)
        assert ends.count("tool_calls") == 1 and ends[-1] == "stop", told(ran, gw)


@each_wire
@each_cli
async def test_a_tool_loop_with_a_model_of_any_format(cli: Cli, wire: str, tmp_path: Path) -> None:
    speech = SPEECHES[wire]
    async with FakeUpstream(agent(cli, wire)) as upstream, gateway(up(wire, upstream.url)) as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="agent")
        assert ran.code == 0, told(ran, gw)
        assert f"The command printed {PRINTED}." in ran.out, told(ran, gw)
        first, second = turns(upstream, cli, speech)
        assert ASK in first.body.decode()
        assert not speech.results(first.json)
        assert len(speech.results(second.json)) == 1
        assert speech.signed(second.json) == (cli.name not in LOST)
        assert "or1." not in second.body.decode(), "a wrapped signature went to a provider"
        assert {record.status for record in gw.records} == {200}
        assert {record.path for record in gw.records} == {"cross" if wire != cli.wire else "same"}


@each_cli
async def test_a_limit_of_one_second_is_waited_for(cli: Cli, tmp_path: Path) -> None:
    wire = other(cli)
    speech = SPEECHES[wire]
    busy = Scripted(status=429, json=speech.error(429, "Slow down."), headers={"retry-after": "1"})
    refused: list[Seen] = []

    def answer(seen: Seen) -> Scripted:
        if cli.shell in speech.tools(seen.json) and not refused:
            refused.append(seen)
            return busy
        return said(wire, seen, "Here again.")

    async with FakeUpstream(answer) as upstream, gateway(up(wire, upstream.url)) as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="agent")
        assert ran.code == 0, told(ran, gw)
        assert "Here again." in ran.out, told(ran, gw)
        statuses = [record.status for record in gw.records]
        assert 429 in statuses and statuses[-1] == 200, told(ran, gw)


@each_cli
async def test_a_model_that_does_not_exist_is_told_in_words(cli: Cli, tmp_path: Path) -> None:
    async with gateway(DEMO) as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="no-such-model")
        assert ran.code == 1, told(ran, gw)
        assert "no-such-model" in ran.text, told(ran, gw)
        assert {record.status for record in gw.records} == {404}


@each_cli
async def test_a_key_that_nobody_knows_is_told_in_words(cli: Cli, tmp_path: Path) -> None:
    async with gateway(f"{DEMO}\nkeys: {{other: {{key: ork_{'0' * 43}}}}}") as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="demo")
        assert ran.code == 1, told(ran, gw)
        assert "That key is not known here." in ran.text, told(ran, gw)
        assert {record.status for record in gw.records} == {401}


@pytest.mark.parametrize("where", ["a text", "a call"])
@each_cli
async def test_an_upstream_that_dies_in_mid_answer_hangs_nobody(cli: Cli, where: str, tmp_path: Path) -> None:
    """Nor is half a command run: its first half would have left a file."""
    wire = other(cli)
    speech = SPEECHES[wire]
    halves = {
        "a text": speech.say("Half of an answer")[:3],
        "a call": speech.call(cli.shell, cli.call("touch half && echo and so on, at length"))[
            : HALF_A_CALL[wire]
        ],
    }
    broken: list[Seen] = []

    def answer(seen: Seen) -> Scripted:
        if cli.shell in speech.tools(seen.json) and not broken:
            broken.append(seen)
            return Scripted(chunks=halves[where], cut=True)
        return said(wire, seen, "Here again.")

    async with FakeUpstream(answer) as upstream, gateway(up(wire, upstream.url)) as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="agent")
        assert ran.code is not None, told(ran, gw)
        assert [record.error for record in gw.records].count("cut") == 1, told(ran, gw)
        assert not any(speech.results(seen.json) for seen in upstream.requests)
        assert not (tmp_path / "work" / "half").exists()
        words = CUT if (cli.name, where) in GIVES_UP else "Here again."
        assert words in ran.text, told(ran, gw)


@pytest.mark.parametrize("cli", [cli for cli in CLIS if cli.name == "codex"], ids=["codex"])
@pytest.mark.parametrize("wire", ["openai-chat", "anthropic-messages", "gemini"])
async def test_codex_finds_its_own_tool_behind_a_name_that_the_target_takes(
    cli: Cli, wire: str, tmp_path: Path
) -> None:
    """Some of its tools have a namespace, which only its own format knows."""
    speech = SPEECHES[wire]

    def answer(seen: Seen) -> Scripted:
        results = speech.results(seen.json)
        if results:
            return Scripted(chunks=speech.say(f"It said: {results[-1]}"))
        name = next(name for name in speech.tools(seen.json) if name.endswith("close_agent"))
        assert name != "close_agent"
        return Scripted(chunks=speech.call(name, {"target": "nobody"}))

    async with FakeUpstream(answer) as upstream, gateway(up(wire, upstream.url)) as gw:
        ran = await run(cli, gw.url, ASK, home=tmp_path, model="agent")
        assert ran.code == 0, told(ran, gw)
        assert "invalid agent id nobody" in ran.out, told(ran, gw)


async def test_claude_code_keeps_its_thoughts_under_another_name_of_the_model(
    cli: Cli, tmp_path: Path
) -> None:
    """It throws the thoughts of answers away that come from another model than the one it asked for."""
    speech = SPEECHES[cli.wire]
    async with FakeUpstream(agent(cli, cli.wire)) as upstream:
        async with gateway(up(cli.wire, upstream.url).replace("{agent:", "{my-model:")) as gw:
            ran = await run(cli, gw.url, ASK, home=tmp_path, model="my-model")
            _, second = turns(upstream, cli, speech)
            assert speech.signed(second.json), told(ran, gw)
