"""What the work of a request changes: asked of git once, when its agent says that it is finished, and kept with it.

So the brief's page and the tools tell of it without asking git. The page of the dispatch shows the diff itself, from
the same base.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from worktrees import compared, git

MOST_FILES: Final = 200  # named one by one; the numbers count them all
LONGEST_PATH: Final = 400  # characters


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file. ``status`` is git's letter (A, C, D, M, R, T); the lines are None for a binary file."""

    path: str
    status: str
    added: int | None
    deleted: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """The files that differ between ``base`` and ``head`` (commit ids), and how many files and lines in all."""

    base: str
    head: str
    total: int = 0
    added: int = 0
    deleted: int = 0
    files: list[FileChange] = field(default_factory=list)

    @property
    def unnamed(self) -> int:
        """How many files are counted and not named."""
        return self.total - len(self.files)

    def as_value(self) -> dict[str, Any]:
        return asdict(self)


def read(value: dict[str, Any] | None) -> Changes | None:
    """What a row holds; None for one from before this was kept."""
    if not value:
        return None
    files = [FileChange(**entry) for entry in value["files"]]
    return Changes(value["base"], value["head"], value["total"], value["added"], value["deleted"], files)


def summarize(repository: git.Repository, base: str, head: str, main_branch: str) -> Changes:
    """Count what ``head`` brings, compared as ``worktrees.compared`` says. Raises GitError."""
    left_at = compared.left_at(repository, base, head, main_branch)
    changed = repository.changed_files(left_at, head)
    named = [
        FileChange(file.path[:LONGEST_PATH], file.status, file.additions, file.deletions)
        for file in changed[:MOST_FILES]
    ]
    added = sum(file.additions or 0 for file in changed)
    deleted = sum(file.deletions or 0 for file in changed)
    return Changes(left_at, head, len(changed), added, deleted, named)
