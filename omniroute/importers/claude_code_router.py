"""claude-code-router: `config.json` with `Providers` and `Router`.

The router's cases become one combo, `claude-code`: a target with `when` for each case, the default at the end, and every
`claude-*` name leads to it. `/model provider,model` goes on to work. https://github.com/musistudio/claude-code-router
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from omniroute.importers.draft import Address, Draft, home, reference, slug
from omniroute.importers.source import Section

Doc = dict[str, Any]

COMBO = "claude-code"
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`claude_code_router.yaml`."""

    formats: dict[str, str]
    auth: dict[str, Doc]
    transformers: dict[str, str]
    routes: dict[str, str]
    threshold: int
    levels: dict[str, str]
    reasons: dict[str, str]


def words() -> Words:
    return msgspec.convert(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")), Words)


def parse(text: str) -> Any:
    """JSON; with comments and commas too many, as its own reader takes them. Raises `ValueError`."""
    try:
        return json.loads(text)
    except ValueError:
        plain = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or "", text, flags=re.DOTALL)
        return json.loads(re.sub(r",(\s*[}\]])", r"\1", plain))


def convert(document: Any, draft: Draft) -> None:
    """Fill the draft from a parsed file."""
    _Import(draft, Section(document)).run()


class _Import:
    def __init__(self, draft: Draft, file: Section) -> None:
        self._draft = draft
        self._file = file
        self._words = words()
        self._names: dict[str, str] = {}
        """Their name of a provider → ours."""

    def run(self) -> None:
        for provider in self._file.each("Providers"):
            self._provider(provider)
        self._router(self._file.below("Router"))
        self._server()
        self._file.leave(self._draft.note, self._words.reasons)

    # ── Providers ────────────────────────────────────────────────────────────────────────────────

    def _provider(self, entry: Section) -> None:
        draft, name = self._draft, entry.text("name")
        url, transformers = entry.text("api_base_url"), entry.below("transformer")
        if not name or not url:
            draft.note(entry.path, "it has no name or no api_base_url")
            return
        used = self._uses(transformers, "use")
        format = next((self._words.formats[w] for w in used if w in self._words.formats), "openai-chat")
        address = Address(home(url), format, self._words.auth[format])
        id = self._names[name] = draft.provider(name, address)
        key = entry.text("api_key")
        draft.account(id, self._secret(key, slug(name)))
        for model in entry.texts("models"):
            target = draft.model(id, model, self._most(used | self._uses(transformers, model)))
            draft.aliases[f"{name},{model}"] = target
        transformers.leave(draft.note, {})
        entry.leave(draft.note, self._words.reasons)

    def _uses(self, transformers: Section, key: str) -> dict[str, Doc]:
        """Transformers by name, with their options."""
        written = transformers.take(key)
        rows = written.get("use", []) if isinstance(written, dict) else written
        found: dict[str, Doc] = {}
        for row in rows if isinstance(rows, list) else []:
            name, options = (row[0], row[1]) if isinstance(row, list) and len(row) > 1 else (row, {})
            name = name[0] if isinstance(name, list) and name else name
            found[str(name)] = options if isinstance(options, dict) else {}
            self._tell(str(name), found[str(name)], transformers.at(key))
        return found

    def _tell(self, name: str, options: Doc, path: str) -> None:
        if name in self._words.formats or name == "maxtoken":
            return
        reason = self._words.transformers.get(name, f"there is no transformer {name!r} here")
        if reason or options:
            self._draft.note(path, f"{name}: {reason or 'its options have no counterpart'}")

    def _most(self, used: dict[str, Doc]) -> Doc:
        """`maxtoken` bounds the answer."""
        most = used.get("maxtoken", {}).get("max_tokens")
        return {"max_output": most} if isinstance(most, int) else {}

    def _secret(self, value: str, provider: str) -> str:
        if not value:
            return ""
        found = VARIABLE.fullmatch(value)
        if found is not None:
            return reference(found[1] or found[2])
        return self._draft.secret(value, f"{provider}_key")

    # ── Router ───────────────────────────────────────────────────────────────────────────────────

    def _router(self, router: Section) -> None:
        default = self._target(router, "default")
        threshold = router.number("longContextThreshold") or self._words.threshold
        targets: list[Any] = []
        for case, when in self._words.routes.items():
            target = self._target(router, case)
            if target is not None:
                targets.append({"model": target, "when": when.replace("{threshold}", str(threshold))})
        router.leave(self._draft.note, self._words.reasons)
        if default is None and not targets:
            return
        name = self._draft.expose(COMBO, [*targets, *([default] if default is not None else [])])
        self._draft.aliases["claude-*"] = name
        self._draft.top["default"] = name

    def _target(self, router: Section, case: str) -> str | None:
        written = router.text(case)
        if not written:
            return None
        provider, comma, model = written.partition(",")
        id = self._names.get(provider.strip())
        if not comma or id is None:
            self._draft.note(router.at(case), f"there is no provider {provider!r} in the file")
            return None
        return self._draft.model(id, model.strip())

    # ── server ───────────────────────────────────────────────────────────────────────────────────

    def _server(self) -> None:
        draft, file = self._draft, self._file
        key = file.text("APIKEY")
        host, port = file.text("HOST") or "127.0.0.1", file.text("PORT") or "3456"
        # Without a key theirs listens on this machine only, whatever it is told.
        draft.top["server"] = {"listen": f"{host if key else '127.0.0.1'}:{port}"}
        if key:
            found = VARIABLE.fullmatch(key)
            draft.key("main", reference(found[1] or found[2]) if found is not None else key)
        proxy = file.text("PROXY_URL")
        if proxy:
            draft.top["proxy"] = draft.proxy(proxy)
        level = self._words.levels.get(file.text("LOG_LEVEL"))
        if level:
            draft.top["log"] = {"level": level}
        timeout = file.number("API_TIMEOUT_MS")
        for entry in draft.providers.values() if timeout else ():
            entry["timeouts"] = {"total": f"{(timeout or 0) / 1000:g}s"}
