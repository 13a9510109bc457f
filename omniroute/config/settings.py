"""The configuration as frozen, typed settings: what `omniroute.yaml` means once it is read, merged and checked.

These structs are also the declaration of the language: field names are the YAML keys, descriptions the reference
text, bounds the JSON Schema. What a component declares for itself (the options of a stage, strategy or
transform op) stays a document here and becomes the component's own options when the engine builds it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from omniroute.config.cassettes import Cassette
from omniroute.config.faults import Faults
from omniroute.config.secrets import Secret
from omniroute.config.units import Count, Duration, Money, Size
from omniroute.declare import Options, option

Doc = dict[str, Any]

Tier = Literal["subscription", "api_key", "cheap", "free"]
Scope = Literal["use", "admin", "metrics"]
Per = Literal["day", "week", "month"]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Condition = Annotated[str, msgspec.Meta(extra_json_schema={"x-syntax": "jmespath"})]
WireName = Annotated[str, msgspec.Meta(extra_json_schema={"x-known": "wire"})]
CredentialName = Annotated[str, msgspec.Meta(extra_json_schema={"x-known": "credential"})]
TransportName = Annotated[str, msgspec.Meta(extra_json_schema={"x-known": "transport"})]
HeaderText = Annotated[str, msgspec.Meta(extra_json_schema={"x-header": True})]
OpDoc = Annotated[Doc, msgspec.Meta(extra_json_schema={"x-component": "transform_op"})]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A component as the config names it: `kind` is its registered name, `options` its own keys.

    `name` is what the user called it (a middleware's or strategy's name), `place` is `file:line`.
    """

    kind: str
    name: str
    options: Doc = {}
    place: str = ""


StageSpec = Annotated[Spec, msgspec.Meta(extra_json_schema={"x-component": "stage"})]
StrategySpec = Annotated[Spec, msgspec.Meta(extra_json_schema={"x-component": "strategy"})]


# ── server ───────────────────────────────────────────────────────────────────────────────────────


class ServerLimits(Options, frozen=True, kw_only=True):
    """What one request, and all together, may take."""

    body: Annotated[Size, option("Largest request body accepted.")] = Size(32 * 2**20)
    headers: Annotated[Size, option("Largest sum of request headers accepted.")] = Size(64 * 2**10)
    connections: Annotated[int, option("Most client connections at once; 0 means no limit.", ge=0)] = 0


class Cors(Options, frozen=True, kw_only=True):
    """Which pages in a browser may call."""

    origins: Annotated[
        tuple[str, ...] | None,
        option(
            'Origins (globs) whose pages may call; "*" is all. Not set: all where a key is needed, else those of this '
            "machine."
        ),
    ] = None
    headers: Annotated[tuple[str, ...], option("Request headers that browsers may send.")] = ("*",)
    max_age: Annotated[Duration, option("How long a browser may remember the answer.")] = Duration(600)


class Server(Options, frozen=True, kw_only=True):
    """Where the gateway listens, and what it accepts there."""

    listen: Annotated[
        tuple[str, ...],
        option('Addresses: "host:port", ":port" or "unix:/path". One, or a list.', reload="restart"),
    ] = ("127.0.0.1:20128",)
    admin: Annotated[
        str,
        option(
            'Where the admin plane is: "same" for /-/ on the data port, or its own "host:port".',
            reload="restart",
        ),
    ] = "same"
    workers: Annotated[int, option("Processes that share the port.", ge=1, le=256, reload="restart")] = 1
    drain: Annotated[Duration, option("How long a stop waits for running requests.")] = Duration(30)
    limits: ServerLimits = ServerLimits()
    trusted_proxies: Annotated[
        tuple[str, ...], option("Networks (CIDR) whose X-Forwarded-For header is believed.")
    ] = ()
    cors: Cors = Cors()
    data_dir: Annotated[
        str | None,
        option(
            "Folder for what the gateway keeps; OMNIROUTE_DATA_DIR or ~/.omniroute if not set.",
            reload="restart",
        ),
    ] = None


