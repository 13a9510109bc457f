"""What clients are told that do not get as far as a pipeline."""

from __future__ import annotations

from omniroute.errors import Problem


def too_large(most: int) -> Problem:
    return Problem(
        kind="too_large",
        code="body_too_large",
        message=f"The request body is larger than {most} bytes (`server.limits.body`).",
    )


def too_many_headers(most: int) -> Problem:
    return Problem(
        kind="too_large",
        code="headers_too_large",
        status=431,
        message=f"The request headers are larger than {most} bytes (`server.limits.headers`).",
    )


def no_such_path(method: str, path: str) -> Problem:
    return Problem(
        kind="not_found",
        code="unknown_path",
        message=f"There is no {method} {path[:200]}. See GET / for the endpoints.",
    )


def no_such_model(name: str) -> Problem:
    return Problem(kind="model_not_found", code="model_not_found", message=f"There is no model {name!r}.")


TOO_MANY_CONNECTIONS = Problem(
    kind="unavailable",
    code="too_many_connections",
    message="The gateway has as many connections as it may have (`server.limits.connections`).",
    retry_after=1,
)
OURS = Problem(
    kind="server",
    code="internal_error",
    message="The gateway failed on this request; its log has the details.",
)
SLOW = Problem(
    kind="timeout", code="slow_body", status=408, message="The request body did not arrive in time."
)
GARBLED = Problem(
    kind="invalid_request",
    code="invalid_encoding",
    message="The request body is not what its Content-Encoding or Transfer-Encoding says.",
)
FOREIGN_ORIGIN = Problem(
    kind="permission",
    code="origin_not_allowed",
    message="Pages of this origin may not call a gateway without keys; name it in `server.cors.origins`.",
)
