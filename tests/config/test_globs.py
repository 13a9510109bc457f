"""Globs as targets of combos: which models they stand for, and in which place."""

from __future__ import annotations

import pytest

from tests.support.config import configure, findings

PROVIDERS = """
version: 1
providers:
  acme: {accounts: {a: {key: k}}}
  lab:
    format: openai-chat
    base_url: http://lab/v1
    auth: none
    prefix: [l]
    models: {big: {}, small: {}, off: {enabled: false}, "*": {}}
  shut: {format: openai-chat, base_url: "http://shut/v1", auth: none, enabled: false, models: {big: {}}}
"""


@pytest.mark.parametrize(
    "targets, models",
    [
        ('["lab/*"]', "lab/big lab/small"),
        ('["l/s*"]', "lab/small"),
        ('["*/big"]', "lab/big"),
        ('["*"]', "acme/fast acme/slow-4.5 lab/big lab/small"),
        ('["*/fast", "lab/*"]', "acme/fast lab/big lab/small"),
        ('["lab/*", lab/big]', "lab/small lab/big"),  # what is named keeps the place where it is named
        ('["lab/b*", "lab/*"]', "lab/big lab/small"),
        ('["*/slow-*", lab/anything]', "acme/slow-4.5 lab/anything"),
    ],
)
def test_a_glob_stands_for_the_listed_models_that_it_fits(targets: str, models: str) -> None:
    loaded = configure(f"{PROVIDERS}combos: {{all: {targets}}}\n")
    assert [target.model for target in loaded.settings.combos["all"].targets] == models.split()


def test_its_settings_hold_for_all_of_them() -> None:
    loaded = configure(f"{PROVIDERS}combos: {{all: [{{model: 'lab/*', timeout: 5s, when: stream}}]}}\n")
    assert [(t.timeout, t.when) for t in loaded.settings.combos["all"].targets] == [(5, "stream")] * 2


@pytest.mark.parametrize("glob", ["lab/x*", "nobody/*", "shut/*"])
def test_one_that_fits_nothing_is_told(glob: str) -> None:
    told = findings(f"{PROVIDERS}combos: {{all: ['{glob}', acme/fast]}}\n")
    assert any("OR1301" in line and f"no model that a provider lists fits '{glob}'" in line for line in told)
