"""Bringing the main checkout from OLD to NEW after its branch was moved under it.

Until that is done, it shows the merge as staged reversals. The rules, in order:

- A person's work in the main checkout is never overwritten: not edits, not staged changes, not untracked files, and not
  ignored files either (git itself would replace those without a word). Anything in the way refuses the whole refresh
  before the first byte is written.
- Edits elsewhere stay as they are: a two-way `read-tree -m -u OLD NEW` touches only what differs between the two.
- git writes the files first and renames the new index into place last. So after a kill the index says which it is:
  at NEW, everything was done; at OLD, some files may be NEW, missing, or half written. `resuming` first takes exactly
  those back to OLD, and then goes the ordinary way.
- A path that is neither OLD, nor NEW, nor the beginning of one of them, is a person's edit.
"""

from __future__ import annotations

import enum
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .capture import Capture
from .command import SLOW, readable
from .errors import GitError, InTheWay
from .history import History
from .stale import remove_stale_lock

_IN_CHECKOUT = re.compile(r"(commit|merge|pull|reset|rebase|checkout|cherry-pick|revert|am|initial|clone)\b")
_GITLINK = "160000"
_LARGEST_COMPARED = 64 * 1024 * 1024  # bytes: a half-written file beyond this is called a person's


class Refresh(enum.StrEnum):
    """What `refresh` found to do."""

    DONE = "done"
    ALREADY = "already"  # index and files are at NEW
    NOT_CHECKED_OUT = "not_checked_out"  # the main checkout is on another branch or detached


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    oid: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")


@dataclass(frozen=True, slots=True)
class _Change:
    """One path that differs between OLD and NEW; None where a side does not have it."""

    path: str
    old: _Entry | None
    new: _Entry | None

    @property
    def is_gitlink(self) -> bool:
        return _GITLINK in ((self.old.mode if self.old else ""), (self.new.mode if self.new else ""))


@dataclass(slots=True)
class _Leftovers:
    """What a killed refresh left: paths to take away, paths to write again from the index, and a person's."""

    remove: list[str] = field(default_factory=list)
    rewrite: list[str] = field(default_factory=list)
    in_the_way: list[str] = field(default_factory=list)


