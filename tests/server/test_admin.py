"""The admin plane: questions that are no questions."""

from __future__ import annotations

import pytest

from omniroute.testing import gateway
from tests.support.http import get


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf", "soon"])
async def test_a_wait_has_an_end(seconds: str) -> None:
    async with gateway("providers: {demo: {}}") as gw:
        assert (await get(gw, f"/-/wait?hash=beef&timeout={seconds}"))[0] == 400
