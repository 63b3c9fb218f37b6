"""Repositories inside a worktree: submodules, and what agents made with `git init` or `git clone`.

git records of them which commit they are at, nothing else. So before a worktree goes, what only they have is captured:
uncommitted files, and commits that no remote and no store of MAIN has. It is kept as one commit under a private ref, in
MAIN's store of the submodule where there is one, else in the project's own repository.

Their configuration is the agent's text: the programs that it names (filters, above all) are not run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .capture import Capture
from .command import SLOW, Output, readable
from .errors import GitError, named
from .submodules import GITLINK, Submodules

_MOST = 200  # repositories in one worktree that are looked at
_TIPS = 500  # branches, tags and stashes of one


@dataclass(frozen=True, slots=True)
class InnerRepository:
    """A repository inside a worktree. `path` is below the worktree; `tracked`: the worktree's index knows it."""

    path: str
    tracked: bool


@dataclass(frozen=True, slots=True)
class InnerCapture:
    """What was saved of an inner repository: commit `sha` as `ref` of the repository with the git folder `git_dir`."""

    path: str
    git_dir: Path
    ref: str
    sha: str


class Inner(Capture, Submodules):
    """What a worktree's inner repositories hold."""

    def inner_repositories(self, worktree_path: Path) -> list[InnerRepository]:
        """All repositories inside a worktree that have files there, the innermost first, without ignored ones."""
        found = list(self._inner(worktree_path, ""))
        if len(found) > _MOST:
            raise GitError(f"{worktree_path} holds more than {_MOST} repositories of their own")
        return found[::-1]

    def _inner(self, top: Path, above: str) -> list[InnerRepository]:
        staged = self._git("ls-files", "--stage", "-z", cwd=top, timeout=SLOW).fields
        links = [line.partition("\t")[2] for line in staged if line.startswith(GITLINK)]
        others = self._git("ls-files", "--others", "--exclude-standard", "-z", cwd=top, timeout=SLOW).fields
        untracked = [name.rstrip("/") for name in others if name.endswith("/")]
        found: list[InnerRepository] = []
        for name, tracked in [*((name, True) for name in links), *((name, False) for name in untracked)]:
            checkout = top / name
            if checkout.is_symlink() or not os.path.lexists(checkout / ".git"):
                continue
            found.append(InnerRepository(f"{above}{name}", tracked))
            if len(found) > _MOST:
                break
            found += self._inner(checkout, f"{above}{name}/")
        return found

    def capture_inner(self, worktree_path: Path, inner: Sequence[InnerRepository], refs: str) -> list[InnerCapture]:
        """Save what only the repositories `inner` have, each under a ref below `refs` (refs/flower/…). Needs the lock.

        They stay as they are. GitError when one cannot be saved; what was saved before is kept.
        """
        self._require_lock()
        saved: list[InnerCapture] = []
        names = {one.path: one.name for one in self.submodules("HEAD", cwd=worktree_path)}
        for one in inner:
            home = self.common_dir / "modules" / names.get(one.path, "")
            home = home if one.path in names and (home / "objects").is_dir() else self.common_dir
            within = [other.path for other in inner if other.path.startswith(f"{one.path}/")]
            inside = [path.removeprefix(f"{one.path}/") for path in within]
            try:
                repository = _Embedded(worktree_path / one.path, home)
                if sha := repository.capture_whole(inside):
                    ref = self._free_ref(home, f"{refs}/{_slug(one.path)}", sha, worktree_path / one.path)
                    self.take(home, repository.common_dir, sha, ref)
                    saved.append(InnerCapture(readable(one.path), home, ref, sha))
            except GitError as error:
                whose = f"{readable(one.path)} is a repository of its own"
                raise GitError(
                    f"{whose}, and what it holds could not be captured: {error.message}",
                    argv=error.argv,
                    stderr=error.stderr,
                ) from error
        return saved

    def _free_ref(self, home: Path, wanted: str, sha: str, source: Path) -> str:
        """`wanted`, or a numbered one when that holds other work: an earlier try may have saved more than is left."""
        tree = self._git("rev-parse", f"{sha}^{{tree}}", cwd=source).text
        for number in range(1, 1000):
            ref = wanted if number == 1 else f"{wanted}-{number}"
            there = self._in_store(home, "rev-parse", "-q", "--verify", f"{ref}^{{tree}}", ok=(0, 1, 128))
            if there.returncode or there.text == tree:
                return ref
        raise GitError(f"there are 1,000 refs like {wanted} already")

    def discard_inner(self, worktree_path: Path, inner: Sequence[InnerRepository]) -> None:
        """Empty the folders of inner repositories. Needs the lock. Only after `capture_inner`."""
        self._require_lock()
        entry = self._registered(worktree_path)
        if entry is None or entry.is_main:
            raise GitError(f"{worktree_path} is not a linked worktree of {self.path}: it was left alone")
        for one in inner:
            folder = worktree_path / one.path
            if (
                not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(worktree_path))
                or folder.is_symlink()
            ):
                raise GitError(f"{folder} leads out of the worktree: it was left alone")
            for child in folder.iterdir() if folder.is_dir() else ():
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child, ignore_errors=True)
                else:
                    with suppress(OSError):
                        child.unlink()
            if folder.is_dir() and any(folder.iterdir()):
                raise GitError(f"{folder} still holds what flower may not delete; remove it by hand")


