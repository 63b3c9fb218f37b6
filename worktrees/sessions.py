"""Whose session is it, as far as worktrees tell: the brief that the checkout was made for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

from transcripts import owners
from transcripts.events import Facts
from transcripts.owners import Owner
from worktrees.models import Worktree


@owners.teller
def by_worktree(facts: Facts, path: Path, when: datetime | None) -> Owner | None:
    """Always probable: people may work in a worktree, too. Paths are used once, so the time tells nothing more."""
    if not facts.cwd:
        return None
    folders = [facts.cwd, *map(str, PurePosixPath(facts.cwd).parents)]
    found = max(Worktree.objects.filter(path__in=folders), key=lambda worktree: len(worktree.path), default=None)
    return Owner(project=found.project_id, brief=found.brief_id, worktree=found.pk) if found else None
