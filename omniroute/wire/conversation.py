"""The canonical conversation: what every wire format is read into and written from.

Small and closed. A request is a `Conversation`, a plain answer an `Answer`, a streamed answer a
sequence of `Delta`s. What only one wire format knows rides in `extras[wire]` (settings) or in an
`Opaque` part (content) and returns to the same wire only; a writer of another wire notes it as dropped.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Doc = dict[str, Any]
"""A JSON object as the border sees it. Lives only in `wire/`, `transforms/` and `config/`."""


class _Struct(msgspec.Struct, omit_defaults=True, kw_only=True):
    pass


class _Frozen(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    pass


# ── content ──────────────────────────────────────────────────────────────────────────────────────


class Signature(_Frozen, frozen=True):
    """A provider's proof that it wrote something: an Anthropic thinking signature, a Gemini thought
    signature, a Responses encrypted reasoning item. Only valid at the wire (and model family) that made it.

    `id` is the item id that the value belongs to, where the wire has one (Responses `rs_…`).
    """

    value: str
    wire: str
    id: str | None = None


class Source(_Frozen, frozen=True):
    """Where bytes come from: exactly one of `data` (base64), `url`, `file_id`, `text`."""

    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    media_type: str | None = None


class Citation(_Frozen, frozen=True):
    """A reference of an answer. `start` and `end` are character offsets into the text of its part.

    `native` is the annotation as its own wire wrote it.
    """

    kind: Literal["url", "file", "document", "other"] = "url"
    url: str | None = None
    title: str | None = None
    quote: str | None = None
    file_id: str | None = None
    start: int | None = None
    end: int | None = None
    wire: str | None = None
    native: Doc | None = None


class Text(_Struct, tag="text"):
    """Plain text. `cache` marks a prompt-cache breakpoint after this part ("5m" or "1h")."""

    text: str
    cache: str | None = None
    citations: list[Citation] = []
    signature: Signature | None = None


class Image(_Struct, tag="image"):
    source: Source
    detail: str | None = None
    cache: str | None = None


class Audio(_Struct, tag="audio"):
    """Audio in or out. `format` is the short name (`wav`, `mp3`); `transcript` what was said."""

    source: Source
    format: str | None = None
    transcript: str | None = None
    id: str | None = None


class Video(_Struct, tag="video"):
    source: Source


class File(_Struct, tag="file"):
    """A document: a PDF, a text file. A `Source.text` document is text that belongs into the prompt."""

    source: Source
    name: str | None = None
    cache: str | None = None
    citations: bool = False
    context: str | None = None


class Thinking(_Struct, tag="thinking"):
    """Reasoning. `text` is what may be read; `redacted` reasoning has only its signature.

    `summary` tells a summary (Responses `summary`) from raw reasoning (`content[].reasoning_text`).
    """

    text: str = ""
    signature: Signature | None = None
    redacted: bool = False
    summary: bool = False


class ToolCall(_Struct, tag="tool_call"):
    """The model asks for a tool. `arguments` is the JSON text as the model wrote it, never re-serialised;
    for `kind="custom"` it is free text."""

    id: str
    name: str
    arguments: str = "{}"
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None
    signature: Signature | None = None
    cache: str | None = None


class ToolResult(_Struct, tag="tool_result"):
    """What a tool answered, for the call with the same `id`. `name` is known to some wires only."""

    id: str
    content: list[Part] = []
    name: str | None = None
    error: bool = False
    kind: Literal["function", "custom"] = "function"
    cache: str | None = None


class Refusal(_Struct, tag="refusal"):
    text: str


class Opaque(_Struct, tag="opaque"):
    """Content that only `wire` can express (server-tool blocks, code execution, …), kept verbatim."""

    wire: str
    doc: Doc
    label: str = ""


Part = Text | Image | Audio | Video | File | Thinking | ToolCall | ToolResult | Refusal | Opaque

Role = Literal["system", "developer", "user", "assistant"]


class Turn(_Struct):
    """One message. System and developer turns stand where they stood; tool results stand in `user` turns
    (a wire with a `tool` role gives one turn a result; writers merge neighbours where the wire wants it).

    `phase` is the Responses word for an assistant message that only comments (`commentary`) or answers
    (`final_answer`)."""

    role: Role
    parts: list[Part]
    name: str | None = None
    id: str | None = None
    phase: str | None = None


# ── request ──────────────────────────────────────────────────────────────────────────────────────


class Tool(_Struct):
    """A tool that the model may call.

    `schema` is the JSON Schema of the arguments (None: no arguments were declared). `kind="custom"` takes
    free text in `format`; `kind="server"` runs at the provider and is kept verbatim in `native` of `wire`.
    `namespace` is the name of a group of tools (Responses `namespace`), with `namespace_description`.
    """

    name: str
    description: str | None = None
    schema: Doc | None = None
    strict: bool | None = None
    kind: Literal["function", "custom", "server"] = "function"
    format: Doc | None = None
    cache: str | None = None
    namespace: str | None = None
    namespace_description: str | None = None
    wire: str | None = None
    native: Doc | None = None


class ToolChoice(_Frozen, frozen=True):
    """`named` calls the one tool in `names`; `allowed` restricts auto or required (`must`) to `names`."""

    mode: Literal["auto", "none", "required", "named", "allowed"] = "auto"
    names: tuple[str, ...] = ()
    must: bool = False


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Reasoning(_Frozen, frozen=True):
    """How much to think, as the client said it: an effort word, a token budget, or "as you like" (`adaptive`).

    `enabled` False asks for none. `visible` asks for the thoughts (Gemini `includeThoughts`, Responses
    `summary`, Anthropic `display`); None is the wire's own default. `summary` is the Responses word.
    """

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    visible: bool | None = None
    summary: str | None = None

    @property
    def wanted(self) -> bool | None:
        """Whether to think, for a target that has a switch; None where nothing was said that it could say."""
        if self.enabled is not None:
            return self.enabled
        if self.effort is not None:
            return self.effort != "none"
        return self.budget > 0 if self.budget is not None and self.budget >= 0 else None


class OutputFormat(_Frozen, frozen=True):
    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Doc | None = None
    strict: bool | None = None


class Conversation(_Struct):
    """A request in no format. None means "not said", which a writer leaves out."""

    model: str = ""
    stream: bool = False
    turns: list[Turn] = []
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: OutputFormat | None = None
    verbosity: str | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = []
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    choices: int | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    modalities: list[str] | None = None
    store: bool | None = None
    previous_id: str | None = None
    extras: dict[str, Doc] = {}


class Notes:
    """What a writer could not keep. Names are the client's words for it (`logit_bias`, `tools[].strict`)."""

    __slots__ = ("dropped", "emulated")

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.emulated: list[str] = []

    def drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)

    def emulate(self, name: str) -> None:
        if name not in self.emulated:
            self.emulated.append(name)


