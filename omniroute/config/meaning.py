"""What the form of a value cannot tell. Each check is a function over the view; this is the list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omniroute.config.abilities import check_capabilities
from omniroute.config.access import check_access, check_keys
from omniroute.config.combos import check_combos, check_model_names
from omniroute.config.marks import Map
from omniroute.config.normalise import Names
from omniroute.config.not_yet import check_not_yet
from omniroute.config.order import check_endpoints, check_order
from omniroute.config.providers import check_providers
from omniroute.config.references import check_references
from omniroute.config.report import Report
from omniroute.config.routes import check_routes
from omniroute.config.strategies import check_strategies
from omniroute.config.use import check_use
from omniroute.config.values import check_values
from omniroute.config.view import View
from omniroute.config.waits import check_waits

CHECKS: tuple[Callable[[View], None], ...] = (
    check_values,
    check_access,
    check_keys,
    check_providers,
    check_references,
    check_model_names,
    check_combos,
    check_strategies,
    check_order,
    check_endpoints,
    check_not_yet,
    check_routes,
    check_capabilities,
    check_waits,
    check_use,
)


def check_meaning(tree: Map, names: Names, catalogue: Mapping[str, Any], report: Report) -> None:
    """Tell everything that the form cannot tell."""
    view = View(tree, names, dict(catalogue), report)
    for check in CHECKS:
        check(view)