# ── who may call ─────────────────────────────────────────────────────────────────────────────────


class Auth(Options, frozen=True, kw_only=True):
    """Whether callers need a key."""

    required: Annotated[
        bool | None,
        option("Whether a key is needed. Not set: needed as soon as a key is declared."),
    ] = None


class Limits(Options, frozen=True, kw_only=True):
    """Limits of one key, provider, account or model, over any 60 s. Without `queue` nothing waits: the next account
    or target is used, and a client whose own limit it is gets a 429."""

    rpm: Annotated[Count | None, option("Requests a minute.")] = None
    tpm: Annotated[Count | None, option("Tokens a minute.")] = None
    concurrency: Annotated[AtLeastOne | None, option("Requests at once.")] = None
    min_interval: Annotated[Duration | None, option("Least time between two requests.")] = None
    queue: Annotated[Queue | None, option("What happens to a request over a limit.")] = None


class Queue(Options, frozen=True, kw_only=True):
    """The queue of requests that are over a limit."""

    size: Annotated[int, option("Most requests that wait.", ge=0)] = 100
    wait: Annotated[Duration, option("Longest wait of one request.")] = Duration(10)


class Budget(Options, frozen=True, kw_only=True):
    """Money that may be spent in a period."""

    usd: Annotated[Money, option("US dollars that may be spent.")]
    per: Annotated[Per, option("The period after which it starts again.")] = "month"
    mode: Annotated[
        Literal["hard", "soft"],
        option(
            "What happens when it is spent. hard: refused with 402. soft: a key goes on with what costs nothing, a "
            "provider or tier is left to the others."
        ),
    ] = "hard"
    zone: Annotated[str, option("Time zone of the period's begin.")] = "UTC"


class Key(Options, frozen=True, kw_only=True):
    """A key that clients present to the gateway."""

    key: Annotated[Secret | None, option("The key itself, usually `${NAME}`.", secret=True)] = None
    hash: Annotated[str | None, option("`sha256:` and the hex digest of the key.")] = None
    enabled: Annotated[bool, option("A disabled key is refused.")] = True
    scopes: Annotated[tuple[Scope, ...], option("What it may do: call models, administer, read metrics.")] = (
        "use",
    )
    models: Annotated[
        tuple[str, ...], option("Models, combos and aliases it may use (globs); none means all.")
    ] = ()
    providers: Annotated[tuple[str, ...], option("Providers it may reach (globs); none means all.")] = ()
    endpoints: Annotated[tuple[str, ...], option("Paths it may call (globs); none means all.")] = ()
    ips: Annotated[tuple[str, ...], option("Networks (CIDR) it may come from; none means all.")] = ()
    expires: Annotated[str | None, option("Date or time (ISO 8601, UTC) from which it is refused.")] = None
    limits: Limits | None = None
    budget: Budget | None = None


# ── providers ────────────────────────────────────────────────────────────────────────────────────


class Price(Options, frozen=True, kw_only=True):
    """USD per 1M tokens. What is not given costs what `input` or `output` costs."""

    input: Annotated[float, option("Prompt tokens.", ge=0)] = 0
    output: Annotated[float, option("Generated tokens.", ge=0)] = 0
    cached: Annotated[NotNegative | None, option("Prompt tokens read from a cache.")] = None
    cache_write: Annotated[NotNegative | None, option("Prompt tokens written to a 5 min cache.")] = None
    cache_write_1h: Annotated[NotNegative | None, option("Prompt tokens written to a 1 h cache.")] = None
    reasoning: Annotated[NotNegative | None, option("Reasoning tokens.")] = None
    audio_input: Annotated[NotNegative | None, option("Prompt tokens of sound.")] = None
    audio_output: Annotated[NotNegative | None, option("Generated tokens of sound.")] = None