# ── answer ───────────────────────────────────────────────────────────────────────────────────────


class Usage(_Struct):
    """Tokens, with one meaning for all wires.

    `input` is the whole prompt, cached reads and writes and tool prompts included; `output` is all that was
    generated, reasoning included. The other fields are parts of those two, never added to them:
    `cached`, `cache_write` (5 min), `cache_write_1h`, `audio_input`, `tool_input`, `unbilled_input` of the input;
    `reasoning`, `audio_output`, `accepted_prediction`, `rejected_prediction`, `unbilled_output` of the output.
    Unbilled is what the provider puts in by itself and does not charge for.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    tool_input: int = 0
    reasoning: int = 0
    audio_output: int = 0
    accepted_prediction: int = 0
    rejected_prediction: int = 0
    unbilled_input: int = 0
    unbilled_output: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.input + self.output


FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",
    "context_length",
    "malformed_call",
    "other",
]


class Finish(_Frozen, frozen=True):
    """Why the model stopped. `sequence` is the stop sequence that was met; `native` the upstream's own word."""

    reason: FinishReason = "stop"
    sequence: str | None = None
    native: str | None = None
    message: str | None = None


class Choice(_Struct):
    parts: list[Part] = []
    finish: Finish | None = None
    logprobs: Doc | None = None


