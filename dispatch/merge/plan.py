"""What a merge would put on the branch: a commit on top of its tip, in no branch yet; or why there is none."""

from __future__ import annotations

from django.db.models import F

from briefs import trace
from briefs.models import Brief
from dispatch import lifecycle
from dispatch.merge import landing, record
from dispatch.models import DispatchRequest, State
from worktrees import git


def plan(request: DispatchRequest, repository: git.Repository, old: str) -> bool:
    """Make the merge commit on top of ``old``, in no branch yet. False when the merge ended here."""
    assert request.project is not None
    if repository.is_ancestor(request.head_sha, old):
        _already(request, repository, old)
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


def _already(request: DispatchRequest, repository: git.Repository, old: str) -> None:
    """The work is on the branch: somebody merged it by hand, or an earlier try of ours that could not say so."""
    tip = repository.commit(old)
    if tip and tip.parents[1:] == (request.head_sha,) and ("Dispatch", str(request.pk)) in tip.trailers:
        DispatchRequest.objects.filter(pk=request.pk).update(target_sha=tip.parents[0], merge_sha=old)
        request.refresh_from_db()
        landing.finish_landing(request, repository, old)
    else:
        record.done(request, repository, request.head_sha, old, already=True)


def _message(request: DispatchRequest) -> str:
    brief: Brief = request.brief
    body = f"{request.summary}\n\n" if request.summary else ""
    trailers = f"Brief: #{brief.pk}\nDispatch: {request.pk}\nMerged-by: {record.merger(request).ref}\n"
    return f"Merge #{brief.pk}: {brief.title}\n\n{body}{trailers}"
