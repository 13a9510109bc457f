"""Everything that can go wrong, on one page.

    OmniRouteError
    ├── ConfigError          the file is wrong; carries every finding of the load
    ├── ConfigUnreadable     the file could not be read at all
    ├── Refused              this request gets an answer of our own; carries a `Problem`
    │   └── TransformFailed  a transform could not do its edit; names the transform
    ├── UpstreamError        a provider failed before the commit point; carries a `Problem`
    ├── UnsupportedContent   a codec met content that it does not know
    └── MalformedStream      bytes of a stream that its wire format does not allow

A `Problem` is an error as data: one meaning, which each wire format words in its own way
(`Wire.write_error`) and reads from its own way (`Wire.read_error`).
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ProblemKind = Literal[
    "invalid_request",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "model_not_found",
    "method_not_allowed",
    "too_large",
    "context_length",
    "content_filter",
    "rate_limit",
    "quota",
    "overloaded",
    "timeout",
    "cancelled",
    "server",
    "bad_gateway",
    "unavailable",
]

STATUS_OF: dict[str, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "context_length": 400,
    "content_filter": 400,
    "rate_limit": 429,
    "quota": 429,
    "overloaded": 503,
    "timeout": 504,
    "cancelled": 499,
    "server": 500,
    "bad_gateway": 502,
    "unavailable": 503,
}

KIND_OF: dict[int, ProblemKind] = {STATUS_OF[kind]: kind for kind in reversed(get_args(ProblemKind))}
"""HTTP status → the first kind of problem that has it."""


def kind_of(status: int) -> ProblemKind:
    """The kind of problem that a bare status means; one that no kind has is a fault of the caller or the server."""
    return KIND_OF.get(status, "invalid_request" if status < 500 else "server")


class Tried(msgspec.Struct, frozen=True):
    """One step of a plan that failed, as the client may see it: no account, no secret."""

    target: str
    reason: str
    status: int | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error with one meaning, in no format.

    `status` is the HTTP status to answer with (0: the usual one of `kind`). `code` is a stable word
    that programs may test. `retry_after` is in seconds. `native` is the type or code word that the
    upstream used, if it was an upstream's error.
    """

    kind: ProblemKind
    message: str
    status: int = 0
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    native: str | None = None
    tried: tuple[Tried, ...] = ()

    @property
    def http_status(self) -> int:
        return self.status or STATUS_OF[self.kind]


class OmniRouteError(Exception):
    """The root, so that one `except` can tell ours from the rest of the world's."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong in a configuration, and where.

    `line` and `column` count from 1; 0 when the place is a whole file or no file. `path` is the dotted
    path in the config (`providers.glm.quota.window`). `code` is stable and explained in the docs.
    """

    code: str
    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning", "note"] = "error"
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(p) for p in (self.file, self.line, self.column) if p)
        head = ": ".join(p for p in (place, self.path) if p)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{head}: {self.message}{hint}" if head else f"{self.message}{hint}"


class ConfigError(OmniRouteError):
    """A configuration that cannot be used. `findings` holds every problem, sorted by place."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(f) for f in findings if f.severity == "error"))


class ConfigUnreadable(OmniRouteError):
    """A configuration that could not be read: no such file, no permission, not text."""


class Refused(OmniRouteError):
    """Raised by a stage to end a request with an answer of our own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


class TransformFailed(Refused):
    """Raised when a transform fails at run time. The document may be half edited: throw it away."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(
            Problem(
                kind="server",
                code="transform_failed",
                message=f"The transform '{name}' failed: {message}",
            )
        )


class UpstreamError(OmniRouteError):
    """A provider failed in a way that another attempt may mend (`problem` says which)."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


class UnsupportedContent(OmniRouteError):
    """Content that a codec does not know, and so must not lose in silence.

    `path` is where it stands in the request (`messages[2].content[0]`).
    """

    def __init__(self, message: str, path: str = "") -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path else message)


class MalformedStream(OmniRouteError):
    """An upstream stream whose framing or JSON is broken."""