class ThinkingLimits(Options, frozen=True, kw_only=True):
    """What may be asked of the model's thinking."""

    min: Annotated[Count | None, option("Smallest thinking budget, in tokens.")] = None
    max: Annotated[Count | None, option("Largest thinking budget, in tokens.")] = None
    levels: Annotated[tuple[str, ...], option("Effort words that the model knows.")] = ()


class Model(Options, frozen=True, kw_only=True):
    """A model of a provider. `"*"` stands for all that are not listed."""

    context: Annotated[Count | None, option("Tokens that fit, prompt and answer together.")] = None
    max_output: Annotated[Count | None, option("Most tokens of an answer.")] = None
    capabilities: Annotated[
        tuple[Literal["tools", "vision", "audio", "pdf", "thinking", "json_schema"], ...] | None,
        option("What the model can do; not set means unknown."),
    ] = None
    price: Price | None = None
    thinking: ThinkingLimits | None = None
    aliases: Annotated[tuple[str, ...], option("Other names of the model at this provider.")] = ()
    quirks: Annotated[tuple[str, ...], option("Words for what the model's API does differently.")] = ()
    format: Annotated[WireName | None, option("The wire format of this model, if not the provider's.")] = None
    enabled: Annotated[bool, option("Whether it may be used.")] = True
    limits: Limits | None = None


class Quota(Options, frozen=True, kw_only=True):
    """What a provider or an account grants in a window of time."""

    limit: Annotated[QuotaLimit, option("What may be used in one window.")]
    window: Annotated[
        Literal["rolling", "daily", "weekly", "monthly", "total"], option("When it starts again.")
    ] = "daily"
    length: Annotated[Duration | None, option("Length of a rolling window.")] = None
    resets_at: Annotated[
        str | None,
        option(
            'Time of day and zone, `"10:00 Asia/Shanghai"`; a day before it for the longer windows: '
            '`"Mon 10:00 UTC"`, `"15 00:00 UTC"`.'
        ),
    ] = None


class QuotaLimit(Options, frozen=True, kw_only=True):
    """Tokens, requests, US dollars, or several of them."""

    tokens: Annotated[Count | None, option("Tokens, prompt and answer together.")] = None
    requests: Annotated[Count | None, option("Requests.")] = None
    usd: Annotated[Money | None, option("US dollars.")] = None


class Account(Options, frozen=True, kw_only=True):
    """One credential of a provider."""

    key: Annotated[
        Secret | None, option("The API key. An empty one makes the account inactive.", secret=True)
    ] = None
    access_key_id: Annotated[
        str | None, option("For `sigv4`: the name of the secret access key that is the `key`.")
    ] = None
    session_token: Annotated[
        Secret | None, option("For `sigv4`: what makes temporary credentials valid.", secret=True)
    ] = None
    proxy: Annotated[str | None, option("Name of the outbound proxy, or `direct`.")] = None
    priority: Annotated[int, option("Lower goes first, in the order written among equals.")] = 0
    weight: Annotated[float, option("Share under the strategy `weighted`.", ge=0)] = 1
    enabled: Annotated[bool, option("Whether it may be used.")] = True
    limits: Limits | None = None
    quota: Annotated[tuple[Quota, ...], option("One quota or a list.")] = ()


class ProviderAuth(Options, frozen=True, kw_only=True):
    """How the credential is sent."""

    type: Annotated[
        CredentialName, option("How requests are authenticated: bearer, header, query, none, …")
    ] = "bearer"
    header: Annotated[str | None, option("Header name, for `type: header`.")] = None
    query: Annotated[str | None, option("Parameter name, for `type: query`.")] = None
    prefix: Annotated[str, option("Text before the key in the header.")] = ""
    service: Annotated[str | None, option("The service that is signed for, for `type: sigv4`.")] = None
    region: Annotated[
        str | None, option("Its region, for `type: sigv4`; else the one in the host's name.")
    ] = None


