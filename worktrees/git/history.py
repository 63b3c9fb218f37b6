"""Reading: is it a repository we can work with, its branches, commits and differences."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from worktrees.diffs import CUT

from . import command
from .base import Base, _same
from .command import readable
from .errors import GitError

MOST_ATTRIBUTES = 200  # files of attributes that are looked at
OLDEST_GIT = (2, 38)  # the first with `merge-tree --write-tree`


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `trailers` are its ("Key", "value") pairs in order; `body` is the message without its subject."""

    sha: str
    parents: tuple[str, ...]
    subject: str
    author: str
    email: str
    date: datetime
    body: str
    trailers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One path that differs. `status` is git's letter (A, C, D, M, R, T); counts are None for binary files."""

    path: str
    status: str
    old_path: str | None = None
    additions: int | None = None
    deletions: int | None = None


class History(Base):
    """Questions about the repository. None of them needs the lock or changes anything."""

    def validate(self, main_branch: str) -> list[str]:
        """Sentences that say why flower cannot work with this repository; empty when it can.

        It must be the top of a main checkout (not a folder in it, not bare, not a linked worktree), hold a commit,
        and have the branch `main_branch`.
        """
        if problem := _git_too_old():
            return [problem]
        if not self.path.is_dir():
            return [f"{self.path} does not exist or is not a folder"]
        seconds = min(command.QUICK, self.time_limit)
        asked = ("--is-bare-repository", "--is-inside-git-dir", "--git-dir", "--git-common-dir")
        output = command.run(
            ("rev-parse", "--path-format=absolute", *asked),
            cwd=self.path,
            ok=(0, 128),
            look_above=True,
            timeout=seconds,
        )
        if output.returncode:
            if "not a git repository" in output.stderr:
                return [f"{self.path} is not a git repository"]
            return [f"{self.path} cannot be used: {command.failure('rev-parse', (), output)}"]
        bare, inside, git_dir, common_dir = output.stdout.decode(errors="surrogateescape").splitlines()
        if bare == "true":
            return [f"{self.path} is a bare repository: flower needs one with a checkout"]
        if inside == "true":
            return [f"{self.path} is inside the git folder {git_dir}: give the folder of the checkout"]
        top = command.run(("rev-parse", "--show-toplevel"), cwd=self.path, look_above=True, timeout=seconds).text
        if not _same(top, self.path):
            return [f"{self.path} is a folder inside the repository {top}: give that one"]
        if not _same(git_dir, common_dir):
            return [f"{self.path} is a linked worktree of {Path(common_dir).parent}: give the main checkout"]
        wanted = ("rev-parse", "--show-superproject-working-tree")
        above = command.run(wanted, cwd=self.path, look_above=True, timeout=seconds).text
        if above:
            return [f"{self.path} is a submodule of {above}: give that one, or a clone of its own"]
        if not self.branches() and not self._commit_of("HEAD"):
            return [f"{self.path} has no commit yet: make the first one"]
        try:
            if not self._commit_of(self._branch_ref(main_branch)):
                return [f"there is no branch named '{readable(main_branch)}' in {self.path}"]
        except GitError as error:
            return [str(error)]
        return []

    def head_branch(self) -> str | None:
        """The branch that the main checkout is on; None when its HEAD is detached."""
        output = self._git("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))
        return output.text.removeprefix("refs/heads/") if output.returncode == 0 else None

    def missing_identity(self) -> list[str]:
        """Which of user.name and user.email git's settings do not say for this repository."""
        wanted = ("user.name", "user.email")
        return [name for name in wanted if not self._git("config", "--get", name, ok=(0, 1)).text.strip()]

    def branches(self) -> dict[str, str]:
        """Local branches by name, each with its commit id."""
        listed = self._git("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/").text
        return {name: sha for sha, _, name in (line.partition(" ") for line in listed.splitlines())}

    def has_branch(self, branch: str) -> bool:
        """Whether there is a local branch of that name. GitError when git would not allow the name."""
        return self._commit_of(self._branch_ref(branch)) is not None

    def has_paths(self, branch: str, paths: Sequence[str]) -> set[str]:
        """Which of these files and folders a branch has. One that git would not take (absolute, ``..``) it has not."""
        asked = [path for path in paths if path.isprintable() and not {"", ".", ".."} & set(path.split("/"))]
        if not asked:
            return set()
        at = self.resolve(branch)
        answer = self._git("cat-file", "--batch-check", stdin="".join(f"{at}:{path}\n" for path in asked).encode())
        lines = answer.stdout.decode(errors="surrogateescape").splitlines()
        return {path for path, line in zip(asked, lines, strict=True) if not line.endswith(" missing")}

    def uses_lfs(self, branch: str) -> bool:
        """Whether a branch has files that Git LFS keeps, by its .gitattributes, in whatever folder."""
        at = self.resolve(branch)
        listed = self._git("ls-tree", "-r", "-z", "--name-only", at).stdout.split(b"\0")
        named = [path for path in listed if path.rpartition(b"/")[2] == b".gitattributes"][:MOST_ATTRIBUTES]
        if not named:
            return False
        asked = b"".join(b"%s:%s\n" % (at.encode(), path) for path in named if b"\n" not in path)
        answer = self._git("cat-file", "--batch", stdin=asked, limit=4_000_000, cut=True).stdout
        return re.search(rb"^[^#\n]*\sfilter=lfs(\s|$)", answer, re.M) is not None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether everything in `ancestor` is already in `descendant` (a commit is its own ancestor)."""
        wanted = ("merge-base", "--is-ancestor", self.resolve(ancestor), self.resolve(descendant))
        return self._git(*wanted, ok=(0, 1)).returncode == 0

    def has_same_files(self, one: str, other: str) -> bool:
        """Whether two commits have the same tree: nothing differs but their messages and times."""
        trees = self._git("rev-parse", f"{self.resolve(one)}^{{tree}}", f"{self.resolve(other)}^{{tree}}").text.split()
        return trees[0] == trees[1]

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None for unrelated histories."""
        return self._git("merge-base", self.resolve(one), self.resolve(other), ok=(0, 1)).text or None

    def count_commits(self, base: str, head: str) -> int:
        """How many commits `head` has that `base` has not."""
        return int(self._git("rev-list", "--count", self._range(base, head), "--").text)

    def commits(self, base: str, head: str, limit: int = 100) -> list[Commit]:
        """The newest `limit` commits that `head` has and `base` has not, newest first."""
        fields = ("%H", "%P", "%an", "%ae", "%aI", "%s", "%b", "%(trailers:only=true,unfold=true)")
        shown = "--format=" + "%x00".join(fields)
        output = self._git("log", "-z", f"--max-count={limit}", shown, self._range(base, head), "--")
        values = [readable(value) for value in output.stdout.split(b"\0")]
        rows = (values[at : at + len(fields)] for at in range(0, len(values) - 1, len(fields)))
        return [_commit(row) for row in rows]

    def commit(self, rev: str) -> Commit | None:
        """One commit by its id (or the beginning of one); None when there is none here."""
        sha = self._commit_of(rev)
        if sha is None:
            return None
        fields = ("%H", "%P", "%an", "%ae", "%aI", "%s", "%b", "%(trailers:only=true,unfold=true)")
        shown = "--format=" + "%x00".join(fields)
        output = self._git("log", "-z", "--max-count=1", shown, sha, "--")
        return _commit([readable(value) for value in output.stdout.split(b"\0")][: len(fields)])

    def changed_files(self, base: str, head: str) -> list[ChangedFile]:
        """The files that differ between two commits (no merge base is looked for), renames found."""
        ids = (self.resolve(base), self.resolve(head))
        output = self._git("diff-tree", "-r", "-z", "-M", "--raw", "--numstat", *ids, "--")
        values = iter(output.stdout.split(b"\0")[:-1])
        states: dict[bytes, tuple[str, bytes | None]] = {}
        files: list[ChangedFile] = []
        for value in values:
            if value.startswith(b":"):
                letter = value.rsplit(b" ", 1)[1][:1].decode()
                old = next(values) if letter in "RC" else None
                states[next(values)] = (letter, old)
                continue
            added, deleted, path = value.split(b"\t", 2)
            if not path:  # a rename: the two names follow
                next(values)
                path = next(values)
            letter, old = states.get(path, ("M", None))
            counts = [None if count == b"-" else int(count) for count in (added, deleted)]
            files.append(ChangedFile(readable(path), letter, readable(old) if old else None, *counts))
        return files

    def diff(self, base: str, head: str, path: str | None = None, limit_bytes: int = 1_000_000) -> str:
        """The unified diff from `base` to `head`, of one `path` or of all.

        Longer than `limit_bytes`, it is cut after a whole line, and a last line says so (diffs.py knows it).
        """
        return self._diff([self.resolve(base), self.resolve(head)], path, limit_bytes)

    def commit_diff(self, commit: Commit, limit_bytes: int = 1_000_000) -> str:
        """What a commit changed against its first parent; the first commit of all, against nothing."""
        ids = [commit.parents[0], commit.sha] if commit.parents else ["--root", "--no-commit-id", commit.sha]
        return self._diff(ids, None, limit_bytes)

    def _diff(self, ids: list[str], path: str | None, limit_bytes: int) -> str:
        wanted = ["diff-tree", "-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color"]
        wanted += ["--src-prefix=a/", "--dst-prefix=b/", *ids, "--"]
        wanted += [path] if path is not None else []
        output = self._git(*wanted, limit=limit_bytes, cut=True)
        if not output.cut:
            return output.stdout.decode("utf-8", "replace")
        whole = output.stdout[: output.stdout.rfind(b"\n") + 1]
        return whole.decode("utf-8", "replace") + f"{CUT} after {len(whole)} bytes\n"

    def _range(self, base: str, head: str) -> str:
        return f"{self.resolve(base)}..{self.resolve(head)}"


def _commit(row: list[str]) -> Commit:
    sha, parents, author, email, date, subject, body, trailers = row
    pairs = (line.partition(": ") for line in trailers.splitlines() if line)
    return Commit(
        sha=sha,
        parents=tuple(parents.split()),
        subject=subject,
        author=author,
        email=email,
        date=datetime.fromisoformat(date),
        body=body.strip("\n"),
        trailers=tuple((key, value) for key, _, value in pairs),
    )


@cache
def _git_too_old() -> str | None:
    try:
        said = command.run(("version",), cwd=Path(os.sep)).text
    except GitError as error:
        return f"git cannot be run: {error}"
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        return f"{said} is too old: flower needs git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer"
    return None
