"""What every part of `Repository` stands on: its path, its lock, running git, and checking what is handed in."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from core.refnames import why_no_branch

from . import command, locks, programs
from .command import OUTPUT_LIMIT, QUICK, Output
from .errors import GitError

LOCK_FILE = "flower.lock"
_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Base:
    """One repository, named by the path of its main checkout. Making one runs nothing and checks nothing.

    `lock_folder` holds the host-wide limits (two fills at once); by default a private folder under the
    temporary directory. All processes of one host must use the same. `allowed` are the commands of filters and merge
    drivers that may run here, by configuration key (programs.py). `time_limit` (seconds) bounds each git command
    further than it is anyway: for pages, which read only.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        lock_folder: Path | None = None,
        allowed: Mapping[str, str] | None = None,
        time_limit: float = math.inf,
    ) -> None:
        self.path = Path(path).absolute()
        self.lock_folder = lock_folder
        self.allowed = dict(allowed or {})
        self.time_limit = time_limit
        self._locked = threading.local()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @cached_property
    def common_dir(self) -> Path:
        """The folder that all worktrees share: usually `.git` of the main checkout."""
        return Path(self._git("rev-parse", "--path-format=absolute", "--git-common-dir").text)

    @contextmanager
    def lock(self, timeout: float = 30.0) -> Iterator[None]:
        """Hold the repository on this host, against every thread and process; may be nested in one thread.

        Waits up to `timeout` seconds, then LockBusy. Everything that moves refs, registers worktrees or writes the
        main checkout asks for it. git children inherit it: after a kill -9 of this process the lock is free only
        once the orphaned git has ended, so a successor never runs beside it.
        """
        if self._lock_fds():
            yield
            return
        busy = f"{self.path} is busy: another flower process has been working on it for {timeout:g} seconds"
        with locks.held(self.common_dir / LOCK_FILE, timeout, busy) as descriptor:
            self._locked.by = (os.getpid(), descriptor)
            try:
                yield
            finally:
                self._locked.by = None

    def _lock_fds(self) -> tuple[int, ...]:
        # Per thread: a lock taken by one thread does not allow another to write. The pid is there because a
        # forked child copies this object, but its copy of the descriptor is closed (locks.py).
        by: tuple[int, int] | None = getattr(self._locked, "by", None)
        return (by[1],) if by and by[0] == os.getpid() else ()

    def _require_lock(self) -> None:
        if not self._lock_fds():
            raise RuntimeError("this writes to the repository: wrap it in `with repository.lock():`")

    def _git(
        self,
        *arguments: str,
        cwd: Path | None = None,
        fds: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
        stdin: bytes = b"",
        timeout: float = QUICK,
        ok: Collection[int] = (0,),
        limit: int = OUTPUT_LIMIT,
        cut: bool = False,
    ) -> Output:
        return command.run(
            arguments,
            cwd=cwd or self.path,
            fds=(*fds, *self._lock_fds()),
            env=env,
            config=config,
            stdin=stdin,
            timeout=min(timeout, self.time_limit),
            ok=ok,
            limit=limit,
            cut=cut,
            allowed=self.allowed,
        )

    def configured_programs(self) -> dict[str, str]:
        """The commands of filters and merge drivers that the configuration names, by key ("filter.x.clean")."""
        return programs.found(self.path, lambda cwd, arguments: self._git(*arguments, cwd=cwd).stdout)

    def resolve(self, ref: str) -> str:
        """The full commit id of a branch, tag, commit or expression such as `main~2`.

        A branch wins over a tag of the same name (git would take the tag). A name that begins with ``refs/`` is a whole
        one and is taken as it stands. GitError when there is none.
        """
        # A full id is what it says, even when somebody named a branch like it.
        is_whole = ref.startswith("refs/") or _FULL_ID.fullmatch(ref)
        for name in (ref,) if is_whole else (f"refs/heads/{ref}", ref):
            if found := self._commit_of(name):
                return found
        raise GitError(f"no branch, tag or commit named '{command.readable(ref)}' in {self.path}")

    def _commit_of(self, name: str, cwd: Path | None = None) -> str | None:
        if not name or name.startswith("-") or not name.isprintable():
            return None
        if name.startswith("refs/"):
            # Where there is no such ref, git would look for refs/heads/refs/heads/main and the like.
            whole = re.split(r"[~^:]|@\{", name, maxsplit=1)[0]
            exact = self._git("show-ref", "--verify", "--hash", "--", whole, cwd=cwd, ok=(0, 1, 128))
            if exact.returncode:
                return None
            if name == whole and name.startswith("refs/heads/"):
                return exact.text  # a branch holds a commit and nothing else
            name = exact.text + name.removeprefix(whole)
        wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        output = self._git(*wanted, cwd=cwd, ok=(0, 1, 128))
        return output.text if output.returncode == 0 else None

    def _branch_ref(self, branch: str) -> str:
        """The full name of a local branch; GitError when git would not allow it as a branch name."""
        if why := why_no_branch(branch):
            raise GitError(f"'{command.readable(branch)}' is no name for a branch: {why}")
        return f"refs/heads/{branch}"

    def _full_ref(self, ref: str) -> str:
        """`ref` itself when it is a whole, well-formed ref name ("refs/…"); GitError otherwise."""
        well_formed = ref.startswith("refs/") and "\0" not in ref
        if not well_formed or self._git("check-ref-format", ref, ok=(0, 1)).returncode:
            raise GitError(f"'{command.readable(ref)}' is not a full ref name such as refs/heads/main")
        return ref

    def _object_id(self, value: str) -> str:
        if not _FULL_ID.fullmatch(value):
            raise GitError(f"'{command.readable(value)}' is not a full object id (40 or 64 hex digits)")
        return value

    def _line(self, value: str, what: str) -> str:
        """`value` if it is one line of printable text, as reasons, owners and reflog messages must be."""
        if not value.strip() or not value.isprintable():
            raise GitError(f"{what} must be one line of printable text, not {value!r}")
        return value

    def _git_dir_of(self, worktree: Path) -> Path:
        """The private git folder of a checkout of this repository (main or linked).

        GitError when `worktree` is not the top of one: everything that writes files asks this first.
        """
        wanted = ("rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir")
        try:
            lines = self._git(*wanted, cwd=worktree).stdout.decode(errors="surrogateescape").splitlines()
        except GitError as error:
            raise GitError(
                f"{worktree} is not a worktree of {self.path}: {error.message}", argv=error.argv, stderr=error.stderr
            ) from error
        if len(lines) != 3 or not _same(lines[0], worktree) or not _same(lines[2], self.common_dir):
            raise GitError(f"{worktree} is not the top of a worktree of {self.path}")
        return Path(lines[1])


def _same(one: str | Path, other: str | Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
