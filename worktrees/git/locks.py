"""flock: locks that the kernel gives back, however their holder dies.

- A lock is given back by *closing* its descriptor, never by LOCK_UN: git children inherit the descriptor
  (`pass_fds`), and the lock must stay taken until the last of them has ended, also after a kill -9 of our process.
- A process that we fork without exec (a Celery pool, multiprocessing) must not keep our locks alive: its copies
  are closed right after the fork.
- Waiting is polling, because flock has no time limit of its own.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import GitError, LockBusy

_held: set[int] = set()


def _forget_after_fork() -> None:
    for descriptor in list(_held):
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


@contextmanager
def held(path: Path, timeout: float, busy: str) -> Iterator[int]:
    """Hold the lock file `path`; gives its descriptor. Waits up to `timeout` seconds, then LockBusy(`busy`)."""
    with one_of([path], timeout, busy) as descriptor:
        yield descriptor


@contextmanager
def one_of(paths: Sequence[Path], timeout: float, busy: str) -> Iterator[int]:
    """Hold whichever of the lock files `paths` comes free first: a counting limit when there are several."""
    descriptor = _acquire(paths, timeout, busy)
    try:
        yield descriptor
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _acquire(paths: Sequence[Path], timeout: float, busy: str) -> int:
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        for path in paths:
            descriptor = _try(path)
            if descriptor is not None:
                return descriptor
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockBusy(busy)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.1)


def _try(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise GitError(f"the lock file {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The folder may have been removed and made again while we opened: then this lock guards nothing.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            _held.add(descriptor)
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def private_folder() -> Path:
    """A folder of this user's own for host-wide locks. GitError when somebody else made it first."""
    folder = Path(tempfile.gettempdir()) / f"flower-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise GitError(f"{folder} belongs to somebody else, so flower cannot keep its locks there")
    return folder