class Answer(_Struct):
    """A plain answer. `id`, `model` and `created` (epoch seconds) are the upstream's own."""

    id: str = ""
    model: str = ""
    created: int = 0
    choices: list[Choice] = []
    usage: Usage | None = None
    service_tier: str | None = None
    extras: dict[str, Doc] = {}


# ── stream ───────────────────────────────────────────────────────────────────────────────────────
# A `part` number names one piece of content of the answer: a run of text, a thinking block, one call. Readers
# number them as they appear (0, 1, 2 …; one count for all choices) and never use a number for two pieces.
# A writer opens a piece at its first delta. `PartEnd` is sent by readers whose wire says it; a wire that does
# not say it leaves pieces open until `Finish`, and fragments of several calls may interleave.


class Start(_Frozen, tag="start", frozen=True):
    id: str = ""
    model: str = ""
    created: int = 0


class TextDelta(_Frozen, tag="text", frozen=True):
    part: int
    text: str
    choice: int = 0


class RefusalDelta(_Frozen, tag="refusal", frozen=True):
    part: int
    text: str
    choice: int = 0


class ThinkingDelta(_Frozen, tag="thinking", frozen=True):
    """`block` counts the paragraphs of one piece of reasoning (Responses `summary_index`)."""

    part: int
    text: str
    choice: int = 0
    summary: bool = False
    block: int = 0


class SignatureDelta(_Frozen, tag="signature", frozen=True):
    """The whole signature of a part. `redacted`: the part is thinking of which only this is given."""

    part: int
    signature: Signature
    redacted: bool = False
    choice: int = 0


class CallStart(_Frozen, tag="call", frozen=True):
    """`signature` is given here where it is known when the call begins, else in a `SignatureDelta`."""

    part: int
    id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None
    signature: Signature | None = None
    choice: int = 0


class CallDelta(_Frozen, tag="arguments", frozen=True):
    part: int
    arguments: str
    choice: int = 0


class CitationDelta(_Frozen, tag="citation", frozen=True):
    part: int
    citation: Citation
    choice: int = 0


class WholePart(_Frozen, tag="whole", frozen=True):
    """Content that arrives in one piece: an image, audio, an `Opaque` block."""

    part: int
    content: Part
    choice: int = 0


class LogprobsDelta(_Frozen, tag="logprobs", frozen=True):
    logprobs: Doc
    choice: int = 0


class PartEnd(_Frozen, tag="part_end", frozen=True):
    part: int
    choice: int = 0


class Finished(_Frozen, tag="finish", frozen=True):
    finish: Finish
    choice: int = 0


class UsageDelta(_Frozen, tag="usage", frozen=True):
    """Totals so far: replaces what came before, never adds to it. May come before or after `Finished`."""

    usage: Usage


class Failure(_Frozen, tag="failure", frozen=True):
    """The upstream said in the stream that it failed (`kind`, `message` as in `errors.Problem`)."""

    kind: str
    message: str
    status: int = 0
    native: str | None = None
    retry_after: float | None = None


class Ping(_Frozen, tag="ping", frozen=True):
    """A sign of life without content."""


class End(_Frozen, tag="end", frozen=True):
    """The wire's terminal event was seen: all that was to come has come."""


Delta = (
    Start
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | SignatureDelta
    | CallStart
    | CallDelta
    | CitationDelta
    | WholePart
    | LogprobsDelta
    | PartEnd
    | Finished
    | UsageDelta
    | Failure
    | Ping
    | End
)

CONTENT: frozenset[type] = frozenset(
    {TextDelta, RefusalDelta, ThinkingDelta, SignatureDelta, CallStart, CallDelta, WholePart}
)
"""The deltas that are content: at the first of them the answer is committed (ARCHITECTURE 9.1)."""
