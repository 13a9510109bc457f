"""The admin plane under /-/: JSON about the configuration, its state and its traffic. It shows; the file decides."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import msgspec

from omniroute.config.marks import leaves, plain, written
from omniroute.engine.runtime import Runtime
from omniroute.pipeline.keys import LOOPBACK, presented_key
from omniroute.server.cors import is_local
from omniroute.server.incoming import Answer, Incoming
from omniroute.server.metrics import Metrics
from omniroute.server.recent import Recent
from omniroute.server.state_view import RESETS, reset, state_view

Page = Callable[[Incoming], Awaitable[Answer]]

OPEN = frozenset({"/-/health", "/-/ready"})
"""Anybody may ask these: load balancers do."""
WAITED_MOST = 300.0


class Admin:
    """Answers under /-/. Everything but health and readiness needs a key with the scope `admin` (metrics: `metrics`
    or `admin`); where no keys are declared, it needs a client on loopback."""

    def __init__(self, runtime: Runtime, metrics: Metrics, recent: Recent, ready: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._recent = recent
        self._ready = ready
        self._began = time.time()
        self._table: dict[tuple[str, str], Page] = {
            ("GET", "/-/health"): self._health,
            ("GET", "/-/ready"): self._readiness,
            ("GET", "/-/config"): self._config,
            ("GET", "/-/wait"): self._wait,
            ("GET", "/-/state"): self._state,
            ("POST", "/-/state/reset"): self._reset,
            ("GET", "/-/requests"): self._requests,
            ("GET", "/-/metrics"): self._exposition,
            ("POST", "/-/reload"): self._reload,
        }

    async def answer(self, request: Incoming) -> Answer:
        path = request.path.rstrip("/") or request.path
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._table.get((method, path))
        if answer is None:
            return self._not_here(method, path)
        refused = None if path in OPEN else self._refusal(request, path)
        return refused if refused is not None else await answer(request)

    def _not_here(self, method: str, path: str) -> Answer:
        allowed = sorted(m for m, p in self._table if p == path)
        if allowed:
            return _error(
                405, f"{path} answers {', '.join(allowed)}, not {method}.", {"Allow": ", ".join(allowed)}
            )
        known = ", ".join(sorted({p for _, p in self._table}))
        return _error(404, f"There is no {path}. The admin plane has {known}.")

    def _refusal(self, request: Incoming, path: str) -> Answer | None:
        keyring = self._runtime.generation.keyring
        peer = request.remote
        presented = presented_key(request.headers, request.query)
        caller = keyring.find(presented) if presented is not None else None
        wanted = {"admin", "metrics"} if path == "/-/metrics" else {"admin"}
        if caller is not None:
            problem = caller.problem(path, peer, time.time())
            if problem is not None:
                return _error(problem.http_status, problem.message)
            if wanted & caller.scopes:
                return None
            return _error(403, f"This key lacks the scope {' or '.join(sorted(wanted))}.")
        if not keyring.required and (LOOPBACK(peer) or not peer):
            origin = request.headers.get("origin")
            if origin is None or is_local(origin):
                return None
            return _error(
                403, "Pages of other origins may not use the admin plane of a gateway without keys."
            )
        return _error(401, "The admin plane needs a key with the scope admin.")

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    async def _health(self, request: Incoming) -> Answer:
        store = self._runtime.state.store
        generation = self._runtime.generation
        return _json(
            {
                "status": "ok",
                "version": version("omniroute"),
                "config": generation.tag,
                "uptime": round(time.time() - self._began, 1),
                # Why it is away may name hosts, and anybody may ask here.
                "store": {
                    "kind": store.kind,
                    "state": store.state,
                    "since": store.since,
                    "behind": store.behind,
                },
            }
        )

    async def _readiness(self, request: Incoming) -> Answer:
        ready = self._ready()
        result = self._runtime.last_result
        return _json(
            {
                "ready": ready,
                "config": self._runtime.generation.tag,
                "last_reload_ok": result.ok if result is not None else True,
            },
            200 if ready else 503,
        )

    async def _config(self, request: Incoming) -> Answer:
        generation = self._runtime.generation
        return _json(
            {
                "config": generation.tag,
                "file": self._runtime.path.name,
                "settings": plain(generation.loaded.stages.normalised),
                "origins": {written(p): str(at) for p, _, at in leaves(generation.loaded.stages.normalised)},
                "last_reload": self._runtime.last_result,
                "findings": generation.loaded.findings,
            }
        )

    async def _wait(self, request: Incoming) -> Answer:
        digest = request.query.get("hash", "")
        try:
            seconds = float(request.query.get("timeout", "30"))
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            return _error(400, "`timeout` is a number of seconds.")
        seconds = min(seconds, WAITED_MOST)
        serves = await self._runtime.wait_for(digest, seconds)
        return _json({"serves": serves, "config": self._runtime.generation.tag}, 200 if serves else 504)

    async def _state(self, request: Incoming) -> Answer:
        runtime = self._runtime
        return _json(
            {
                "config": runtime.generation.tag,
                "store": runtime.state.store,
                "running": runtime.generation.running,
                "draining": [{"config": g.tag, "running": g.running} for g in runtime.draining],
                **state_view(runtime.generation, runtime.state),
                "health": runtime.state.health.all(),
                "cache": runtime.state.cache.view(),
                "providers": {
                    name: {
                        "enabled": p.settings.enabled,
                        "tier": p.settings.tier,
                        "accounts": {
                            a.name: {"active": a.inactive is None, "why_not": a.inactive} for a in p.accounts
                        },
                    }
                    for name, p in runtime.generation.directory.providers.items()
                },
            }
        )

    async def _reset(self, request: Incoming) -> Answer:
        kind, name = request.query.get("kind", "all"), request.query.get("name", "")
        if kind not in RESETS:
            return _error(400, f"`kind` is one of {', '.join(RESETS)}, not {kind!r}.")
        runtime = self._runtime
        return _json({"reset": reset(runtime.generation, runtime.state, kind, name)})

    async def _requests(self, request: Incoming) -> Answer:
        try:
            after = int(request.query.get("after", "-1"))
            most = int(request.query.get("limit", "100"))
        except ValueError:
            return _error(400, "`after` and `limit` are whole numbers.")
        return _json(self._recent.after(after, max(0, most)))

    async def _exposition(self, request: Incoming) -> Answer:
        if not self._runtime.generation.loaded.settings.metrics.enabled:
            return _error(404, "Metrics are switched off (`metrics: {enabled: false}`).")
        return Answer(
            200,
            self._metrics.text(self._runtime),
            {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _reload(self, request: Incoming) -> Answer:
        result = await self._runtime.reload(force=request.query.get("force") in ("1", "true"))
        return _json(result, 200 if result.ok else 422)


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value), {"Content-Type": "application/json"})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    body = msgspec.json.encode({"error": {"message": message, "status": status}})
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})