class Timeouts(Options, frozen=True, kw_only=True):
    """Deadlines of one attempt. `first_byte` (until the first content) and `idle` are for streams; `total` is for both,
    and without it a stream may take as long as it likes."""

    connect: Annotated[Duration, option("Until the connection stands.")] = Duration(5)
    first_byte: Annotated[Duration | None, option("Streams: until the first event.")] = None
    idle: Annotated[Duration, option("Streams: between two events.")] = Duration(120)
    total: Annotated[Duration | None, option("All of it. Not set: 10 min for plain answers.")] = None


class Retry(Options, frozen=True, kw_only=True):
    """How often one target is tried."""

    attempts: Annotated[int, option("Tries of one target, the first included.", ge=1, le=10)] = 2
    wait: Annotated[Duration, option("Longest wait before the second try; doubles, with full jitter.")] = (
        Duration(0.25)
    )
    max_wait: Annotated[Duration, option("No wait is longer than this.")] = Duration(8)


class Breaker(Options, frozen=True, kw_only=True):
    """When a provider that fails is left alone for a while."""

    failures: Annotated[int, option("Failures in a row that open it.", ge=1)] = 5
    ratio: Annotated[float, option("Share of failures in the window that opens it.", gt=0, le=1)] = 0.5
    least: Annotated[int, option("Fewest requests in the window before the share counts.", ge=1)] = 10
    window: Annotated[Duration, option("Length of the window.")] = Duration(60)
    open: Annotated[Duration, option("How long it stays open; doubles.")] = Duration(30)
    max_open: Annotated[Duration, option("Longest time open.")] = Duration(480)
    scope: Annotated[Literal["provider", "target"], option("One for the provider, or one a target.")] = (
        "provider"
    )


class Outcome(Options, frozen=True, kw_only=True):
    """A row before the built-in table of outcomes: what an answer of this provider means."""

    status: Annotated[tuple[int, ...], option("Status codes; none means any.")] = ()
    text: Annotated[str | None, option("Words in the error's message, in any case.")] = None
    header: Annotated[str | None, option("`name` or `name: value` of a response header.")] = None
    kind: Annotated[str, option("What it is: rate_limit, quota, overloaded, invalid_request, …")]
    retry: Annotated[
        bool | None, option("Whether the same account is tried again; as the kind says, if not set.")
    ] = None
    other_account: Annotated[bool | None, option("Whether another account is tried; likewise.")] = None
    cooldown: Annotated[Duration | None, option("How long the account rests; 0 is not at all.")] = None
    lockout: Annotated[bool | None, option("Whether only this model of the account rests.")] = None
    next: Annotated[
        Literal["always", "never", "larger"] | None,
        option("Whether the next target is tried; `larger`: only one with a larger context."),
    ] = None


class FormatEndpoint(Options, frozen=True, kw_only=True):
    """One wire format of a provider, and where it is spoken."""

    base_url: Annotated[str, option("Where the vendor's SDK would point: …/v1 or …/v1beta.")]
    headers: Annotated[dict[str, HeaderText], option("Headers for this format only.")] = {}
    auth: ProviderAuth | None = None


