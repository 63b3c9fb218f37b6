"""Requests that work on one branch: several may share a worktree, and what one merges may hold another's commits."""

from __future__ import annotations

from django.db.models import QuerySet

from dispatch.models import HELD, DispatchRequest


def at_work_beside(request: DispatchRequest) -> QuerySet[DispatchRequest]:
    """The other runs that are active on this request's branch now: a merge would take what they have committed."""
    rows = DispatchRequest.objects.filter(project=request.project_id, branch=request.branch, state__in=HELD)
    return rows.exclude(pk=request.pk).order_by("pk")
