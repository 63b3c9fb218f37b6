"""Requests that work on one branch: several may share a worktree, and what one merges may hold another's commits."""

from __future__ import annotations

from django.db.models import QuerySet

from daemons.models import Process
from dispatch.models import ACTIVE, HELD, DispatchRequest


def at_work_beside(request: DispatchRequest) -> QuerySet[DispatchRequest]:
    """The other runs that are active on this request's branch now: a merge would take what they have committed."""
    rows = DispatchRequest.objects.filter(project=request.project_id, branch=request.branch, state__in=HELD)
    return rows.exclude(pk=request.pk).order_by("pk")


def before_in_worktree(request: DispatchRequest) -> QuerySet[DispatchRequest]:
    """The requests that worked in this request's worktree and have ended: none, where it is not known yet."""
    rows = DispatchRequest.objects.filter(worktree=request.worktree_id or 0).exclude(state__in=ACTIVE)
    return rows.exclude(pk=request.pk).order_by("pk")


def still_stopping(request: DispatchRequest) -> DispatchRequest | None:
    """An ended request whose agent still runs in this request's worktree: two at once would write over each other."""
    alive = (Process.Phase.STARTING, Process.Phase.RUNNING)
    return before_in_worktree(request).filter(process__phase__in=alive).first()
