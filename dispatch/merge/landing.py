"""Moving the branch and MAIN's files together, and finishing what a killed merger began."""

from __future__ import annotations

import time
from typing import Final

from dispatch.merge import record
from dispatch.models import DispatchRequest, State
from worktrees import git
from worktrees import services as worktrees

INDEX_SECONDS: Final = 3.0  # how long a merge waits for somebody else's git in MAIN


def land(request: DispatchRequest, repository: git.Repository, target: str) -> None:
    """Move the ref and refresh MAIN, together under the repository's lock. Raises RefMoved when it moved meanwhile."""
    assert request.project is not None
    old, new = request.target_sha, request.merge_sha
    branch = request.project.main_branch
    with repository.lock(worktrees.BUSY_SECONDS):
        checked_out = repository.head_branch() == branch
        if checked_out:
            _finish_earlier(request, repository)
            _await_index(repository)
        in_the_way = repository.refresh_would_overwrite(old, new) if checked_out else []
        if not in_the_way and not _may_land(request):
            return
        if not in_the_way:
            repository.compare_and_swap(target, new, old, f"flower: merge #{request.brief_id}")
            if checked_out:
                try:
                    repository.refresh(branch, old, new)
                except (git.GitError, OSError) as error:  # a file was touched since the dry run, or the disk is full
                    _take_back(repository, target, old, new, error)
                    if not isinstance(error, git.InTheWay):
                        raise
                    in_the_way = list(error.files)
    if in_the_way:
        record.refuse(request, record.NotMerged.IN_THE_WAY, _in_the_way(in_the_way))
        return
    behind = "" if checked_out else f"MAIN has another branch checked out than {branch}."
    record.done(request, repository, new, old, behind=behind)


def _take_back(repository: git.Repository, target: str, old: str, new: str, why: Exception) -> None:
    """Move the ref back after a refresh that failed with ``why``; raises it when that cannot be done, either."""
    try:
        repository.compare_and_swap(target, old, new, "flower: merge taken back")
    except git.RefMoved:
        raise
    except git.GitError as error:
        raise why from error


def _may_land(request: DispatchRequest) -> bool:
    """Mark the point from which it is too late to call the merge off; False when that has happened."""
    return DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING).update(landing=True) == 1


def _finish_earlier(request: DispatchRequest, repository: git.Repository) -> None:
    """Bring MAIN's files to where its branch is, if the merger before us was killed in between and its turn ran out.

    Its record it finishes by itself. Without this, MAIN's index would show its merge taken back, for good.
    """
    assert request.project is not None
    landed = DispatchRequest.objects.filter(
        project=request.project, state=State.MERGING, merge_sha=request.target_sha
    ).exclude(pk=request.pk)
    for earlier in landed:
        repository.refresh(request.project.main_branch, earlier.target_sha, earlier.merge_sha, resuming=True)


def _await_index(repository: git.Repository) -> None:
    """Let a git that works in MAIN end first: most are a ``git status``. Raises GitError for one that does not end."""
    lock, deadline = repository.common_dir / "index.lock", time.monotonic() + INDEX_SECONDS
    while lock.exists():
        if time.monotonic() > deadline:
            raise git.GitError(f"a git is at work in MAIN ({lock} is there); merge again when it has ended.")
        time.sleep(0.05)


def _in_the_way(files: list[str]) -> str:
    return (
        f"Uncommitted work in MAIN is in the way: {git.errors.named(files)}. Commit or move it, then merge again; "
        "nothing was changed."
    )


def has_landed(request: DispatchRequest, repository: git.Repository) -> bool:
    assert request.project is not None
    try:
        return bool(request.merge_sha) and repository.is_ancestor(request.merge_sha, request.project.main_branch)
    except git.GitError:
        return False  # nobody can tell now; when the merge is asked for again, ``plan`` finds the commit


def finish_landing(request: DispatchRequest, repository: git.Repository, current: str) -> None:
    """The ref has moved already: a killed worker got this far. Finish MAIN's files and the record."""
    assert request.project is not None
    behind = ""
    with repository.lock(worktrees.BUSY_SECONDS):
        # Else somebody committed on top of it since: a person in MAIN, which shows it then, or the next merge, which
        # has brought MAIN's files along.
        if current == request.merge_sha:
            try:
                branch = request.project.main_branch
                repository.refresh(branch, request.target_sha, request.merge_sha, resuming=True)
            except git.InTheWay as error:
                behind = f"MAIN's files do not show the merge yet: {git.errors.named(list(error.files))} differ."
    record.done(request, repository, request.merge_sha, request.target_sha, behind=behind)
