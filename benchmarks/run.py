"""The gateway beside nginx and its peers, in one interleaved run: the table of aims, and a JSON file with every figure.

    make bench                                   (or: python benchmarks/run.py [options])

    --quick            one short round: a look, no figure to quote
    --hold             5,000 waiting streams, too (half a minute more a gateway)
    --rounds N         interleaved rounds, 5 unless told; every ratio is taken within a round, the median counts
    --python PATH      the interpreter to run the gateway with (else this one)
    --rig DIR          the rig (else PERF_RIG, else ../shared/perf beside the project)
    --no-peers         beside nginx only
    --out FILE         where the JSON goes (else benchmarks/results/ with the time in its name)

It takes what the rig needs: nginx, gcc, two cores. LiteLLM is measured where the rig's setup.sh has installed it, Portkey
where PORTKEY names the folder of its npm package. README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PORT, PORT_OF_TWO = 20138, 20140
KEY = "bench-key-0123456789"
SCENARIOS = "oai_1k oai_100k o2a_1k oai_lat_1k oai_paced oai_paced_hi a2o_paced_hi"
OURS, TWO, NGINX = "omniroute", "omniroute-2", "nginx"


class Row(NamedTuple):
    """A line of the table. `figure` is None where it was not measured; `high` says whether more is better."""

    work: str
    figure: float | None
    unit: str
    least: float
    aim: float
    high: bool

    def verdict(self) -> str:
        if self.figure is None:
            return "-"
        sign = 1 if self.high else -1
        if sign * (self.figure - self.aim) >= 0:
            return "aim"
        return "ok" if sign * (self.figure - self.least) >= 0 else "short"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument(
        "--rig", type=Path, default=Path(os.environ.get("PERF_RIG", ROOT.parent / "shared" / "perf"))
    )
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    missing = [tool for tool in ("nginx", "gcc") if shutil.which(tool) is None]
    if missing or not (options.rig / "bench.py").exists():
        print(f"The rig needs {' and '.join(missing) or 'its programs: ' + str(options.rig) + ' has none'}.")
        return 2
    work = Path(os.environ.get("PERF_WORK", Path(tempfile.gettempdir()) / "perf"))
    environment = {**os.environ, "PERF_WORK": str(work), "MOCK_PORT": os.environ.get("MOCK_PORT", "18080")}
    subprocess.run([options.rig / "build.sh"], env=environment, check=True)
    # As an installation does: else a start is that of the compiler where the environment forbids to keep byte code.
    subprocess.run([options.python, "-m", "compileall", "-q", ROOT / "omniroute"], check=True)
    measured = _measure(options, work, environment)
    alone = json.loads(
        subprocess.run(
            [options.python, HERE / "reload.py"], env=_own(environment), check=True, capture_output=True
        ).stdout
    )
    rows = list(_rows(measured, alone))
    report = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "interpreter": _interpreter(options.python),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "rounds": 1 if options.quick else options.rounds,
        "rows": [{**row._asdict(), "verdict": row.verdict()} for row in rows],
        "peers": _peers_rates(measured),
        "reload": alone,
        "rig": measured,
    }
    out = options.out or HERE / "results" / f"{report['when'].replace(':', '')}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1))
    _show(report, rows)
    print(f"\nevery figure: {out}")
    return 0


# ── measuring ────────────────────────────────────────────────────────────────────────────────────


def _measure(options: argparse.Namespace, work: Path, environment: dict[str, str]) -> dict[str, Any]:
    peers = work / "peers.json"
    peers.write_text(json.dumps(_gateways(options, work, environment["MOCK_PORT"])))
    scenarios = SCENARIOS.split() + (["hold_5000"] if options.hold else [])
    out = work / "results.json"
    command = [sys.executable, options.rig / "bench.py", "--peers", peers, "--scenarios", ",".join(scenarios)]
    command += ["--no-direct", "--out", out]
    command += (
        ["--rounds", "1", "--secs", "1.5", "--warm", "0.5", "--foreign", "9"]
        if options.quick
        else ["--rounds", str(options.rounds)]
    )
    subprocess.run(
        ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh", *map(str, command)],
        env=_own(environment),
        check=True,
    )
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def _gateways(options: argparse.Namespace, work: Path, mock: str) -> dict[str, Any]:
    """Those to measure, as the rig wants to be told of them."""
    text = (options.rig / "peers.json").read_text()
    text = text.replace("{WORK}", str(work)).replace("{HERE}", str(options.rig)).replace("{MOCK}", mock)
    known = json.loads(text)
    chosen = {OURS: _ours(options, work, mock, PORT, 1), NGINX: known[NGINX]}
    chosen[TWO] = _ours(options, work, mock, PORT_OF_TWO, 2) | {"core": "0,1", "scenarios": ["oai_1k"]}
    if options.no_peers:
        return chosen
    if (work / "venv-litellm" / "bin" / "litellm").exists():
        chosen["litellm"] = known["litellm"] | {"scenarios": ["oai_1k", "o2a_1k", "oai_paced"]}
    if "PORTKEY" in os.environ:
        chosen["portkey"] = _portkey(os.environ["PORTKEY"], mock)
    return chosen


def _ours(options: argparse.Namespace, work: Path, mock: str, port: int, workers: int) -> dict[str, Any]:
    config = (options.rig / "conf" / "omniroute.yaml.in").read_text().replace("{MOCK}", mock)
    config = config.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")
    config = config.replace("server: {", f"server: {{workers: {workers}, " if workers > 1 else "server: {")
    file = work / "cfg" / f"omniroute-{workers}.yaml"
    file.write_text(config)
    return {
        "url": f"http://127.0.0.1:{port}",
        "start": f"{options.python} -m omniroute serve --config {file}",
        "models": {"oai": "oai/{m}", "anth": "anth/{m}"},
        "headers": {"Authorization": f"Bearer {KEY}"},
    }


def _portkey(folder: str, mock: str) -> dict[str, Any]:
    return {
        "url": "http://127.0.0.1:18104",
        "start": f"node {folder}/build/start-server.js --port=18104 --headless",
        "env": {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        "models": {"oai": "{m}"},
        "formats": ["openai"],
        "headers": {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{mock}/v1"},
        "scenarios": ["oai_1k", "oai_paced"],
    }


def _own(environment: dict[str, str]) -> dict[str, str]:
    """The project beside this file is what is measured, whatever else is installed."""
    return {**environment, "PYTHONPATH": str(ROOT)}


# ── the table ────────────────────────────────────────────────────────────────────────────────────


class Runs:
    """Figures by gateway, scenario and round."""

    def __init__(self, measured: dict[str, Any]) -> None:
        self._runs = {(r["gateway"], r["scenario"], r["round"]): r for r in measured["runs"]}
        self._rounds = sorted({r["round"] for r in measured["runs"]})

    def median(
        self,
        of: Callable[[dict[str, Any], dict[str, Any]], float],
        one: tuple[str, str],
        other: tuple[str, str],
    ) -> float | None:
        """The median over the rounds of what `of` makes of one run and its neighbour in time."""
        found = [
            of(self._runs[(*one, number)], self._runs[(*other, number)])
            for number in self._rounds
            if (*one, number) in self._runs and (*other, number) in self._runs
        ]
        return statistics.median(found) if found else None

    def value(self, gateway: str, scenario: str, key: str) -> float | None:
        found = [r[key] for (g, s, _), r in self._runs.items() if (g, s) == (gateway, scenario) and key in r]
        return statistics.median(found) if found else None


def _rows(measured: dict[str, Any], alone: dict[str, float]) -> Iterator[Row]:
    runs, info = Runs(measured), measured["gateways"].get(OURS, {})

    def rate(a: dict[str, Any], b: dict[str, Any]) -> float:
        return a["rps"] / b["rps"]

    def later(key: str) -> Callable[[dict[str, Any], dict[str, Any]], float]:
        return lambda a, b: (a[key]["p50"] - b[key]["p50"]) / 1000

    ours, nginx = (OURS, "oai_1k"), (NGINX, "oai_1k")
    yield Row(
        "same format, 1 KB: requests/s of nginx's", runs.median(rate, ours, nginx), "x", 0.10, 0.25, True
    )
    large = runs.median(rate, (OURS, "oai_100k"), (NGINX, "oai_100k"))
    yield Row("same format, 100 KB: requests/s of nginx's", large, "x", 0.15, 0.30, True)
    across = runs.median(rate, (OURS, "o2a_1k"), nginx)
    yield Row("translated, 1 KB: requests/s of nginx's same format", across, "x", 0.06, 0.20, True)
    paced, of_nginx = (OURS, "oai_paced_hi"), (NGINX, "oai_paced_hi")
    event = runs.median(lambda a, b: a["cpu_us"] / b["cpu_us"], paced, of_nginx)
    yield Row("paced streams, same format: CPU per event, of nginx's", event, "x", 2.5, 1.3, False)
    more = runs.median(lambda a, b: a["cpu_us"] - b["cpu_us"], (OURS, "a2o_paced_hi"), paced)
    yield Row("paced streams, translated: CPU per event, more", more, "µs", 25, 10, False)
    added = runs.median(later("lat_us"), (OURS, "oai_lat_1k"), (NGINX, "oai_lat_1k"))
    yield Row("100 requests/s: p50 over nginx's", added, "ms", 0.8, 0.3, False)
    first = runs.median(later("ttft_us"), (OURS, "oai_paced"), (NGINX, "oai_paced"))
    yield Row("time to the first event over nginx's", first, "ms", 0.6, 0.2, False)
    live, full = runs.value(OURS, "hold_5000", "live_streams"), runs.value(OURS, "hold_5000", "rss_mb")
    # Over the memory of a gateway that has done nothing yet: what earlier work left behind must not make it look less.
    each = (full - info["rss_idle_mb"]) * 1024 / live if live and full is not None else None
    yield Row("5,000 streams: memory of each", each, "KB", 30, 12, False)
    yield Row("5,000 streams: lost", None if live is None else 5000 - live, "", 0, 0, False)
    yield Row("start to the first 200", info.get("startup_s"), "s", 0.8, 0.4, False)
    yield Row("idle memory", info.get("rss_idle_mb"), "MB", 70, 40, False)
    yield Row("reload of 200 providers, 500 models", alone["reload_ms"], "ms", 150, 50, False)
    yield Row("longest wait of a request meanwhile", alone["longest_ms"], "ms", 20, 20, False)
    two = runs.median(lambda a, b: 2 * b["cpu_us"] / a["cpu_us"], (TWO, "oai_1k"), ours)
    yield Row("two workers on two cores, by CPU", two, "x", 1.8, 1.8, True)


def _peers_rates(measured: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Requests per second of all that were measured, and how many times as fast as each we are."""
    runs = Runs(measured)
    names = dict.fromkeys(r["gateway"] for r in measured["runs"])

    def times(a: dict[str, Any], b: dict[str, Any]) -> float:
        return a["rps"] / b["rps"]

    return {
        name: {
            "rps": runs.value(name, "oai_1k", "rps"),
            "ours_is_times": runs.median(times, (OURS, "oai_1k"), (name, "oai_1k")),
        }
        for name in names
    }


