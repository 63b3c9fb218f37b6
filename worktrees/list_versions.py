"""What the list of worktrees shows (core/changes.py)."""

from __future__ import annotations

from django.db.models import Count, Sum

from core import changes
from worktrees.models import Worktree


@changes.source
def worktrees() -> object:
    return list(
        Worktree.objects.order_by("state", "keep").values_list("state", "keep").annotate(Count("pk"), Sum("pk"))
    )
