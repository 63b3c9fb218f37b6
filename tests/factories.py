"""What tests are made of: real repositories, projects, actors, briefs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from briefs import lifecycle
from briefs.identity import Identity
from briefs.models import Actor, Brief, Project, Token
from briefs.services import actors, briefs, projects

GIT_ENV = {
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_OPTIONAL_LOCKS": "0",  # a status of ours must not take index.lock from an agent that commits
}


def git(path: Path, *arguments: str) -> str:
    import os

    done = subprocess.run(
        ["git", *arguments], cwd=path, env={**os.environ, **GIT_ENV}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(path: Path, files: dict[str, str] | None = None) -> Path:
    """A repository with one commit on ``main``."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "-b", "main")
    for name, text in (files or {"README.md": "# Sample\n", "src/app.py": "print('hello')\n"}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "Begin")
    return path


def make_project(path: Path, **options: object) -> Project:
    return projects.add(str(make_repository(path)), **options)  # type: ignore[arg-type]


def operator(name: str = "mike") -> Actor:
    return actors.named(f"operator:{name}", Actor.Kind.OPERATOR)


def agent(name: str = "flower-agent") -> Actor:
    return actors.named(name, Actor.Kind.AGENT)


def make_brief(title: str = "Write the notes", project: Project | None = None, **options: object) -> Brief:
    return briefs.capture(title, actor=operator(), project=project, **options)  # type: ignore[arg-type]


def complete_brief(brief: Brief) -> Brief:
    """The brief as one whose work was merged."""
    for status in ("dispatched", "in_progress", "complete"):
        lifecycle.roll_up(brief, status, actor=actors.system())
    return brief


def identity(actor: Actor, scope: str = Token.Scope.AGENT, **limits: int) -> Identity:
    return Identity(actor, scope, **limits)