def _show(report: dict[str, Any], rows: list[Row]) -> None:
    print(f"\n{report['interpreter']}; {report['machine']}; {report['rounds']} rounds; {report['when']}\n")
    print("| work | measured | at least | aim | |\n|---|---|---|---|---|")
    for row in rows:
        figure = "-" if row.figure is None else f"{row.figure:.2f} {row.unit}".strip()
        print(f"| {row.work} | {figure} | {row.least:g} | {row.aim:g} | {row.verdict()} |")
    print("\n| gateway | requests/s, 1 KB | we are |\n|---|---|---|")
    for name, peer in report["peers"].items():
        if peer["rps"] is not None:
            times = "" if name == OURS or peer["ours_is_times"] is None else f"{peer['ours_is_times']:.2f} x"
            print(f"| {name} | {peer['rps']:,.0f} | {times} |")


def _interpreter(python: str) -> str:
    """Which interpreter, and how it was built as far as it says: profile-guided builds are 1.3 to 1.6 times as fast."""
    code = (
        "import platform, sysconfig; a = sysconfig.get_config_var('CONFIG_ARGS') or '';"
        "print(platform.python_implementation(), platform.python_version(),"
        " 'with' if 'enable-optimizations' in a else 'without', '--enable-optimizations,',"
        " 'with' if 'with-lto' in a else 'without', '--with-lto in its build, compiled by', platform.python_compiler())"
    )
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
