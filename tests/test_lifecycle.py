"""Every registered component: its example compiles, it builds twice, and the registry's golden list is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from omniroute.config.load import load_text
from omniroute.declare import KINDS, Declaration, Kind
from omniroute.engine.build import Workshop, build
from omniroute.registry import load
from omniroute.state.state import State
from omniroute.wire.codec import Wire

REGISTRY = load(plugins=False)
GOLDEN = Path(__file__).parent / "golden" / "registry.txt"


def listed() -> str:
    return "".join(f"{kind} {d.name}\n" for kind in KINDS for d in REGISTRY.all(kind))


def test_additions_show_up_in_review(update_golden: bool) -> None:
    if update_golden:
        GOLDEN.write_text(listed())
    assert listed() == GOLDEN.read_text()


def of(kind: Kind) -> list[Any]:
    return [pytest.param(d, id=d.name) for d in REGISTRY.all(kind)]


def built(config: str, tmp_path: Path) -> None:
    text = (
        f"version: 1\nproviders: {{demo: {{}}}}\ntransforms: {{clamp: {{ops: [{{remove: user}}]}}}}\n{config}"
    )
    loaded = load_text(text, env={}, registry=REGISTRY, folder=tmp_path)
    for number in (1, 2):
        build(loaded, number, Workshop(REGISTRY, State(), lambda kind: None, lambda record: None))  # type: ignore[arg-type,return-value]  # nothing is sent


@pytest.mark.parametrize("declaration", of("stage"))
def test_stage_examples_compile(declaration: Declaration, tmp_path: Path) -> None:
    example = declaration.example.replace("clamp_max_tokens", "clamp")
    stages = ["auth", "filter", "route", "translate", "retry", "log"]
    written = ", ".join(example if name == declaration.name else name for name in stages)
    if declaration.name not in stages:
        written = written.replace("route", f"{example}, route", 1)
    built(f"pipelines: {{chat: {{stages: [{written}], endpoints: [chat]}}}}", tmp_path)


@pytest.mark.parametrize("declaration", of("strategy"))
def test_strategy_examples_compile(declaration: Declaration, tmp_path: Path) -> None:
    built(f"combos: {{c: {{strategy: {declaration.example}, targets: [demo/demo]}}}}", tmp_path)


@pytest.mark.parametrize("declaration", of("credential"))
def test_credential_examples_compile(declaration: Declaration, tmp_path: Path) -> None:
    config = f"""
providers: {{demo: {{}}, p: {{format: openai-chat, base_url: "http://x/v1", auth: {declaration.example}, accounts: {{a: {{key: k}}}}}}}}
"""
    loaded = load_text(f"version: 1\n{config}", env={}, registry=REGISTRY, folder=tmp_path)
    build(loaded, 1, Workshop(REGISTRY, State(), lambda kind: None, lambda record: None))  # type: ignore[arg-type,return-value]  # nothing is sent


@pytest.mark.parametrize("declaration", of("transform_op"))
def test_op_examples_compile(declaration: Declaration, tmp_path: Path) -> None:
    op = yaml.safe_dump(yaml.safe_load(declaration.example), default_flow_style=True, width=10_000).strip()
    loaded = load_text(
        f"version: 1\ntransforms: {{t: {{ops: [{op}]}}}}\nproviders: {{demo: {{transforms: [t]}}}}",
        env={},
        registry=REGISTRY,
        folder=tmp_path,
    )
    build(loaded, 1, Workshop(REGISTRY, State(), lambda kind: None, lambda record: None))  # type: ignore[arg-type,return-value]  # nothing is sent


@pytest.mark.parametrize("declaration", of("transport"))
async def test_transports_build_twice_and_close_clean(declaration: Declaration) -> None:
    for _ in range(2):
        await declaration.cls().build().close()


@pytest.mark.parametrize("declaration", of("wire"))
def test_wires_are_whole(declaration: Declaration) -> None:
    wire = declaration.cls()
    assert isinstance(wire, Wire)
    assert wire.name == declaration.name
    assert wire.path("m", True, "chat")
    # Amazon's event stream has no message that means nothing.
    assert wire.keep_alive or wire.framing == "aws"


@pytest.mark.parametrize("declaration", [d for kind in KINDS for d in of(kind)])
def test_everything_says_what_it_is(declaration: Any) -> None:
    assert declaration.summary
