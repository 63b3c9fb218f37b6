"""Imports point down only, without a circle: import-linter holds the contracts of pyproject.toml; they can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flower.env import BASE_DIR

CONFIGURATION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS = set(CONFIGURATION["root_packages"]) - {"core", "flower"}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """``lint-imports`` in a folder."""
    program = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache", str(BASE_DIR / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_contracts_are_kept():
    result = lint(BASE_DIR)
    assert result.returncode == 0, result.stdout


def test_every_package_is_under_contract():
    packages = {path.parent.name for path in BASE_DIR.glob("*/__init__.py")} - {"tests", "bench", "demo"}
    assert packages == set(CONFIGURATION["root_packages"])
    layers = next(one["layers"] for one in CONFIGURATION["contracts"] if one["id"] == "layers")
    assert set(layers) == packages


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in CONFIGURATION["root_packages"]:
        shutil.copytree(BASE_DIR / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "migrations"))
    return folder


@pytest.mark.parametrize(
    ("path", "source", "why"),
    [
        ("briefs/services/planted.py", "from dispatch import claims", "briefs is not allowed to import dispatch"),
        ("briefs/planted.py", "def f():\n    import dispatch.models", "briefs is not allowed to import dispatch"),
        ("dispatch/planted.py", "from flower import env", "dispatch is not allowed to import flower"),
        ("core/planted.py", "from briefs.models import Brief", "core is not allowed to import briefs"),
        ("worktrees/git/planted.py", "import django", "worktrees.git is not allowed to import django"),
        ("worktrees/git/planted.py", "from ..models import Worktree", "not allowed to import worktrees.models"),
        ("dispatch/merge/planted.py", "from dispatch.merge import queue\n", ""),
        ("briefs/views/door.py", "from briefs.views import board\n", "No cycles are allowed in briefs.views"),
    ],
)
def test_the_contracts_can_fail(copy, path, source, why):
    planted = copy / path
    before = planted.read_text() if planted.exists() else None
    planted.write_text(f"{before or ''}\n{source}\n")
    try:
        result = lint(copy)
    finally:
        planted.unlink() if before is None else planted.write_text(before)
    assert result.returncode == (1 if why else 0), result.stdout
    assert why in result.stdout
