"""`omniroute eval`: ask models the questions of a file, and judge their answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from omniroute.config.eval_file import EvalFile, Question, Wanted, read_evals
from omniroute.config.load import find_config
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import load
from omniroute.server.log import set_up_logging
from omniroute.simulation.errand import Ledger, NoKey, errand, key_for_clients

AT_ONCE = 4
"""Questions under way together."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one model answered one question. `wrong` is empty for a good answer; `seconds` is how long it took."""

    model: str
    name: str
    answer: str
    wrong: tuple[str, ...]
    seconds: float


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "eval",
        help="ask models the questions of a file, and judge their answers",
        description="Serve on a free port of this machine, put every question of the file to every model, and tell which "
        "answers hold what they should. Exits 1 when fewer do than --min says, 2 when a file cannot be read.",
        epilog="example: omniroute eval models.eval.yaml --model always-on --min 0.9",
    )
    parser.add_argument("file", metavar="FILE", help="questions, *.eval.yaml")
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="ask this one instead (repeatable)"
    )
    parser.add_argument("--key", metavar="NAME", help="the key of the configuration to ask with")
    parser.add_argument("--min", type=float, default=1.0, help="share of good answers that is enough (1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    set_up_logging()
    ledger = Ledger()
    try:
        file = read_evals(Path(args.file), load())
        models = args.model or list(file.models)
        if not models:
            print(f"{args.file}: no model is named: write `models`, or say --model", file=sys.stderr)
            return 1
        config = find_config(args.config, os.environ, Path.cwd())
        verdicts = asyncio.run(_ask_all(config, file, models, args.key, ledger))
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    except (ConfigError, NoKey) as error:
        print(error, file=sys.stderr)
        return 1
    good = sum(not v.wrong for v in verdicts)
    print(_json(verdicts, ledger) if args.json else _text(verdicts, ledger))
    return 0 if good >= args.min * len(verdicts) else 1


async def _ask_all(
    config: Path, file: EvalFile, models: Sequence[str], key: str | None, ledger: Ledger
) -> list[Verdict]:
    async with errand(config, ledger, None) as gateway, aiohttp.ClientSession() as session:
        presented = key_for_clients(gateway.runtime.generation.loaded.settings, key)
        places = asyncio.Semaphore(AT_ONCE)

        async def ask(model: str, question: Question) -> Verdict:
            async with places:
                return await _ask(session, gateway.urls[0], presented, model, question)

        return list(await asyncio.gather(*[ask(m, q) for m in models for q in file.evals]))


async def _ask(session: aiohttp.ClientSession, url: str, key: str, model: str, question: Question) -> Verdict:
    system = [{"role": "system", "content": question.system}] if question.system is not None else []
    body = {
        **question.params,
        "model": model,
        "messages": [*system, {"role": "user", "content": question.prompt}],
    }
    began = time.perf_counter()
    headers = {"Authorization": f"Bearer {key}"}
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        said = await answer.json(content_type=None)
    seconds = round(time.perf_counter() - began, 3)
    if answer.status != 200:
        problem = f"{answer.status}: {said['error']['message']}"
        return Verdict(model, question.name, "", (problem,), seconds)
    text = str(said["choices"][0]["message"].get("content") or "")
    return Verdict(model, question.name, text, tuple(_wrong(text, question.expect)), seconds)


def _wrong(answer: str, wanted: Wanted) -> Iterator[str]:
    """What a good answer holds and this one does not."""
    low = answer.lower()
    yield from (f"it lacks {text!r}" for text in wanted.contains if text.lower() not in low)
    yield from (f"it holds {text!r}" for text in wanted.lacks if text.lower() in low)
    if wanted.equals is not None and answer.strip() != wanted.equals.strip():
        yield f"it is not {wanted.equals!r}"
    if wanted.matches is not None and re.search(wanted.matches, answer) is None:
        yield f"it does not match {wanted.matches!r}"
    if wanted.json and not _is_json(answer):
        yield "it is no JSON"


def _is_json(answer: str) -> bool:
    try:
        json.loads(answer)
    except ValueError:
        return False
    return True


# ── what is printed ──────────────────────────────────────────────────────────────────────────────


def _text(verdicts: Sequence[Verdict], ledger: Ledger) -> str:
    lines = [f"{'FAIL' if v.wrong else 'good'}  {v.model}  {v.name}  ({v.seconds:.1f} s)" for v in verdicts]
    for place, verdict in reversed(list(enumerate(verdicts, 1))):
        told = [f"      {problem}" for problem in verdict.wrong]
        told += [f"      said: {verdict.answer[:200]!r}"] if verdict.wrong and verdict.answer else []
        lines[place:place] = told
    total = ledger.total()
    for model in dict.fromkeys(v.model for v in verdicts):
        of = [v for v in verdicts if v.model == model]
        good = sum(not v.wrong for v in of)
        lines.append(f"{model}: {good} of {len(of)} good")
    lines.append(f"{total.input + total.output} tokens, ${total.cost:.4f}")
    return "\n".join(lines)


def _json(verdicts: Sequence[Verdict], ledger: Ledger) -> str:
    total = ledger.total()
    document = {
        "verdicts": [asdict(v) for v in verdicts],
        "good": sum(not v.wrong for v in verdicts),
        "cost": round(total.cost, 6),
        "tokens": total.input + total.output,
    }
    return json.dumps(document, indent=2)
