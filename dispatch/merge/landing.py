"""Moving the branch and MAIN's files together, and finishing what a killed merger began."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from dispatch.merge import mainline, record
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
            behind = mainline.bring_files(request.project, repository)
            if behind:  # a merge on top would leave what came outside of flower reversed in MAIN's index
                behind = f"{behind} Then merge again; nothing was merged."
                record.refuse(request, record.NotMerged.IN_THE_WAY, behind)
                return
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
            if not in_the_way:
                mainline.note(request.project, new)
    if in_the_way:
        record.refuse(request, record.NotMerged.IN_THE_WAY, _in_the_way(in_the_way))
        return
    behind = "" if checked_out else _elsewhere(repository, branch)
    record.done(request, repository, new, old, behind=behind)


def _elsewhere(repository: git.Repository, branch: str) -> str:
    """Why MAIN's files do not show the merge, where they are not those of the branch, and what would show it."""
    status = repository.status(repository.path)
    if status.in_progress:
        return f"MAIN is in the middle of a {status.in_progress}; end it, then `git switch {branch}` shows the merge."
    if status.detached:
        at = (status.head or "")[:12]
        return f"MAIN has no branch checked out (HEAD is detached at {at}); `git switch {branch}` shows the merge."
    return f"MAIN has another branch checked out: {status.branch}; `git switch {branch}` shows the merge."


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
            raise git.GitError(_who_holds(repository, lock))
        time.sleep(0.05)


def _who_holds(repository: git.Repository, lock: Path) -> str:
    user = git.stale.user_of(lock, repository.path)
    if user is not None:
        return f"MAIN is in use: process {user} works there ({lock} is there); merge again when it has ended."
    return f"a git that was killed left {lock} behind, and nobody uses it: remove that file, then merge again."


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
    behind, old = "", _target_of(request, repository)
    with repository.lock(worktrees.BUSY_SECONDS):
        # Else somebody committed on top of it since: a person in MAIN, which shows it then, or the next merge, which
        # has brought MAIN's files along.
        if current == request.merge_sha:
            try:
                branch = request.project.main_branch
                repository.refresh(branch, old, request.merge_sha, resuming=True)
                mainline.note(request.project, current)
            except git.InTheWay as error:
                behind = f"MAIN's files do not show the merge yet: {git.errors.named(list(error.files))} differ."
    record.done(request, repository, request.merge_sha, old, behind=behind)


def _target_of(request: DispatchRequest, repository: git.Repository) -> str:
    """What the branch was at before the request's merge commit: its first parent."""
    made = repository.commit(request.merge_sha)
    return made.parents[0] if made and made.parents else request.target_sha
