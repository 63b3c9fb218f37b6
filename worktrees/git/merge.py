"""Merging without a checkout: merge-tree, commit-tree, then a compare-and-swap of the ref.

Resolve target and source once and use the ids everywhere: a merge computed from a name and swapped against an id would
guard the wrong base. Nothing here touches an index or a file. pre-merge and post-merge hooks do not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from git import Actor

from .command import SLOW, readable
from .errors import Conflict, GitError, RefMoved
from .worktree import Worktrees


@dataclass(frozen=True, slots=True)
class MergeResult:
    """`tree` is the merged tree; with `conflicts` (paths) it holds conflict markers and must not be committed."""

    tree: str
    conflicts: list[str] = field(default_factory=list)
    messages: str = ""

    @property
    def clean(self) -> bool:
        return not self.conflicts

    def require_clean(self) -> str:
        """The tree, or Conflict."""
        if self.conflicts:
            raise Conflict(self.conflicts, self.messages)
        return self.tree


class Merging(Worktrees):
    """Merging two commits and moving refs."""

    def merge_tree(self, target_sha: str, source_sha: str) -> MergeResult:
        """Merge `source_sha` into `target_sha` in the object store only. GitError for unrelated histories."""
        wanted = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages")
        ids = (self._object_id(target_sha), self._object_id(source_sha))
        output = self._git(*wanted, *ids, ok=(0, 1), timeout=SLOW)
        fields = output.fields
        end = fields.index("", 1) if "" in fields[1:] else len(fields)
        conflicts = list(dict.fromkeys(readable(name) for name in fields[1:end])) if output.returncode else []
        if output.returncode and not conflicts:
            raise GitError("git merge-tree: conflicts without names", returncode=1, stderr=output.stderr)
        return MergeResult(fields[0], conflicts, _messages(fields[end + 1 :]))

    def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: Actor | None = None,
        committer: Actor | None = None,
        date: datetime | None = None,
    ) -> str:
        """Make a commit object and return its id; no ref moves. flower signs where nobody is named."""
        if not message.strip():
            raise GitError("a commit needs a message")
        named_parents = [argument for sha in parents for argument in ("-p", self._object_id(sha))]
        env: dict[str, str] = {}
        for role, actor in (("AUTHOR", author), ("COMMITTER", committer)):
            if actor is not None:
                env[f"GIT_{role}_NAME"] = self._line(actor.name or "", f"the name of the {role.lower()}")
                env[f"GIT_{role}_EMAIL"] = actor.email or ""
            if date is not None:
                env[f"GIT_{role}_DATE"] = date.astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        text = message if message.endswith("\n") else f"{message}\n"
        wanted = ("commit-tree", self._object_id(tree), *named_parents, "-F", "-")
        return self._git(*wanted, env=env, stdin=text.encode("utf-8", "replace")).text

    def compare_and_swap(self, ref: str, new: str, old: str, reason: str) -> None:
        """Move `ref` (a full name) from commit `old` to `new`, or raise RefMoved and change nothing. Needs the lock.

        `reason` goes to the reflog. GitError when another worktree than the main one has that branch checked out:
        its files would suddenly show the reverse of the change. GitError also while somebody rebases it in the main
        checkout, or is in the middle of a merge or the like there: git would then refuse to end what they began.
        """
        self._require_lock()
        name, reason = self._full_ref(ref), self._line(reason, "the reason")
        new, old = self._object_id(new), self._object_id(old)
        if self._git("symbolic-ref", "--quiet", name, ok=(0, 1)).returncode == 0:
            raise GitError(f"the ref {name} only points to another ref: name that one")
        if name.startswith("refs/heads/"):
            branch = name.removeprefix("refs/heads/")
            if user := self._user_of(branch, but_main=True):
                raise GitError(f"the branch {branch} is checked out in the worktree {user}: it must not move under it")
            if what := self._busy_on(branch):
                raise GitError(
                    f"a {what} on {branch} is under way in {self.path}: finish or abort it there, then try again"
                )
        try:
            self._git("update-ref", "--create-reflog", "-m", reason, name, new, old)
        except GitError as error:
            if (found := self._commit_of(name)) != old:
                raise RefMoved(name, old, found) from error
            raise


def _messages(fields: Sequence[str]) -> str:
    """The readable part of merge-tree's messages: each is a count of paths, the paths, its type and its text."""
    texts: list[str] = []
    at = 0
    while at < len(fields) and fields[at].isdigit():
        at += int(fields[at]) + 2
        if at < len(fields):
            texts.append(readable(fields[at]).rstrip("\n"))
        at += 1
    return "\n".join(texts)
