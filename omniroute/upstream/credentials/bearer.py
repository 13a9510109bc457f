"""`Authorization: Bearer KEY` (RFC 6750)."""

from __future__ import annotations

from omniroute.config.settings import Account
from omniroute.declare import Options, credential
from omniroute.upstream.authorization import NO_KEY, Authorization, clean


@credential("bearer", example="{type: bearer}")
class Bearer(Options, frozen=True, kw_only=True):
    """The key as a bearer token."""

    def authorize(self, account: Account) -> Authorization:
        if not account.key:
            return NO_KEY
        return Authorization(headers={"Authorization": f"Bearer {clean(account.key)}"})
