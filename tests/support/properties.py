"""How often, and on which examples, properties are tried.

Every run tries the same examples, on every machine and however tests are shared out among processes. To search for new
ones, set `OMNIROUTE_SEARCH=20`: chance then picks twenty times as many. What a search finds becomes an `@example`, or a
row of a table, beside the test.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

SEARCH = int(os.environ.get("OMNIROUTE_SEARCH", "0"))
"""How many times as many examples chance picks; 0: the same few in every run."""


def begin() -> None:
    """Before any test is imported: settings take what they leave open from the profile that is loaded then."""
    settings.register_profile(
        "omniroute",
        max_examples=100 * max(SEARCH, 1),
        derandomize=not SEARCH,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("omniroute")
    if not SEARCH:
        # It picks among the constants of all modules that are imported so far, which are others in each process.
        providers._get_local_constants = providers.Constants


def examples(count: int, *waived: HealthCheck) -> settings:
    """So many examples, without these checks of health."""
    return settings(
        max_examples=count * max(SEARCH, 1), suppress_health_check=[HealthCheck.too_slow, *waived]
    )
