"""All pages of the reference, by their path below its folder."""

from __future__ import annotations

from omniroute.reference.catalogue import providers_page, quirks_page, shipped_page
from omniroute.reference.commands import commands_page
from omniroute.reference.components import CHAPTERS, component_pages
from omniroute.reference.endpoints import http_page
from omniroute.reference.findings import findings_page
from omniroute.reference.language import language_page, tests_page
from omniroute.reference.markdown import link, page, table
from omniroute.reference.metrics import metrics_page
from omniroute.reference.openapi import openapi_document
from omniroute.reference.outcomes import outcomes_page
from omniroute.reference.translation import matrix_page
from omniroute.registry import Registry

SINGLE = {
    "config.md": (language_page, "Every section and key of `omniroute.yaml`"),
    "tests.md": (tests_page, "Every key of `*.test.yaml`"),
    "cli.md": (commands_page, "Every command"),
    "http.md": (http_page, "Endpoints, the admin plane, headers"),
    "openapi.yaml": (openapi_document, "The same for programs: an OpenAPI document"),
    "errors.md": (findings_page, "Every code of a finding, and what clients are told"),
    "metrics.md": (metrics_page, "What `/-/metrics` shows"),
    "providers.md": (providers_page, "The catalogue of providers"),
    "outcomes.md": (outcomes_page, "What a failure means for what comes next"),
    "quirks.md": (quirks_page, "What providers do differently, in words"),
    "matrix.md": (matrix_page, "What each translation keeps, emulates and drops"),
    "shipped.md": (shipped_page, "Pipelines and transforms that come with the gateway"),
}


def reference(registry: Registry) -> dict[str, str]:
    """Path → Markdown. The same registry gives the same pages, byte for byte."""
    pages = {path: make() for path, (make, _) in SINGLE.items()}
    pages.update(component_pages(registry))
    pages["index.md"] = _index(registry)
    return pages


def _index(registry: Registry) -> str:
    singles = ((link(_title(path), path), text) for path, (_, text) in SINGLE.items())
    kinds = [
        (
            link(chapter.title, f"{chapter.folder}/index.md"),
            ", ".join(link(d.name, f"{chapter.folder}/{d.name}.md") for d in registry.all(kind)),
        )
        for kind, chapter in CHAPTERS.items()
        if registry.all(kind)
    ]
    return page(
        "Reference",
        "Made from the declarations in the code by `omniroute docs`, so that it cannot say anything else than they do.",
        table(("page", "holds"), singles),
        "## Components",
        table(("kind", "components"), kinds),
    )


def _title(path: str) -> str:
    return path.removesuffix(".md")
