"""Whether the work of a request is finished, as git sees it: asked before a completion is taken.

Each check gives a ``Reason``, a value with a code, or None; the first one that is found refuses the completion. The
sentence is made of it here at the edge, in ``Unfinished``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import Conflict
from dispatch.models import DispatchRequest
from worktrees import git
from worktrees import services as worktrees


class Code(StrEnum):
    """Why work is not finished."""

    INNER_REPOSITORY = "inner_repository"  # files that no commit of the project carries
    INNER_COMMITTED = "inner_committed"  # the same, in a commit that has a pointer in place of them
    SUBMODULE_CHANGED = "submodule_changed"
    SUBMODULE_LOST = "submodule_lost"  # a pointer to a commit that only the worktree has
    NOT_CLEAN = "not_clean"
    SETUP_CHANGES = "setup_changes"  # left by the project's setup command, not by the agent
    WRONG_BRANCH = "wrong_branch"
    NO_BRANCH = "no_branch"
    BASE_REWRITTEN = "base_rewritten"
    HAS_COMMITS = "has_commits"
    NO_COMMITS = "no_commits"
    EMPTY_COMMITS = "empty_commits"
    GIT = "git"


@dataclass(frozen=True)
class Reason:
    """What is not in order: ``names`` are the files, repositories or branches that it is about.

    ``setup`` are files that are in the way, too, but were changed by the project's setup command.
    """

    code: Code
    names: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    count: int = 0


class Unfinished(Conflict):
    """The work cannot be completed as it is; ``reason`` says why as a value. Nothing was changed."""

    def __init__(self, reason: Reason, request: DispatchRequest) -> None:
        super().__init__(sentence(reason, request))
        self.reason = reason


_INNER: Final = (
    "{names} {is_a} of {its} own; {its} files would not be merged. "
    "Remove {folders} and add the files, or make {it} a submodule."
)
_SENTENCES: Final = {
    Code.INNER_REPOSITORY: _INNER,
    Code.INNER_COMMITTED: f"{_INNER} A commit points to {{it}}: git rm --cached {{paths}}, before you add the files.",
    Code.SUBMODULE_CHANGED: (
        "{names} {is_submodule} with changes that are not committed in {it}. Commit them there and push, "
        "then commit {it} here and complete again."
    ),
    Code.SUBMODULE_LOST: (
        "{names} {points} to a commit that only this worktree has: whoever gets the merged work could not fetch it. "
        "Push {names} first, then complete again."
    ),
    Code.NOT_CLEAN: "The worktree is not clean: {names}. Commit or remove what is left, then complete again.",
    Code.WRONG_BRANCH: "The worktree is on {names}, but the work belongs on {branch}.",
    Code.NO_BRANCH: "There is no branch {branch} in {project}; commit the work there first.",
    Code.BASE_REWRITTEN: "{branch} does not contain its base {base}; was it rewritten?",
    Code.HAS_COMMITS: "{branch} has {count} commits on top of its base; complete without no_changes.",
    Code.NO_COMMITS: "{branch} has no commit on top of its base {base}; commit the work, or say no_changes.",
    Code.EMPTY_COMMITS: (
        "{branch} has only empty commits on top of its base {base}: no file differs. "
        "Commit the work, or say no_changes if nothing had to change."
    ),
    Code.GIT: "git could not check the work: {names}",
}


def sentence(reason: Reason, request: DispatchRequest) -> str:
    """What the agent reads: what is wrong, and what to do."""
    one = len(reason.names) == 1
    values = {
        "names": git.errors.named(list(reason.names)),
        "paths": " ".join(reason.names[:5]),
        "folders": git.errors.named([f"{name}/.git" for name in reason.names]),
        "is_a": "is a repository" if one else "are repositories",
        "is_submodule": "is a submodule" if one else "are submodules",
        "its": "its" if one else "their",
        "it": "it" if one else "them",
        "points": "points" if one else "point",
        "count": reason.count,
        "branch": request.branch,
        "base": request.base_sha[:12],
        "project": request.project.slug if request.project else "",
    }
    parts = [_SENTENCES[reason.code].format(**values)] if reason.code != Code.SETUP_CHANGES else []
    if reason.setup:
        were = "was" if len(reason.setup) == 1 else "were"
        parts.append(
            f"{git.errors.named(list(reason.setup))} {were} changed by the setup command: commit that if it belongs to "
            "the work, else take it back (git restore, or remove it), and complete again."
        )
    return " ".join(parts)


def check(request: DispatchRequest, *, no_changes: bool) -> str:
    """The id of the branch's tip, when the work is finished. Raises Unfinished with the first thing that is not."""
    assert request.project is not None
    repository = worktrees.repository(request.project)
    try:
        if reason := _worktree(request, repository):
            raise Unfinished(reason, request)
        if request.branch not in repository.branches():
            if no_changes:
                return request.base_sha
            raise Unfinished(Reason(Code.NO_BRANCH), request)
        head = repository.resolve(f"refs/heads/{request.branch}")
        if reason := _commits(request, repository, head, no_changes) or _links(request, repository, head):
            raise Unfinished(reason, request)
    except git.GitError as error:
        raise Unfinished(Reason(Code.GIT, (str(error),)), request) from error
    return head


def _worktree(request: DispatchRequest, repository: git.Repository) -> Reason | None:
    """What is left in the worktree, and where it stands. One that is gone may have been removed by its agent."""
    worktree = request.worktree
    if worktree is None or not worktree.checkout.is_dir():
        return None
    status = repository.status(worktree.checkout)
    setup = tuple(name for name in status.changed if name in set(worktree.setup_changes))
    if inner := tuple(name for name in status.inner if f"{name}/" not in setup):
        return Reason(Code.INNER_REPOSITORY, inner, setup)
    if submodules := tuple(name for name in status.submodules if name not in setup):
        return Reason(Code.SUBMODULE_CHANGED, submodules, setup)
    if not status.clean:
        left = tuple(name for name in status.changed if name not in setup)
        return Reason(Code.NOT_CLEAN if left else Code.SETUP_CHANGES, left, setup)
    if status.branch != request.branch:
        return Reason(Code.WRONG_BRANCH, (status.branch or "no branch",))
    return None


def _commits(request: DispatchRequest, repository: git.Repository, head: str, no_changes: bool) -> Reason | None:
    if not repository.is_ancestor(request.base_sha, head):
        return Reason(Code.BASE_REWRITTEN)
    count = repository.count_commits(request.base_sha, head)
    differs = bool(count) and not repository.has_same_files(request.base_sha, head)
    if no_changes and differs:
        return Reason(Code.HAS_COMMITS, count=count)
    if not no_changes and not differs:
        return Reason(Code.EMPTY_COMMITS if count else Code.NO_COMMITS, count=count)
    return None


def _links(request: DispatchRequest, repository: git.Repository, head: str) -> Reason | None:
    """What the commits only point at: repositories that nobody can fetch, commits that only the worktree has."""
    assert request.project is not None
    main = f"refs/heads/{request.project.main_branch}"
    if unnamed := repository.unnamed_gitlinks(request.base_sha, head, main):
        return Reason(Code.INNER_COMMITTED, tuple(unnamed))
    worktree = request.worktree.checkout if request.worktree and request.worktree.checkout.is_dir() else None
    if lost := repository.unpublished_submodules(request.base_sha, head, worktree):
        return Reason(Code.SUBMODULE_LOST, tuple(lost))
    if worktree is not None:
        repository.carry_submodules(request.base_sha, head, worktree)
    return None
