"""Ignored files go with their worktree: they are counted and named before, and those of a project's paths are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from core.errors import Conflict
from worktrees import git
from worktrees.models import Worktree

NAMED: Final = 12  # files and folders that a page or the trace names
COUNTED: Final = 10_000  # files that are counted
MOST_KEPT: Final = 10_000  # files
MOST_BYTES: Final = 1 << 30  # of what is kept of one worktree
OURS: Final = ".flower/"  # the packet


@dataclass(frozen=True)
class Ignored:
    """The ignored files of a worktree: their topmost names (a folder that is ignored whole is one), and how many.

    ``is_all`` is false when there are more than are counted.
    """

    names: tuple[str, ...] = ()
    files: int = 0
    size: int = 0
    is_all: bool = True

    @property
    def more(self) -> int:
        """How many names are not shown."""
        return max(0, len(self.names) - NAMED)

    @property
    def shown(self) -> tuple[str, ...]:
        """The names that are shown, as pages take them."""
        return tuple(git.readable(name) for name in self.names[:NAMED])


@dataclass(frozen=True)
class Kept:
    """What was copied out of a worktree."""

    folder: str = ""
    files: int = 0


def look(worktree: Worktree) -> Ignored:
    """Count the ignored files of a worktree that is there. Bounded; GitError when git cannot say."""
    top = worktree.checkout
    names = git.Repository(worktree.project.path).ignored(top)
    names = [name for name in names if name != OURS]
    files = size = 0
    for name in names:
        for path in _files(top / name):
            files += 1
            if files > COUNTED:
                return Ignored(tuple(names), COUNTED, size, is_all=False)
            try:
                size += path.lstat().st_size
            except OSError:
                continue
    return Ignored(tuple(names), files, size)


def folder_of(worktree: Worktree) -> Path:
    """Where the kept files of a worktree lie: in the state folder, by its number and name."""
    return settings.FLOWER.home / "kept" / f"{worktree.pk}-{worktree.name}"


def keep(worktree: Worktree) -> Kept:
    """Copy the ignored files that match the project's paths to keep. Again: over what an earlier try has copied.

    Raises Conflict when they are too many or too large, OSError and GitError when they cannot be read or written.
    """
    files = matching(worktree)
    if not files:
        return Kept()
    size = sum((worktree.checkout / name).lstat().st_size for name in files)
    if len(files) > MOST_KEPT or size > MOST_BYTES:
        raise Conflict(
            f"The project's paths to keep match {len(files):,} files of {size >> 20:,} MB in worktree {worktree.name}; "
            f"{MOST_KEPT:,} files and {MOST_BYTES >> 20:,} MB are possible. Narrow them on the projects page."
        )
    folder = folder_of(worktree)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(worktree.checkout / name, target, follow_symlinks=False)
    return Kept(str(folder), len(files))


def matching(worktree: Worktree) -> list[str]:
    """The ignored files that the project's paths to keep match, below the worktree. A folder is all in it."""
    patterns: Sequence[str] = worktree.project.keep_paths
    if not patterns:
        return []
    top = worktree.checkout
    inside = os.path.realpath(top)
    found: dict[str, None] = {}
    for pattern in patterns:
        for hit in top.glob(pattern):
            # What an agent linked to is not below the worktree.
            if not Path(os.path.realpath(hit.parent)).is_relative_to(inside) or hit == top:
                continue
            for path in _files(hit):
                found[str(path.relative_to(top))] = None
                if len(found) > 2 * MOST_KEPT:
                    raise Conflict(f"The project's path to keep '{pattern}' matches too many files; narrow it.")
    return git.Repository(worktree.project.path).ignored_among(top, list(found)) if found else []


def _files(path: Path) -> Iterator[Path]:
    """The files and links at or below a path; no link is followed."""
    if not path.is_dir() or path.is_symlink():
        if os.path.lexists(path) and (path.is_symlink() or path.is_file()):
            yield path
        return
    for folder, folders, names in os.walk(path):
        for name in [*names, *(name for name in folders if Path(folder, name).is_symlink())]:
            child = Path(folder, name)
            if child.is_symlink() or child.is_file():
                yield child
