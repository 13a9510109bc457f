"""The key in a header of its own, such as `x-api-key`."""

from __future__ import annotations

from typing import Annotated

from omniroute.config.settings import Account
from omniroute.declare import Options, credential, option
from omniroute.upstream.authorization import NO_KEY, Authorization, clean


@credential("header", example="{type: header, header: x-api-key}")
class Header(Options, frozen=True, kw_only=True):
    """The key in the header `header`, after `prefix`."""

    header: Annotated[str, option("Header name.")] = "x-api-key"
    prefix: Annotated[str, option("Text before the key.")] = ""

    def authorize(self, account: Account) -> Authorization:
        if not account.key:
            return NO_KEY
        return Authorization(headers={self.header: f"{self.prefix}{clean(account.key)}"})