class Refreshing(Capture, History):
    """The main checkout after its branch has moved."""

    def refresh_would_overwrite(self, old: str, new: str) -> list[str]:
        """The files in the main checkout that stand in the way of a refresh; empty when it would go through.

        Looks only, at a copy of the index: needs no lock, and changes nothing.
        """
        old, new = self._object_id(old), self._object_id(new)
        return self._in_the_way(old, new, self._changes(old, new))

    def refresh(self, branch: str, old: str, new: str, *, resuming: bool = False) -> Refresh:
        """Bring index and files of the main checkout from `old` to `new`. Needs the lock. May be repeated.

        `old` is what the checkout was last brought to: after a refused refresh, it stays the `old` of the next one.
        Only when the main checkout is on `branch`. Raises InTheWay, with nothing changed, when a local change would be
        overwritten; after any other GitError the files are back at `old` as far as that was possible. `resuming`: an
        earlier refresh from `old` to `new` may have been killed in the middle.
        """
        self._require_lock()
        old, new = self._object_id(old), self._object_id(new)
        self._branch_ref(branch)
        if self.head_branch() != branch:
            return Refresh.NOT_CHECKED_OUT
        changes = self._changes(old, new)
        if resuming:
            # Flower's own git is excluded by the lock that it inherits: this one is dead, or somebody else's.
            remove_stale_lock(self._git_dir_of(self.path) / "index.lock", self.path, anybody=False)
        if self._index_is_at_new(old, changes):
            return Refresh.ALREADY
        if resuming:
            self._take_back(old, changes)
        if files := self._in_the_way(old, new, changes):
            raise InTheWay(files)
        self._git("update-index", "-q", "--refresh", ok=(0, 1), timeout=SLOW)
        try:
            self._git("read-tree", "-m", "-u", old, new, timeout=SLOW)
        except GitError:
            with suppress(GitError):
                self._take_back(old, changes)
            raise
        if not self._index_is_at_new(old, changes):
            raise GitError(f"the main checkout {self.path} did not arrive at {new[:12]}")
        return Refresh.DONE

    def moved_by_checkout(self, tip: str) -> bool:
        """Whether a command in the main checkout itself brought its HEAD to `tip`, and its index as it wanted it.

        commit, merge, reset and the like leave a line in HEAD's own log. A bare `update-ref` leaves an empty one or
        none, and nothing brought index and files along.
        """
        said = self._git("reflog", "show", "--max-count=1", "--format=%H %gs", "HEAD", "--", ok=(0, 128)).text
        sha, _, reason = said.partition(" ")
        return sha == tip and _IN_CHECKOUT.match(reason) is not None

    def main_is_behind(self, old: str, new: str) -> bool:
        """Whether the branch of the main checkout has moved to `new` while its index is still at `old`. Reads only."""
        old, new = self._object_id(old), self._object_id(new)
        if self.head_branch() is None or self._commit_of("HEAD") != new:
            return False
        changes = self._changes(old, new)
        index = self._index_entries(old, changes)
        at_old = any(index[change.path] == change.old for change in changes)
        return at_old and not any(index[change.path] == change.new for change in changes)

    # -- what differs ----------------------------------------------------------------------------------------------

    def _changes(self, old: str, new: str) -> list[_Change]:
        fields = iter(self._git("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new, "--").fields)
        return [_change(line, next(fields)) for line in fields]

    def _index_entries(
        self, old: str, changes: Iterable[_Change], env: Mapping[str, str] | None = None
    ) -> dict[str, _Entry | None]:
        """What the index has at each changed path. An unmerged path compares equal to nothing."""
        entries = {change.path: change.old for change in changes}
        wanted = ("diff-index", "--cached", "-z", "--raw", "--no-renames", old, "--")
        fields = iter(self._git(*wanted, env=env).fields)
        unmerged: set[str] = set()
        for line in fields:
            path = next(fields)
            if path in entries:
                entries[path] = _change(line, path).new
                if line.endswith("U"):
                    unmerged.add(path)
        return entries | {path: _Entry("unmerged", "") for path in unmerged}

    def _index_is_at_new(self, old: str, changes: list[_Change]) -> bool:
        index = self._index_entries(old, changes)
        return all(index[change.path] == change.new for change in changes)

    # -- what is in the way ----------------------------------------------------------------------------------------

    def _in_the_way(self, old: str, new: str, changes: list[_Change]) -> list[str]:
        with self._index_copy(self._git_dir_of(self.path)) as (env, existed):
            if not existed:
                raise GitError(f"the main checkout {self.path} has no index: it was never checked out")
            self._git("update-index", "-q", "--refresh", env=env, ok=(0, 1), timeout=SLOW)
            index = self._index_entries(old, changes, env)
            files = self._untracked_in_the_way(changes, index)
            dry = self._git("read-tree", "-m", "-u", "-n", old, new, env=env, ok=(0, 1, 128), timeout=SLOW)
            if dry.returncode:
                # git names only the first; everything that differs from OLD among the changed paths is meant.
                listed = self._git("diff-index", "-z", "--name-only", "--no-renames", old, "--", env=env).fields
                touched = {change.path for change in changes}
                files |= {name for name in listed if name in touched}
                files |= set(self._git("diff-files", "-z", "--name-only", "--diff-filter=U", env=env).fields)
                if not files:
                    raise GitError(
                        f"the main checkout cannot be refreshed: {dry.stderr.strip()}",
                        returncode=dry.returncode,
                        stderr=dry.stderr,
                    )
        return sorted(readable(name) for name in files)

    def _untracked_in_the_way(self, changes: list[_Change], index: Mapping[str, _Entry | None]) -> set[str]:
        """Untracked and ignored files where NEW brings a file or a folder, and whatever stands for a folder of either.

        The latter also where OLD has the path: git follows a symlink to a folder when it compares the file behind it,
        and then replaces the link.
        """
        in_old = {change.path for change in changes if change.old}
        found: set[str] = set()
        for change in changes:
            if (obstacle := self._obstacle(change.path)) is not None:
                if obstacle not in in_old:
                    found.add(obstacle)
                continue
            if change.new is None or change.old is not None or index[change.path] is not None:
                continue
            if self._is_folder(change.path):
                # OLD's folder becomes a file: what else is in it?
                inside = {name for name in self._inside(change.path) if name not in in_old}
                found |= inside
            elif os.path.lexists(self._at(change.path)):
                found.add(change.path)
        return found

    def _at(self, path: str) -> Path:
        return self.path / path

    def _is_folder(self, path: str) -> bool:
        with suppress(OSError):
            return stat.S_ISDIR(self._at(path).lstat().st_mode)
        return False

    def _obstacle(self, path: str) -> str | None:
        """The first folder of `path` that is there, but is no folder (a file or a symlink)."""
        parts = path.split("/")
        for length in range(1, len(parts)):
            above = "/".join(parts[:length])
            if not os.path.lexists(self._at(above)):
                return None
            if not self._is_folder(above):
                return above
        return None

    def _inside(self, path: str) -> list[str]:
        """Every file below a folder, as paths from the top."""
        found: list[str] = []
        for folder, folders, names in os.walk(self._at(path)):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            found += [Path(folder, name).relative_to(self.path).as_posix() for name in (*names, *links)]
        return found

    # -- after a kill ----------------------------------------------------------------------------------------------

    def _take_back(self, old: str, changes: list[_Change]) -> None:
        """Bring the files that a killed refresh has touched back to OLD; InTheWay before that if one is a person's."""
        changes = [change for change in changes if not change.is_gitlink]
        found = self._leftovers(old, changes)
        if found.in_the_way:
            raise InTheWay(sorted(readable(name) for name in set(found.in_the_way)))
        for name in found.remove:
            self._at(name).unlink(missing_ok=True)
            self._remove_empty(self._at(name).parent)
        for name in found.rewrite:
            self._remove_empty_below(self._at(name))
        if found.rewrite:
            names = b"".join(os.fsencode(name) + b"\0" for name in found.rewrite)
            self._git("checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=names, timeout=SLOW)

    def _leftovers(self, old: str, changes: list[_Change]) -> _Leftovers:
        index = self._index_entries(old, changes)
        at_old = self._worktree_equals({c.path: c.old for c in changes if c.old})
        at_new = self._worktree_equals({c.path: c.new for c in changes if c.new})
        found = _Leftovers()
        behind: list[tuple[_Change, str]] = []  # OLD's paths below something that is no folder
        folders: list[str] = []  # OLD's files where NEW has a folder
        for change in changes:
            path = change.path
            obstacle = self._obstacle(path)
            if obstacle is not None:
                if change.old:
                    behind.append((change, obstacle))
                continue
            if path in at_old:
                continue
            there = os.path.lexists(self._at(path))
            if not there and change.old is None:
                continue
            if self._is_folder(path):
                if change.old:
                    folders.append(path)
                elif not any(c.old and c.path.startswith(path + "/") for c in changes):
                    found.in_the_way.append(path)
                continue
            if index[path] != change.old or (there and path not in at_new and not self._is_half_written(change)):
                found.in_the_way.append(path)
            elif change.old:
                found.rewrite.append(path)
            else:
                found.remove.append(path)
        removed = set(found.remove)
        for change, obstacle in behind:
            if obstacle in removed and index[change.path] == change.old:
                found.rewrite.append(change.path)
            else:
                found.in_the_way.append(obstacle)
        for path in folders:
            persons = [name for name in self._inside(path) if name not in removed]
            if persons or index[path] != next(c.old for c in changes if c.path == path):
                found.in_the_way += persons or [path]
            else:
                found.rewrite.append(path)
        return found

    def _worktree_equals(self, entries: Mapping[str, _Entry | None]) -> set[str]:
        """The paths whose files are what `entries` say, as git sees it: filters, line ends, modes and symlinks.

        A throw-away index that holds nothing else makes git compare just these.
        """
        if not entries:
            return set()
        lines = b"".join(
            f"{entry.mode} {entry.oid}\t".encode() + os.fsencode(path) + b"\0"
            for path, entry in entries.items()
            if entry
        )
        with tempfile.TemporaryDirectory(prefix="flower-index-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("update-index", "-z", "--index-info", env=env, stdin=lines)
            self._git("update-index", "-q", "--refresh", env=env, ok=(0, 1), timeout=SLOW)
            different = self._git("diff-files", "-z", "--name-only", "--no-renames", env=env, timeout=SLOW).fields
        return set(entries) - set(different)

    def _is_half_written(self, change: _Change) -> bool:
        """Whether the file is the beginning of NEW's, or of OLD's (a take-back can be killed too), as written out."""
        try:
            found = self._at(change.path).lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_COMPARED:
                return False
            content = self._at(change.path).read_bytes()
        except OSError:
            return False
        sides = (entry for entry in (change.new, change.old) if entry and entry.is_file)
        return any(self._is_beginning(content, change.path, entry) for entry in sides)

    def _is_beginning(self, content: bytes, path: str, entry: _Entry) -> bool:
        """Whether git would write `content` to `path`, and then go on."""
        wanted = ("cat-file", "--filters", f"--path={path}", entry.oid)
        whole = self._git(*wanted, limit=len(content) + 1, cut=True, timeout=SLOW).stdout
        return len(whole) > len(content) and whole.startswith(content)

    def _remove_empty(self, folder: Path) -> None:
        """Remove `folder` and those above it, as long as they are empty."""
        while folder != self.path:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _remove_empty_below(self, folder: Path) -> None:
        """Remove a tree of folders that holds no file. checkout-index -f would remove one with files as well."""
        if folder.is_symlink() or not folder.is_dir():
            return
        for inner, _, _ in os.walk(folder, topdown=False):
            try:
                Path(inner).rmdir()
            except OSError as error:
                raise InTheWay([readable(str(Path(inner).relative_to(self.path)))]) from error


def _change(line: str, path: str) -> _Change:
    old_mode, new_mode, old_oid, new_oid, _ = line.removeprefix(":").split(" ")
    return _Change(
        path,
        _Entry(old_mode, old_oid) if old_mode.strip("0") else None,
        _Entry(new_mode, new_oid) if new_mode.strip("0") else None,
    )
