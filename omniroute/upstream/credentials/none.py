"""No credential: a server that asks for none."""

from __future__ import annotations

from omniroute.config.settings import Account
from omniroute.declare import Options, credential
from omniroute.upstream.authorization import Authorization


@credential("none", example="{type: none}")
class NoCredential(Options, frozen=True, kw_only=True):
    """Nothing is sent; accounts need no key."""

    def authorize(self, account: Account) -> Authorization:
        return Authorization()