class Provider(Options, frozen=True, kw_only=True):
    """A place that answers: an id of the catalogue, or any server that speaks a known format.

    After normalising, `formats` holds every format with its URL, whichever way it was written.
    """

    from_: Annotated[str | None, option("Catalogue entry to start from; `none` starts from nothing.")] = (
        msgspec.field(default=None, name="from")
    )
    description: Annotated[str | None, option("A line for humans.")] = None
    format: Annotated[WireName | None, option("The wire format that it speaks.")] = None
    base_url: Annotated[str | None, option("Where the vendor's SDK would point: …/v1 or …/v1beta.")] = None
    formats: Annotated[
        dict[WireName, FormatEndpoint],
        option("Several formats, each with its URL; the client's own is preferred."),
    ] = {}
    transport: Annotated[
        TransportName, option("How it is reached: `http`, or a built-in one such as `demo`.")
    ] = "http"
    faults: Annotated[Faults | None, option("Faults to rehearse, around the transport.")] = None
    cassette: Annotated[
        Cassette | None, option("A recording to play back, around the transport; or its file.")
    ] = None
    auth: ProviderAuth = ProviderAuth()
    headers: Annotated[dict[str, HeaderText], option("Headers sent with every request.")] = {}
    prefix: Annotated[tuple[str, ...], option("Short names before the slash of a model name.")] = ()
    tier: Annotated[Tier, option("What it costs, roughly: the order of the strategy `tiered`.")] = "api_key"
    enabled: Annotated[bool, option("Whether it may be used.")] = True
    models: Annotated[dict[str, Model], option('Its models. None, or `"*"`: any name is taken.')] = {}
    accounts: Annotated[dict[Name, Account], option("Its credentials.")] = {}
    strategy: Annotated[StrategySpec, option("How accounts are chosen.")] = Spec(
        kind="fill-first", name="fill-first"
    )
    proxy: Annotated[str | None, option("Name of the outbound proxy, or `direct`.")] = None
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    limits: Limits | None = None
    quota: Annotated[
        tuple[Quota, ...],
        option("What each of its accounts grants that names none itself: one quota or a list."),
    ] = ()
    budget: Budget | None = None
    breaker: Breaker = Breaker()
    outcomes: Annotated[tuple[Outcome, ...], option("Rows before the built-in outcome table.")] = ()
    transforms: Annotated[tuple[str, ...], option("Transforms for its requests and answers.")] = ()
    quirks: Annotated[tuple[str, ...], option("Words for what its API does differently.")] = ()


class TierSettings(Options, frozen=True, kw_only=True):
    """What holds for all providers of a tier together."""

    budget: Budget | None = None


class Proxy(Options, frozen=True, kw_only=True):
    """An outbound proxy."""

    url: Annotated[Secret, option("http://, https://, socks5:// URL, or `direct`.", secret=True)]
    no_proxy: Annotated[tuple[str, ...], option("Hosts reached without it (globs).")] = ()


# ── routing ──────────────────────────────────────────────────────────────────────────────────────


class ComboTarget(Options, frozen=True, kw_only=True):
    """A member of a combo: a model of a provider, an alias or another combo."""

    model: Annotated[
        str,
        option(
            "`provider/model`, an alias, a combo, or a glob such as `*/glm-4.7`: all listed models that fit."
        ),
    ]
    weight: Annotated[float, option("Share under the strategy `weighted`.", ge=0)] = 1
    when: Annotated[
        Condition | None, option("JMESPath over the request; a target is left out when it is false.")
    ] = None
    params: Annotated[Doc, option("Settings of the request to set for this target.")] = {}
    timeout: Annotated[Duration | None, option("Deadline of an attempt, instead of the provider's.")] = None
    enabled: Annotated[bool, option("A disabled target is left out.")] = True


class Combo(Options, frozen=True, kw_only=True):
    """A named list of targets: the next is tried when one fails."""

    targets: Annotated[tuple[ComboTarget, ...], option("In the order of the strategy `fill-first`.")] = ()
    strategy: Annotated[StrategySpec, option("How the targets are ordered.")] = Spec(
        kind="fill-first", name="fill-first"
    )
    enabled: Annotated[bool, option("A disabled combo is unknown to clients.")] = True
    fallback_on: Annotated[
        tuple[Literal["content_filter", "invalid_request"], ...],
        option("Client-side failures that also go to the next target."),
    ] = ()
    max_wait: Annotated[Duration, option("Longest wait for a target that is cooling.")] = Duration(0)
    description: Annotated[str | None, option("A line for humans.")] = None


# ── stages, transforms, pipelines ────────────────────────────────────────────────────────────────


class Transform(Options, frozen=True, kw_only=True):
    """A declarative edit. `ops` are documents of one key each: the op and its options."""

    on: Annotated[Literal["request", "response", "event"], option("What is edited.")] = "request"
    side: Annotated[
        Literal["client", "upstream"], option("In the client's format, or in the upstream's.")
    ] = "upstream"
    when: Annotated[Condition | None, option("JMESPath; the edit happens only where it is true.")] = None
    ops: Annotated[tuple[OpDoc, ...], option("The edits, in order.")] = ()
    description: Annotated[str | None, option("A line for humans.")] = None


