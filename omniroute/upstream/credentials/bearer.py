"""`Authorization: Bearer KEY` (RFC 6750)."""

from __future__ import annotations

from omniroute.config.secrets import Secret
from omniroute.declare import Options, credential
from omniroute.upstream.authorization import NO_KEY, Authorization, clean


@credential("bearer", example="{type: bearer}")
class Bearer(Options, frozen=True, kw_only=True):
    """The key as a bearer token."""

    def authorize(self, key: Secret | None) -> Authorization:
        if not key:
            return NO_KEY
        return Authorization(headers={"Authorization": f"Bearer {clean(key)}"})
