"""Cross-origin requests of browsers (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Mapping

from omniroute.config.settings import Cors
from omniroute.pipeline.patterns import any_of

EXPOSED = (
    "X-Request-Id, X-OmniRoute-Config, X-OmniRoute-Target, X-OmniRoute-Dropped, Server-Timing, Retry-After"
)


def cors_headers(cors: Cors, request: Mapping[str, str], *, preflight: bool = False) -> dict[str, str]:
    """The headers that let the calling page read the answer; none where its origin is not allowed."""
    origin = request.get("origin")
    if origin is None or not any_of(cors.origins)(origin):
        return {}
    headers = {"Access-Control-Allow-Origin": "*" if "*" in cors.origins else origin, "Vary": "Origin"}
    if not preflight:
        return {**headers, "Access-Control-Expose-Headers": EXPOSED}
    asked = request.get("access-control-request-headers")
    allowed = asked if "*" in cors.headers and asked else ", ".join(cors.headers)
    return {
        **headers,
        "Access-Control-Allow-Methods": "GET, POST, HEAD, OPTIONS, DELETE",
        "Access-Control-Allow-Headers": allowed,
        "Access-Control-Max-Age": str(int(cors.max_age)),
    }
