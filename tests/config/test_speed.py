"""A big configuration loads fast enough to be reloaded on every save."""

from __future__ import annotations

import time

from tests.support.config import configure

ALLOWED = 3.0
"""Seconds; a quiet machine needs about a tenth of it, a busy one of a CI more."""


def big() -> str:
    lines = ["version: 1", "auth: {required: false}", "providers:"]
    for p in range(200):
        lines += [
            f"  p{p}:",
            "    format: openai-chat",
            f"    base_url: http://h{p}.example/v1",
            "    timeouts: {connect: 2s, idle: 60s}",
            f'    accounts: {{a: {{key: "${{K}}"}}, b: {{key: "${{K}}-{p}"}}}}',
            "    models:",
        ]
        for m in range(3 if p < 100 else 2):
            lines += [
                f"      m{m}:",
                "        context: 128k",
                "        capabilities: [tools, vision]",
                "        price: {input: 1.5, output: 3}",
            ]
    lines.append("combos:")
    lines += [
        f'  c{c}: [p{c}/m0, {{model: p{c + 1}/m1, when: "request.tokens < `1000`"}}]' for c in range(100)
    ]
    return "\n".join(lines)


def test_two_hundred_providers() -> None:
    text = big()
    start = time.perf_counter()
    settings = configure(text, env={"K": "a-key"}).settings
    assert time.perf_counter() - start < ALLOWED
    assert (len(settings.providers), len(settings.combos)) == (200, 100)