class Pipeline(Options, frozen=True, kw_only=True):
    """What a request goes through, in the order written."""

    stages: Annotated[tuple[StageSpec, ...], option("Stage names, middleware names, or inline stages.")] = ()
    endpoints: Annotated[
        tuple[str, ...], option("Endpoint families that it serves: chat, count_tokens, …")
    ] = ()
    description: Annotated[str | None, option("A line for humans.")] = None


class Match(Options, frozen=True, kw_only=True):
    """All that is given must fit."""

    path: Annotated[str | None, option("Path (glob).")] = None
    method: Annotated[str | None, option("HTTP method.")] = None
    model: Annotated[str | None, option("Model asked for (glob).")] = None
    key: Annotated[str | None, option("Name of the calling key (glob).")] = None
    header: Annotated[dict[str, str], option("Request headers and their values (globs).")] = {}


class Route(Options, frozen=True, kw_only=True):
    """Which pipeline serves a request."""

    match: Match = Match()
    pipeline: Annotated[str, option("Name of the pipeline that serves it.")]


# ── records ──────────────────────────────────────────────────────────────────────────────────────


class Log(Options, frozen=True, kw_only=True):
    """The log: one line a request, and what the gateway has to say."""

    level: Annotated[Literal["debug", "info", "warning", "error"], option("The least that is logged.")] = (
        "info"
    )
    format: Annotated[
        Literal["auto", "console", "json"], option("auto: console on a terminal, else JSON lines.")
    ] = "auto"
    bodies: Annotated[bool, option("Whether request bodies are logged, redacted.")] = False


class Metrics(Options, frozen=True, kw_only=True):
    """Metrics for Prometheus."""

    enabled: Annotated[bool, option("Whether /-/metrics answers.")] = True


class Tracing(Options, frozen=True, kw_only=True):
    """Traces for OpenTelemetry."""

    enabled: Annotated[bool, option("Whether traces are exported.")] = False
    endpoint: Annotated[str | None, option("OTLP endpoint.")] = None


class Settings(Options, frozen=True, kw_only=True):
    """The whole file."""

    version: Annotated[Literal[1], option("Version of this language.")]
    include: Annotated[tuple[str, ...], option("More files (globs, relative to this one).")] = ()
    server: Server = Server()
    store: Annotated[
        Secret,
        option(
            "Where state lives: `memory`, `sqlite:PATH` (kept, and shared by workers) or `redis://…` (shared by machines).",
            secret=True,
            reload="restart",
        ),
    ] = Secret("memory")
    auth: Auth = Auth()
    keys: Annotated[dict[Name, Key], option("Keys of clients, by name.")] = {}
    providers: Annotated[dict[Name, Provider], option("Providers, by id.")] = {}
    tiers: Annotated[
        dict[Tier, TierSettings], option("Budgets of all providers of a tier together, by tier.")
    ] = {}
    proxies: Annotated[dict[Name, Proxy], option("Outbound proxies, by name.")] = {}
    proxy: Annotated[str | None, option("The outbound proxy of all that name none.")] = None
    combos: Annotated[dict[Name, Combo], option("Fallback chains, by name.")] = {}
    strategies: Annotated[dict[Name, StrategySpec], option("Strategies with parameters, by name.")] = {}
    models: Annotated[dict[str, str], option("Aliases, exact or with one *.")] = {}
    default: Annotated[str | None, option("What an unknown model name means.")] = None
    middleware: Annotated[dict[Name, StageSpec], option("Named, configured stages.")] = {}
    transforms: Annotated[dict[Name, Transform], option("Declarative edits, by name.")] = {}
    pipelines: Annotated[dict[Name, Pipeline], option("Pipelines, by name.")] = {}
    routes: Annotated[tuple[Route, ...], option("Which pipeline serves what; first match wins.")] = ()
    log: Log = Log()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()
