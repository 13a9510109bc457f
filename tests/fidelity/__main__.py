"""`python -m tests.fidelity`: every recording through the gateway to every official SDK, meaning compared."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.fidelity import request_run, turns
from tests.fidelity.replay import PROVIDER_OF, documented, names, tape
from tests.fidelity.run import Outcome, run
from tests.support import recordings


def main() -> int:
    """0 when every pair passes or is lossy by law, 1 when one fails, 2 when there is nothing to run on."""
    options = _options()
    logging.disable(logging.CRITICAL)
    if not recordings.index():
        print("../shared/recordings is not here: nothing to prove with", file=sys.stderr)
        return 2
    chosen = [n for n in names(options.wire) if _wanted(n, options.id)]
    if options.requests:
        return requests_main(chosen[: options.limit], options)
    tapes = [tape(n) for n in chosen]
    tapes += [t for t in documented(options.wire) if _wanted(t.recording.id, options.id)]
    tapes = tapes[: options.limit]
    if options.turns:
        outcomes = asyncio.run(turns.run(tapes, options.client))
    else:
        outcomes = asyncio.run(run(tapes, options.client, jobs=options.jobs, recast=options.recast))
    print(table(outcomes))
    for line in failures(outcomes):
        print(line)
    if options.lossy:
        for line in losses(outcomes):
            print(line)
    if options.json:
        document = [{**asdict(o), "verdict": o.verdict} for o in outcomes]
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if any(o.verdict == "fail" for o in outcomes) else 0


def _wanted(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity", description=__doc__)
    wires = tuple(PROVIDER_OF)
    parser.add_argument("--wire", action="append", default=[], choices=wires, help="upstream format")
    parser.add_argument("--client", action="append", default=[], choices=wires, help="client format")
    parser.add_argument("--id", action="append", default=[], help="part of a recording's name")
    parser.add_argument("--limit", type=int, help="no more recordings than this")
    parser.add_argument("--jobs", type=int, default=8, help="calls under way at once")
    parser.add_argument("--lossy", action="store_true", help="list what is lost by law, too")
    parser.add_argument("--requests", action="store_true", help="recorded requests to each upstream format")
    parser.add_argument("--turns", action="store_true", help="a second turn: do signatures come back?")
    parser.add_argument("--recast", action="store_true", help="streams of plain recordings, and the reverse")
    parser.add_argument("--json", type=Path, help="write all outcomes to this file")
    return parser.parse_args()


def requests_main(found: list[str], options: argparse.Namespace) -> int:
    """Recorded requests: `--wire` is the client's format here, `--client` the upstream's."""
    sent = asyncio.run(request_run.run(found, options.client, jobs=options.jobs))
    counts: Counter[tuple[str, str, str]] = Counter((s.client, s.upstream, s.verdict) for s in sent)
    verdicts = ("pass", "told", "refused", "fail")
    print(f"{'client':<20}{'upstream':<20}" + "".join(f"{v:>9}" for v in verdicts))
    for client, upstream in sorted({(s.client, s.upstream) for s in sent}):
        print(f"{client:<20}{upstream:<20}" + "".join(f"{counts[client, upstream, v]:>9}" for v in verdicts))
    total: Counter[str] = Counter(s.verdict for s in sent)
    print(f"{'all':<40}" + "".join(f"{total[v]:>9}" for v in verdicts))
    shown = ("fail", "told", "refused") if options.lossy else ("fail", "refused")
    for s in sent:
        if s.verdict in shown:
            print(
                f"{s.verdict.upper()} {s.id}: {s.client} → {s.upstream}: {'; '.join(s.differences)} [{s.told}]"
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(s) for s in sent], indent=1, ensure_ascii=False) + "\n")
    return 1 if total["fail"] else 0


def table(outcomes: list[Outcome]) -> str:
    """A line a pair: how many pass, are lossy by law, fail."""
    counts: Counter[tuple[str, str, str]] = Counter((o.upstream, o.client, o.verdict) for o in outcomes)
    pairs = sorted({(o.upstream, o.client) for o in outcomes})
    lines = [f"{'upstream':<20}{'client':<20}{'pass':>6}{'lossy':>7}{'fail':>6}"]
    lines += [
        f"{up:<20}{client:<20}"
        + "".join(f"{counts[up, client, v]:>{w}}" for v, w in (("pass", 6), ("lossy", 7), ("fail", 6)))
        for up, client in pairs
    ]
    total = Counter(o.verdict for o in outcomes)
    lines.append(f"{'all':<40}{total['pass']:>6}{total['lossy']:>7}{total['fail']:>6}")
    return "\n".join(lines)


def failures(outcomes: list[Outcome]) -> list[str]:
    return [
        f"FAIL {o.id} → {o.client}: " + "; ".join(str(d) for d in o.differences if d.lawful is None)
        for o in outcomes
        if o.verdict == "fail"
    ]


def losses(outcomes: list[Outcome]) -> list[str]:
    return [
        f"LOSSY {o.id} → {o.client}: " + "; ".join(str(d) for d in o.differences)
        for o in outcomes
        if o.verdict == "lossy"
    ]


if __name__ == "__main__":
    sys.exit(main())