class _Embedded(Capture, Submodules):
    """A repository that an agent made or filled, at its checkout. None of its filters is run.

    `home` is the git folder that keeps what is captured: what it has already is no loss.
    """

    def __init__(self, path: Path, home: Path) -> None:
        super().__init__(path)
        self.home = home

    @cached_property
    def _tame(self) -> tuple[str, ...]:
        wanted = ("config", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$")
        drivers = {name.rpartition(".")[0] for name in super()._git(*wanted, ok=(0, 1)).fields}
        if odd := [name for name in drivers if "=" in name or not name.isprintable()]:
            raise GitError(f"its configuration has filters that cannot be switched off: {named(odd)}")
        switches = ("clean=", "smudge=", "process=", "required=false")
        return tuple(f"{driver}.{switch}" for driver in sorted(drivers) for switch in switches)

    def _git(self, *arguments: str, config: Sequence[str] = (), **rest: Any) -> Output:
        return super()._git(*arguments, config=(*self._tame, *config), **rest)

    def capture_whole(self, inside: Collection[str]) -> str | None:
        """Make one commit that leads to all that only this repository has; None when there is nothing.

        `inside` are repositories within it, which are captured on their own.
        """
        git_dir = self._git_dir_of(self.path)
        head = self._commit_of("HEAD")
        files, index, problem = self._trees(self.path, git_dir, head, inside)
        if problem:
            raise GitError(f"git could not take every file ({problem})")
        clean = self._tree_of(head) if head else self._git("mktree").text
        tips = [sha for sha in self._tips(git_dir, head) if not self._is_kept(sha)]
        if files == clean and index in (clean, files) and not tips:
            return None
        parents = [head] if head else []
        if index not in (clean, files):
            parents.append(self._commit_tree(index, parents, "flower: what was staged"))
        parents += [sha for sha in tips if sha not in parents]
        branches = self._git(
            "for-each-ref", "--format=%(objectname:short) %(refname)", "refs/heads/", "refs/tags/"
        ).text
        return self._commit_tree(files, parents, f"flower: captured work of {self.path.name}\n\n{branches}")

    def _tips(self, git_dir: Path, head: str | None) -> list[str]:
        """Commits of branches, tags, stashes and left-behind HEADs that no remote has."""
        listed = self._git("for-each-ref", "--format=%(objectname)", "refs/heads/", "refs/tags/", "refs/stash").text
        names = [f"{line}^{{commit}}" for line in dict.fromkeys(listed.splitlines())]
        if len(names) > _TIPS:
            raise GitError(f"it has more than {_TIPS} branches and tags")
        tips = [sha for sha in (head, *map(self._commit_of, names), *self._left_behind(git_dir)) if sha]
        unknown = []
        for sha in dict.fromkeys(tips):
            if self._git("rev-list", "--max-count=1", sha, "--not", "--remotes", timeout=SLOW).text:
                unknown.append(sha)
        return unknown

    def _is_kept(self, sha: str) -> bool:
        """Whether something in the repository that keeps captures leads to this commit already."""
        if not self._has(self.home, sha):
            return False
        if self._in_store(self.home, "for-each-ref", "--count=1", "--contains", sha).text:
            return True
        return self._in_store(self.home, "merge-base", "--is-ancestor", sha, "HEAD", ok=(0, 1, 128)).returncode == 0


def _slug(path: str) -> str:
    """A path as the last part of a ref's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path).strip("-")[:80] or "inner"
