"""What a merge would put on the branch: a commit on top of its tip, in no branch yet; or why there is none."""

from __future__ import annotations

from typing import Final

from django.db.models import F

from briefs import trace
from briefs.models import Brief
from dispatch import lifecycle
from dispatch.merge import mainline, record
from dispatch.models import DispatchRequest, MainMove, State
from worktrees import git

REWRITES: Final = 50  # of the main branch, the newest, whose dropped commits are looked for in the work


def plan(request: DispatchRequest, repository: git.Repository, old: str) -> bool:
    """Make the merge commit on top of ``old``, in no branch yet. False when the merge ended here."""
    assert request.project is not None
    if dropped := _dropped(request, repository, old):
        main = request.project.main_branch
        why = (
            f"{main} was rewritten: the work stands on {dropped[:12]}, which is not on {main} any more, and a merge "
            f"would bring it back. A rework begins from {main} as it is now; its packet says how to take over the work "
            "alone."
        )
        rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING)
        rows.update(target_sha=old)  # a later look tells whether the branch has moved since
        record.refuse(request, record.NotMerged.REWRITTEN, why, data={"dropped": dropped})
        return False
    result = repository.merge_tree(old, request.head_sha)
    if result.conflicts:
        files = ", ".join(f"`{name}`" for name in result.conflicts[:20])
        main = request.project.main_branch
        body = (
            f"The work conflicts with {main} in {files}. Dispatch a rework: it begins from {main}, and its packet says "
            f"how to take over what is on `{request.branch}`."
        )
        lifecycle.move(
            request,
            State.CONFLICTED,
            actor=record.merger(request),
            kind=trace.Kind.MERGE,
            body=body,
            data={"conflicts": result.conflicts, "target": old},
            failure=body,
            failure_class="conflict",
        )
        return False
    commit = repository.commit_tree(result.tree, [old, request.head_sha], _message(request))
    attempt = F("merge_attempt") + (1 if request.target_sha else 0)
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING)
    if rows.update(target_sha=old, merge_sha=commit, merge_attempt=attempt, landing=False) != 1:
        return False
    request.refresh_from_db()
    return True


def _dropped(request: DispatchRequest, repository: git.Repository, old: str) -> str:
    """The newest commit below the work that was on the main branch once and is not there now; empty when there is none.

    Both ways to stand on such a commit count: the request began from it, or its agent took it over later. The brief's
    own commits do not: its agent may have put them on the branch itself, and somebody have taken them off.
    """
    assert request.project is not None
    moves = MainMove.objects.filter(project=request.project, branch=request.project.main_branch, rewritten=True)
    tips = moves.values_list("old_sha", flat=True)[:REWRITES]
    was_on_main = [_shared(repository, request.head_sha, tip) for tip in tips]
    if request.base == request.project.main_branch:  # rewritten before flower kept watch: the base itself tells
        was_on_main.append(request.base_sha)
    for commit in filter(None, was_on_main):
        try:
            if repository.is_ancestor(commit, old):
                continue
            gone = repository.commits(old, commit, limit=mainline.READ_COMMITS)
        except git.GitError:  # a shallow clone has forgotten it
            continue
        foreign = [row.sha for row in gone if request.brief_id not in mainline.briefs_of(row)]
        if foreign:
            return foreign[0]
    return ""


def _shared(repository: git.Repository, head: str, was: str) -> str:
    try:
        return repository.merge_base(head, was) or ""
    except git.GitError:  # pruned since, so nothing of it is below the work
        return ""


def _message(request: DispatchRequest) -> str:
    brief: Brief = request.brief
    body = f"{request.summary}\n\n" if request.summary else ""
    trailers = f"Brief: #{brief.pk}\nDispatch: {request.pk}\nMerged-by: {record.merger(request).ref}\n"
    return f"Merge #{brief.pk}: {brief.title}\n\n{body}{trailers}"
