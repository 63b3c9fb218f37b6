"""Whether the work of a request is finished, as git sees it: asked before a completion is taken.

Each check gives a ``Reason``, a value with a code, or None; the first one that is found refuses the completion. The
sentence is made of it here at the edge, in ``Unfinished``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dispatch.models import DispatchRequest
from flower.errors import Conflict
from worktrees import git
from worktrees import services as worktrees


class Code(StrEnum):
    """Why work is not finished."""

    NOT_CLEAN = "not_clean"
    WRONG_BRANCH = "wrong_branch"
    NO_BRANCH = "no_branch"
    BASE_REWRITTEN = "base_rewritten"
    HAS_COMMITS = "has_commits"
    NO_COMMITS = "no_commits"
    GIT = "git"


@dataclass(frozen=True)
class Reason:
    """What is not in order: ``names`` are the files, repositories or branches that it is about."""

    code: Code
    names: tuple[str, ...] = ()
    count: int = 0


class Unfinished(Conflict):
    """The work cannot be completed as it is; ``reason`` says why as a value. Nothing was changed."""

    def __init__(self, reason: Reason, request: DispatchRequest) -> None:
        super().__init__(sentence(reason, request))
        self.reason = reason


_SENTENCES: Final = {
    Code.NOT_CLEAN: "The worktree is not clean: {names}. Commit or remove what is left, then complete again.",
    Code.WRONG_BRANCH: "The worktree is on {names}, but the work belongs on {branch}.",
    Code.NO_BRANCH: "There is no branch {branch} in {project}; commit the work there first.",
    Code.BASE_REWRITTEN: "{branch} does not contain its base {base}; was it rewritten?",
    Code.HAS_COMMITS: "{branch} has {count} commits on top of its base; complete without no_changes.",
    Code.NO_COMMITS: "{branch} has no commit on top of its base {base}; commit the work, or say no_changes.",
    Code.GIT: "git could not check the work: {names}",
}


def sentence(reason: Reason, request: DispatchRequest) -> str:
    """What the agent reads: what is wrong, and what to do."""
    return _SENTENCES[reason.code].format(
        names=git.errors.named(list(reason.names)),
        count=reason.count,
        branch=request.branch,
        base=request.base_sha[:12],
        project=request.project.slug if request.project else "",
    )


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
        if reason := _commits(request, repository, head, no_changes):
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
    if not status.clean:
        return Reason(Code.NOT_CLEAN, (*status.unmerged, *status.staged, *status.unstaged, *status.untracked))
    if status.branch != request.branch:
        return Reason(Code.WRONG_BRANCH, (status.branch or "no branch",))
    return None


def _commits(request: DispatchRequest, repository: git.Repository, head: str, no_changes: bool) -> Reason | None:
    if not repository.is_ancestor(request.base_sha, head):
        return Reason(Code.BASE_REWRITTEN)
    count = repository.count_commits(request.base_sha, head)
    if no_changes and count:
        return Reason(Code.HAS_COMMITS, count=count)
    if not no_changes and not count:
        return Reason(Code.NO_COMMITS)
    return None
