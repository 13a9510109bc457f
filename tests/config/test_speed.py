"""A big configuration loads fast enough to be reloaded on every save."""

from __future__ import annotations

import time
from pathlib import Path

from omniroute.config.load import Draft, Memory, draft, finish
from tests.support.config import CATALOGUE, configure, findings, registry

ALLOWED = 3.0
"""Seconds of CPU; a machine of ours needs about a tenth of it, one of a CI more."""


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
    start = time.process_time()
    settings = configure(text, env={"K": "a-key"}).settings
    assert time.process_time() - start < ALLOWED
    assert (len(settings.providers), len(settings.combos)) == (200, 100)


def test_a_reload_reads_only_what_changed(tmp_path: Path) -> None:
    """Files whose text is the same are not parsed again, and nothing of one load leaks into the next."""
    main = tmp_path / "omniroute.yaml"
    part = tmp_path / "part.yaml"
    main.write_text("version: 1\nauth: {required: false}\ninclude: part.yaml\nproviders: {acme: {}}\n")
    part.write_text("combos: {a: [acme/fast]}\ntransforms: {t: {override: true, ops: []}}\nx-mine: 1\n")
    memory = Memory()

    def load() -> Draft:
        return draft(main, env={}, registry=registry(), catalogue=CATALOGUE, memory=memory)

    first, again = load(), load()
    trees = [[source.tree for source in found.stages.source] for found in (first, again)]
    assert all(one is other for one, other in zip(*trees, strict=True))
    assert finish(again).settings == finish(first).settings
    part.write_text("combos: {b: [acme/fast]}\n")
    changed = load()
    kept = [s.file for s, t in zip(changed.stages.source, trees[0], strict=True) if s.tree is t]
    assert str(main) in kept
    assert str(part) not in kept
    assert list(finish(changed).settings.combos) == ["b"]
    main.write_text("version: 1\nauth: {required: false}\n")
    load()
    assert str(part) not in memory.trees


def test_circles_and_crowds_end() -> None:
    """Combos that name each other many times over are looked through once."""
    names = [f"c{n}" for n in range(20)]
    combos = "".join(f"  {name}: [{', '.join(names)}, acme/fast]\n" for name in names)
    start = time.process_time()
    told = findings(f"version: 1\nproviders: {{acme: {{accounts: {{a: {{key: k}}}}}}}}\ncombos:\n{combos}")
    assert any("leads back to itself" in line for line in told)
    assert time.process_time() - start < ALLOWED
