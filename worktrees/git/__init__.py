"""git, for flower: one class per repository, one error family, no models.

Reading needs nothing. Moving refs, registering worktrees and writing the main checkout needs the repository's lock:

    repository = Repository("/srv/project")
    with repository.lock():
        repository.create_branch("brief-12", base, owner="worktree 7")
        repository.add_worktree(path, "brief-12", owner="worktree 7")
        repository.install_hook(path, "Brief: #12")
    repository.fill_worktree(path, base)

By noun: history (reading), worktree, private (settings of one worktree), submodules, capture, inner
(repositories inside a worktree), merge, refresh (the main checkout);
below them base, command (how git is run, and why not through GitPython), locks, stale, errors.
"""

from __future__ import annotations

from contextlib import suppress

from . import stale
from .command import readable
from .errors import Conflict, FilterNotAllowed, GitError, InTheWay, LockBusy, RefMoved
from .history import ChangedFile, Commit
from .inner import Inner, InnerCapture, InnerRepository
from .merge import MergeResult, Merging
from .refresh import Refresh, Refreshing
from .submodules import SubmoduleFailed
from .worktree import WorktreeEntry, WorktreeStatus


class Repository(Refreshing, Merging, Inner):
    """One repository by its main checkout's path: everything that flower does with git."""

    def refresh(self, branch: str, old: str, new: str, *, resuming: bool = False) -> Refresh:
        done = super().refresh(branch, old, new, resuming=resuming)
        if done != Refresh.NOT_CHECKED_OUT:
            # MAIN's files are right by now. A submodule that cannot be brought along shows as changed, no more.
            with suppress(GitError):
                self.bring_submodules_along(old, new)
        return done


__all__ = [
    "ChangedFile",
    "Commit",
    "Conflict",
    "FilterNotAllowed",
    "GitError",
    "InTheWay",
    "InnerCapture",
    "InnerRepository",
    "LockBusy",
    "MergeResult",
    "RefMoved",
    "Refresh",
    "Repository",
    "SubmoduleFailed",
    "WorktreeEntry",
    "WorktreeStatus",
    "readable",
    "stale",
]
