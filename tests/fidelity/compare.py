"""Two meanings side by side: what differs, and whether the law allows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.fidelity.law import allowed
from tests.fidelity.meaning import Call, Choice, Failure, Meaning, Usage, squeezed

Verdict = Literal["pass", "lossy", "fail"]


@dataclass(frozen=True)
class Difference:
    field: str
    words: str
    lawful: str | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.words}" + (f" (law: {self.lawful})" if self.lawful else "")


def verdict(differences: list[Difference]) -> Verdict:
    if any(d.lawful is None for d in differences):
        return "fail"
    return "lossy" if differences else "pass"


def compare(expected: Meaning, got: Meaning, client: str) -> list[Difference]:
    """Expected is what the recording means, got what the SDK parsed."""
    return [
        Difference(field, words, allowed(field, client, expected, got))
        for field, words in _differences(expected, got)
    ]


def _differences(expected: Meaning, got: Meaning) -> Iterator[tuple[str, str]]:
    if expected.error is not None or got.error is not None:
        yield from _errors(expected, got)
        return
    if len(expected.choices) != len(got.choices):
        yield "choices", f"{len(expected.choices)} choices became {len(got.choices)}"
    for one, other in zip(expected.choices, got.choices, strict=False):
        yield from _choice(one, other)
    yield from _usage(expected.usage, got.usage)


def _errors(expected: Meaning, got: Meaning) -> Iterator[tuple[str, str]]:
    if got.error is None:
        yield "error", f"{_say(expected.error)} became an answer: {squeezed(got.first.texts)!r:.80}"
    elif expected.error is None:
        if not expected.empty:
            yield "error", f"a good answer became {_say(got.error)}"
    else:
        yield from _failures(expected.error, got.error)


UNWELL = {"server", "overloaded"}
"""Two words for the same: come back later."""


def _failures(expected: Failure, got: Failure) -> Iterator[tuple[str, str]]:
    if expected.status is not None and got.status != expected.status:
        yield "error.status", f"{expected.status} became {got.status}"
    if expected.status is not None and expected.kind != got.kind and {expected.kind, got.kind} != UNWELL:
        yield "error.kind", f"{expected.kind} became {got.kind}"
    if squeezed([expected.message])[:60] not in squeezed([got.message]):
        yield "error.message", f"{expected.message!r:.100} became {got.message!r:.100}"
    if expected.status == 429 and expected.retry_after and not got.retry_after:
        yield "error.retry_after", f"{expected.retry_after} was lost"


def _say(failure: Failure | None) -> str:
    return f"{failure.kind} {failure.status or ''} {failure.message!r:.120}" if failure else "no error"


def _choice(expected: Choice, got: Choice) -> Iterator[tuple[str, str]]:
    for field in ("texts", "reasoning"):
        one, other = getattr(expected, field), getattr(got, field)
        if not _same_words(one, other) and not (expected.refusal and "".join(other) == expected.refusal):
            yield field, _apart("".join(one), "".join(other))
    if expected.refusal != got.refusal and expected.refusal not in ("".join(got.texts), None):
        yield "refusal", f"{expected.refusal!r:.80} became {got.refusal!r:.80}"
    if [_plain(c) for c in expected.calls] != [_plain(c) for c in got.calls]:
        yield "calls", f"{_calls(expected.calls)} became {_calls(got.calls)}"
    for field in ("finish", "images", "audio", "logprobs"):
        one, other = getattr(expected, field), getattr(got, field)
        if one != other:
            yield field, f"{one} became {other}"
    if missing := expected.citations - got.citations:
        yield (
            "citations",
            f"{len(missing)} of {len(expected.citations)} are missing: {sorted(missing)[0]:.80}",
        )
    if invented := {c for c in got.citations - expected.citations if c.startswith("http")}:
        yield "citations.invented", f"{min(invented):.80}"
    if expected.server != got.server:
        yield "server", f"{expected.server} became {got.server}"


def _same_words(one: list[str], other: list[str]) -> bool:
    if "".join(one) == "".join(other):
        return True
    pieces = len(one) > 1 or len(other) > 1
    return squeezed(one) == squeezed(other) and (pieces or "".join(one).strip() == "".join(other).strip())


def _apart(one: str, other: str) -> str:
    """Both from a little before the place where they part."""
    at = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    start = max(0, at - 15)
    return f"from {start}: {one[start : start + 70]!r} became {other[start : start + 70]!r}"


def _plain(call: Call) -> tuple[str, Any]:
    """Free text given to a custom tool stands in an object with one member where a format knows objects only."""
    arguments = call.arguments
    if isinstance(arguments, dict) and len(arguments) == 1 and isinstance(arguments.get("input"), str):
        arguments = arguments["input"]
    return call.name, arguments


def _calls(calls: list[Call]) -> str:
    return "[" + ", ".join(f"{c.name}({c.arguments!r:.120})" for c in calls) + "]"


def _usage(expected: Usage | None, got: Usage | None) -> Iterator[tuple[str, str]]:
    if expected is None or not (expected.input or expected.output):
        return
    if got is None:
        yield "usage", f"{expected} was lost"
        return
    for field in ("input", "output", "cached", "reasoning"):
        one, other = getattr(expected, field), getattr(got, field)
        if one is not None and one != (other or 0):
            yield f"usage.{field}", f"{one} became {other}"
