"""The OpenAPI document: valid, complete, and true of a gateway that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from omniroute.reference.endpoints import ADMIN, CALLS
from omniroute.reference.openapi import openapi_document
from omniroute.testing import gateway

DOCUMENT: dict[str, Any] = yaml.safe_load(openapi_document())
COMMITTED = Path(__file__).resolve().parents[2] / "docs/reference/openapi.yaml"

OPERATIONS = [
    (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "delete")
]


def test_it_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_is_committed() -> None:
    assert COMMITTED.read_text("utf-8") == openapi_document()


def test_every_endpoint_is_in_it() -> None:
    assert {path for path, _ in CALLS} <= set(DOCUMENT["paths"])
    assert {(m.lower(), p) for m, p in ADMIN} == {(m, p) for p, m in OPERATIONS if p.startswith("/-/")}


def test_operations_have_names_of_their_own() -> None:
    names = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(set(names)) == len(names)


BODIES: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 100,
    "model": "demo/demo",
}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_what_it_says_is_there(path: str, method: str) -> None:
    """Every operation is known to a gateway, in every spelling, and answers what is declared."""
    operation = DOCUMENT["paths"][path][method]
    async with gateway("providers: {demo: {}}") as gw, aiohttp.ClientSession() as client:
        for spelling in (path, *operation.get("x-other-paths", ())):
            url = gw.url + spelling.replace("{model}", "demo/demo").replace("{id}", "resp_1")
            url += "?hash=0&timeout=0" if path == "/-/wait" else ""
            body = {"json": BODIES} if method == "post" else {}
            async with client.request(method, url, **body) as answer:
                assert answer.status != 405, spelling
                if answer.status == 404:
                    # Of the response that nobody made, or the format asked for another body: not of the path.
                    assert "resp_1" in await answer.text(), spelling
                kinds = set(operation["responses"].get(str(answer.status), {}).get("content", {}))
                assert not kinds or answer.content_type in kinds or answer.content_type == "text/html"
