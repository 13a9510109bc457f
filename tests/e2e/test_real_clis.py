"""What nine real coding CLIs say in their first requests arrives at an upstream of each format: nothing is lost that
the client is not told of."""

from __future__ import annotations

import pytest

from tests.fidelity.cli_requests import CLIS, UPSTREAMS, requests, send
from tests.support import recordings


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("cli", CLIS)
async def test_the_first_requests_of_a_cli(cli: str, upstream: str) -> None:
    recordings.require("clients")
    sent = await send(requests(cli), upstream)
    assert sent
    assert [
        f"{s.id}: {d} [{s.told}]" for s in sent if s.verdict not in ("pass", "told") for d in s.differences
    ] == []
