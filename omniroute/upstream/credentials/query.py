"""The key as a parameter of the URL, such as `?key=`."""

from __future__ import annotations

from typing import Annotated

from omniroute.config.settings import Account
from omniroute.declare import Options, credential, option
from omniroute.upstream.authorization import NO_KEY, Authorization, clean


@credential("query", example="{type: query, query: key}")
class Query(Options, frozen=True, kw_only=True):
    """The key as the parameter `query`."""

    query: Annotated[str, option("Parameter name.")] = "key"

    def authorize(self, account: Account) -> Authorization:
        if not account.key:
            return NO_KEY
        return Authorization(query={self.query: clean(account.key)})
