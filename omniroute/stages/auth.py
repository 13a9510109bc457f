"""Who is calling, and may they?"""

from __future__ import annotations

from omniroute.declare import Options, stage
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.keys import LOOPBACK, presented_key
from omniroute.pipeline.parts import Gate
from omniroute.pipeline.site import Site

FREE_MODEL = "demo"
"""Answers without a key on loopback, so that a first try needs no set-up."""


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
            if _is_free(exchange) and presented_key(request.headers, request.query) is None:
                return None
            exchange.caller = keyring.admit(
                request.headers, request.query, request.path, request.client_ip, clock()
            )
            return None

        return Gate(check)


def _is_free(exchange: Exchange) -> bool:
    return exchange.model == FREE_MODEL and LOOPBACK(exchange.request.client_ip)
