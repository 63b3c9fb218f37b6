"""Branches and worktrees: making, filling, looking at and removing them.

Registering a worktree is quick (`--no-checkout`, 10 ms) and happens under the repository lock, because git itself loses
races there (14 of 64 plain adds failed, 8 at a time). Filling it with files takes seconds to minutes and happens
outside that lock, two at a time on a host: more only makes a disk-bound machine slower.

What is ours is marked: the reflog of a branch and the lock reason of a worktree say "flower <owner>". Only what carries
our mark is continued after a crash; everything else is refused, never cleaned.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import locks
from .base import Base, _same
from .command import SLOW, readable
from .errors import GitError, RefMoved, named
from .stale import remove_stale_lock

FILLS_AT_ONCE = 2
SCRATCH = "flower scratch"
_MARK = "flower "
_PATHS_AT_ONCE = 500  # of a command line

_IN_PROGRESS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True, slots=True)
class WorktreeEntry:
    """One line of git's own register of worktrees. `head` is None before the first commit; `branch` when detached.

    `lock_reason` is None when it is not locked; `prunable` says why git thinks that it is gone.
    """

    path: Path
    head: str | None
    branch: str | None
    is_main: bool
    lock_reason: str | None = None
    prunable: str | None = None

    @property
    def locked(self) -> bool:
        return self.lock_reason is not None


@dataclass(frozen=True, slots=True)
class WorktreeStatus:
    """What is uncommitted in one checkout. `in_progress`: "merge", "rebase", "cherry-pick", "revert", "bisect"."""

    head: str | None
    branch: str | None
    in_progress: str | None
    staged: list[str] = field(default_factory=list)
    unstaged: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    unmerged: list[str] = field(default_factory=list)
    submodules: list[str] = field(default_factory=list)  # with changes of their own that are not committed in them

    @property
    def detached(self) -> bool:
        return self.branch is None

    @property
    def changed(self) -> list[str]:
        """All that is not as committed: the most urgent first, no name twice."""
        return list(dict.fromkeys([*self.unmerged, *self.staged, *self.unstaged, *self.untracked]))

    @property
    def inner(self) -> list[str]:
        """Untracked repositories of their own, as paths: git shows each as one folder, whatever it holds."""
        return [name.rstrip("/") for name in self.untracked if name.endswith("/")]

    @property
    def clean(self) -> bool:
        """Nothing uncommitted and nothing untracked (ignored files do not count)."""
        return not (self.staged or self.unstaged or self.untracked or self.unmerged)


class Worktrees(Base):
    """Branches and worktrees of one repository."""

    # -- looking ---------------------------------------------------------------------------------------------------

    def worktrees(self) -> list[WorktreeEntry]:
        """git's register of worktrees; the first is the main checkout."""
        return [_entry(block, at == 0) for at, block in enumerate(self._register())]

    def _register(self) -> list[list[str]]:
        # git reads a half-written commondir as an error while somebody adds a worktree: that is over in a moment.
        for _ in range(5):
            try:
                fields = self._git("worktree", "list", "--porcelain", "-z").fields
                break
            except GitError as error:
                if "commondir" not in error.stderr:
                    raise
        else:
            fields = self._git("worktree", "list", "--porcelain", "-z").fields
        blocks: list[list[str]] = [[]]
        for value in fields:
            if value:
                blocks[-1].append(value)
            else:
                blocks.append([])
        return [block for block in blocks if block]

    def _registered(self, path: Path) -> WorktreeEntry | None:
        return next((entry for entry in self.worktrees() if _same(entry.path, path)), None)

    def status(self, worktree_path: Path) -> WorktreeStatus:
        """What is uncommitted in a checkout of this repository (the main one too). Reads only."""
        git_dir = self._git_dir_of(worktree_path)
        wanted = ("status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--no-renames")
        values = iter(self._git(*wanted, "--ignore-submodules=none", cwd=worktree_path, timeout=SLOW).fields)
        head = branch = None
        found = WorktreeStatus(None, None, None)
        for value in values:
            mark, _, rest = value.partition(" ")
            if mark == "#":
                name, _, what = rest.partition(" ")
                if name == "branch.oid" and what != "(initial)":
                    head = what
                elif name == "branch.head" and what != "(detached)":
                    branch = what
            elif mark == "?":
                found.untracked.append(readable(rest))
            elif mark == "u":
                found.unmerged.append(readable(rest.split(" ", 9)[9]))
            elif mark == "1":
                path = readable(rest.split(" ", 7)[7])
                if rest[0] != ".":
                    found.staged.append(path)
                if rest[1] != ".":
                    found.unstaged.append(path)
                if rest[3] == "S" and {"M", "U"} & set(rest[5:7]):
                    found.submodules.append(path)
        return WorktreeStatus(
            head=head,
            branch=branch,
            in_progress=_in_progress(git_dir),
            staged=found.staged,
            unstaged=found.unstaged,
            untracked=found.untracked,
            unmerged=found.unmerged,
            submodules=found.submodules,
        )

    def ignored(self, worktree_path: Path, limit_bytes: int = 4_000_000) -> list[str]:
        """The ignored files of a checkout, a folder that is ignored whole as one name ("node_modules/")."""
        wanted = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return self._git(*wanted, cwd=worktree_path, timeout=SLOW, limit=limit_bytes, cut=True).fields

    def ignored_among(self, worktree_path: Path, paths: Sequence[str]) -> list[str]:
        """Which of these files of a checkout git ignores; what is tracked is not."""
        wanted, found = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--"), []
        for at in range(0, len(paths), _PATHS_AT_ONCE):
            found += self._git(*wanted, *paths[at : at + _PATHS_AT_ONCE], cwd=worktree_path, timeout=SLOW).fields
        return found

    # -- branches --------------------------------------------------------------------------------------------------

    def create_branch(self, branch: str, base_sha: str, owner: str) -> None:
        """Make `branch` at the commit `base_sha`, marked as `owner`'s. Needs the lock.

        One that is there already is refused, unless it is this owner's own and still where it began: then an
        earlier try was interrupted, and there is nothing left to do.
        """
        self._require_lock()
        ref, mark = self._branch_ref(branch), _MARK + self._line(owner, "the owner")
        base = self._object_id(base_sha)
        nowhere = "0" * len(base)
        try:
            self._git("update-ref", "--create-reflog", "-m", mark, ref, base, nowhere)
        except GitError as error:
            found = self._commit_of(ref)
            if found is None:
                raise
            if found != base or self._first_reason(ref) != mark:
                raise GitError(
                    f"the branch {branch} is there already (at {found[:12]}) and is not one that {owner} began",
                    argv=error.argv,
                    returncode=error.returncode,
                    stderr=error.stderr,
                ) from error

    def _first_reason(self, ref: str) -> str | None:
        reasons = self._git("reflog", "show", "--format=%gs", ref, "--", ok=(0, 128)).text.splitlines()
        return reasons[-1] if reasons else None

    def delete_branch(self, branch: str, expected_sha: str) -> None:
        """Delete `branch` if it is still at `expected_sha`, RefMoved otherwise; gone already is fine. Needs the lock.

        GitError while any worktree has it checked out (update-ref itself would not care).
        """
        self._require_lock()
        ref = self._branch_ref(branch)
        expected = self._object_id(expected_sha)
        if user := self._user_of(branch):
            raise GitError(f"the branch {branch} is checked out in {user}, so it cannot be deleted")
        found = self._commit_of(ref)
        if found is None:
            return
        try:
            self._git("update-ref", "-d", ref, expected)
        except GitError as error:
            if (found := self._commit_of(ref)) != expected:
                raise RefMoved(ref, expected, found) from error
            raise
        # An upstream that somebody set would come back with the next branch of this name. 128: there was none.
        self._git("config", "--local", "--remove-section", f"branch.{branch}", ok=(0, 128))

    def _user_of(self, branch: str, *, but_main: bool = False) -> Path | None:
        """The worktree that has `branch` checked out, also one that is rebasing or bisecting it."""
        for entry in self.worktrees():
            if but_main and entry.is_main:
                continue
            if entry.branch == branch or branch in self._suspended(entry):
                return entry.path
        return None

    def _suspended(self, entry: WorktreeEntry) -> list[str]:
        """Branches that a detached worktree will come back to."""
        if entry.branch is not None or entry.prunable is not None:
            return []
        try:
            git_dir = self._git_dir_of(entry.path)
        except GitError:
            return []
        files = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
        named_there = (_read(git_dir / name) for name in files)
        return [name.removeprefix("refs/heads/") for name in named_there if name]

    def _busy_on(self, branch: str) -> str | None:
        """What somebody is in the middle of on `branch` in the main checkout ("rebase", "merge", …); or None."""
        main = self.worktrees()[0]
        if branch != main.branch and branch not in self._suspended(main):
            return None
        return _in_progress(self._git_dir_of(main.path))

    def in_progress(self) -> str | None:
        """What somebody is in the middle of in the main checkout, on any branch ("rebase", "merge", …); or None."""
        return _in_progress(self._git_dir_of(self.path))

    # -- worktrees -------------------------------------------------------------------------------------------------

    def add_worktree(self, path: Path, branch: str, owner: str) -> None:
        """Register an empty worktree at the absolute `path` on the existing `branch`. Needs the lock; then fill it.

        It is locked with the reason "flower <owner>", so that prune and people leave it alone. A path that is there
        already is refused with nothing changed, unless it is this owner's own half-made worktree of this branch:
        that is accepted, and made whole if the crash came very early.
        """
        self._require_lock()
        ref, reason = self._branch_ref(branch), _MARK + self._line(owner, "the owner")
        if not self._commit_of(ref):
            raise GitError(f"there is no branch named '{branch}' in {self.path}")
        if not self._begun(path, reason, branch):
            guess_nothing = ("--no-checkout", "--no-guess-remote", "--lock", "--reason", reason)
            self._git("worktree", "add", *guess_nothing, "--", str(path), branch)

    def add_scratch(self, path: Path, sha: str) -> None:
        """Register an empty worktree of ours at `path`, detached at `sha`, for gates. Needs the lock; then fill it."""
        self._require_lock()
        commit = self._object_id(sha)
        if not self._begun(path, SCRATCH, None, commit):
            self._git(
                "worktree", "add", "--no-checkout", "--detach", "--lock", "--reason", SCRATCH, "--", str(path), commit
            )

    def _begun(self, path: Path, reason: str, branch: str | None, sha: str | None = None) -> bool:
        """Whether our own half-made worktree stands at `path`. GitError when something else does."""
        if not path.is_absolute():
            raise GitError(f"the path of a worktree must be absolute, not '{path}'")
        entry = self._registered(path)
        if entry is None:
            # git makes the folder before it registers it, so an empty one may be our own first instant.
            if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
                raise GitError(f"{path} is there already and is not a worktree that flower began: nothing was changed")
            return False
        if entry.lock_reason != reason:
            what = entry.branch or "a detached commit"
            raise GitError(f"{path} is already a worktree (of {what}): nothing was changed")
        if (path / ".git").is_file() and entry.branch == branch and (sha is None or entry.head == sha):
            return True
        if path.is_dir() and any(child.name != ".git" for child in path.iterdir()):
            raise GitError(f"{path} is a worktree of {entry.branch or 'a detached commit'}, not of {branch or sha}")
        # Killed inside `worktree add`: ours by its reason, and no file was written there.
        self._forget(entry)
        return False

    def _forget(self, entry: WorktreeEntry) -> None:
        """Take a worktree without any file out of git's register, and its empty folder away."""
        (entry.path / ".git").unlink(missing_ok=True)
        if entry.path.is_dir():
            entry.path.rmdir()
        self._git("worktree", "remove", "-f", "-f", "--", str(entry.path))

    def fill_worktree(
        self, path: Path, sha: str, *, workers: int = 0, patience: float | None = None, timeout: float = SLOW
    ) -> None:
        """Check the files of commit `sha` out into the registered, empty worktree at `path`. Without the lock.

        Waits up to `patience` seconds for one of the host's slots (None: `timeout`), then LockBusy; runs up to
        `timeout` seconds with `workers` parallel writers (0: one per core). May be repeated after any crash. GitError
        when the worktree is not at `sha`, or has local changes: a filled worktree is never filled again over
        somebody's work.
        """
        git_dir = self._git_dir_of(path)
        if _same(git_dir, self.common_dir):
            raise GitError(f"{path} is the main checkout: it is refreshed, not filled")
        wanted = self._object_id(sha)
        patience = timeout if patience is None else patience
        with self._filling(git_dir, path, patience) as own, self._fill_slot(patience) as slot:
            head = self._commit_of("HEAD", cwd=path)
            if head != wanted:
                raise GitError(f"{path} is at {head and head[:12]}, not at {wanted[:12]}: it was not filled")
            # Holding `own` says that no fill of ours runs, not even as an orphan; no agent is in it yet.
            remove_stale_lock(git_dir / "index.lock", path, anybody=True)
            # git writes the index last. Without one, every file there is left over from a killed fill.
            if not (git_dir / "index").exists():
                self._git(
                    *("read-tree", "--reset", "-u", wanted),
                    cwd=path,
                    fds=(own, slot),
                    config=(f"checkout.workers={workers}",),
                    timeout=timeout,
                )
            found = self.status(path)
            if found.head != wanted or not found.clean:
                different = found.unmerged + found.staged + found.unstaged + found.untracked
                raise GitError(f"{path} does not hold exactly {wanted[:12]}: {named(different)}")

    @contextmanager
    def _filling(self, git_dir: Path, path: Path, timeout: float) -> Iterator[int]:
        with locks.held(git_dir / "flower-fill.lock", timeout, f"{path} is being filled by somebody else") as fd:
            yield fd

    @contextmanager
    def _fill_slot(self, timeout: float) -> Iterator[int]:
        folder = self.lock_folder or locks.private_folder()
        folder.mkdir(parents=True, exist_ok=True)
        slots = [folder / f"fill-{number}.lock" for number in range(FILLS_AT_ONCE)]
        busy = f"this host has been filling {FILLS_AT_ONCE} other worktrees for {timeout:g} seconds"
        with locks.one_of(slots, timeout, busy) as fd:
            yield fd

    def check_owner(self, path: Path, owner: str) -> None:
        """GitError when the folder at `path` is not the worktree any more that was made there for `owner`.

        Agents may do with their folder what they like: one that is a link now, or whose `.git` names another worktree,
        would lead us into somebody else's work. No folder at all is fine.
        """
        self._not_a_link(path)
        entry = self._registered(path)
        if entry is None or not (path / ".git").exists():
            return
        git_dir = self._git_dir_of(path)
        back = _read(git_dir / "gitdir")
        if back is None or not _same(git_dir / back, path / ".git"):
            raise GitError(
                f"{path} uses the register entry {git_dir.name}, which is another worktree's: it was left alone"
            )
        reason = entry.lock_reason or ""
        if reason.startswith(_MARK) and reason != _MARK + owner:
            raise GitError(f"{path} is the worktree of {reason.removeprefix(_MARK)}, not of {owner}: it was left alone")

    def _not_a_link(self, path: Path) -> None:
        if path.is_symlink():
            raise GitError(f"{path} is a link to another folder, not a worktree: it was left alone")

    def remove_worktree(self, path: Path) -> None:
        """Remove a linked worktree that holds nothing unsaved. Needs the lock. Gone already is fine.

        GitError, with nothing changed, when it has uncommitted or untracked files (git's own refusal), when somebody
        other than flower locked it, or while it is being filled. A missing folder is only taken out of the register.
        Ignored files go with it; so does what only `capture` would keep.
        """
        self._require_lock()
        self._not_a_link(path)
        entry = self._registered(path)
        if entry is None:
            if os.path.lexists(path):
                raise GitError(f"{path} is not a worktree of {self.path}: it was left alone")
            return
        if entry.is_main:
            raise GitError(f"{path} is the main checkout: it is never removed")
        ours = entry.lock_reason is not None and entry.lock_reason.startswith(_MARK)
        if entry.locked and not ours:
            raise GitError(f"{path} was locked by somebody: {entry.lock_reason or 'no reason given'}")
        if not (path / ".git").exists():
            if path.is_dir() and any(path.iterdir()):
                raise GitError(f"{path} has lost its .git file but holds files: look at them, then remove the folder")
            if path.is_dir():
                path.rmdir()
            if ours:
                self._git("worktree", "unlock", "--", str(entry.path))
            self._git("worktree", "remove", "--", str(entry.path))
            return
        with self._filling(self._git_dir_of(path), path, 0):
            found = self.status(path)
            if not found.clean:
                different = found.unmerged + found.staged + found.unstaged + found.untracked
                raise GitError(f"{path} has unsaved work, so it was not removed: {named(different)}")
            if ours:
                self._git("worktree", "unlock", "--", str(entry.path))
            try:
                # Without --force git looks once more itself, and refuses what we may have missed. With submodules it
                # never removes without: then what we looked at a moment ago has to do.
                forced = ("--force",) if self._has_submodules(path) else ()
                self._git("worktree", "remove", *forced, "--", str(entry.path), timeout=SLOW)
            except GitError:
                if ours and self._registered(path):
                    self._git("worktree", "lock", "--reason", str(entry.lock_reason), "--", str(entry.path))
                raise

    def _has_submodules(self, path: Path) -> bool:
        if (self._git_dir_of(path) / "modules").is_dir():
            return True
        return any(line.startswith("160000 ") for line in self._git("ls-files", "-s", "-z", cwd=path).fields)

    def discard_changes(self, worktree_path: Path) -> None:
        """Throw away what is uncommitted or untracked in a linked worktree. Needs the lock. Only after `capture`."""
        self._require_lock()
        self._not_a_link(worktree_path)
        entry = self._registered(worktree_path)
        if entry is None or entry.is_main:
            raise GitError(f"{worktree_path} is not a linked worktree of {self.path}: it was left alone")
        self._git("reset", "--quiet", "--hard", cwd=worktree_path, timeout=SLOW)
        self._git("clean", "-ffdq", cwd=worktree_path, timeout=SLOW)

    def remove_scratch(self, path: Path) -> None:
        """Remove a worktree of `add_scratch` with whatever the gates left in it. Needs the lock. Gone is fine.

        GitError when something cannot be deleted (a gate that runs containers leaves files of other users); the rest is
        gone then, and the register still says whose it is.
        """
        self._require_lock()
        entry = self._registered(path)
        if entry is None:
            if os.path.lexists(path):
                raise GitError(f"{path} is not a scratch worktree of {self.path}: it was left alone")
            return
        if entry.lock_reason != SCRATCH:
            raise GitError(f"{path} is not a scratch worktree of flower: it was left alone")
        # First the files: if we are killed in between, the register still says whose they are.
        if path.is_dir() and not path.is_symlink():
            _empty(path)
        self._git("worktree", "remove", "-f", "-f", "--", str(entry.path), timeout=SLOW)


