"""Shared by all tests: `UPDATE_GOLDEN=1` rewrites golden files instead of comparing."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def update_golden() -> bool:
    return os.environ.get("UPDATE_GOLDEN") == "1"
