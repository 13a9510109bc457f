"""Short forms and the long forms that they mean."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.config.marks import plain
from omniroute.config.show import as_yaml
from tests.support.config import configure

HEAD = "version: 1\n"
LAB = "lab: {format: openai-chat, base_url: 'http://lab.example', auth: {type: none}}"
PROVIDERS = f"providers:\n  {LAB}\n"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("combos: {a: [lab/x]}", "combos: {a: {targets: [{model: lab/x}]}}"),
        ("combos: {a: {targets: lab/x}}", "combos: {a: {targets: [{model: lab/x}]}}"),
        ("combos: {a: {targets: {model: lab/x}}}", "combos: {a: {targets: [{model: lab/x}]}}"),
        ("combos: {a: {targets: [lab/x], strategy: priority}}", "combos: {a: {targets: [{model: lab/x}], strategy: {type: priority}}}"),
        ("strategies: {s: round-robin}", "strategies: {s: {type: round-robin}}"),
        ("strategies: {s: {round-robin: {limit: 2}}}", "strategies: {s: {type: round-robin, limit: 2}}"),
        ("middleware: {m: retry}", "middleware: {m: {stage: retry}}"),
        ("middleware: {m: {retry: {attempts: 3}}}", "middleware: {m: {stage: retry, attempts: 3}}"),
        ("middleware: {m: {retry: }}", "middleware: {m: {stage: retry}}"),
        ("middleware: {m: {filter: {deny_models: a}}}", "middleware: {m: {stage: filter, deny_models: [a]}}"),
        ("pipelines: {p: [route, translate]}", "pipelines: {p: {stages: [{stage: route}, {stage: translate}]}}"),
        ("server: {listen: '127.0.0.1:1'}", "server: {listen: ['127.0.0.1:1']}"),
        ("server: ", "server: {}"),
        ("server: {trusted_proxies: }", "server: {trusted_proxies: []}"),
        ("proxies: {p: direct}", "proxies: {p: {url: direct}}"),
        ("x-mine: {a: b}\nserver: {x-note: c}", "server: {}"),
        ("include: []", ""),
        ("keys: {k: {key: abc, models: 'lab/*', ips: 10.0.0.0/8}}", "keys: {k: {key: abc, models: ['lab/*'], ips: [10.0.0.0/8]}}"),
    ],
)  # fmt: skip
def test_sections(short: str, long: str) -> None:
    one, other = (configure(f"{HEAD}{PROVIDERS}{text}\n") for text in (short, long))
    assert plain(one.stages.normalised) == plain(other.stages.normalised)
    assert one.settings == other.settings or "stage" in short or "strateg" in short


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("prefix: l", "prefix: [l]"),
        ("auth: none", "auth: {type: none}"),
        ("models: [a, b]", "models: {a: {}, b: {}}"),
        ("models: {a: }", "models: {a: {}}"),
        ("models: {a: {capabilities: tools}}", "models: {a: {capabilities: [tools]}}"),
        ("strategy: round-robin", "strategy: {type: round-robin}"),
        ("quota: {limit: {usd: 5}}", "quota: [{limit: {usd: 5}}]"),
        ("outcomes: {status: 418, kind: busy}", "outcomes: [{status: [418], kind: busy}]"),
        ("accounts: {a: }", "accounts: {a: {}}"),
    ],
)
def test_providers(short: str, long: str) -> None:
    def tree(text: str) -> Any:
        loaded = configure(
            f"{HEAD}providers: {{lab: {{formats: {{openai-chat: 'http://lab.example'}}, {text}}}}}\n"
        )
        return plain(loaded.stages.normalised["providers"])

    assert tree(short) == tree(long)


def test_a_normalised_configuration_is_a_configuration() -> None:
    text = f"""{HEAD}{PROVIDERS}
combos: {{a: [lab/x, {{model: lab/y, weight: 2}}]}}
middleware: {{m: {{retry: {{attempts: 3}}}}}}
pipelines: {{chat: [auth, route, translate, m, log]}}
"""
    first = configure(text)
    again = configure(as_yaml(plain(first.stages.normalised)))
    assert plain(again.stages.normalised) == plain(first.stages.normalised)


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "X-Auth-Token", "Cookie"])
def test_headers_that_sound_secret_are(header: str) -> None:
    loaded = configure(f"{HEAD}providers: {{acme: {{headers: {{{header}: abc-def, x-team: blue}}}}}}\n")
    shown = plain(loaded.stages.normalised["providers"]["acme"]["headers"])
    assert shown == {header: "***", "x-team": "blue"}
    assert loaded.settings.providers["acme"].headers == {header: "abc-def", "x-team": "blue"}
