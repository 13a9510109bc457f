"""`GET` and `DELETE /v1/responses/{id}`: the responses that the gateway keeps for targets without a memory."""

from __future__ import annotations

import re
from typing import Any

from omniroute.errors import Problem
from omniroute.state.responses import ResponseStore

PATH = re.compile(r"(?:/v1)?/responses/(?P<id>[A-Za-z0-9_-]+)(?P<items>/input_items)?")

Doc = dict[str, Any]


async def answer(method: str, path: str, caller: str, store: ResponseStore) -> Doc | Problem:
    """The answer at a path that fits `PATH`, or why there is none."""
    match = PATH.fullmatch(path)
    if match is None or method not in ("GET", "DELETE") or (method == "DELETE" and match["items"]):
        message = f"{path} answers GET{'' if match and match['items'] else ' and DELETE'}, not {method}."
        return Problem(kind="method_not_allowed", code="method_not_allowed", message=message)
    id = match["id"]
    if method == "DELETE":
        found = await store.drop(caller, id)
        return {"id": id, "object": "response", "deleted": True} if found else _unknown(id)
    if match["items"]:
        items = await store.input(caller, id)
        return _list(items) if items is not None else _unknown(id)
    response = await store.response(caller, id)
    return response if response is not None else _unknown(id)


def _list(items: list[Doc]) -> Doc:
    ids = [str(item.get("id", "")) for item in items]
    return {
        "object": "list",
        "data": items,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": False,
    }


def _unknown(id: str) -> Problem:
    return Problem(
        kind="not_found",
        code="response_not_found",
        message=f"Response with id {id!r} not found. The gateway keeps those that it made itself, for a few hours.",
    )
