"""Imports point down only (ARCHITECTURE.md): the rule, held to every module by reading its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.env import BASE_DIR

ROOMS = {"briefs", "transcripts", "daemons", "worktrees", "dispatch", "recall"}
ROOF = "flower"
# The floor imports no room, and every room may import it.
FLOOR = {
    "flower.changes",
    "flower.environment",
    "flower.errors",
    "flower.lifecycle",
    "flower.live",
    "flower.llm",
    "flower.logs",
    "flower.markdown",
    "flower.metrics",
    "flower.prepared",
    "flower.refnames",
    "flower.rendering",
    "flower.threads",
    "flower.toolbox",
    "flower.trouble",
}

# What each room may import, besides itself and the floor. Worktrees run their setup commands in holders: hence daemons.
MAY_IMPORT = {
    "briefs": set(),
    "transcripts": {"briefs"},
    "daemons": {"briefs", "transcripts"},
    "worktrees": {"briefs", "daemons", "transcripts"},
    "dispatch": {"briefs", "transcripts", "daemons", "worktrees"},
    "recall": {"briefs", "transcripts", "daemons", "worktrees", "dispatch"},
}
# Edges touch the world and know neither Django nor a model, so that they can be tested, and used, without a database.
EDGES = ("daemons/holder.py", "daemons/terminal.py", "worktrees/git.py", "worktrees/git/", "worktrees/diffs.py")
# Doors: they call everything, and nothing but the server and the roof itself calls them.
DOORS = {"flower.mcp", "flower.asgi", "flower.urls"}

Fault = tuple[str, int, str]


def faults_of(path: str, source: str) -> list[Fault]:
    """Every import of one module that the rule forbids, as (path, line, why)."""
    return [(path, line, why) for line, name in imports_of(path, source) if (why := why_not(path, name))]


def why_not(path: str, name: str) -> str:
    room, target = path.split("/")[0], name.split(".")[0]
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    is_inner = target in {"django", "channels", "celery"} or (target in ROOMS and not is_edge(name))
    if path.startswith(EDGES) and is_inner:
        return f"an edge imports {name}"
    if module in FLOOR and (target in ROOMS or (target == ROOF and not is_floor(name))):
        return f"the floor imports {name}"
    if room in ROOMS and target in ROOMS - {room} - MAY_IMPORT[room]:
        return f"{room} imports {name}, which is above it"
    if room in ROOMS and target == ROOF and not is_floor(name):
        return f"{room} imports {name}, which is the roof"
    if room != ROOF and any(name == door or name.startswith(f"{door}.") for door in DOORS):
        return f"{name} is a door"
    return ""


def is_floor(name: str) -> bool:
    return name == ROOF or any(name == floor or name.startswith(f"{floor}.") for floor in FLOOR)


def is_edge(name: str) -> bool:
    folder = f"{name.replace('.', '/')}/"
    return folder.startswith(tuple(edge.removesuffix(".py").removesuffix("/") + "/" for edge in EDGES))


def imports_of(path: str, source: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import, also inside functions; ``from a import b`` names a.b."""
    package = path.split("/")[:-1]
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def modules() -> list[Path]:
    return sorted(
        path
        for room in [ROOF, *sorted(ROOMS)]
        for path in (BASE_DIR / room).rglob("*.py")
        if "migrations" not in path.parts
    )


def test_imports_point_down_only():
    faults = [
        f"{where}:{line}: {why}"
        for path in modules()
        for where, line, why in faults_of(str(path.relative_to(BASE_DIR)), path.read_text())
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_there_is_something_to_check():
    found = {path.relative_to(BASE_DIR).parts[0] for path in modules()}
    assert {ROOF, "briefs", "daemons", "worktrees", "dispatch"} <= found
    assert all((BASE_DIR / name.replace(".", "/")).with_suffix(".py").exists() for name in FLOOR)


@pytest.mark.parametrize(
    ("path", "source", "why"),
    [
        ("briefs/services/a.py", "from dispatch import claims", "above"),
        ("briefs/services/a.py", "def f():\n    import dispatch.models", "above"),
        ("briefs/a.py", "from flower import env", "the roof"),
        ("briefs/a.py", "from flower.settings import DEBUG", "the roof"),
        ("dispatch/a.py", "from flower.mcp import Endpoint", "the roof"),
        ("transcripts/a.py", "import daemons", "above"),
        ("daemons/models/a.py", "import worktrees.models as w", "above"),
        ("worktrees/a.py", "from dispatch.services import x", "above"),
        ("flower/errors.py", "from briefs.models import Brief", "the floor"),
        ("flower/toolbox.py", "from flower.middleware import x", "the floor"),
        ("flower/live.py", "from . import env", "the floor"),
        ("daemons/holder.py", "import django", "an edge"),
        ("daemons/terminal.py", "from daemons.models import Process", "an edge"),
        ("worktrees/git/merge.py", "from ..models import Worktree", "an edge"),
        ("worktrees/diffs.py", "from django.utils.html import escape", "an edge"),
        ("demo/a.py", "from flower.asgi import application", "a door"),
    ],
)
def test_the_rule_can_fail(path, source, why):
    assert [why in fault[2] for fault in faults_of(path, source)] == [True]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("briefs/a.py", "from flower.errors import Refusal\nfrom flower import live\nimport json, django"),
        (
            "dispatch/a.py",
            "from worktrees.git import Repository\nfrom briefs.models import Brief\nfrom . import models",
        ),
        ("worktrees/services.py", "from daemons.services import processes"),
        ("worktrees/git/merge.py", "from worktrees.git.plumbing import x\nfrom .other import y\nimport subprocess"),
        ("worktrees/git.py", "from worktrees.diffs import parse\nfrom flower.errors import Refusal"),
        ("flower/asgi.py", "from flower.mcp import Endpoint\nfrom briefs.models import Brief"),
        ("flower/errors.py", "from flower.lifecycle import x"),
        ("recall/a.py", "from dispatch.models import DispatchRequest"),
    ],
)
def test_the_rule_lets_the_rest_be(path, source):
    assert faults_of(path, source) == []
