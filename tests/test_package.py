"""The wheel: it holds what the repository holds, and works in an empty environment and an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAPPED = ("pipelines/", "transforms/", "schemas/", "omniroute.yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return next(out.glob("*.whl"))


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    kept = {f for f in listed if f.startswith(("omniroute/", *MAPPED)) and (ROOT / f).exists()}
    return {f"omniroute/_defaults/{f}" if f.startswith(MAPPED) else f for f in kept}


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="not a git checkout: nothing to compare the wheel with"
)
@pytest.mark.timeout(180)
def test_the_wheel_holds_what_git_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {n for n in archive.namelist() if ".dist-info/" not in n}
    assert held == tracked()


@pytest.mark.timeout(180)
def test_the_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The libraries come from this environment (nothing is downloaded), OmniRoute from the wheel alone."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    libraries = [p for p in sys.path if p.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries))
    empty = tmp_path / "empty"
    empty.mkdir()
    run = [str(environment / "bin" / "python"), "-c"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [*run, "import omniroute; print(omniroute.__file__)"],
        cwd=empty,
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in where.stdout
    clean = {k: v for k, v in own.items() if not k.endswith("_API_KEY") and k != "OMNIROUTE_CONFIG"}
    checked = subprocess.run(
        [str(environment / "bin" / "python"), "-m", "omniroute", "validate"],
        cwd=empty,
        env={**clean, "HOME": str(empty), "XDG_CONFIG_HOME": str(empty)},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
