"""What each translation keeps, emulates and drops, found out from the codecs themselves.

For every feature there is the smallest conversation that has it. The client's codec writes it (or says that its format
has no words for it) and reads it back; the target's codec writes that, and its notes are the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    Notes,
    OutputFormat,
    Part,
    Reasoning,
    Signature,
    Source,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from omniroute.wire.names import NameMap

Verdict = Literal["kept", "emulated", "dropped", "refused", "unsaid"]
"""`unsaid`: the client's format has no words for it."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="Tells the weather.", schema=SCHEMA)


def _user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


HI = _user(Text(text="hi"))


def _talk(*turns: Turn, **settings: Any) -> Conversation:
    return Conversation(model="m", turns=list(turns) or [HI], max_tokens=32_000, **settings)


def _calls(*ids: str, **settings: Any) -> Conversation:
    calls: list[Part] = [ToolCall(id=i, name="weather", arguments='{"city":"Rome"}') for i in ids]
    results: list[Part] = [ToolResult(id=i, name="weather", content=[Text(text="sun")]) for i in ids]
    return _talk(HI, Turn(role="assistant", parts=calls), _user(*results), tools=[WEATHER], **settings)


def _result(*content: Part, error: bool = False) -> Conversation:
    call: list[Part] = [ToolCall(id="call_1", name="weather", arguments="{}")]
    answer = ToolResult(id="call_1", name="weather", content=list(content), error=error)
    return _talk(HI, Turn(role="assistant", parts=call), _user(answer), tools=[WEATHER])


def _thought(wire: str) -> Conversation:
    signed = Thinking(text="hm", signature=Signature(value="c2lnbmF0dXJl", wire=wire, id="rs_1"))
    call = ToolCall(id="call_1", name="weather", arguments="{}")
    result = ToolResult(id="call_1", name="weather", content=[Text(text="sun")])
    return _talk(HI, Turn(role="assistant", parts=[signed, call]), _user(result), tools=[WEATHER])


FEATURES: dict[str, Conversation] = {
    "text": _talk(),
    "system text": _talk(Turn(role="system", parts=[Text(text="Be brief.")]), HI),
    "developer text": _talk(Turn(role="developer", parts=[Text(text="Be brief.")]), HI),
    "system text in mid-conversation": _talk(HI, Turn(role="system", parts=[Text(text="Be brief.")]), HI),
    "image (data)": _talk(_user(Image(source=Source(data=PIXEL, media_type="image/png")))),
    "image (URL)": _talk(_user(Image(source=Source(url="https://example.com/a.png")))),
    "PDF": _talk(_user(File(source=Source(data="JVBERi0xLjQK", media_type="application/pdf"), name="a.pdf"))),
    "text document": _talk(_user(File(source=Source(text="a text"), name="a.txt"))),
    "audio in": _talk(_user(Audio(source=Source(data="UklGRg==", media_type="audio/wav"), format="wav"))),
    "tool": _talk(tools=[WEATHER]),
    "strict tool": _talk(tools=[msgspec.structs.replace(WEATHER, strict=True)]),
    "free-form tool": _talk(tools=[Tool(name="patch", description="d", kind="custom")]),
    "tool calls and results": _calls("call_1"),
    "parallel calls": _calls("call_1", "call_2"),
    "image in a tool result": _result(Image(source=Source(data=PIXEL, media_type="image/png"))),
    "error of a tool": _result(Text(text="no such city"), error=True),
    "tool choice: required": _talk(tools=[WEATHER], tool_choice=ToolChoice(mode="required")),
    "tool choice: none": _talk(tools=[WEATHER], tool_choice=ToolChoice(mode="none")),
    "tool choice: one": _talk(tools=[WEATHER], tool_choice=ToolChoice(mode="named", names=("weather",))),
    "tool choice: some": _talk(tools=[WEATHER], tool_choice=ToolChoice(mode="allowed", names=("weather",))),
    "one call at a time": _talk(tools=[WEATHER], parallel_tools=False),
    "reasoning effort": _talk(reasoning=Reasoning(enabled=True, effort="high")),
    "reasoning budget": _talk(reasoning=Reasoning(enabled=True, budget=2048)),
    "no reasoning": _talk(reasoning=Reasoning(enabled=False, effort="none")),
    "JSON schema output": _talk(output=OutputFormat(kind="json_schema", name="x", schema=SCHEMA)),
    "JSON output": _talk(output=OutputFormat(kind="json_object")),
    "temperature": _talk(temperature=0.5),
    "top_p": _talk(top_p=0.9),
    "top_k": _talk(top_k=40),
    "stop sequences": _talk(stop=["END"]),
    "seed": _talk(seed=7),
    "penalties": _talk(presence_penalty=0.5, frequency_penalty=0.5),
    "logit bias": _talk(logit_bias={"5": 1.0}),
    "logprobs": _talk(logprobs=True, top_logprobs=2),
    "several choices": _talk(choices=2),
    "cache marker": _talk(_user(Text(text="long", cache="5m"))),
    "cache key": _talk(prompt_cache_key="k"),
    "user": _talk(user="u-1"),
    "metadata": _talk(metadata={"team": "blue"}),
    "service tier": _talk(service_tier="flex"),
    "verbosity": _talk(verbosity="low"),
}

SIGNED = "signed reasoning of the target"
"""Needs the target's own signature, so it is made for each target."""


class Cell(NamedTuple):
    """`notes` are the names that a client would see in `X-OmniRoute-Dropped`, or what was emulated."""

    verdict: Verdict
    notes: tuple[str, ...] = ()


def matrix(wires: Mapping[str, Wire]) -> dict[tuple[str, str], dict[str, Cell]]:
    """(client, target) → feature → what becomes of it, for targets without quirks."""
    return {
        (client, target): {
            **{feature: cell(talk, wires[client], wires[target]) for feature, talk in FEATURES.items()},
            SIGNED: cell(_thought(target), wires[client], wires[target]),
        }
        for client in wires
        for target in wires
        if client != target
    }


def cell(talk: Conversation, client: Wire, target: Wire) -> Cell:
    """What becomes of the one feature of `talk` on its way from a client's format to a target's."""
    dialect = Dialect(model="m", max_output=64_000)
    said = Notes()
    try:
        asked = client.write_request(NameMap.of(talk, client, client).outward(talk), dialect, said)
        if said.dropped or said.emulated:
            return Cell("unsaid", tuple(said.dropped or said.emulated))
        heard = client.read_request(asked)
    except (UnsupportedContent, Refused):
        return Cell("unsaid")
    notes = Notes()
    try:
        target.write_request(NameMap.of(heard, client, target).outward(heard), dialect, notes)
    except (UnsupportedContent, Refused) as error:
        return Cell("refused", (str(error),))
    if notes.dropped:
        return Cell("dropped", tuple(notes.dropped))
    return Cell("emulated", tuple(notes.emulated)) if notes.emulated else Cell("kept")
