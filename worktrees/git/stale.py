"""index.lock files that a killed git left behind.

git never takes over such a file, so it blocks a checkout for good. Removing one under a git that lives would let two
write one index. Our own git children are excluded by locks that they inherit; this looks for everybody else's: on
Linux in /proc, and, as some programs close the file while they still own it (`git commit` while its editor is open),
by what works in that folder. Where /proc is missing, only age speaks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import GitError

# Seconds. A file this new may belong to a process that we have just missed, or that /proc does not show (another
# container on the same folder).
YOUNG = 3.0
YOUNG_WITHOUT_PROC = 600.0
PATIENCE = 3.0  # seconds: most other users of a checkout are a `git status` of an editor or of our own pages
_PROC = Path("/proc")


def remove_stale_lock(lock: Path, checkout: Path, *, anybody: bool) -> None:
    """Remove the index lock file `lock` of `checkout` if its owner is dead; GitError if somebody may be using it.

    `anybody`: every process whose working folder is in the checkout counts as a user, not only a git: right where
    nobody should be at all.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            found = lock.lstat()
        except FileNotFoundError:
            return
        has_proc = (_PROC / "self" / "stat").exists()
        if has_proc and (pid := _user(lock, checkout, anybody)):
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise GitError(f"{lock} is there and process {pid} works in {checkout}: try again when it has ended")
        missing = (YOUNG if has_proc else YOUNG_WITHOUT_PROC) - (time.time() - found.st_mtime)
        if missing <= 0:
            break
        if not has_proc or missing > 2 * YOUNG:
            raise GitError(f"{lock} is there, so a git may be running in {checkout}: try again later")
        time.sleep(missing)
    with suppress(FileNotFoundError):
        if os.path.samestat(found, lock.lstat()):
            lock.unlink()


def user_of(lock: Path, checkout: Path) -> int | None:
    """The id of a git, or of whoever has the lock file open, that may be at work in a checkout; None: it is left over.

    Where nobody can be looked for (no /proc), and in its first seconds, the file itself speaks for somebody: 0.
    """
    try:
        age = time.time() - lock.lstat().st_mtime
    except FileNotFoundError:
        return 0
    has_proc = (_PROC / "self" / "stat").exists()
    found = _user(lock, checkout, anybody=False) if has_proc else None
    return 0 if found is None and age < (YOUNG if has_proc else YOUNG_WITHOUT_PROC) else found


def _user(lock: Path, checkout: Path, anybody: bool) -> int | None:
    """The id of a process that may own `lock`."""
    top, target = checkout.resolve(), lock.resolve()
    for pid, name in _processes():
        is_git = name == "git" or name.startswith("git-")
        try:
            where = (_PROC / str(pid) / "cwd").readlink()
            if (is_git or anybody) and (where == top or top in where.parents):
                return pid
            opened = list((_PROC / str(pid) / "fd").iterdir())
        except PermissionError:
            if is_git:  # another user's git, and we may not ask where
                return pid
            continue
        except OSError:
            continue
        for descriptor in opened:
            with suppress(OSError):
                if descriptor.readlink() == target:
                    return pid
    return None


def _processes() -> Iterator[tuple[int, str]]:
    """Every living process but this one, with its short name."""
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError, ValueError):
            stat = (entry / "stat").read_text(errors="replace")
            name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :]
            if not rest.startswith(("Z", "X")):  # a zombie holds nothing any more
                yield int(entry.name), name
