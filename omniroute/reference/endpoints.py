"""The page of what answers over HTTP: the data plane, the admin plane, and the headers of both."""

from __future__ import annotations

from omniroute.reference.markdown import code, codes, page, table
from omniroute.server.endpoints import CLOUDCODE_VERBS, GEMINI_VERBS, ROWS

GEMINI_WIRE = "gemini"
CLOUDCODE_WIRE = "cloudcode"

ABOUT = """\
Everything is on one port, 20128 on loopback if the configuration does not say otherwise. Where clients spell a path in
several ways, all of them answer.
"""

MODELS = """\
`GET /v1/models` (also `/models`, `/v1beta/models` and `/v1alpha/models`) lists what the calling key may use: combos,
aliases without a wildcard, and the listed models of providers that have an active account. The answer has the shape that
the asking SDK expects. `GET /v1/models/NAME` is one entry. Clients of Ollama ask `GET /api/tags` for the list,
`POST /api/show` for one entry, and `GET /api/version`; with `/v1` before these paths they answer, too. `GET /` says that the gateway runs, as a page or as JSON, and `HEAD /` answers 200.
`OPTIONS` answers browsers' preflights as `server.cors` says.
"""

ADMIN: dict[tuple[str, str], tuple[str, str]] = {
    ("GET", "/-/health"): ("nothing", "Alive: version, configuration, uptime, and how it is with the store."),
    ("GET", "/-/ready"): ("nothing", "200 when new requests are welcome, 503 while the gateway stops."),
    ("GET", "/-/config"): (
        "admin",
        "The configuration that serves, secrets as `***`, where each value came from, the findings, and the last reload.",
    ),
    ("GET", "/-/wait"): (
        "admin",
        "Answers when the configuration `hash` serves, at most `timeout` seconds later (30): 200, or 504.",
    ),
    ("GET", "/-/state"): (
        "admin",
        "What runs and rests; breakers, limits, quotas, budgets with what is left and when they reset; transitions.",
    ),
    ("POST", "/-/state/reset"): (
        "admin",
        "Forgets what `kind` names (`breaker`, `cooldown`, `lockout`, `quota`, `budget`, `cache`; `all`: the first three) of `name`.",
    ),
    ("GET", "/-/requests"): (
        "admin",
        "The latest requests, as the log has them: at most `limit` (100) of those after the number `after`; `next` is the last.",
    ),
    ("GET", "/-/metrics"): ("metrics or admin", "[Metrics](metrics.md) for Prometheus."),
    ("POST", "/-/reload"): (
        "admin",
        "Reloads now and tells the result: 200, or 422 with the findings. `?force=1` also when nothing changed.",
    ),
}
"""Method and path → the scope that a key needs, and what the answer is."""

ADMIN_ABOUT = """\
## Admin plane

Under `/-/`, on the data port, or alone on the address of `server.admin`. What needs a scope needs a key that has it;
where no key is declared, it needs a client on loopback. Everything is JSON but the metrics.
"""

HEADERS_IN = {
    "Authorization: Bearer KEY": "The key. `x-api-key`, `x-goog-api-key` and the parameter `?key=` do as well.",
    "X-Request-Id": "Used as the id of the request when it is a word of letters, digits and `._:-`, up to 128; else one is made.",
    "Idempotency-Key": "The same key with the same request is answered once, and told to all who ask with it.",
    "X-OmniRoute-No-Cache: 1": "An answer of its own, not one that was kept or is shared. So does `Cache-Control: no-store`.",
    "X-OmniRoute-Explain: 1": "The plan is the answer, and nothing is sent.",
    "traceparent, tracestate": "Passed on to the provider.",
    "anthropic-beta, anthropic-version, openai-beta": "Passed on when the target speaks the client's format.",
    "X-Forwarded-For": "Believed from the networks of `server.trusted_proxies` only.",
}
HEADERS_OUT = {
    "X-Request-Id": "The id of the request, as in the log.",
    "X-OmniRoute-Config": "`<generation>-<hash>` of the configuration that served the request.",
    "X-OmniRoute-Target": "`provider/model` that was tried last: with a good answer, who gave it.",
    "X-OmniRoute-Cache": "`HIT`, `MISS` or `BYPASS`, where the pipeline keeps exact answers; `Age` is that of a hit, in seconds.",
    "X-OmniRoute-Idempotent": "`true` when the answer was made for another request with the same key or body.",
    "X-OmniRoute-Dropped": "Settings of the request that the target could not express.",
    "X-OmniRoute-Estimated": "`tokens` when a count is an estimate, for the target gave none.",
    "Server-Timing": "How long each stage held the request until the answer began, in ms.",
    "x-ratelimit-*, anthropic-ratelimit-*": "The provider's rate limits, in the words of the client's format; "
    "in the provider's own where the formats are the same.",
    "Retry-After": "Seconds until it is worth another try; with errors that pass.",
}


def http_page() -> str:
    """`http.md`."""
    return page(
        "HTTP",
        ABOUT,
        "## Endpoints",
        table(("call", "wire format", "operation", "other spellings"), _endpoints()),
        "## Models and the front page",
        MODELS,
        ADMIN_ABOUT,
        table(("call", "scope", "answer"), _admin()),
        "## Headers in",
        table(("header", "meaning"), ((code(name), text) for name, text in HEADERS_IN.items())),
        "## Headers out",
        table(("header", "meaning"), ((code(name), text) for name, text in HEADERS_OUT.items())),
    )


def _endpoints() -> list[tuple[str, str, str, str]]:
    exact = ((row.paths, row.wire, row.operation) for row in ROWS)
    by_verb = ((gemini_paths(verb), GEMINI_WIRE, asked.operation) for verb, asked in GEMINI_VERBS.items())
    wrapped = (
        (cloudcode_paths(verb), CLOUDCODE_WIRE, asked.operation) for verb, asked in CLOUDCODE_VERBS.items()
    )
    return [
        (code(f"POST {paths[0]}"), _wire(wire), operation, codes(paths[1:]))
        for paths, wire, operation in (*exact, *by_verb, *wrapped)
    ]


def gemini_paths(verb: str) -> tuple[str, ...]:
    studio = tuple(f"/{version}/models/{{model}}:{verb}" for version in ("v1beta", "v1", "v1alpha"))
    google = f"publishers/google/models/{{model}}:{verb}"
    vertex = f"/v1beta1/projects/{{project}}/locations/{{location}}/{google}"
    return (*studio, vertex, f"/v1beta1/{google}")


def cloudcode_paths(verb: str) -> tuple[str, ...]:
    return (f"/v1internal:{verb}",)


CALLS = (
    [(row.paths[0], row.wire) for row in ROWS]
    + [(gemini_paths(verb)[0], GEMINI_WIRE) for verb in GEMINI_VERBS]
    + [(cloudcode_paths(verb)[0], CLOUDCODE_WIRE) for verb in CLOUDCODE_VERBS]
)
"""The first spelling of every call of a model, and its wire format."""


def _wire(name: str) -> str:
    return f"[{name}](wires/{name}.md)"


def _admin() -> list[tuple[str, str, str]]:
    return [(code(f"{method} {path}"), scope, text) for (method, path), (scope, text) in ADMIN.items()]
