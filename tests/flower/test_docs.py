"""The documents are held to the code: what can be set, and what can be called, is described."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flower.env import BASE_DIR

DOCS = BASE_DIR / "docs"


def variables_of(source: str) -> tuple[set[str], set[str]]:
    """The names of variables in flower/env.py: all, and those that may come as a file."""
    names: set[str] = set()
    secret: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        found = {
            part.value
            for part in node.args
            if isinstance(part, ast.Constant) and re.fullmatch(r"[A-Z][A-Z]+(_[A-Z]+)+", str(part.value))
        }
        names |= found
        by_secret = isinstance(node.func, ast.Name) and node.func.id == "_secret"
        flagged = any(word.arg == "secret" for word in node.keywords)
        secret |= found if by_secret or flagged else set()
    return names, secret


VARIABLES, SECRETS = variables_of((BASE_DIR / "flower" / "env.py").read_text())


def test_the_variables_are_found():
    assert {"FLOWER_HOME", "FLOWER_PORT", "DATABASE_URL", "FLOWER_TRANSCRIPT_ROOTS"} <= VARIABLES
    assert {"FLOWER_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MEILI_KEY", "FLOWER_LLM_API_KEY"} == SECRETS


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_each_setting_is_described(name):
    assert re.search(rf"^\| `{name}` \|.*\|.*\w.*\|$", (DOCS / "settings.md").read_text(), re.M)
    assert re.search(rf"^#? ?{name}=", (BASE_DIR / ".env.example").read_text(), re.M)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_each_secret_can_be_seen_to_come_by_file(name):
    assert f"{name}_FILE" in (BASE_DIR / ".env.example").read_text()
    assert f"`{name}`" in (DOCS / "settings.md").read_text().split("## The machine")[0]


def test_no_setting_is_described_that_is_not_there():
    described = re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "settings.md").read_text(), re.M)
    assert set(described) == VARIABLES


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):.*## ", (BASE_DIR / "Makefile").read_text(), re.M))


def test_the_make_targets_of_the_contract_are_there():
    assert {"up", "test", "test-services", "e2e", "bench", "lint", "demo", "lock", "clean"} <= targets()


@pytest.mark.parametrize(
    "document", sorted(DOCS.rglob("*.md")) + sorted(BASE_DIR.glob("*.md")), ids=lambda path: path.name
)
def test_documents_name_only_targets_and_commands_that_exist(document):
    text = document.read_text()
    named = set(re.findall(r"`make ([a-z][a-z0-9-]*)", text))
    assert named <= targets()
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= commands()


def commands() -> set[str]:
    from django.core.management import get_commands

    return set(get_commands())


def own_commands() -> list[str]:
    rooms = ("core", "flower", "briefs", "transcripts", "daemons", "worktrees", "dispatch", "recall")
    found = (path for room in rooms for path in (BASE_DIR / room / "management" / "commands").glob("[a-z]*.py"))
    return sorted(path.stem for path in found)


@pytest.mark.parametrize("name", own_commands())
def test_each_command_is_described(name):
    assert f"`{name}" in (DOCS / "operations.md").read_text()


@pytest.mark.parametrize("path", sorted(BASE_DIR.glob("requirements*.lock")), ids=lambda path: path.name)
def test_locks_name_no_host_and_no_path(path: Path):
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-|file:|/)(?!-hash)", text, re.M) or all(
        line.strip().startswith("--hash=sha256:") for line in text.splitlines() if line.strip().startswith("-")
    )
    pins = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert pins
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ ]+ ", pin) for pin in pins), "every line pins one version"


def test_the_locks_agree():
    """What runs is what is tested: the larger locks hold the runtime's pins unchanged."""
    runtime, dev, mysql = (
        {line.split("==")[0]: line for line in (BASE_DIR / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.lock", "requirements-dev.lock", "requirements-mysql.lock")
    )
    assert runtime.items() <= dev.items()
    assert runtime.items() <= mysql.items()
