"""How a merge ended: on the request, its trace and its brief's links."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from django.db import transaction

from briefs import trace
from briefs.models import Actor, Brief, Link
from briefs.services import actors, links
from dispatch import lifecycle
from dispatch.models import DispatchRequest, GateRun, State
from worktrees import git

TAIL_BYTES: Final = 6_000


class NotMerged(StrEnum):
    """Why a merge was refused; nothing was changed then, and it may be asked for again."""

    GATE = "gate"
    MAIN_RED = "main_red"
    REWRITTEN = "main_rewritten"
    IN_THE_WAY = "in the way"
    MOVED = "moved"
    GIT = "git"
    INTERNAL = "internal"


def refuse(
    request: DispatchRequest, why: NotMerged, sentence: str, *, tail: str = "", data: dict[str, Any] | None = None
) -> None:
    """Back to ``finished``: nothing was changed, the reason is on the trace, and the merge may be asked for again."""
    body = sentence if not tail else f"{sentence}\n\n```\n{tail.strip()[-TAIL_BYTES:].replace('```', '` ` `')}\n```"
    kind = trace.Kind.GATE if why == NotMerged.GATE else trace.Kind.REFUSED
    lifecycle.move(
        request,
        State.FINISHED,
        actor=merger(request),
        kind=kind,
        body=body,
        data={"class": str(why), **(data or {})},
        failure=sentence,
        failure_class=str(why),
    )


def done(
    request: DispatchRequest,
    repository: git.Repository,
    commit: str,
    old: str,
    *,
    behind: str = "",
    outside: bool = False,
) -> None:
    """The request is done: ``commit`` is on the branch, which was at ``old`` before.

    ``outside``: its commits came there without flower, which has seen the gates green on ``old``. ``behind`` is why
    MAIN's files do not show it.
    """
    assert request.project is not None
    on_branch = GateRun.objects.filter(main_check__project=request.project, tree=old, passed=True)
    gates = list(on_branch if outside else request.gate_runs.filter(attempt=request.merge_attempt))
    data = {
        "commit": commit,
        "branch": request.branch,
        "target": request.project.main_branch,
        "from": old,
        **_counts(request, repository),
        "outside": outside,
        "gates": [{"command": run.command, "passed": run.passed} for run in gates],
    }
    main = request.project.main_branch
    verdict = "the gates are green there" if request.project.gates else "the project has no gates"
    came = f"It came to {main} outside of flower; {verdict}."
    body = came if outside else behind
    with transaction.atomic():
        brief = Brief.objects.get(pk=request.brief_id)
        trace.lock(brief)
        label = f"{'Work of' if outside else 'Merge'} #{brief.pk}: {brief.title}"
        links.add(brief, Link.Kind.COMMIT, commit, actor=merger(request), relation=Link.Relation.RESULT, label=label)
        lifecycle.move(
            request,
            State.DONE,
            actor=merger(request),
            kind=trace.Kind.MERGE,
            body=body,
            data=data,
            why=f"dispatch {request.pk} is {'on ' + main if outside else 'merged'}",
            merge_sha="" if outside else commit,
            came_outside=outside,
            main_behind=behind[:300],
            failure="",
        )


def _counts(request: DispatchRequest, repository: git.Repository) -> dict[str, int]:
    """How much was merged. Nothing where git cannot tell: the merge has landed, its record must not fail for that."""
    try:
        return {
            "commits": repository.count_commits(request.base_sha, request.head_sha),
            "files": len(repository.changed_files(request.base_sha, request.head_sha)),
        }
    except git.GitError:
        return {}


def merger(request: DispatchRequest) -> Actor:
    return request.merge_by or actors.system()
