"""Config tests: what they script, what they can expect, and what they say when it is not so."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from omniroute.errors import ConfigError
from omniroute.registry import load
from omniroute.simulation.play import Player, Verdict

REGISTRY = load(plugins=False)

CONFIG = """
version: 1
keys:
  laptop: {key: "${LAPTOP_KEY}"}
  ci: {hash: "sha256:%s", models: [cheap]}
providers:
  anthropic: {accounts: {work: {key: "${ANTHROPIC_API_KEY:-}"}}}
  glm: {accounts: {main: {key: "${file:/nowhere/glm}"}}}
  lab:
    format: openai-chat
    base_url: ${LAB_URL:-http://lab:8000/v1}
    timeouts: {first_byte: 10s, idle: 10s}
    retry: {attempts: 1}
    auth: none
    models: {m: {price: {input: 1, output: 10}}}
combos:
  always-on: [anthropic/claude-opus-4-6, glm/glm-4.7]
  cheap: [glm/glm-4.7]
  labs: [lab/m, demo/demo-fast]
models: {"gpt-*": always-on}
""" % ("0" * 64)


def play(tests: str, folder: Path, config: str = CONFIG) -> list[Verdict]:
    (folder / "omniroute.yaml").write_text(config, "utf-8")
    file = folder / "omniroute.test.yaml"
    file.write_text("tests:\n" + textwrap.indent(textwrap.dedent(tests), "  "), "utf-8")
    player = Player(REGISTRY)
    return list(player.play(player.load(file)))


def one(test: str, folder: Path) -> list[str]:
    """What a test says, without the folder."""
    lines = "- name: t\n" + textwrap.indent(textwrap.dedent(test).strip("\n"), "  ") + "\n"
    (verdict,) = play(lines, folder)
    return [str(f).replace(f"{folder}/", "") for f in verdict.failures]


HOLDS = {
    "the example of the language": """
        clock: 2026-11-22T12:00:00Z
        request: {path: /v1/chat/completions, key: laptop, body: {model: always-on, messages: [{role: user, content: hi}]}}
        upstreams:
          anthropic: [{status: 429, headers: {retry-after: "3600"}}]
          glm: [{body: {choices: [{message: {role: assistant, content: ciao}}]}}]
        expect:
          status: 200
          tried: [anthropic/claude-opus-4-6, glm/glm-4.7]
          body: {"choices[0].message.content": ciao}
          sent: {glm: {"messages[0].role": user}}
    """,
    "vectors of the demo model": """
        upstreams: {lab: [{usage: {input: 1000}}]}
        request: {path: /api/embed, key: laptop, body: {model: lab/m, input: [a, b], dimensions: 2}}
        expect:
          status: 200
          body: {"prompt_eval_count": 1000}
          sent: {lab: {"input[1]": b}}
    """,
    "vectors that were written": """
        upstreams: {lab: [{body: {data: [{embedding: [0.5, 2]}]}}]}
        request: {path: "/v1beta/models/lab/m:embedContent", key: laptop, body: {content: hi}}
        expect: {status: 200, body: {"embedding.values[1]": 2.0}}
    """,
    "an hour passes": """
        upstreams:
          anthropic: [{status: 429, headers: {retry-after: "3600"}}, {text: hello}]
          glm: {text: ciao}
        requests:
          - {request: {key: laptop, model: always-on}, expect: {target: glm/glm-4.7, text: ciao, attempts: 2}}
          - advance: 59m
            request: {key: laptop, model: always-on}
            expect: {tried: [glm/glm-4.7], requests: {anthropic: 0, glm: 1}}
          - advance: 2m
            request: {key: laptop, model: always-on, stream: true}
            expect: {tried: [anthropic/claude-opus-4-6], text: hello}
    """,
    "a cut after the first content, in the client's format": """
        request: {key: laptop, model: always-on, stream: true, path: /v1/messages}
        upstreams: {anthropic: {text: one two three four, cut_after: 4 events}}
        expect: {status: 200, error: cut, events: {"[-1].type": error}, tried: [anthropic/claude-opus-4-6]}
    """,
    "a stall meets its deadline": """
        request: {key: laptop, model: labs, stream: true}
        upstreams: {lab: {text: late, stall: 1h}}
        expect: {tried: [lab/m, demo/demo-fast], took: 10s}
    """,
    "a refused connection": """
        request: {key: laptop, model: labs}
        upstreams: {lab: {connect: refused}}
        expect: {status: 200, tried: [lab/m, demo/demo-fast], log: {tried: ["/could not be reached/"]}}
    """,
    "malformed, and nobody else": """
        request: {key: laptop, model: lab/m}
        upstreams: {lab: {text: broken, malformed: true}}
        expect: {status: 502, error: malformed_answer, body: {"error.code": malformed_answer}}
    """,
    "cost to the cent": """
        request: {key: laptop, model: lab/m}
        upstreams: {lab: {text: hello, usage: {input: 1M, output: 100k}}}
        expect: {cost: 2, log: {input_tokens: 1000000, key: laptop}}
    """,
    "a short body is filled in, and streamed when that is asked for": """
        upstreams: {lab: {body: {choices: [{message: {content: ciao}}]}}}
        requests:
          - request: {key: laptop, model: lab/m}
            expect: {text: ciao, body: {"choices[0].finish_reason": stop, object: chat.completion}}
          - {request: {key: laptop, model: lab/m, stream: true}, expect: {text: ciao, events: {"[-1]": "[DONE]"}}}
    """,
    "tools and thoughts through another format": """
        request: {key: laptop, model: lab/m, path: /v1/messages, stream: true}
        upstreams: {lab: {thinking: hmm, text: well, calls: [{name: ls, arguments: {path: /}}]}}
        expect:
          status: 200
          text: well
          events: {"[?content_block.type=='tool_use'].content_block.name | [0]": ls, "[?delta.stop_reason].delta.stop_reason | [0]": tool_use}
    """,
    "events as the provider sends them": """
        request: {key: laptop, model: lab/m, stream: true}
        upstreams:
          lab:
            events:
              - {choices: [{index: 0, delta: {role: assistant, content: ci}}]}
              - {choices: [{index: 0, delta: {content: ao}, finish_reason: stop}]}
              - "data: [DONE]\\n\\n"
        expect: {text: ciao}
    """,
    "a key that may not": """
        request: {key: ci, model: always-on}
        expect: {status: 403, error: model_not_allowed, tried: [], attempts: 0, requests: {anthropic: 0}}
    """,
    "no key at all": """
        request: {model: always-on}
        expect: {status: 401, error: missing_api_key}
    """,
    "a wildcard alias and made-up secrets": """
        request: {key: laptop, model: gpt-9}
        upstreams: {anthropic: {text: hello}}
        expect:
          account: work
          sent: {anthropic: {model: claude-opus-4-6}}
          sent_headers: {anthropic: {X-Api-Key: test-anthropic-api-key}}
          headers: {x-omniroute-target: anthropic/claude-opus-4-6, x-nothing: null}
    """,
    "a variable that is empty": """
        env: {ANTHROPIC_API_KEY: ""}
        request: {key: laptop, model: always-on}
        upstreams: {glm: {text: ciao}}
        expect: {tried: [glm/glm-4.7]}
    """,
    "dropped settings": """
        request:
          key: laptop
          body: {model: anthropic/claude-opus-4-6, seed: 5, messages: [{role: user, content: hi}]}
        upstreams: {anthropic: {text: hello}}
        expect: {dropped: [seed]}
    """,
    "new scripts on the way, and many times": """
        upstreams: {glm: {text: one}}
        requests:
          - {request: {key: laptop, model: cheap}, times: 20, expect: {text: one}}
          - {upstreams: {glm: {text: two}}, request: {key: laptop, model: cheap}, expect: {text: two}}
    """,
    "gemini's path names the model": """
        request: {key: laptop, path: "/v1beta/models/lab/m:streamGenerateContent?alt=sse"}
        upstreams: {lab: {text: ciao}}
        expect: {text: ciao, sent: {lab: {model: m, "messages[0].content": hi}}}
    """,
    "what a key may see": """
        requests:
          - request: {key: ci, method: GET, path: /v1/models}
            expect: {status: 200, body: {"data[].id": [cheap]}}
          - request: {key: laptop, method: GET, path: /v1/models/always-on}
            expect: {status: 200, body: {id: always-on}}
          - {request: {method: GET, path: /v1/models}, expect: {status: 401, attempts: null}}
    """,
    "what is no JSON": """
        request: {key: laptop, body: "{model: always-on"}
        expect: {status: 400, error: invalid_json, body: {"error.code": invalid_json}}
    """,
    "a time of its own": """
        clock: 2026-11-22T12:00:00+01:00
        request: {key: laptop, model: cheap}
        upstreams: {glm: {text: ciao}}
        expect: {log: {time: 1795345200}}
    """,
    "no such path": """
        request: {key: laptop, path: /v1/nothing}
        expect: {status: 404}
    """,
}


@pytest.mark.parametrize("test", HOLDS.values(), ids=HOLDS)
def test_holds(test: str, tmp_path: Path) -> None:
    assert one(test, tmp_path) == []


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (
            "request: {key: ci, model: always-on}\nexpect: {status: 200}",
            [
                "omniroute.test.yaml:4:22: expect.status: expected 200, got 403 (You may not use the model 'always-on'.)"
            ],
        ),
        (
            "request: {key: laptop, model: lab/m}\nupstreams: {lab: {text: ciao}}\nexpect: {text: hello, body: {model: x}}",
            [
                'omniroute.test.yaml:5:20: expect.text: expected "hello", got "ciao"',
                'omniroute.test.yaml:5:41: expect.body.model: expected "x", got "m"',
            ],
        ),
        (
            "request: {key: laptop, model: lab/m}\nexpect: {status: 502}",
            [
                "omniroute.test.yaml:2:5: request: lab was asked, and the test has no answer of it in `upstreams`",
            ],
        ),
        (
            "request: {key: laptop, model: lab/m}\nupstreams: {lab: {}}\nexpect: {sent: {glm: {model: x}}}",
            ['omniroute.test.yaml:5:26: expect.sent.glm: expected "a request", got "none"'],
        ),
    ],
)
def test_what_does_not_hold_is_told_with_its_place(test: str, told: list[str], tmp_path: Path) -> None:
    assert one(test, tmp_path) == told


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        ("- {name: a, reqest: {}}", "unknown key 'reqest' (did you mean 'request'?)"),
        ("- {name: a}", "a test has a `request`, or a list of `requests`"),
        ("- {name: a, request: {}, expect: {body: {'a[': 1}}}", "is not a JMESPath expression"),
        ("- {name: a, request: {}, upstreams: {antropic: []}}", "did you mean 'anthropic'?"),
        ("- {name: a, request: {key: lapto}}", "did you mean 'laptop'?"),
        ("- {name: a, request: {}, clock: tomorrow}", "is not a date"),
        ("- {name: a, request: {}, upstreams: {glm: {cut_after: 3}}}", "expected text, got a number"),
        ("- {name: a, request: {}, upstreams: {glm: {stall: soon}}}", "'soon' is not of the form"),
        ("- {name: a, request: {}}\n- {name: a, request: {}}", "the test 'a' stands already in line 2"),
        ("- {name: a, requests: [{}], expect: {status: 200}}", "each has its own `expect`"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(tests: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        play(tests, tmp_path)
    (finding,) = raised.value.findings
    assert told in str(finding)
    assert str(finding).startswith(f"{tmp_path}/omniroute.test.yaml:")
    assert finding.column


def test_a_wait_without_end_is_found_at_once(tmp_path: Path) -> None:
    told = one(
        """
        request: {key: laptop, model: lab/m, stream: true}
        upstreams: {lab: {text: a b c d, stall: 1000h, after: 3 events}}
        expect: {took: 10s, error: idle_timeout}
        """,
        tmp_path,
    )
    assert told == []


def test_the_same_test_gives_the_same_answer(tmp_path: Path) -> None:
    config = """
version: 1
providers: {demo: {}}
combos: {c: {strategy: random, targets: [demo/a, demo/b, demo/c]}}
"""
    test = """
    - name: t
      seed: 3
      requests: [{request: {model: c}, times: 3, expect: {target: never, log: {id: never}}}]
    """
    told = [[str(f) for f in play(test, tmp_path, config)[0].failures] for _ in range(3)]
    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 2
