"""Saving what a worktree holds before it goes: no work is deleted on a guess.

Everything is done beside the worktree, on a copy of its index: its files, index and branch stay as they are, byte for
byte. The commit that is made has HEAD as its first parent, so commits that were never merged are kept with it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .base import _FULL_ID
from .command import SLOW, readable
from .errors import GitError, RefMoved, named
from .private import default_excludes
from .worktree import Worktrees

PRIVATE = "refs/flower/"

# Commits that only these files remember while something is under way.
_POINTERS = ("MERGE_HEAD", "rebase-merge/orig-head", "rebase-apply/orig-head", "rebase-merge/autostash")

_LOG_READ = 256 * 1024  # bytes of a worktree's logs/HEAD: some 1,500 moves
_MOST_LEFT_BEHIND = 1000  # commits


class Capture(Worktrees):
    """Keeping work safe under private refs."""

    def capture(
        self, worktree_path: Path, ref: str, merged_into: str | None = None, inside: Collection[str] = ()
    ) -> str | None:
        """Save uncommitted, staged and untracked (not ignored) work of a worktree under `ref`. Needs the lock.

        `ref` is a private one (refs/flower/captured/…). Returns the commit id, or None when there is nothing that
        would be lost. With nothing uncommitted, HEAD itself is saved if it is not yet in `merged_into` (by default:
        in no branch or tag); so are commits that were left behind on a detached HEAD. What `ref` held before stays
        reachable from the new commit. GitError when something cannot be saved this way (repositories inside the
        worktree, but those that were saved on their own: `inside`); the rest is saved even then.
        """
        self._require_lock()
        if not self._full_ref(ref).startswith(PRIVATE):
            raise GitError(f"work is captured under {PRIVATE}…, not under {ref}")
        git_dir = self._git_dir_of(worktree_path)
        head = self._commit_of("HEAD", cwd=worktree_path)
        if head is None:
            raise GitError(f"HEAD of {worktree_path} leads to no commit, so there is nothing to build on")
        before = self._commit_of(ref)
        files, index, problem = self._trees(worktree_path, git_dir, head, inside)
        pointers = [self._commit_of(line) for name in _POINTERS for line in _lines(git_dir / name)]
        pointers += self._left_behind(git_dir)
        kept = [sha for sha in dict.fromkeys(pointers) if sha and sha != head]
        commit = self._saved(head, (files, index), kept, before, merged_into)
        if commit and commit != before:
            self._keep(ref, commit, before)
        rest = f"the rest is saved as {commit[:12]} in {ref}" if commit else "there was nothing else to save"
        saved = {readable(name) for name in inside}
        if unsaved := [name for name in self._out_of_reach(worktree_path) if name.rstrip("/") not in saved]:
            whose = "repositories of their own, which cannot be captured"
            raise GitError(f"{worktree_path} holds {named(unsaved)}: {whose}; {rest}", stderr=problem)
        if problem:
            raise GitError(f"git could not save everything in {worktree_path} ({problem}); {rest}", stderr=problem)
        return commit

    def restore_branch(self, commit: str, names: Sequence[str]) -> str:
        """Make a branch at a captured commit, under the first of `names` that is free, or leads to it already.

        Needs the lock. Works on any git folder, a submodule's store too.
        """
        self._require_lock()
        sha = self._object_id(commit)
        for name in names:
            ref = self._branch_ref(name)
            if self._commit_of(ref) == sha:
                return name
            if self._commit_of(ref) is None:
                self._git("update-ref", "--create-reflog", "-m", "flower: restored", ref, sha, "0" * len(sha))
                return name
        raise GitError(f"all branches from {names[0]} to {names[-1]} are there already")

    def _left_behind(self, git_dir: Path) -> list[str]:
        """Commits where HEAD once was, detached, and that nothing leads to any more: the newest of each line.

        What a branch's reflog has is not lost with the worktree: an amended commit is no find.
        """
        ids = [oid for line in _last_lines(git_dir / "logs" / "HEAD") for oid in line.split(" ", 2)[:2]]
        wanted = [oid for oid in dict.fromkeys(ids) if _FULL_ID.fullmatch(oid) and oid.strip("0")]
        if not wanted:
            return []
        # --single-worktree: the HEADs of other worktrees, and their reflogs, go with those.
        reached = ("--not", "--single-worktree", "--all", "--reflog")
        asked = ("rev-list", "--parents", "--ignore-missing", f"--max-count={_MOST_LEFT_BEHIND}", "--stdin", *reached)
        lines = self._git(*asked, stdin="\n".join(wanted).encode(), timeout=SLOW).text.splitlines()
        found = [line.split(" ") for line in lines]
        inner = {parent for _, *parents in found for parent in parents}
        return [oid for oid, *_ in found if oid not in inner]

    def _saved(
        self, head: str, trees: tuple[str, str], kept: list[str], before: str | None, merged_into: str | None
    ) -> str | None:
        files, index = trees
        clean = self._git("rev-parse", f"{head}^{{tree}}").text
        parents = [head]
        if index not in (clean, files):  # something was staged and then changed again
            parents.append(self._commit_tree(index, [head], "flower: what was staged"))
        parents += [sha for sha in kept if sha not in parents]
        if files == clean and len(parents) == 1:
            if before and self._is_this(before, files, parents):
                return before  # what it was made for, it has made reachable
            return self._unmerged(head, before, merged_into)
        if before and self._is_this(before, files, parents):
            return before  # saved by an earlier try
        if before:
            parents.append(before)
        return self._commit_tree(files, parents, "flower: captured work")

    def _unmerged(self, head: str, before: str | None, merged_into: str | None) -> str | None:
        """HEAD, when its commits could be lost; the capture that has them already; or None."""
        if merged_into is not None:
            target = self.resolve(merged_into)
            safe = self._git("merge-base", "--is-ancestor", head, target, ok=(0, 1)).returncode == 0
        else:
            public = ("refs/heads/", "refs/remotes/", "refs/tags/")
            safe = bool(self._git("for-each-ref", "--count=1", "--contains", head, *public).text)
        if safe:
            return None
        if before is None or self._git("merge-base", "--is-ancestor", before, head, ok=(0, 1)).returncode == 0:
            return head
        if self._git("merge-base", "--is-ancestor", head, before, ok=(0, 1)).returncode == 0:
            return before
        tree = self._git("rev-parse", f"{head}^{{tree}}").text
        return self._commit_tree(tree, [head, before], "flower: captured commits")

    def _is_this(self, commit: str, tree: str, parents: list[str]) -> bool:
        found = self._git("rev-parse", f"{commit}^{{tree}}", f"{commit}^@").text.splitlines()
        # The staged part is a commit with a time of its own, so it is compared by its tree.
        same = [self._git("rev-parse", f"{sha}^{{tree}}").text for sha in parents]
        there = [self._git("rev-parse", f"{sha}^{{tree}}").text for sha in found[1 : len(parents) + 1]]
        return found[:2] == [tree, parents[0]] and same == there

    def _trees(
        self, worktree_path: Path, git_dir: Path, head: str | None, inside: Collection[str] = ()
    ) -> tuple[str, str, str]:
        """The tree of the files, the tree of the index, and what git said about files that it could not take.

        Without a `head` (no commit yet) both begin from nothing. Untracked repositories `inside` are left out.
        """
        with self._index_copy(git_dir) as (env, existed), self._hidden(worktree_path, inside) as excludes:
            take = "--all"
            if not existed and head is not None:  # a fill was killed: what is missing was never deleted by anybody
                self._git("read-tree", head, cwd=worktree_path, env=env)
                take = "--ignore-removal"
            # Unmerged entries have no tree; their sides are in commits that are kept as parents.
            staged = self._git("write-tree", cwd=worktree_path, env=env, ok=(0, 128))
            index = staged.text if staged.returncode == 0 or head is None else self._tree_of(head)
            self._see_everything(worktree_path, env)
            # One file that cannot be read must not cost the others; work outside of a sparse cone is work.
            wanted = ("add", take, "--sparse", "--ignore-errors", "--", ".")
            added = self._git(*wanted, cwd=worktree_path, env=env, config=excludes, ok=(0, 1), timeout=SLOW)
            problem = (added.stderr.strip() or "no reason given") if added.returncode else ""
            return self._git("write-tree", cwd=worktree_path, env=env).text, index, problem

    @contextmanager
    def _hidden(self, worktree_path: Path, inside: Collection[str]) -> Iterator[tuple[str, ...]]:
        """Settings under which `git add` does not see untracked repositories: one without a commit would stop it."""
        if not inside:
            yield ()
            return
        wanted = ("config", "--type=path", "--get", "core.excludesFile")
        own = self._git(*wanted, cwd=worktree_path, ok=(0, 1)).text or default_excludes()
        with tempfile.TemporaryDirectory(prefix="flower-excludes-") as folder:
            file = Path(folder) / "excludes"
            lines = [*_text_of(worktree_path / own).splitlines(), *(f"/{_escaped(name)}/" for name in inside)]
            file.write_bytes(b"".join(os.fsencode(line) + b"\n" for line in lines))
            yield (f"core.excludesFile={file}",)

    def _see_everything(self, worktree_path: Path, env: dict[str, str]) -> None:
        """Drop the marks in the copied index under which git would not look at files: "assume unchanged", and "skip
        worktree" where there is a file (where there is none, a sparse checkout has left it out: nobody deleted it)."""
        listed = self._git("ls-files", "-v", "-z", cwd=worktree_path, env=env).fields
        assumed = [line[2:] for line in listed if line[:1].islower()]
        skipped = [line[2:] for line in listed if line[:1] in "Ss" and os.path.lexists(worktree_path / line[2:])]
        for mark, paths in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
            if paths:
                names = b"".join(os.fsencode(path) + b"\0" for path in paths)
                self._git("update-index", mark, "-z", "--stdin", cwd=worktree_path, env=env, stdin=names)

    def _tree_of(self, commit: str) -> str:
        return self._git("rev-parse", f"{commit}^{{tree}}").text

    def _commit_tree(self, tree: str, parents: list[str], message: str) -> str:
        named_parents = [argument for sha in parents for argument in ("-p", sha)]
        return self._git("commit-tree", tree, *named_parents, "-F", "-", stdin=f"{message}\n".encode()).text

    def _keep(self, ref: str, commit: str, before: str | None) -> None:
        try:
            self._git("update-ref", "--create-reflog", "-m", "flower capture", ref, commit, before or "0" * len(commit))
        except GitError as error:
            if (found := self._commit_of(ref)) != before:
                raise RefMoved(ref, before or "nothing", found) from error
            raise

    def _out_of_reach(self, worktree_path: Path) -> list[str]:
        """Repositories inside the worktree: git would only record which commit they are at."""
        others = self._git("ls-files", "--others", "--exclude-standard", "-z", cwd=worktree_path, timeout=SLOW).fields
        found = [readable(name) for name in others if name.endswith("/")]
        wanted = ("status", "--porcelain=v2", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=none")
        for line in self._git(*wanted, cwd=worktree_path, timeout=SLOW).fields:
            kind, _, rest = line.partition(" ")
            if kind == "1" and rest[3:4] == "S" and rest[3:7] != "S...":
                found.append(readable(rest.split(" ", 7)[7]))
        return found

    @contextmanager
    def _index_copy(self, git_dir: Path) -> Iterator[tuple[dict[str, str], bool]]:
        """An environment that aims git at a copy of an index; and whether there was one to copy."""
        with tempfile.TemporaryDirectory(prefix="flower-index-") as folder:
            copy = Path(folder) / "index"
            source = git_dir / "index"
            existed = source.exists()
            if existed:
                shutil.copy2(source, copy)  # with its time: git tells by it which entries to look at again
            yield {"GIT_INDEX_FILE": str(copy)}, existed


def _escaped(name: str) -> str:
    """A path as a pattern of .gitignore that means this path only."""
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)


def _text_of(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:
        return ""


def _last_lines(file: Path) -> list[str]:
    """The last whole lines of a log, of at most _LOG_READ bytes."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _LOG_READ))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return text.split("\n")[1 if size > _LOG_READ else 0 :]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").split()
    except OSError:
        return []