def _in_progress(git_dir: Path) -> str | None:
    return next((word for name, word in _IN_PROGRESS.items() if (git_dir / name).exists()), None)


def _empty(folder: Path) -> None:
    """Delete everything in `folder` but its `.git`: as much as possible, then GitError that names what is left."""
    left: list[str] = []
    try:
        _make_removable(folder)
        for child in folder.iterdir():
            if child.name == ".git":
                continue
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, ignore_errors=True)
            else:
                with suppress(OSError):
                    child.unlink()
            if os.path.lexists(child):
                left.append(readable(child.name))
    except OSError as error:
        raise GitError(f"{folder} cannot be emptied: {error.strerror or error}") from error
    if left:
        raise GitError(f"{folder} still holds what flower may not delete: {named(left)}; remove it by hand")


def _make_removable(folder: Path) -> None:
    """Gates leave read-only folders behind (module caches): only the owner's own bits are added back."""
    for name, folders, _ in os.walk(folder):
        for child in folders:
            inner = Path(name, child)
            if not inner.is_symlink():
                with suppress(OSError):  # another user's: what can go goes all the same
                    inner.chmod(inner.stat().st_mode | 0o700)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="surrogateescape").strip() or None
    except OSError:
        return None


def _entry(block: list[str], is_main: bool) -> WorktreeEntry:
    values = dict(line.partition(" ")[::2] for line in block)
    head = values.get("HEAD")
    branch = values.get("branch")
    return WorktreeEntry(
        path=Path(values["worktree"]),
        head=None if head is None or not head.strip("0") else head,
        branch=branch.removeprefix("refs/heads/") if branch else None,
        is_main=is_main,
        lock_reason=values.get("locked"),
        prunable=values.get("prunable"),
    )
