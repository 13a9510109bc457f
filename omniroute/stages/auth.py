"""Who is calling, and may they?"""

from __future__ import annotations

from omniroute.declare import Options, stage
from omniroute.errors import Problem
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.keys import LOOPBACK, presented_key
from omniroute.pipeline.parts import Gate
from omniroute.pipeline.site import Site

FREE_MODEL = "demo"
"""Answers without a key on loopback, so that a first try needs no set-up."""

NO_KEY = Problem(
    kind="authentication",
    code="missing_api_key",
    message="This gateway needs a key: send it as `Authorization: Bearer KEY`, `x-api-key` or `x-goog-api-key`.",
)
UNKNOWN_KEY = Problem(kind="authentication", code="invalid_api_key", message="That key is not known here.")
OUT_OF_SCOPE = Problem(
    kind="permission", code="scope_missing", message="This key may not call models: it lacks the scope `use`."
)


@stage("auth", gives=["caller"], example="auth")
class Auth(Options, frozen=True, kw_only=True):
    """Finds the calling key and refuses what it may not do: expired, wrong address, wrong endpoint, wrong model.

    Without keys in the configuration every caller on loopback is welcome, anonymously.
    """

    def build(self, site: Site) -> Gate:
        keyring = site.keyring
        clock = site.state.clock

        def check(exchange: Exchange) -> Reply | None:
            request = exchange.request
            presented = presented_key(request.headers, request.query)
            if presented is None or not keyring.required:
                caller = keyring.find(presented) if presented is not None else None
                if caller is None:
                    return None if not keyring.required or _is_free(exchange) else refusal(NO_KEY)
            else:
                caller = keyring.find(presented)
                if caller is None:
                    return refusal(UNKNOWN_KEY)
            problem = caller.problem(request.path, request.client_ip, clock())
            if problem is not None:
                return refusal(problem)
            if "use" not in caller.scopes:
                return refusal(OUT_OF_SCOPE)
            exchange.caller = caller
            return None

        return Gate(check)


def _is_free(exchange: Exchange) -> bool:
    return exchange.model == FREE_MODEL and LOOPBACK(exchange.request.client_ip)
