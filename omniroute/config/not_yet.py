"""Keys that are part of the language and that this version does not act on. The list gets shorter."""

from __future__ import annotations

from omniroute.config.codes import Code
from omniroute.config.marks import Path
from omniroute.config.values import matching
from omniroute.config.view import View

NOT_YET: tuple[tuple[Path, str], ...] = (
    (("tracing", "enabled"), "tracing"),
    (("log", "bodies"), "logging of bodies"),
)
"""Path (`*` is any name or index), and what it is."""


def check_not_yet(view: View) -> None:
    """Warn of what is written and not enforced, unless it comes from the catalogue or switches nothing on."""
    for pattern, words in NOT_YET:
        for path, value in matching(view.tree, pattern):
            mark = view.mark(path)
            if value and not mark.origin.startswith("catalogue"):
                view.tell(
                    Code.NOT_ENFORCED,
                    f"accepted, and not enforced in this version: {words}",
                    path,
                    severity="warning",
                    mark=mark,
                )
