"""Tests of a configuration, as people write them in `*.test.yaml`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from omniroute.config.faults import Fault
from omniroute.config.units import Count, Duration
from omniroute.declare import Options, option

Paths = dict[str, Any]
"""JMESPath → the value that must be there."""

Method = Literal["POST", "GET", "DELETE"]
Times = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Spent(Options, frozen=True, kw_only=True):
    """Tokens that an answer says it used. `cached` and `cache_write` are parts of `input`, `reasoning` one of `output`."""

    input: Annotated[Count, option("Prompt tokens, all of them.")] = Count(100)
    output: Annotated[Count, option("Generated tokens.")] = Count(10)
    cached: Annotated[Count, option("Prompt tokens read from a cache.")] = Count(0)
    cache_write: Annotated[Count, option("Prompt tokens written to a cache.")] = Count(0)
    reasoning: Annotated[Count, option("Reasoning tokens.")] = Count(0)


class Call(Options, frozen=True, kw_only=True):
    """A tool that the model calls."""

    name: Annotated[str, option("Name of the tool.")]
    arguments: Annotated[dict[str, Any], option("Its arguments.")] = {}


class Scripted(Fault, frozen=True, kw_only=True):
    """One answer of an upstream: `text`, `calls` or a `body` in the provider's format, and what goes wrong with it."""

    text: Annotated[
        str | None, option("The model says this, in the provider's format, streamed if asked.")
    ] = None
    calls: Annotated[tuple[Call, ...], option("Tools that the model calls.")] = ()
    thinking: Annotated[str | None, option("The model thinks this first.")] = None
    finish: Annotated[
        Literal["stop", "length", "tool_calls", "content_filter", "refusal"] | None, option("Why it ended.")
    ] = None
    usage: Annotated[Spent | None, option("What was used; not set: 100 tokens in, 10 out.")] = None
    events: Annotated[
        tuple[Any, ...],
        option("Events of a stream, as the provider sends them: JSON, or text that stands as it is."),
    ] = ()


class Asked(Options, frozen=True, kw_only=True):
    """A request of a client: `body`, or `model` and `text` for a plain question in the format of the path."""

    path: Annotated[str, option("Path, with its query.")] = "/v1/chat/completions"
    method: Annotated[Method, option("HTTP method.")] = "POST"
    key: Annotated[str | None, option("Name of the calling key; its value is not needed.")] = None
    headers: Annotated[dict[str, str], option("Headers.")] = {}
    ip: Annotated[str, option("Address of the client.")] = "127.0.0.1"
    body: Annotated[Any, option("The body: a map as JSON, text as it stands.")] = None
    model: Annotated[str | None, option("The model asked for; over that of `body`.")] = None
    text: Annotated[str, option("What the user says, without a `body`.")] = "hi"
    stream: Annotated[bool | None, option("Whether the answer is streamed; over that of `body`.")] = None


class Expect(Options, frozen=True, kw_only=True):
    """What must have happened. What is not given is not looked at. Text between slashes is a pattern: `/time.?out/`."""

    status: Annotated[int | None, option("HTTP status.")] = None
    tried: Annotated[tuple[str, ...] | None, option("Targets, in the order they were asked.")] = None
    target: Annotated[str | None, option("The target that answered.")] = None
    account: Annotated[str | None, option("The account that it answered with.")] = None
    attempts: Annotated[int | None, option("Requests that were sent upstream.")] = None
    text: Annotated[Any, option("What the client reads: the text of the answer, streamed or not.")] = None
    body: Annotated[Paths, option("Values in the body that the client gets.")] = {}
    events: Annotated[Paths, option("Values in the list of events that the client gets.")] = {}
    error: Annotated[Any, option("Code of the error, in the log and for the client; `none` for none.")] = None
    headers: Annotated[
        dict[str, Any], option("Headers that the client gets; null for one that is not there.")
    ] = {}
    sent: Annotated[dict[str, Paths], option("By provider: values in the last body that it was sent.")] = {}
    sent_headers: Annotated[
        dict[str, dict[str, Any]], option("By provider: headers that it was sent last.")
    ] = {}
    requests: Annotated[dict[str, int], option("By provider: how many requests it got, in this step.")] = {}
    cost: Annotated[float | None, option("US dollars, to a billionth.")] = None
    dropped: Annotated[
        tuple[str, ...] | None, option("Settings that the target's format could not keep.")
    ] = None
    log: Annotated[dict[str, Any], option("Fields of the request's line in the log.")] = {}
    took: Annotated[Duration | None, option("How long it took, by the clock of the test.")] = None


class Moment(Options, frozen=True, kw_only=True):
    """One request of several, and what must come of it."""

    request: Annotated[Asked, option("The request.")] = Asked()
    advance: Annotated[Duration, option("Time that passes before it.")] = Duration(0)
    times: Annotated[Times, option("How often it is sent; each must come to what is expected.")] = 1
    upstreams: Annotated[
        dict[str, tuple[Scripted, ...]], option("New scripts, from here on, of the providers named.")
    ] = {}
    expect: Expect = Expect()


class Case(Options, frozen=True, kw_only=True):
    """One test: a request or several, against scripted upstreams and a clock that stands still unless something waits."""

    name: Annotated[str, option("What holds, as a sentence.")]
    clock: Annotated[str, option("The time when it begins (ISO 8601, UTC).")] = "2026-01-01T00:00:00Z"
    seed: Annotated[int, option("Where chance starts.")] = 0
    env: Annotated[dict[str, str], option("Variables of the configuration; others are made up.")] = {}
    upstreams: Annotated[
        dict[str, tuple[Scripted, ...]],
        option("By provider: its answers, in order, the last again and again. `*` is for all others."),
    ] = {}
    request: Annotated[Asked | None, option("The request.")] = None
    requests: Annotated[tuple[Moment, ...], option("Several requests, in order.")] = ()
    expect: Expect = Expect()


class TestFile(Options, frozen=True, kw_only=True):
    """A file of tests beside a configuration."""

    __test__ = False  # pytest collects what is called so

    config: Annotated[str, option("The configuration, relative to this file.")] = "omniroute.yaml"
    env: Annotated[dict[str, str], option("Variables of the configuration, for all tests.")] = {}
    upstreams: Annotated[
        dict[str, tuple[Scripted, ...]], option("Answers of upstreams, for tests that do not script them.")
    ] = {}
    tests: Annotated[tuple[Case, ...], option("The tests.", min_length=1)]
