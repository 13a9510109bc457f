"""Cross-origin requests of browsers (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from omniroute.config.settings import Cors
from omniroute.pipeline.patterns import any_of

EXPOSED = (
    "X-Request-Id, X-OmniRoute-Config, X-OmniRoute-Target, X-OmniRoute-Dropped, Server-Timing, Retry-After"
)
LOCAL = ("localhost", "127.0.0.1", "::1")


class Origins:
    """Which pages may call. Where `server.cors.origins` says nothing it is all of them as long as a key is needed,
    and those of this machine where none is: else any page that is open in a browser here could use the providers."""

    __slots__ = ("_all", "_allowed", "_cors")

    def __init__(self, cors: Cors, keys_needed: bool) -> None:
        self._cors = cors
        origins = cors.origins if cors.origins is not None else (("*",) if keys_needed else None)
        self._all = origins is not None and "*" in origins
        self._allowed = any_of(origins) if origins is not None else is_local

    def allow(self, origin: str | None) -> bool:
        """Whether a request with this `Origin` may be answered; one without comes from no page."""
        return origin is None or self._all or self._allowed(origin)

    def headers(self, request: Mapping[str, str], *, preflight: bool = False) -> dict[str, str]:
        """The headers that let the calling page read the answer; none where its origin is not allowed."""
        origin = request.get("origin")
        if origin is None or not self.allow(origin):
            return {}
        headers = {"Access-Control-Allow-Origin": "*" if self._all else origin, "Vary": "Origin"}
        if not preflight:
            return {**headers, "Access-Control-Expose-Headers": EXPOSED}
        asked = request.get("access-control-request-headers")
        allowed = asked if "*" in self._cors.headers and asked else ", ".join(self._cors.headers)
        return {
            **headers,
            "Access-Control-Allow-Methods": "GET, POST, HEAD, OPTIONS, DELETE",
            "Access-Control-Allow-Headers": allowed,
            "Access-Control-Max-Age": str(int(self._cors.max_age)),
        }


def is_local(origin: str) -> bool:
    """Whether a page of this origin was served by this machine."""
    return urlsplit(origin).hostname in LOCAL
