"""Short calls of a gateway under test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from omniroute.testing import Running

Answered = tuple[int, Any, Mapping[str, str]]
"""Status, the body (decoded where it is JSON), headers."""


async def post(gw: Running, path: str, body: Any, **headers: str) -> Answered:
    async with aiohttp.ClientSession() as session:
        async with session.post(gw.url + path, json=body, headers=headers) as answer:
            return await _read(answer)


async def post_raw(gw: Running, path: str, raw: bytes, **headers: str) -> Answered:
    """Bytes as they are, whatever the headers say of them."""
    async with aiohttp.ClientSession() as session:
        async with session.post(gw.url + path, data=raw, headers=headers, compress=False) as answer:
            return await _read(answer)


async def get(gw: Running, path: str, **headers: str) -> Answered:
    async with aiohttp.ClientSession() as session, session.get(gw.url + path, headers=headers) as answer:
        return await _read(answer)


async def _read(answer: aiohttp.ClientResponse) -> Answered:
    text = await answer.text()
    is_json = "json" in answer.headers.get("content-type", "")
    return answer.status, json.loads(text) if is_json else text, answer.headers
